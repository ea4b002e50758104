//! Signatures: what xmlsec1 signs we verify, what we sign xmlsec1 verifies, and every known attack is refused by its name.
#![cfg(feature = "signatures")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use support::{Cma, Server};
use tocsin::cap::{self, Keys, SignatureError, SigningKey};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    says: String,
    /// The finding; empty where the signature holds.
    finds: String,
    /// Whether xmlsec1 takes it, with the same key.
    xmlsec1: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/signatures")
}

fn cases() -> BTreeMap<String, Case> {
    toml::from_str(&std::fs::read_to_string(folder().join("cases.toml")).unwrap()).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let out = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// What we find about a document's signature; of one that cannot be read, what the reader finds.
fn finding(keys: &Keys, raw: &[u8], now: DateTime<Utc>) -> String {
    let reading = cap::read(raw);
    let Some(alert) = reading.alert else { return format!("T{}", reading.findings[0].code.number()) };
    keys.verify(raw, &alert, now).map_or_else(|fault| format!("T{}", fault.code.number()), |()| String::new())
}

#[test]
fn good_ones_hold_and_every_attack_is_refused_by_its_name() {
    let keys = Keys::load(&[folder().join("bureau.pem")]).unwrap();
    let cases = cases();
    let files = std::fs::read_dir(folder())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "xml"));
    assert_eq!(files.count(), cases.len(), "every file has its case");
    for (name, case) in &cases {
        let path = folder().join(format!("{name}.xml"));
        let found = finding(&keys, &std::fs::read(&path).unwrap(), at("2030-01-01T00:00:00Z"));
        assert_eq!(found, case.finds, "{name}: {}", case.says);
        let certificate = folder().join("bureau.pem");
        let id = ["--id-attr:Id", "urn:oasis:names:tc:emergency:cap:1.2:alert"];
        let (taken, said) = run(
            "xmlsec1",
            &["--verify", "--pubkey-cert-pem", certificate.to_str().unwrap(), id[0], id[1], path.to_str().unwrap()],
        );
        assert_eq!(taken, case.xmlsec1, "xmlsec1 on {name}: {said}");
        assert!(taken || !case.finds.is_empty(), "{name}: we never take what xmlsec1 refuses");
    }
}

#[test]
fn a_certificate_counts_between_its_dates_and_a_bare_key_always() {
    let folder = folder();
    let raw = std::fs::read(folder.join("signed.xml")).unwrap();
    let keys = Keys::load(&[folder.join("bureau.pem")]).unwrap();
    assert_eq!(finding(&keys, &raw, at("2020-01-01T00:00:00Z")), "T2305");
    assert_eq!(finding(&keys, &raw, at("2300-01-01T00:00:00Z")), "T2305");
    let own = tempfile::tempdir().unwrap();
    let bare = own.path().join("bare.pem");
    let certificate = folder.join("bureau.pem");
    let arguments = ["x509", "-in", certificate.to_str().unwrap(), "-pubkey", "-noout", "-out", bare.to_str().unwrap()];
    assert!(run("openssl", &arguments).0);
    assert_eq!(finding(&Keys::load(&[bare]).unwrap(), &raw, at("2300-01-01T00:00:00Z")), "");
}

/// A key and its certificate, made for the test.
fn pair(folder: &Path, kind: &[&str]) -> (PathBuf, PathBuf) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=tocsin", "-newkey"];
    arguments.extend(kind);
    arguments.extend(["-keyout", key.to_str().unwrap(), "-out", certificate.to_str().unwrap()]);
    let (made, said) = run("openssl", &arguments);
    assert!(made, "{said}");
    (key, certificate)
}

const KINDS: [&[&str]; 2] = [&["rsa:2048"], &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]];

