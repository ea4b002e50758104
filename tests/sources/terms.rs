//! What is asked of one source is not what is asked of its bureau's other ways in.

use std::path::Path;

use tocsin::cap::SigningKey;

use crate::site::{self, DAY, Site};
use crate::support::{Cma, Server, sha256};
use crate::{alerts, store, until, until_source};

fn source(name: &str, path: &Path, terms: &str) -> String {
    let path = path.join(name);
    std::fs::create_dir(&path).unwrap();
    format!(
        "[[source]]\nname = \"{name}\"\nkind = \"folder\"\nbureau = \"own\"\nevery_seconds = 1\npath = \"{}\"\n{terms}\n",
        path.display()
    )
}

fn bureau(folder: &Path, signature: &str) -> String {
    let key = [
        "req",
        "-x509",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=own",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ];
    let made = std::process::Command::new("openssl")
        .args(key)
        .args(["-keyout", folder.join("key.pem").to_str().unwrap(), "-out", folder.join("own.pem").to_str().unwrap()])
        .output()
        .unwrap();
    assert!(made.status.success());
    format!(
        "[[bureau]]\nname = \"own\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\nkeys = [\"{}\"]\nsignature = \"{signature}\"\n",
        sha256("own-token"),
        folder.join("own.pem").display()
    )
}

fn county(name: &str, code: &str) -> Cma {
    Cma { code: format!("{code}000000"), ..Cma::new(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_signatures_are_asked_for_by_source() {
    let folder = tempfile::tempdir().unwrap();
    let config = [
        bureau(folder.path(), "ignored"),
        source("plain", folder.path(), ""),
        source("strict", folder.path(), "profile = [\"google\"]"),
        source("signed", folder.path(), "signature = \"required\""),
    ]
    .concat();
    let server = Server::start(&config);
    let signer = SigningKey::load(&folder.path().join("key.pem"), None).unwrap();
    let drop = |source: &str, name: &str, text: String| {
        std::fs::write(folder.path().join(source).join(format!(".{name}")), text).unwrap();
        let [hidden, shown] = [format!(".{name}"), name.to_owned()].map(|name| folder.path().join(source).join(name));
        std::fs::rename(hidden, shown).unwrap();
    };
    drop("plain", "a.xml", county("a", "310101").xml());
    drop("strict", "b.xml", county("b", "310104").xml());
    drop("signed", "c.xml", county("c", "310105").xml());
    drop("signed", "d.xml", signer.sign(&county("d", "310106").xml()).unwrap());
    for (place, code) in [
        ("plain/accepted/a.xml", ""),
        ("strict/refused/b.xml", "T4022"),
        ("signed/refused/c.xml", "T4023"),
        ("signed/accepted/d.xml", ""),
    ] {
        let path = folder.path().join(place);
        until(place, &server, async || path.exists().then_some(())).await;
        let reason = std::fs::read_to_string(format!("{}.reason.txt", path.display())).unwrap_or_default();
        assert!(reason.contains(code) && reason.is_empty() == code.is_empty(), "{place}: {reason}");
    }
    let (status, answer) = server.post_as("own-token", "application/cap+xml", county("e", "310107").xml()).await;
    assert_eq!(status, 201, "what the bureau sends itself is asked for nothing more: {answer}");
    let (_, shown, _) = server.tocsin(&["feeds"]);
    for asks in ["core; signature ignored", "google; signature ignored", "core; signature required"] {
        assert!(shown.contains(asks), "{shown}");
    }
    let (well, shown, error) = server.tocsin(&["config", "check"]);
    assert!(
        well && shown.contains("Source signed asks for more or less") && !shown.contains("Source plain"),
        "{shown}{error}"
    );
    // Tried by hand before it is sent there.
    let file = folder.path().join("try.xml");
    std::fs::write(&file, county("try", "310109").xml()).unwrap();
    let by_hand = |source: &str| server.tocsin(&["check", "--source", source, file.to_str().unwrap()]);
    assert!(by_hand("plain").0);
    assert!(by_hand("strict").1.contains("T4022") && by_hand("signed").1.contains("T4023"));
}

#[test]
fn a_source_that_asks_for_signatures_needs_keys_of_its_bureau() {
    let folder = tempfile::tempdir().unwrap();
    let asks = source("signed", folder.path(), "signature = \"checked\"").replace("\"own\"", "\"shanghai\"");
    let config = crate::support::write_config(folder.path(), &asks);
    let (well, _, error) = crate::support::tocsin(&config, &["config", "check"]);
    assert!(!well && error.contains("needs `keys` of the bureau `shanghai`"), "{error}");
}

/// As some services publish: a prefix of their own, declared once for the whole feed.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_holds_in_a_feed_that_declares_the_alerts_prefix_further_out() {
    const DECLARED: &str = " xmlns:ns7=\"urn:oasis:names:tc:emergency:cap:1.2\"";
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let bureau = bureau(folder.path(), "required");
    let signer = SigningKey::load(&folder.path().join("key.pem"), None).unwrap();
    let entry = |name: &str, change: fn(String) -> String| {
        let plain = county(name, if name == "kept" { "310101" } else { "310104" }).xml();
        let body = plain.split_once("?>").unwrap().1.replace(" xmlns=", " xmlns:ns7=");
        let prefixed = body.replace("</", "\u{0}").replace('<', "<ns7:").replace('\u{0}', "</ns7:");
        let signed = signer.sign(&prefixed).unwrap();
        let inside = signed.replacen(DECLARED, "", 1);
        assert!(signed.contains(DECLARED) && !inside.contains(DECLARED), "{signed}");
        let inside = inside.split_once("?>").map_or(inside.as_str(), |(_, body)| body).to_owned();
        format!(
            "<entry><id>urn:{name}</id><updated>{DAY}</updated><content type=\"application/cap+xml\">{}</content></entry>",
            change(inside)
        )
    };
    let forged = |text: String| text.replace("310104000000", "310105000000");
    let text = format!(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"{DECLARED} xmlns:unused=\"urn:x\"><id>urn:f</id><updated>{DAY}</updated>{}{}</feed>",
        entry("kept", |text| text),
        entry("forged", forged)
    );
    site.show("/feed", text.clone());
    let feed = site::source(&site, "feed", "").replace("\"shanghai\"", "\"own\"");
    let server = Server::start(&format!("{bureau}{feed}"));
    let store = store(&server).await;
    let row = until_source(&server, &store, "feed", |row| row.taken + row.refused == 2).await;
    assert_eq!((row.taken, row.refused), (1, 1), "{:?}", row.findings);
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "kept");
    // The same by hand: each alert's signature is looked at.
    let file = folder.path().join("feed.atom");
    std::fs::write(&file, text).unwrap();
    let (_, shown, _) = server.tocsin(&["check", "--json", "--source", "feed", file.to_str().unwrap()]);
    let told: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let codes = |list: &str| -> Vec<_> {
        told[list].as_array().unwrap().iter().filter_map(|one| one["code"].as_str()).collect()
    };
    assert_eq!((told["verdict"].as_str(), codes("refusals")), (Some("refused"), vec!["T4023"]), "{told}");
    let signed: Vec<_> = codes("findings").into_iter().filter(|code| code.starts_with("T23")).collect();
    assert_eq!(signed, ["T2306", "T2304"], "{told}");
}
