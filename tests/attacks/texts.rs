//! Texts that would be scripts or headers, forms that would fill the memory, answers without guard.

use reqwest::Method;
use serde_json::json;
use tocsin_sinks::Tally;

use super::support::crew::{Crew, PASSWORD};
use super::support::{Cma, ORANGE, RED, Server};
use super::{says, with_mail};

#[tokio::test(flavor = "multi_thread")]
async fn no_text_becomes_a_script_or_a_header() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let (server, mail) = with_mail(Tally::keeping_keys(), &[("en", "first@example.org")]).await;
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "reviewer:310000", "auditor:*"]).await;
    let li = li.browser(&server).await;
    let escaped = EVIL.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let xml = Cma { colour: ORANGE, ..Cma::new("evil") }.xml();
    let headline = format!("<headline>{escaped}\r\nBcc: thief@example.org\r\n\r\n{escaped} ");
    let xml = xml.replace("<headline>", &headline).replace("<description>", &format!("<description>{escaped}"));
    let xml = xml
        .replace("<areaDesc>", &format!("<areaDesc>{escaped}"))
        .replace("<senderName>", &format!("<senderName>{escaped}"));
    let (status, answer) = server.post(xml).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let alert = answer["id"].as_str().unwrap();
    let root = crew.root.browser(&server).await;
    let invite = [("login", "evil"), ("name", EVIL), ("grants", "author:310000"), ("language", "en")];
    assert_eq!(root.post("/console/people", &invite).await.0, 200);
    assert_eq!(li.post("/console/escalations/1/take", &[("seen", "0")]).await.0, 303);
    says(li.post("/console/escalations/1/return", &[("seen", "0"), ("reason", EVIL)]).await, 303, "");
    let words = [
        ("seen", "0"),
        ("reason", EVIL),
        ("region", "310118"),
        ("zh-CN.headline", EVIL),
        ("zh-CN.description", EVIL),
        ("zh-CN.instruction", EVIL),
        ("en.headline", "Storm\r\nBcc: thief@example.org"),
        ("en.description", EVIL),
        ("en.instruction", EVIL),
    ];
    assert_eq!(li.post("/console/escalations/1/amend", &words).await.0, 303);
    let wang = crew.officer("wang", &["signer:310000"]).await.browser(&server).await;
    assert_eq!(
        wang.post("/console/escalations/1/approve", &[("seen", "1"), ("stage", "sign"), ("word", "")]).await.0,
        303
    );
    let query: String = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
    for path in [
        "/console".to_owned(),
        "/console/queue".to_owned(),
        format!("/console/alerts/{alert}"),
        format!("/console/alerts/{alert}/live"),
        format!("/console/alerts/{alert}/told"),
        format!("/console/alerts?q={query}"),
        format!("/console/record?subject={alert}"),
        format!("/console/record?subject={query}&actor={query}&kind={query}"),
        "/console/people".to_owned(),
        "/console/duty".to_owned(),
        "/console/sources".to_owned(),
        "/console/devices".to_owned(),
        "/console/organisations".to_owned(),
        "/console/compose".to_owned(),
        "/console/me".to_owned(),
        format!("/sign-in?next={query}"),
    ] {
        let (status, page) = li.get(&path).await;
        assert_eq!(status, 200, "{path}: {page}");
        let page = page.to_lowercase();
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
    }
    let (_, page) = li.post("/console/escalations/99/approve", &[("seen", EVIL)]).await;
    assert!(!page.contains("<script>alert"), "{page}");
    let (_, page) = li
        .post(
            "/console/duty/rotation",
            &[("jurisdiction", "310000"), ("position", "primary"), ("officers", EVIL), ("days", "1")],
        )
        .await;
    assert!(!page.contains("<script>alert"), "{page}");
    let (_, csv) = li.get("/console/record.csv").await;
    assert!(csv.lines().count() > 5 && !csv.contains(",=") && !csv.contains(",@"), "no cell is a formula");

    server.until(alert, |states| states["channels"]["email"]["accepted"] == 1).await;
    let text = mail.tally.last_text();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().lines().any(|line| line.starts_with("bcc:")), "{head}");
    let html = decoded(body);
    assert!(html.contains("&lt;script&gt;alert(1)") || html.contains("&lt;script"), "{html}");
    let html = html.split("<html").nth(1).unwrap_or_default().to_lowercase();
    assert!(!html.is_empty() && !html.contains("<script>alert") && !html.contains("<img src=x"), "{html}");

    for (path, header) in [
        ("/sign-in?next=/console%0d%0aSet-Cookie:%20evil=1", "set-cookie"),
        ("/console/alerts/%0d%0aSet-Cookie:%20evil=1", "set-cookie"),
        ("/regions.geojson?x=%0d%0aevil:1", "evil"),
    ] {
        let answer = li.send(Method::GET, path, &[], &[]).await;
        assert!(!answer.headers().contains_key(header), "{path}");
    }
    let answer =
        li.send(Method::POST, "/console/alerts/%0d%0aSet-Cookie:%20evil=1/stop", &[("csrf", &li.csrf)], &[]).await;
    assert!(!answer.headers().contains_key("set-cookie") && answer.status() != 500, "{answer:?}");
}

