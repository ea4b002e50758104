//! One TLS stack: rustls with ring. Read from Cargo.lock, so that it is known before anything is built.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;

fn locked() -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = include_str!("../Cargo.lock").parse().expect("Cargo.lock is TOML");
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let text = |key: &str| package[key].as_str().expect("text").to_owned();
        versions.entry(text("name")).or_default().push(text("version"));
    }
    versions
}

#[test]
fn no_second_tls_stack_comes_in() {
    let locked = locked();
    for banned in ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"] {
        assert!(!locked.contains_key(banned), "{banned} came in; `cargo tree --invert {banned}` says by whom");
    }
    assert!(locked.contains_key("ring"));
    assert_eq!(locked["rustls"].len(), 1, "{:?}", locked["rustls"]);
    assert_eq!(locked["sqlx"].len(), 1);
    assert_eq!(locked["libsqlite3-sys"].len(), 1);
}

#[test]
fn webpki_stands_twice_only_by_the_written_exception() {
    let minor = |version: &String| version.rsplit_once('.').map(|(minor, _)| minor.to_owned()).unwrap_or_default();
    let mut found: Vec<_> = locked()["rustls-webpki"].iter().map(minor).collect();
    found.sort();
    assert_eq!(found, ["0.102", "0.103"], "deny.toml says why 0.102 is there, for rumqttc alone");
}

#[test]
fn everything_comes_from_the_registry() {
    for line in include_str!("../Cargo.lock").lines().filter(|line| line.starts_with("source = ")) {
        assert!(line.starts_with("source = \"registry+"), "{line}");
    }
}
