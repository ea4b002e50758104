//! Bad input of each kind gets a clear answer, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use serde_json::{Value, json};
use support::{Cma, RED, Server};

fn codes(answer: &Value) -> Vec<&str> {
    answer["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["code"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_bad_alert_has_its_answer() {
    let server = Server::start("");
    let good = Cma::new("x");
    let (status, answer) = server.post("<alert><identifier>1").await;
    assert_eq!((status, codes(&answer)), (422, vec!["T1001"]), "broken XML");
    let bomb = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><alert>&b;</alert>";
    let (status, answer) = server.post(bomb).await;
    assert_eq!((status, codes(&answer)), (422, vec!["T1003"]), "XML bomb");
    let (status, answer) = server.post(vec![b'a'; 100 << 20]).await;
    assert_eq!((status, answer["code"].as_str()), (413, Some("T5004")), "100 MiB");
    for token in ["", "wrong"] {
        let (status, answer) = server.post_as(token, "application/cap+xml", good.xml()).await;
        assert_eq!((status, answer["code"].as_str()), (401, Some("T5001")), "unknown token");
    }
    for (what, alert, status, code) in [
        ("unknown region", Cma { code: "990000000000".into(), ..good.clone() }, 422, "T4003"),
        ("no code at all", Cma { code: String::new(), ..good.clone() }, 422, "T4003"),
        ("another province", Cma { code: "330400000000".into(), ..good.clone() }, 403, "T4004"),
        ("another danger", Cma { event: ("大雾", "Fog"), ..good.clone() }, 403, "T4005"),
        ("tomorrow", Cma { sent: good.sent + chrono::TimeDelta::days(1), ..good.clone() }, 422, "T4002"),
    ] {
        let (got, answer) = server.post(alert.xml()).await;
        assert_eq!((got, answer["code"].as_str()), (status, Some(code)), "{what}: {answer}");
        assert!(!answer["zh"].as_str().unwrap().is_empty() && !answer["en"].as_str().unwrap().is_empty());
    }
    let half = good
        .xml()
        .replace("</geocode>", "</geocode><geocode><valueName>GB/T 2260</valueName><value>990101</value></geocode>");
    let (status, answer) = server.post(half.replace("<identifier>x", "<identifier>half")).await;
    assert_eq!((status, answer["verdict"].as_str()), (201, Some("remarks")));
    assert!(codes(&answer).contains(&"T4101"), "a code of nowhere is told: {answer}");
    let shapes = "<circle>31.1,121.1 1</circle>".repeat(2_001);
    let (status, answer) = server.post(good.xml().replace("<geocode>", &format!("{shapes}<geocode>"))).await;
    assert_eq!((status, codes(&answer)), (422, vec!["T2045"]), "too many shapes");
    // What is understood but must not go out is on record, and says why.
    for (status, wanted) in [("Test", "Test"), ("Draft", "Draft"), ("System", "Test")] {
        let (got, answer) = server.post(Cma { status, identifier: status.into(), ..good.clone() }.xml()).await;
        assert_eq!((got, answer["state"].as_str()), (201, Some("withheld")));
        assert!(answer["withheld"][1].as_str().unwrap().contains(wanted), "{answer}");
    }
    let expired = Cma { sent: good.sent - chrono::TimeDelta::hours(9), identifier: "old".into(), ..good.clone() };
    let (got, answer) = server.post(expired.xml()).await;
    assert_eq!((got, answer["withheld"][1].as_str()), (201, Some("it has expired")));
    let no_areas = good.xml().replace("<area>", "<!--").replace("</area>", "-->");
    assert_eq!(server.post(no_areas).await.0, 422, "empty areas");
    for (json_text, status) in [("{", 422), ("[]", 422), ("{\"identifier\": true}", 422)] {
        assert_eq!(server.post_as(support::TOKEN, "application/json", json_text).await.0, status);
    }
    // What wraps alerts says how to bring them.
    let (atom, edxl) = ("http://www.w3.org/2005/Atom", "urn:oasis:names:tc:emergency:EDXL:DE:1.0");
    let bare = good.xml().split_once("?>").unwrap().1.to_owned();
    for feed in [
        format!("<feed xmlns=\"{atom}\"><entry><id>1</id><content>{bare}</content></entry></feed>"),
        format!("<EDXLDistribution xmlns=\"{edxl}\"><contentObject>{bare}</contentObject></EDXLDistribution>"),
    ] {
        let (status, answer) = server.post(feed).await;
        assert_eq!((status, codes(&answer)), (422, vec!["T1016"]), "{answer}");
        assert!(
            answer["findings"][0]["en"].as_str().unwrap().contains("submit each alert in it by itself"),
            "{answer}"
        );
    }
    for (text, says) in [("[1]", "[{…}, {…}] are several"), ("7", "{…} is one alert")] {
        let (status, answer) = server.post_as(support::TOKEN, "application/json", text).await;
        assert_eq!((status, codes(&answer)), (422, vec!["T1011"]), "{answer}");
        assert!(answer["findings"][0]["en"].as_str().unwrap().contains(says), "which shapes are taken: {answer}");
    }
    assert_eq!(server.get("/api/v1/alerts?limit=0").await.status(), 400);
    assert_eq!(server.get("/api/v1/alerts?nothing=1").await.status(), 400);
    assert_eq!(server.get("/api/v1/alerts/aaaaaaaaaaaaaaaa").await.status(), 404);
    assert_eq!(server.get("/api/v1/alerts/..%2F..").await.status(), 404);
    assert_eq!(server.json("/api/v1/alerts").await["alerts"].as_array().unwrap().len(), 5, "what was taken is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_in_json_is_the_same_alert() {
    let server = Server::start("");
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
    let later = (chrono::Utc::now() + chrono::TimeDelta::hours(3)).to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
    let alert = json!({
        "identifier": "j1", "sender": "上海中心气象台", "sent": now, "status": "Actual", "msgType": "Alert", "scope": "Public",
        "info": [{"language": "zh-CN", "category": "Met", "event": "暴雨", "urgency": "Expected", "severity": "Minor", "certainty": "Likely",
            "headline": "暴雨蓝色预警", "expires": later,
            "area": [{"areaDesc": "上海", "geocode": [{"valueName": "CPEAS Geographic Code", "value": "310000000000"}]}]}]
    });
    let (status, answer) = server.post_as(support::TOKEN, "application/json", alert.to_string()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
    let (status, again) = server.post_as(support::TOKEN, "application/json", alert.to_string()).await;
    assert_eq!((status, &again["id"], again["repeat"].as_bool()), (200, &answer["id"], Some(true)));
    let path = format!("/api/v1/alerts/{}", answer["id"].as_str().unwrap());
    assert_eq!(server.json(&path).await["decision"]["regions"].as_array().unwrap().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_cannot_hide_behind_anothers_name() {
    let server = Server::start("");
    let alert = Cma { status: "Test", ..Cma::new("same") };
    assert_eq!(server.post(alert.xml()).await.0, 201);
    assert_eq!(server.post(alert.xml().replace("><", ">\n<")).await.0, 200, "the same message written another way");
    // As another Tocsin hands it on: without what CAP does not name, addresses escaped, codes in the national system.
    let odd = Cma { status: "Test", ..Cma::new("odd") }
        .xml()
        .replace("<expires>", "<eventCode><valueName>p0001</valueName><value>p0001001</value></eventCode><expires>");
    let odd = odd.replace("<area>", "<web>https://a.example/a b</web><parish>7</parish><area>");
    let anew = tocsin::cap::write(&tocsin::cap::read(odd.as_bytes()).alert.unwrap()).unwrap();
    assert!(!anew.contains("parish") && anew.contains("a%20b"), "{anew}");
    assert_eq!(server.post(odd).await.0, 201);
    assert_eq!(server.post(anew.clone()).await.0, 200, "our own writing of it is the same message");
    assert_eq!(server.post(anew.replace("青浦区", "金山区")).await.0, 409, "and only what says the same");
    let (status, answer) = server.post(Cma { status: "Actual", ..alert.clone() }.xml()).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("T4011")), "never a silent repeat: {answer}");
    let (status, _) = server.post_as("tocsin_other-token", "text/xml", alert.xml().replace("310118", "330421")).await;
    assert!(matches!(status, 403 | 409), "another bureau's name is no cover either");
    let cancel = Cma { msg_type: "Cancel", references: "谁,what,2022-09-14T10:00:00+08:00".into(), ..Cma::new("c") };
    let (_, answer) = server.post(cancel.xml()).await;
    assert!(codes(&answer).contains(&"T4102"), "a cancel of nothing says so: {answer}");
    let two = Cma::new("two").xml().replacen("<info>", "<info><language>zh-CN</language><category>Met</category><event>高温</event><urgency>Expected</urgency><severity>Extreme</severity><certainty>Likely</certainty></info><info>", 1);
    let (status, answer) = server.post(two).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("T4005")), "every info's danger must be the bureau's");
    let endless = Cma::new("endless").xml().replace("<expires>2", "<expires>soon ");
    assert_eq!(server.post(endless).await.1["state"], "waiting", "an end that cannot be read is looked at first");
    let both = Cma { code: "310120000000".into(), ..Cma::new("both") }.xml().replacen("Typhoon", "Rainstorm", 3);
    assert_eq!(server.post(both).await.1["state"], "waiting", "two dangers in one message are looked at first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_cannot_touch_anothers_alert_nor_a_drill_a_real_one() {
    let server = Server::start("");
    let alert = Cma::new("mine");
    assert_eq!(server.post(alert.xml()).await.0, 201);
    let theft = Cma { msg_type: "Cancel", code: "330400000000".into(), ..Cma::new("theft") }.refers_to(&alert);
    let (status, answer) = server.post_as("tocsin_other-token", "application/cap+xml", theft.xml()).await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("T4006")));
    let drill = Cma { msg_type: "Cancel", status: "Exercise", ..Cma::new("drill") }.refers_to(&alert);
    let (status, answer) = server.post(drill.xml()).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("T4007")));
    let still = server.json("/api/v1/alerts").await;
    assert_eq!(still["alerts"][0]["superseded_by"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_there_loses_nobody() {
    let port = tocsin_sinks::real::free_port().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {port}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n"
    );
    let config = support::write_config(folder.path(), &more);
    let people = folder.path().join("people.csv");
    let rows: String = (0..300).map(|n| format!("310118,r{n}@example.org\n")).collect();
    std::fs::write(&people, format!("region,email\n{rows}")).unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]).0);
    let server = Server::start_in(folder);
    let (_, answer) = server.post(Cma::new("1").xml()).await;
    let id = answer["id"].as_str().unwrap();
    server.until(id, |states| states["channels"]["email"]["waiting"] == 300).await;
    loop {
        let health = server.json("/healthz").await;
        if health["providers"][0]["up"] == false {
            break;
        }
    }
    // The relay comes up on that port, and everyone is told.
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    drop(listener);
    let sink = tocsin_sinks::smtp::start_on(port, tocsin_sinks::Tally::keeping_keys()).await.unwrap();
    server.until(id, |states| states["channels"]["email"]["accepted"] == 300).await;
    assert_eq!((sink.tally.counts().messages, sink.tally.counts().repeats), (300, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_clearly_and_takes_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let config = support::write_config(folder.path(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[store]", "[store]\nmax_size_mib = 1")).unwrap();
    let mut server = Server::start_in(folder);
    let mut taken = Vec::new();
    let refused = loop {
        let alert = Cma { colour: RED, ..Cma::new(&format!("n{}", taken.len())) };
        let (status, answer) = server.post(alert.xml()).await;
        if status != 201 {
            break (alert, status, answer);
        }
        taken.push(answer["id"].as_str().unwrap().to_owned());
        assert!(taken.len() < 1_000, "it never fills");
    };
    assert_eq!((refused.1, refused.2["code"].as_str()), (507, Some("T4009")), "{}", refused.2);
    let listed = server.json("/api/v1/alerts?limit=500").await;
    assert_eq!(
        listed["alerts"].as_array().unwrap().len(),
        taken.len(),
        "all that was answered 201 is there, and no more"
    );
    assert!(server.stop());
    let text = std::fs::read_to_string(server.config()).unwrap();
    std::fs::write(server.config(), text.replace("max_size_mib = 1", "max_size_mib = 100")).unwrap();
    server.run();
    assert_eq!(server.post(refused.0.xml()).await.0, 201, "sent again, it is taken");
}

/// On one thread: what is worked out there is done before anything that came later.
#[tokio::test]
async fn what_takes_long_to_measure_holds_up_no_other_bureau() {
    use std::sync::{Arc, Mutex};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let bureau = |name: &str| {
        format!("[[bureau]]\nname = \"{name}\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\n", "0".repeat(64))
    };
    let file = support::write_config(folder.path(), &format!("{}{}", bureau("hostile"), bureau("good")));
    let config = tocsin::config::Config::load(&file).unwrap();
    let app = Arc::new(tocsin::app::App::start(&config, Arc::new(tocsin::clock::SystemClock)).await.unwrap());
    let circles: String = (0..60).map(|n| format!("<circle>31.{n},121 300</circle>")).collect();
    let hostile = |n: usize| Cma::new(&format!("h{n}")).xml().replace("<geocode>", &format!("{circles}<geocode>"));
    assert!(hostile(1).len() < 64 * 1024, "it looks small");
    let order = Arc::new(Mutex::new(Vec::new()));
    let send = |name: &'static str, xml: String| {
        let bureau = config.bureaus.iter().find(|bureau| bureau.name == name).unwrap().clone();
        let (app, order) = (Arc::clone(&app), Arc::clone(&order));
        tokio::spawn(async move {
            let taken = app.intake.accept(&bureau, xml.as_bytes(), tocsin::intake::Format::Xml).await;
            order.lock().unwrap().push((name, taken.map(|_| ()).map_err(|refusal| refusal.code.as_str())));
        })
    };
    let mut all: Vec<_> = (0..4).map(|n| send("hostile", hostile(n))).collect();
    all.push(send("good", Cma::new("good").xml()));
    for one in all {
        one.await.unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!(order.first(), Some(&("good", Ok(()))), "{order:?}");
    assert!(order.iter().skip(1).all(|(_, taken)| *taken == Err("T4004")), "{order:?}");
}
