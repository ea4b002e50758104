//! Warnings in other services' JSON, from `tests/cases/json`: how each is read, and how they come in by every way.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tocsin::cap;

use crate::site::{Page, Site, source};
use crate::support::{Server, TOKEN, sha256};
use crate::{alerts, until};

#[test]
fn each_shape_is_read_as_a_person_would() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/json");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut lines = String::new();
    for file in files {
        let reading = cap::read_json(&std::fs::read(&file).unwrap());
        writeln!(lines, "{} {}", file.file_name().unwrap().to_string_lossy(), reading.verdict().as_str()).unwrap();
        if let Some(alert) = &reading.alert {
            let info = &alert.infos[0];
            writeln!(lines, "    {} {} {} {}", alert.msg_type, alert.sender, alert.identifier, alert.sent.to_rfc3339())
                .unwrap();
            writeln!(
                lines,
                "    {} {:?} {} {} until {:?}",
                cap::Hazard::of_alert(alert).slug(),
                cap::Colour::of_alert(alert),
                info.severity,
                info.headline.as_deref().unwrap_or("-"),
                info.expires.map(|at| at.to_rfc3339())
            )
            .unwrap();
            for area in &info.areas {
                let codes: Vec<_> = area.geocodes.iter().map(|code| code.value.as_str()).collect();
                writeln!(lines, "    {} {}", area.description, codes.join(" ")).unwrap();
            }
            for reference in &alert.references {
                writeln!(lines, "    replaces {} {}", reference.identifier, reference.is_undated()).unwrap();
            }
        }
        for finding in &reading.findings {
            writeln!(lines, "        T{} {}: {}", finding.code.number(), finding.path, finding.en()).unwrap();
        }
    }
    insta::assert_snapshot!(lines);
}

