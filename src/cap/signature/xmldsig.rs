//! The library's part: keys from files, verification against pinned keys alone, and signing.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use bergshamra::c14n::{C14nMode, canonicalize};
use bergshamra::keys::loader::{load_pem_auto, load_spki_pem, load_x509_cert_pem};
use bergshamra::{DsigContext, Key, KeysManager, VerifyResult};
use chrono::{DateTime, Utc};

use super::form::{count, document, is_what_was_read, well_formed};
use super::{SignatureError, SignatureFault};
use crate::cap::alert::Alert;
use crate::cap::finding::Code;
use crate::cap::xml;

/// Keys pinned to a sender.
pub struct Keys(Vec<Pinned>);

struct Pinned {
    key: Key,
    /// From when to when its certificate holds; a bare key has none.
    valid: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    /// Reads keys, each a certificate or a public key in PEM.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn load(paths: &[PathBuf]) -> Result<Self, SignatureError> {
        paths.iter().map(|path| pinned(path, &read(path)?)).collect::<Result<_, _>>().map(Self)
    }

    /// Keys whose files were read before.
    ///
    /// # Errors
    /// When one of them is no key.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<Self, SignatureError> {
        files.into_iter().map(|(path, text)| pinned(path, text.as_bytes())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether these bytes are an alert that one of the keys signed, and the alert is what was signed.
    ///
    /// # Errors
    /// When not, with what is wrong.
    pub fn verify(&self, raw: &[u8], alert: &Alert, now: DateTime<Utc>) -> Result<(), SignatureFault> {
        let text = well_formed(raw)?;
        let mut manager = KeysManager::new();
        let holds = |pinned: &&Pinned| pinned.valid.is_none_or(|(from, to)| (from..=to).contains(&now));
        manager.add_keys(self.0.iter().filter(holds).map(|pinned| pinned.key.clone()));
        if manager.is_empty() {
            let ends = self.0.iter().filter_map(|pinned| pinned.valid).map(|(_, to)| to).max();
            let detail = ends.map(|end| end.to_rfc3339()).unwrap_or_default();
            return Err(SignatureFault::new(Code::SignatureKeyOut, detail));
        }
        // Never the permissive context: it believes whatever certificate comes with the message.
        let context = DsigContext::new(manager);
        let wrong = |why: String| SignatureFault::new(Code::SignatureWrong, why);
        match bergshamra::verify(&context, &text) {
            Ok(VerifyResult::Valid { references, .. }) => {
                let whole = references.iter().all(|one| one.uri.is_empty() && one.digest_verified);
                if references.len() != 1 || !whole {
                    return Err(SignatureFault::new(Code::SignatureForm, "it does not cover the whole alert"));
                }
            }
            Ok(VerifyResult::Invalid { reason }) => return Err(wrong(reason)),
            Err(error) => return Err(wrong(error.to_string())),
        }
        let canonical = canonicalize(&text, C14nMode::Exclusive, None, &[""; 0]).map_err(|e| wrong(e.to_string()))?;
        if is_what_was_read(alert, &canonical) {
            Ok(())
        } else {
            Err(SignatureFault::new(Code::SignatureForm, "the alert that was read is not the one that was signed"))
        }
    }
}

/// A key that signs what we write.
pub struct SigningKey {
    key: Key,
    method: &'static str,
    /// What receivers find in KeyInfo: base64 of the certificate.
    certificate: Option<String>,
    required: bool,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.method)
    }
}

impl SigningKey {
    /// Reads a private key (ECDSA on P-256, or RSA) in PEM, and the certificate that goes with signatures.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong to one another.
    pub fn load(key_file: &Path, certificate_file: Option<&Path>) -> Result<Self, SignatureError> {
        let bad = |why: String| SignatureError::Key { path: key_file.to_owned(), why };
        let key = load_pem_auto(&read(key_file)?, None).map_err(|e| bad(e.to_string()))?;
        if !key.has_private_key() {
            return Err(bad("it holds no private key".into()));
        }
        let method = match key.algorithm_name() {
            "RSA" => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "EC-P256" => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            other => return Err(bad(format!("{other} is not for signing alerts: use ECDSA on P-256, or RSA"))),
        };
        let certificate = certificate_file.map(|path| certificate(path, &key)).transpose()?;
        Ok(Self { key, method, certificate, required: false })
    }