/// The parts of a mail, with their transfer encoding undone.
pub(super) fn decoded(body: &str) -> String {
    use base64::Engine as _;
    let mut all = String::new();
    for part in body.split("\r\n\r\n") {
        let block = part.split("\r\n--").next().unwrap_or_default();
        let joined: String = block.split_whitespace().collect();
        match base64::engine::general_purpose::STANDARD.decode(&joined) {
            Ok(bytes) => all.push_str(&String::from_utf8_lossy(&bytes)),
            Err(_) => {
                // Quoted-printable.
                let soft = block.replace("=\r\n", "");
                let mut bytes = Vec::new();
                let mut rest = soft.as_bytes();
                while let [first, tail @ ..] = rest {
                    let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
                    match (first, hex) {
                        (b'=', Some(byte)) => {
                            bytes.push(byte);
                            rest = &tail[2..];
                        }
                        _ => {
                            bytes.push(*first);
                            rest = tail;
                        }
                    }
                }
                all.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_readably_and_every_answer_is_guarded() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "author:310000"]).await;
    let token = crew.token(&li, &["approve"], 1).await;
    let browser = li.browser(&server).await;
    let (long, longer) = ("x".repeat(3 << 20), "x".repeat(5 << 20));
    says(browser.post("/console/me/addresses", &[("sms", &long)]).await, 413, "T5004");
    says(browser.post("/console/compose/check", &[("title", &longer)]).await, 413, "T5004");
    let (status, _) = browser.api(&token, "escalations/1/take", &json!({"reason": "x".repeat(5 << 20)})).await;
    assert!(matches!(status, 400 | 413), "{status}");
    let many: Vec<(&str, &str)> = (0..100_000).map(|_| ("region", "310118")).collect();
    says(browser.post("/console/escalations/1/split", &many).await, 404, "T6001");
    let red = Cma { colour: RED, ..Cma::new("r") };
    assert_eq!(server.post(red.xml()).await.0, 201);
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/console"),
        (Method::GET, "/exercise"),
        (Method::GET, "/sign-in"),
        (Method::POST, "/sign-in"),
        (Method::GET, "/nowhere"),
        (Method::GET, "/console/alerts/none"),
        (Method::DELETE, "/console"),
        (Method::GET, "/assets/console.js"),
        (Method::GET, "/assets/../config.toml"),
        (Method::GET, "/invitation/x"),
        (Method::GET, "/leave/x"),
        (Method::GET, "/healthz"),
        (Method::GET, "/api/v1/queue"),
        (Method::POST, "/api/v1/alerts"),
        (Method::GET, "/console/record.csv"),
        (Method::POST, "/stay"),
        (Method::GET, "/regions.geojson"),
        (Method::GET, "/console/escalations/x/y"),
    ] {
        for cookie in ["", browser.cookie.as_str()] {
            let who = browser.with_cookie(cookie);
            let answer = who.send(method.clone(), path, &[], &[]).await;
            let header =
                |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
            let policy = header("content-security-policy");
            let at = format!("{method} {path} {}", answer.status());
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{at}: {policy}"
            );
            assert!(!policy.contains("script-src 'unsafe") && !policy.contains('*'), "{at}: {policy}");
            assert_eq!(
                (header("x-content-type-options"), header("x-frame-options")),
                ("nosniff".into(), "DENY".into()),
                "{at}"
            );
            assert_eq!(header("referrer-policy"), "no-referrer", "{at}");
            // The front page is everybody's.
            let shared = header("cache-control").contains("public") && path != "/";
            assert!(!shared && !header("cache-control").is_empty(), "{at}: kept by nobody else");
            assert_ne!(answer.status().as_u16(), 500, "{at}");
            let location = header("location");
            assert!(
                location.is_empty() || location.starts_with("/console") || location.starts_with("/sign-in"),
                "{at}: {location}"
            );
        }
    }
    assert!(!server.log().contains(PASSWORD) && !server.log().contains(&token), "secrets stay out of the log");
}

