//! Alerts of a feed that are wrong in some way: each ends in a finding or a refusal that names the cause, and nothing is lost.

use std::fmt::Write as _;

use serde_json::Value;

use crate::site::{DAY, Page, Site, atom, link, source};
use crate::support::{Cma, Server};
use crate::{store, until_source};

fn polygon(points: &str) -> String {
    Cma::new("p").xml().replace("<geocode>", &format!("<polygon>{points}</polygon><geocode>"))
}

/// What is wrong, the alert, whether it is taken, and the code that says so: of a finding where it is, of a refusal or its finding where not.
type Case = (&'static str, Vec<u8>, bool, &'static str);

/// The alert under its case's own name, so that none hides behind another.
pub fn named((name, body, ..): &Case) -> Vec<u8> {
    let own = format!("<identifier>{name}</identifier>");
    match std::str::from_utf8(body) {
        Ok(text) => ["x", "p", "f", "o", "d"]
            .iter()
            .fold(text.to_owned(), |text, id| text.replace(&format!("<identifier>{id}</identifier>"), &own))
            .into_bytes(),
        Err(_) => replace(body, b"<identifier>x</identifier>", own.as_bytes()),
    }
}

pub fn cases() -> Vec<Case> {
    let xml = || Cma::new("x").xml();
    let text = |with: &str| xml().replace("<description>", &format!("<description>{with} "));
    let many: String = (0..100_001).fold(String::new(), |mut ring, n| {
        write!(ring, "31.{:05},121.1 ", n % 90_000).unwrap();
        ring
    });
    let gbk = {
        let declared = xml().replace("UTF-8", "GB18030");
        encoding_rs::GB18030.encode(&declared).0.into_owned()
    };
    let mixed = encoding_rs::GB18030.encode(&xml()).0.into_owned();
    vec![
        (
            "future",
            Cma { sent: Cma::new("f").sent + chrono::TimeDelta::days(1), ..Cma::new("f") }.xml().into(),
            false,
            "T4002",
        ),
        ("date-line", polygon("10,179 10,-179 11,-179 11,179 10,179").into(), true, ""),
        ("out-of-range", polygon("10,179 10,181 11,181 10,179").into(), true, "T2027"),
        (
            "self-crossing",
            polygon("31.1,121.08 31.14,121.14 31.14,121.08 31.1,121.14 31.1,121.08").into(),
            true,
            "T2029",
        ),
        ("zero-radius", xml().replace("<geocode>", "<circle>31.1,121.1 0</circle><geocode>").into(), true, "T2031"),
        ("100,000-points", polygon(&many).into(), false, "T2043"),
        (
            "unknown-code",
            xml()
                .replace(
                    "</geocode>",
                    "</geocode><geocode><valueName>GB/T 2260</valueName><value>990101</value></geocode>",
                )
                .into(),
            true,
            "T4101",
        ),
        ("unknown-word", xml().replace("<urgency>Expected", "<urgency>Whenever").into(), true, "T2012"),
        ("gb18030", gbk, true, ""),
        ("mixed-encodings", mixed, true, "T1006"),
        ("html", text("&lt;b&gt;run&lt;/b&gt;").into(), true, "T2037"),
        ("xml-in-description", text("<p>run</p>").into(), true, "T2040"),
        (
            "header-injection",
            xml().replace("<areaDesc>", "<areaDesc>x&#13;&#10;Bcc: a@example.org&#13;&#10;").into(),
            true,
            "",
        ),
        ("template-marks", xml().replace("台风", "台风{{ 7*7 }}{% for x in [1] %}{#").into(), true, ""),
        ("control-characters", text("&#7;").into(), false, "T1001"),
        ("entity", text("&rsquo;").into(), false, "T1004"),
        (
            "doctype",
            xml().replace("<alert", "<!DOCTYPE alert SYSTEM 'file:///etc/passwd'><alert").into(),
            false,
            "T1003",
        ),
        ("cut-off", xml()[..600].to_owned().into(), false, "T1001"),
        ("no-identifier", xml().replace("<identifier>x</identifier>", "").into(), false, "T2003"),
        ("other-province", Cma { code: "330400000000".into(), ..Cma::new("o") }.xml().into(), false, "T4004"),
        ("other-danger", Cma { event: ("大雾", "Fog"), ..Cma::new("d") }.xml().into(), false, "T4005"),
        ("empty", Vec::new(), false, "T1001"),
        ("nul-bytes", vec![0; 4_096], false, "T1001"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_bad_alert_behind_a_link_has_its_answer() {
    let site = Site::start().await;
    let cases = cases();
    let entries: Vec<_> = cases.iter().map(|(name, ..)| (*name, DAY, link(&format!("/of/{name}")))).collect();
    for case in &cases {
        site.put(&format!("/of/{}", case.0), Page::Ok { body: named(case), etag: None });
    }
    site.show("/bad", atom(&entries));
    let server = Server::start(&source(&site, "bad", ""));
    let store = store(&server).await;
    let row = until_source(&server, &store, "bad", |row| row.good_at.is_some()).await;
    let taken = server.json("/api/v1/alerts?limit=500").await;
    let taken = taken["alerts"].as_array().unwrap();
    let refusals = row.findings.as_array().unwrap();
    assert_eq!(taken.len() + refusals.len(), cases.len(), "every one is taken or refused: {}", row.findings);
    for (name, _, is_taken, code) in &cases {
        if *is_taken {
            let alert =
                taken.iter().find(|alert| alert["identifier"] == *name).unwrap_or_else(|| panic!("{name} is lost"));
            assert!(code.is_empty() || has(&alert["findings"], code), "{name}: {}", alert["findings"]);
        } else {
            let refusal =
                refusals.iter().find(|refusal| refusal["path"].as_str().unwrap().ends_with(&format!("/{name}")));
            let refusal = refusal.unwrap_or_else(|| panic!("{name} is not refused"));
            let named = refusal["en"].as_str().unwrap().contains(code) || has(&refusal["findings"], code);
            assert!(named && refusal["zh"].is_string(), "{name}: {refusal}");
        }
    }
}

fn has(findings: &Value, code: &str) -> bool {
    findings.as_array().is_some_and(|list| list.iter().any(|finding| finding["code"] == code))
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}
