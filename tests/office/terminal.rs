//! Split and amend from a terminal: the same rights, the same record as in the console.

use serde_json::Value;

use super::codes;
use super::support::crew::Crew;
use super::support::{Cma, ORANGE, Server};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_split_and_amended_from_a_terminal() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000"]).await;
    let signer = crew.officer("signer", &["signer:310000"]).await;
    let elsewhere = crew.officer("su", &["signer:320000"]).await;
    let scopes = ["read", "approve"];
    let (token, his) = (crew.token(&author, &scopes, 1).await, crew.token(&signer, &scopes, 1).await);
    let other = crew.token(&elsewhere, &scopes, 1).await;
    let run = |token: &str, arguments: &[&str]| {
        let file = server.folder.path().join("token");
        std::fs::write(&file, token).unwrap();
        let at = ["--server", &server.url, "--token-file", file.to_str().unwrap()];
        let (well, out, error) = server.tocsin(&[arguments, &at].concat());
        (well, out + &error)
    };
    let area = codes(&["310118", "310120", "310115"]);
    let alert = Cma { colour: ORANGE, code: area, ..Cma::new("three") };
    assert_eq!(server.post(alert.xml()).await.1["state"], "waiting");

    let (well, out) = run(&other, &["split", "1", "310120"]);
    assert!(!well && out.contains("T6009"), "{out}");
    let (well, out) = run(&token, &["split", "1", "330421"]);
    assert!(!well && out.contains("T6011"), "a county that is not in it: {out}");
    let (well, out) = run(&token, &["split", "1", "310120,310115"]);
    assert!(well && out.contains("waiting for: sign") && out.contains("taken out as 2.1"), "{out}");
    let (well, out) = run(&token, &["split", "1", "310118"]);
    assert!(!well && out.contains("T6003"), "what was seen has changed: {out}");

    let (well, out) = run(&other, &["amend", "2.1", "--reason", "x", "--keep", "310115"]);
    assert!(!well && out.contains("T6009"), "{out}");
    let later = (alert.sent + chrono::TimeDelta::hours(9)).to_rfc3339();
    let (well, out) = run(&token, &["amend", "2.1", "--reason", "longer", "--until", &later]);
    assert!(!well && out.contains("T6012"), "{out}");
    let sooner = alert.sent + chrono::TimeDelta::hours(1);
    let change = ["amend", "2.1", "--reason", "sooner", "--keep", "310115", "--until", &sooner.to_rfc3339()];
    let (well, out) = run(&token, &[&change[..], &["--description", "今晚起"]].concat());
    assert!(well && out.contains("waiting for: sign"), "{out}");
    // A second change leaves what the first one said.
    let (well, out) = run(&token, &["amend", "2.2", "--reason", "en", "--language", "en", "--headline", "Take care"]);
    assert!(well, "{out}");
    let row = crew.store.escalation::<tocsin::world::Live>(2).await.unwrap().unwrap().escalation;
    let regions: Vec<_> = row.regions.iter().map(|code| code.as_str()).collect();
    assert_eq!((regions, row.revision), (vec!["310115"], 3));
    assert_eq!(row.amendment.expires, Some(sooner.to_utc()));
    let words = |language| &row.amendment.words[&language];
    let (zh, en) = (words(tocsin::messages::Language::Chinese), words(tocsin::messages::Language::English));
    assert_eq!((zh.description.as_str(), en.headline.as_str()), ("今晚起", "Take care"));
    assert!(zh.headline.contains("台风"), "what was not named stays: {zh:?}");

    let code = signer.code().await;
    let (well, out) = run(&his, &["--json", "approve", "2.3", "--confirm", "上海市", "--code", &code]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(well && answer["state"] == "released", "{out}");
    let states = server.json(&format!("/api/v1/alerts/{}", answer["alert"].as_str().unwrap())).await;
    assert_eq!(states["state"], "partly", "the other part still waits");
    let lines = crew.store.record_from(1, 10_000).await.unwrap();
    let by = |kind: &str| lines.iter().filter(|line| line.kind == kind && line.actor == "author").count();
    assert_eq!((by("escalation.split"), by("escalation.amend")), (1, 2));
    for command in ["split", "amend"] {
        let (well, out, _) = server.tocsin(&[command, "--help"]);
        assert!(well && out.contains("--token-file") && out.contains("--exercise") && out.contains("--json"), "{out}");
    }
}