#[test]
fn what_we_sign_xmlsec1_verifies_and_so_do_we() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = pair(folder.path(), kind);
        let signer = SigningKey::load(&key, Some(&certificate)).unwrap();
        let raw = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cap/qingpu-typhoon-red.xml"));
        let alert = cap::read(&raw.unwrap()).alert.unwrap();
        let signed = signer.sign(&cap::write(&alert).unwrap()).unwrap();
        let file = folder.path().join("signed.xml");
        std::fs::write(&file, &signed).unwrap();
        let pinned = ["--verify", "--pubkey-cert-pem", certificate.to_str().unwrap(), file.to_str().unwrap()];
        let (taken, said) = run("xmlsec1", &pinned);
        assert!(taken, "{kind:?}: {said}");
        let keys = Keys::load(std::slice::from_ref(&certificate)).unwrap();
        assert_eq!(finding(&keys, signed.as_bytes(), Utc::now()), "");
        assert!(matches!(signer.sign(&signed), Err(SignatureError::Sign(_))), "nothing is signed twice");
        assert!(matches!(signer.sign("<feed></feed>"), Err(SignatureError::Sign(_))), "only alerts are signed");
        if let Some(schema) = std::env::var_os("TOCSIN_CAP_XSD") {
            let schema = schema.into_string().unwrap();
            let (valid, said) = run("xmllint", &["--noout", "--schema", &schema, file.to_str().unwrap()]);
            assert!(valid, "{said}");
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = pair(folder.path(), KINDS[1]);
    let says = |error: SignatureError, what: &str| assert!(error.to_string().contains(what), "{error}");
    says(Keys::load(std::slice::from_ref(&key)).unwrap_err(), "private key");
    says(Keys::load(&["/nowhere.pem".into()]).unwrap_err(), "/nowhere.pem");
    says(SigningKey::load(&certificate, None).unwrap_err(), "no private key");
    let other = tempfile::tempdir().unwrap();
    let (_, strange) = pair(other.path(), KINDS[0]);
    says(SigningKey::load(&key, Some(&strange)).unwrap_err(), "not of this private key");
    std::fs::write(&key, "no key").unwrap();
    says(SigningKey::load(&key, None).unwrap_err(), "key.pem");
}

/// The front door keeps a bureau's policy.
#[tokio::test(flavor = "multi_thread")]
async fn required_refuses_checked_remarks_and_ignored_does_not_look() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = pair(folder.path(), KINDS[1]);
    let signer = SigningKey::load(&key, None).unwrap();
    let bureau = |name: &str, policy: &str| {
        let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "[[bureau]]\nname = \"{name}\"\ntoken_sha256 = \"{hash}\"\nregions = [\"310000\"]\n\
             signature = \"{policy}\"\nkeys = [\"{}\"]\n",
            certificate.display()
        )
    };
    let server = Server::start(&format!("{}{}", bureau("strict", "required"), bureau("kind", "checked")));
    let codes = |answer: &serde_json::Value| -> Vec<String> {
        let found = answer["findings"].as_array().into_iter().flatten();
        found
            .map(|finding| finding["code"].as_str().unwrap().to_owned())
            .filter(|code| code.starts_with("T23"))
            .collect()
    };
    let kind = "application/cap+xml";
    let plain = Cma::new("plain").xml();
    let (status, answer) = server.post_as("strict", kind, plain.clone()).await;
    assert_eq!((status, answer["code"].as_str(), codes(&answer)), (403, Some("T4023"), vec!["T2301".to_owned()]));
    let (status, answer) = server.post_as("kind", kind, plain).await;
    assert_eq!((status, answer["verdict"].as_str(), codes(&answer)), (201, Some("remarks"), vec!["T2301".to_owned()]));
    let signed = signer.sign(&Cma::new("signed").xml()).unwrap();
    let changed = signed.replace("310118000000", "310115000000");
    let (status, answer) = server.post_as("strict", kind, changed).await;
    assert_eq!((status, answer["code"].as_str(), codes(&answer)), (403, Some("T4023"), vec!["T2304".to_owned()]));
    let (status, answer) = server.post_as("strict", kind, signed).await;
    assert_eq!((status, codes(&answer)), (201, vec!["T2306".to_owned()]), "{answer}");
    let (status, answer) = server.post(signer.sign(&Cma::new("unlooked").xml()).unwrap()).await;
    assert_eq!((status, codes(&answer)), (201, vec![]));
    // The same by hand.
    let file = server.folder.path().join("alert.xml");
    std::fs::write(&file, Cma::new("by hand").xml().replace("by hand", "by-hand")).unwrap();
    let (well, out, error) = server.tocsin(&["check", "--source", "strict", file.to_str().unwrap()]);
    assert!(!well && out.contains("T4023") && out.contains("T2301"), "{out}{error}");
}