/// Codes that the sources hold, each with its file and what follows it on the line.
fn codes() -> Vec<(String, String, String)> {
    fn walk(folder: &std::path::Path, found: &mut Vec<(String, String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
                continue;
            }
            // Tests name the codes of others.
            if path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for (at, _) in text.match_indices("\"T").filter(|_| path.extension().is_some_and(|end| end == "rs")) {
                let Some((code, rest)) = text[at + 1..].split_once('"') else { continue };
                if code.len() == 5 && code[1..].bytes().all(|b| b.is_ascii_digit()) {
                    let file = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
                    let said = rest
                        .strip_prefix(", \"")
                        .and_then(|words| words.split('"').next())
                        .unwrap_or_default()
                        .to_owned();
                    found.push((code.to_owned(), file.display().to_string(), said));
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    found
}

#[test]
fn no_code_means_two_things() {
    let all = codes();
    assert!(all.len() > 60, "{}", all.len());
    // Each hundred belongs to one part of the program; what is found of alerts has everything below 4000, and the hundred from 4100.
    for (code, file, _) in &all {
        let owners: &[&str] = match &code[..3] {
            "T40" => &["intake/refusal.rs"],
            "T50" => &["web/", "approval/desk.rs"],
            "T60" => &["approval/desk.rs", "web/page.rs"],
            "T61" => &["web/"],
            "T62" => &["web/portal/"],
            "T70" => &["web/public/"],
            "T80" => &["sources/problem.rs"],
            _ => &[],
        };
        assert!(owners.iter().any(|owner| file.starts_with(owner)), "{code} does not belong to {file}");
    }
    let findings = |number: u16| number < 4_000 || (4_100..4_200).contains(&number);
    assert!(tocsin::cap::Code::ALL.iter().all(|code| findings(code.number())));
    for file in ["intake/refusal.rs", "sources/problem.rs", "approval/desk.rs"] {
        let own: Vec<_> = all.iter().filter(|(_, own, _)| own == file).map(|(code, ..)| code).collect();
        let different: std::collections::BTreeSet<_> = own.iter().collect();
        assert_eq!(own.len(), different.len(), "{file} gives a code twice: {own:?}");
    }
    // Where a code stands beside its words, they begin the same everywhere but for a page's own noun.
    let mut said = std::collections::BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for (code, _, words) in all.iter().filter(|(.., words)| !words.is_empty()) {
        said.entry(code).or_default().insert(words);
    }
    let loose = ["T5004", "T5005", "T6203", "T6205"];
    for (code, words) in said.iter().filter(|(code, _)| !loose.contains(&code.as_str())) {
        assert_eq!(words.len(), 1, "{code} says {words:?}");
    }
}