fn warning(id: &str, does: &str, supersedes: &[&str]) -> Value {
    let now = Utc::now();
    json!({
        "id": id, "senderName": "上海市气象台", "issuedTime": now.to_rfc3339(),
        "messageType": {"code": does, "supersedes": supersedes},
        "eventType": {"name": "暴雨", "code": "1003"}, "color": {"code": "blue"},
        "expireTime": (now + TimeDelta::hours(3)).to_rfc3339(),
        "headline": "上海市气象台发布暴雨蓝色预警信号", "description": "预计未来6小时有暴雨。",
        "areas": [{"name": "青浦区", "code": "310118000000"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_and_a_cancel_that_name_ids_alone_take_the_place_of_what_they_supersede() {
    let server = Server::start("");
    let post = async |value: Value| server.post_as(TOKEN, "application/json", value.to_string()).await;
    let first = post(warning("w1", "alert", &[])).await;
    assert_eq!((first.0, first.1["state"].as_str()), (201, Some("released")), "{}", first.1);
    assert_eq!(post(warning("w2", "update", &["w1"])).await.0, 201);
    let (_, last) = post(warning("w3", "cancel", &["w2"])).await;
    assert!(last["findings"].as_array().unwrap().iter().all(|finding| finding["code"] != "T4102"), "{last}");
    let now = alerts(&server, 3).await;
    let of = |name: &str| now.iter().find(|alert| alert["identifier"] == name).unwrap().clone();
    assert_eq!((&of("w1")["superseded_by"], &of("w2")["superseded_by"]), (&of("w2")["id"], &of("w3")["id"]));
    assert_eq!(of("w1")["chain"], of("w3")["chain"], "one danger through time");
    let again = post(serde_json::from_slice(&raw(&server, &of("w3")).await).unwrap()).await;
    assert_eq!((again.0, again.1["repeat"].as_bool()), (200, Some(true)), "the same message is one alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_of_a_list_that_is_posted_has_the_answer_that_it_would_have_alone() {
    let slow = sha256("slow");
    let slow = format!(
        "[[bureau]]\nname = \"slow\"\ntoken_sha256 = \"{slow}\"\nregions = [\"310000\"]\nrate = {{ per_minute = 3 }}\n"
    );
    let server = Server::start(&slow);
    let elsewhere = {
        let mut one = warning("elsewhere", "alert", &[]);
        one["areas"][0] = json!({"name": "南京", "code": "320100000000"});
        one
    };
    let list =
        json!({"warning": [warning("w1", "alert", &[]), elsewhere, {"title": 1}, warning("w2", "update", &["w1"])]});
    let (status, answer) = server.post_as(TOKEN, "application/json", list.to_string()).await;
    let said = |answer: &Value| -> Vec<(u64, String)> {
        let code = |one: &Value| one["code"].as_str().or(one["state"].as_str()).unwrap_or("?").to_owned();
        let each = answer["alerts"].as_array().unwrap();
        each.iter().map(|one| (one["status"].as_u64().unwrap(), code(one))).collect()
    };
    let of = |status: u64, what: &str| (status, what.to_owned());
    assert_eq!(status, 207, "{answer}");
    let wanted = [of(201, "released"), of(403, "T4004"), of(422, "T4001"), of(201, "released")];
    assert_eq!(said(&answer), wanted, "{answer}");
    let now = alerts(&server, 2).await;
    assert_eq!(now[0]["chain"], now[1]["chain"], "two alerts, one event");
    // Each counts once: what is too much of a bureau's is not taken, and when to come again stands above all of them.
    let url = format!("{}/api/v1/alerts", server.url);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let [s1, s2, s3, s4] = [
        ("s1", "alert", None),
        ("s2", "update", Some("s1")),
        ("s3", "update", Some("s2")),
        ("s4", "update", Some("s3")),
    ]
    .map(|(id, kind, older)| warning(id, kind, &older.into_iter().collect::<Vec<_>>()));
    let slow = async |list: Value| {
        let asked =
            client.post(&url).bearer_auth("slow").header("content-type", "application/json").body(list.to_string());
        let answer = asked.send().await.unwrap();
        let (status, wait) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        (status, wait, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let (status, _, answer) = slow(json!({"warning": [s1, s2]})).await;
    assert_eq!((status, said(&answer)), (207, vec![of(201, "released"), of(201, "released")]), "{answer}");
    let (status, waits, answer) = slow(json!({"warning": [s1, s2, s3, s4]})).await;
    let wanted = vec![of(200, "released"), of(200, "released"), of(201, "released"), of(429, "T5011")];
    assert_eq!((status, waits, said(&answer)), (207, true, wanted), "what is on record costs nothing: {answer}");
    let (status, answer) =
        server.post_as(TOKEN, "application/json", json!({"warning": [{"title": 1}, {"title": 2}]}).to_string()).await;
    assert_eq!((status, said(&answer)), (422, vec![of(422, "T4001"), of(422, "T4001")]), "not taken at all: {answer}");
    // A plain list is one as well, and each answer says which alert it is about.
    let (status, again) = server.post_as(TOKEN, "application/json", list["warning"].to_string()).await;
    assert_eq!((status, &said(&again)[0]), (207, &of(200, "released")), "{again}");
    let named: Vec<_> = again["alerts"].as_array().unwrap().iter().map(|one| one["identifier"].clone()).collect();
    assert_eq!(named, [json!("w1"), json!("elsewhere"), Value::Null, json!("w2")], "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_submitted_by_command_and_every_answer_is_told() {
    let server = Server::start("");
    let path = |name: &str| server.folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("token"), TOKEN).unwrap();
    let submit = |list: Value| {
        std::fs::write(path("list.json"), list.to_string()).unwrap();
        server.tocsin(&["submit", &path("list.json"), "--server", &server.url, "--token-file", &path("token")])
    };
    let first = warning("w1", "alert", &[]);
    let (well, out, error) = submit(json!({"alerts": [first, warning("w2", "update", &["w1"])]}));
    assert!(well && out.matches(": released").count() == 2, "{out}{error}");
    let (well, out, _) = submit(json!({"alerts": [first, {"title": 1}]}));
    assert!(!well && out.contains("it was on record already") && out.contains("T4001"), "{out}");
}

async fn raw(server: &Server, alert: &Value) -> Vec<u8> {
    let url = format!("{}/api/v1/alerts/{}", server.url, alert["id"].as_str().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(url).bearer_auth(TOKEN).header("accept", "application/cap+xml").send().await.unwrap();
    asked.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_national_list_is_polled_and_what_leaves_it_ends() {
    let site = Site::start().await;
    let beijing = chrono::FixedOffset::east_opt(8 * 3_600).unwrap();
    let now = Utc::now().with_timezone(&beijing);
    let item = |place: &str, danger: &str, picture: &str| {
        json!({"alertid": format!("{place}41600000_{}", now.format("%Y%m%d%H%M%S")), "issuetime": now.format("%Y/%m/%d %H:%M").to_string(),
            "title": format!("某区气象台发布{danger}蓝色预警[Ⅳ级/一般]"), "url": null, "pic": picture})
    };
    let items = vec![
        item("310118", "暴雨", "p0002004.png"),
        item("310117", "台风", "p0001004.png"),
        item("310116", "暴雨", "p0002004.png"),
        item("330400", "暴雨", "p0002004.png"),
    ];
    let list = |items: &[Value]| json!({"code": 0, "data": {"page": {"list": items, "count": items.len()}, "provinceAlarms": []}});
    let show = |items: &[Value]| site.put("/nmc", Page::Ok { body: list(items).to_string().into_bytes(), etag: None });
    show(&items);
    let server = Server::start(&source(&site, "nmc", "ends_by_absence = true"));
    let taken = alerts(&server, 3).await;
    assert_eq!(taken.len(), 3, "Zhejiang's is not this bureau's to say");
    // What is refused for good keeps absence from being judged: it leaves the list too.
    show(&items[1..3]);
    let ended = until("one ended", &server, async || {
        let now = alerts(&server, 4).await;
        now.into_iter().find(|alert| !alert["superseded_by"].is_null())
    })
    .await;
    assert!(ended["identifier"].as_str().unwrap().starts_with("310118"), "{ended}");
}
