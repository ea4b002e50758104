use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::JwkSet;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

/// A provider's key.
struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
    }

    fn set(&self, usage: &str) -> JwkSet {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        let coded = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "use": usage, "x": coded(x), "y": coded(y)});
        serde_json::from_value(json!({"keys": [key]})).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000, 0).unwrap()
}

const EXPECTED: Expected<'_> =
    Expected { issuer: "https://id.example", client_id: "tocsin", nonce: "n", now: DateTime::UNIX_EPOCH };

fn header() -> Value {
    json!({"alg": "ES256", "kid": "k"})
}

fn claims() -> Value {
    let at = now().timestamp();
    json!({"iss": "https://id.example", "sub": "zhang", "aud": "tocsin", "nonce": "n", "exp": at + 300, "iat": at})
}

fn with(change: Value) -> Value {
    let mut claims = claims();
    let Value::Object(change) = change else { panic!("not a table") };
    for (key, value) in change {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(&key)
        } else {
            claims.as_object_mut().unwrap().insert(key, value)
        };
    }
    claims
}

#[test]
fn a_token_to_us_signed_by_the_provider_is_taken() {
    let key = Key::new();
    let expected = Expected { now: now(), ..EXPECTED };
    for fine in [claims(), with(json!({"aud": ["tocsin"]})), with(json!({"aud": ["tocsin", "x"], "azp": "tocsin"}))] {
        assert_eq!(read(&key.sign(&header(), &fine), &key.set("sig"), expected).unwrap().sub, "zhang", "{fine}");
    }
}

#[test]
fn a_token_that_is_off_in_anything_is_refused() {
    let key = Key::new();
    let expected = Expected { now: now(), ..EXPECTED };
    let late = now().timestamp() - 61;
    for bad in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"aud": "another"}),
        json!({"aud": null}),
        json!({"aud": ["tocsin", "another"]}),
        json!({"azp": "another"}),
        json!({"nonce": "m"}),
        json!({"nonce": null}),
        json!({"exp": late}),
        json!({"exp": "soon"}),
        json!({"exp": null}),
        json!({"sub": null}),
    ] {
        let token = key.sign(&header(), &with(bad.clone()));
        assert!(read(&token, &key.set("sig"), expected).is_err(), "{bad}");
    }
}

#[test]
fn a_token_that_the_provider_did_not_sign_is_refused() {
    let (key, other) = (Key::new(), Key::new());
    let expected = Expected { now: now(), ..EXPECTED };
    let set = key.set("sig");
    let good = key.sign(&header(), &claims());
    assert!(read(&good, &set, expected).is_ok());
    // Another key of the same name, a key that is not for signing, no key.
    assert!(read(&other.sign(&header(), &claims()), &set, expected).is_err());
    assert!(read(&good, &key.set("enc"), expected).is_err());
    assert!(read(&good, &serde_json::from_value(json!({"keys": []})).unwrap(), expected).is_err());
    // No signature, in every spelling; and the public key as a secret.
    let body = good.split('.').nth(1).unwrap();
    for alg in ["none", "None", "NONE", "", "HS256"] {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": "k"}).to_string());
        for signature in ["", "AAAA"] {
            assert!(read(&format!("{head}.{body}.{signature}"), &set, expected).is_err(), "{alg}");
        }
    }
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.0.public_key().as_ref());
    let message = format!("{}.{body}", URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "k"}).to_string()));
    let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, message.as_bytes()));
    assert!(read(&format!("{message}.{signature}"), &set, expected).is_err());
    // One bit of the claims.
    let forged = URL_SAFE_NO_PAD.encode(with(json!({"sub": "admin"})).to_string());
    assert!(read(&good.replace(body, &forged), &set, expected).is_err());
}

#[test]
fn only_who_was_asked_anew_has_proved_to_be_there() {
    let errand = Errand {
        state: "s".into(),
        nonce: "n".into(),
        verifier: "v".into(),
        next: String::new(),
        again: Some(OfficerId(1)),
        at: now(),
    };
    let proved = |seconds: Option<i64>| {
        let proved_at = seconds.map(|s| now() + TimeDelta::seconds(s));
        Vouched { subject: "x".into(), proved_at }.is_fresh(&errand)
    };
    assert!(proved(Some(5)));
    // Clocks may be off by a minute; an hour ago is this morning's sign-in; some providers do not say.
    assert!(proved(Some(-59)));
    assert!(!proved(Some(-61)));
    assert!(!proved(None));
}
