//! The ID token: who signed it, for whom, until when, and to which question. Pure.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use ring::signature as by;
use serde::Deserialize;

use super::{OrganisationError, SKEW};
use crate::delivery::constant_time_equal;

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// What we want to know of it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    pub(super) auth_time: Option<i64>,
    nonce: String,
    exp: i64,
    azp: Option<String>,
    aud: Audience,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Whether no key of the set is the token's: the provider may have new ones.
pub(super) fn is_key_missing(token: &str, keys: &JwkSet) -> bool {
    decode_header(token).is_ok_and(|header| header.kid.is_some_and(|kid| keys.find(&kid).is_none()))
}

/// Reads a token and checks everything about it.
pub(super) fn read(token: &str, keys: &JwkSet, expected: Expected<'_>) -> Result<Claims, OrganisationError> {
    let no = |why: &str| OrganisationError::Token(why.to_owned());
    let failed = |error: Error| OrganisationError::Token(error.to_string());
    // The first one to sign anybody in installs it; whoever comes later finds it there.
    let _ = RING.install_default();
    let header = decode_header(token).map_err(failed)?;
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
        return Err(no("it is signed neither with RS256 nor with ES256"));
    }
    let fits = |key: &&Jwk| {
        header.kid.is_none()
            || key.common.key_id == header.kid && key.common.public_key_use != Some(PublicKeyUse::Encryption)
    };
    let mut fitting = keys.keys.iter().filter(fits).filter_map(|key| DecodingKey::from_jwk(key).ok());
    let key =
        fitting.find(|key| key.family() == header.alg.family()).ok_or_else(|| no("the provider has no such key"))?;
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims = HashSet::from(["iss", "aud", "exp", "sub"].map(String::from));
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client_id]);
    // Ours to compare: the time is an argument here.
    validation.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &validation).map_err(failed)?.claims;
    if claims.exp <= (expected.now - SKEW).timestamp() {
        return Err(no("it is too old"));
    }
    let alone = match &claims.aud {
        Audience::One(party) => party == expected.client_id,
        Audience::Many(parties) => parties.iter().all(|party| party == expected.client_id),
    };
    let ours = claims.azp.as_ref().map_or(alone, |party| party == expected.client_id);
    if !ours {
        return Err(no("it was made for another party too"));
    }
    if !constant_time_equal(claims.nonce.as_bytes(), expected.nonce.as_bytes()) {
        return Err(no("it answers another question"));
    }
    Ok(claims)
}

/// Signatures are checked by ring, as everywhere in this program.
static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidKeyFormat.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(Check { algorithm: *algorithm, key: key.clone() })),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Check {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let done = match (self.algorithm, self.key.family(), self.key.kind()) {
            (Algorithm::RS256, AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                by::RsaPublicKeyComponents { n, e }.verify(&by::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::ES256, AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
                by::UnparsedPublicKey::new(&by::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            _ => Err(ring::error::Unspecified),
        };
        done.map_err(|_| signature::Error::new())
    }
}