    /// The same key where what cannot be signed must not be published.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// Whether what cannot be signed must not be published.
    pub const fn is_required(&self) -> bool {
        self.required
    }

    /// The same alert with an enveloped signature as its last element.
    ///
    /// # Errors
    /// When the text is no alert, is signed already, or cannot be signed.
    pub fn sign(&self, text: &str) -> Result<String, SignatureError> {
        let no = |why: String| SignatureError::Sign(why);
        let tree = xml::parse(text.as_bytes()).map_err(|e| no(e.to_string()))?;
        if count(&tree.root) > 0 {
            return Err(no("it is signed already".into()));
        }
        let body = document(&tree);
        // What follows the root element may hold anything, in comments.
        let after = tree.text.len() - tree.root.end;
        let root = body.get(..body.len().saturating_sub(after)).filter(|_| tree.root.name == "alert");
        let end = root.and_then(|root| root.rfind("</")).ok_or_else(|| no("it is no alert".into()))?;
        let (head, tail) = body.split_at(end);
        let key_info = match &self.certificate {
            Some(text) => {
                format!("<KeyInfo><X509Data><X509Certificate>{text}</X509Certificate></X509Data></KeyInfo>")
            }
            None => String::new(),
        };
        let template = format!(
            "{head}<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><SignedInfo>\
             <CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></CanonicalizationMethod>\
             <SignatureMethod Algorithm=\"{method}\"></SignatureMethod><Reference URI=\"\"><Transforms>\
             <Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></Transform>\
             <Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></Transform></Transforms>\
             <DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></DigestMethod>\
             <DigestValue></DigestValue></Reference></SignedInfo><SignatureValue></SignatureValue>{key_info}\
             </Signature>\n{tail}",
            method = self.method,
        );
        let mut manager = KeysManager::new();
        manager.add_key(self.key.clone());
        let signed = bergshamra::sign(&DsigContext::new(manager), &template).map_err(|e| no(e.to_string()))?;
        Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{signed}"))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SignatureError> {
    std::fs::read(path).map_err(|e| SignatureError::Key { path: path.to_owned(), why: e.to_string() })
}

fn pinned(path: &Path, text: &[u8]) -> Result<Pinned, SignatureError> {
    let bad = |why: String| SignatureError::Key { path: path.to_owned(), why };
    if text.windows(11).any(|part| part == b"PRIVATE KEY") {
        return Err(bad("it holds a private key; a bureau's public key or certificate belongs here".into()));
    }
    let Ok(key) = load_x509_cert_pem(text) else {
        let key = load_spki_pem(text).map_err(|_| bad("neither a certificate nor a public key in PEM".into()))?;
        return Ok(Pinned { key, valid: None });
    };
    let der = key.x509_chain.first().map(Vec::as_slice).unwrap_or_default();
    let valid = validity(der).ok_or_else(|| bad("its validity cannot be read".into()))?;
    Ok(Pinned { key, valid: Some(valid) })
}

fn validity(certificate: &[u8]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    use x509_cert::der::Decode as _;
    let validity = x509_cert::Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
    let time = |time: x509_cert::time::Time| DateTime::<Utc>::from(time.to_system_time());
    Some((time(validity.not_before), time(validity.not_after)))
}

fn certificate(path: &Path, key: &Key) -> Result<String, SignatureError> {
    let bad = |why: &str| SignatureError::Key { path: path.to_owned(), why: why.into() };
    let own = load_x509_cert_pem(&read(path)?).map_err(|e| bad(&e.to_string()))?;
    if own.to_spki_der().is_none() || own.to_spki_der() != key.to_spki_der() {
        return Err(bad("the certificate is not of this private key"));
    }
    let der = own.x509_chain.first().ok_or_else(|| bad("it holds no certificate"))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(der))
}
