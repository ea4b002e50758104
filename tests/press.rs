//! What the press owes: each change of what is shown has a date of its own; what cannot be published is told, holds up nothing, and is
//! published as soon as it can be; nothing is published unsigned in silence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::Connection as _;
use support::crew::Crew;
use support::{Cma, Server, write_config};
use tocsin::app::App;
use tocsin::clock::Clock;
use tocsin::config::Config;
use tocsin::intake::Format;
use tocsin::outlet::Shown;
use tocsin::web;
use tokio_util::sync::CancellationToken;

/// A clock that is set, milliseconds.
struct Hand(AtomicI64);

impl Hand {
    fn set(&self, at: DateTime<Utc>) {
        self.0.store(at.timestamp_millis(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

async fn shown(app: &App, wanted: impl Fn(&Shown) -> bool) -> Arc<Shown> {
    for _ in 0..6_000 {
        let shown = app.press.shown();
        if wanted(&shown) {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never shown");
}

/// Asks with a date: the status, the answer's own date, and how many alerts it holds.
async fn ask(url: &str, since: Option<&str>) -> (u16, Option<String>, usize) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(format!("{url}/alerts/active"));
    if let Some(since) = since {
        request = request.header("if-modified-since", since);
    }
    let answer = request.send().await.unwrap();
    let date = answer.headers().get("last-modified").map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
    (status, date, body["features"].as_array().map_or(0, Vec::len))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_by_date_misses_nothing_of_a_second_in_which_much_changed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let path = write_config(folder.path(), "");
    let config = Config::load(&path).unwrap();
    let begin = DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(begin.timestamp_millis())));
    let app = Arc::new(App::start(&config, Arc::<Hand>::clone(&clock)).await.unwrap());
    let (stop, (sender, receiver)) = (CancellationToken::new(), tokio::sync::oneshot::channel());
    let (own, server, until) = (Arc::clone(&app), config.server.clone(), stop.clone());
    let serving = tokio::spawn(async move { web::serve(own, &server, until, |at| sender.send(at).unwrap()).await });
    let url = format!("http://{}", receiver.await.unwrap());
    let bureau = config.bureaus.iter().find(|bureau| bureau.name == "shanghai").unwrap();
    let release = async |county: &str, n: usize| {
        let alert = Cma { code: format!("{county}000000"), ..Cma::new(county) };
        app.intake.accept(bureau, alert.xml().as_bytes(), Format::Xml).await.unwrap();
        shown(&app, |shown| shown.board.in_force().len() == n).await
    };
    let http = |at: DateTime<Utc>| at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();

    clock.set(begin + TimeDelta::milliseconds(5_100));
    release("310118", 1).await;
    let (status, first, n) = ask(&url, None).await;
    assert_eq!((status, n), (200, 1));
    let first = first.expect("a date");
    assert_eq!(ask(&url, Some(&first)).await.0, 304);
    // A second and a third one in the same second, to the millisecond.
    for (county, n) in [("310120", 2), ("310115", 3)] {
        release(county, n).await;
        let (status, date, seen) = ask(&url, Some(&first)).await;
        assert_eq!((status, seen), (200, n), "the first one's date is not enough for what is new");
        assert_eq!(date, None, "a date that lies ahead is not told");
        assert_eq!(ask(&url, Some(&http(begin + TimeDelta::seconds(6)))).await.2, n, "nor believed");
    }
    clock.set(begin + TimeDelta::seconds(9));
    let (_, last, n) = ask(&url, Some(&first)).await;
    let last = last.expect("its time has come");
    assert_eq!((n, ask(&url, Some(&last)).await.0), (3, 304));
    assert_eq!(ask(&url, Some(&http(begin + TimeDelta::days(1)))).await.0, 304, "later than ours");
    assert_eq!(ask(&url, Some(&http(begin - TimeDelta::days(1)))).await.0, 200, "older than ours");
    // Names and shapes are what is shown too: the map and its words are read again.
    let serial = app.press.shown().serial;
    app.reload(&path).await.unwrap();
    shown(&app, |shown| shown.serial > serial).await;
    assert_eq!(ask(&url, Some(&last)).await.0, 200, "the policy changed");
    // A clock that is put back takes no date back.
    let before = app.press.shown().board.updated;
    clock.set(begin + TimeDelta::seconds(3));
    let after = release("310112", 4).await;
    assert!(after.board.updated > before);
    stop.cancel();
    serving.await.unwrap().unwrap();
    Arc::into_inner(app).expect("nobody else holds it").stop().await;
}

async fn store(folder: &Path) -> sqlx::AnyConnection {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.join("t.db").display());
    let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::query("PRAGMA busy_timeout = 10000").execute(&mut store).await.unwrap();
    store
}

async fn sql(folder: &Path, statements: &[&str]) {
    let mut store = store(folder).await;
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe((*statement).to_owned())).execute(&mut store).await.unwrap();
    }
    store.close().await.unwrap();
}

/// From now on, the decision of an alert with the identifier `broken` cannot be read.
const BREAK: [&str; 2] = [
    "CREATE TABLE spare (id TEXT, decision TEXT)",
    "CREATE TRIGGER breaks AFTER INSERT ON alert WHEN NEW.identifier = 'broken' BEGIN
         INSERT INTO spare VALUES (NEW.id, NEW.decision); UPDATE alert SET decision = '\"x\"' WHERE id = NEW.id; END",
];
const MEND: [&str; 2] = [
    "DROP TRIGGER breaks",
    "UPDATE alert SET decision = (SELECT decision FROM spare WHERE spare.id = alert.id) WHERE identifier = 'broken'",
];

async fn until(server: &Server, what: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..3_000 {
        let answer = server.json(path).await;
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: {}\n{}", server.json(path).await, server.log());
}

fn ids(answer: &Value) -> Vec<&str> {
    let features = answer["features"].as_array().into_iter().flatten();
    features.filter_map(|feature| feature["properties"]["id"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_is_told_holds_up_nothing_and_is_published_once_it_can_be() {
    let mut server = Server::start("");
    sql(server.folder.path(), &BREAK).await;
    let (_, broken) = server.post(Cma::new("broken").xml()).await;
    let broken = broken["id"].as_str().unwrap().to_owned();
    let next = Cma { code: "310120000000".into(), ..Cma::new("next") };
    let (_, next) = server.post(next.xml()).await;
    let next = next["id"].as_str().unwrap().to_owned();
    // The next one goes out all the same, and everybody who watches is told.
    until(&server, "the next", "/alerts/active", |answer| ids(answer) == [next.as_str()]).await;
    let health = server.json("/healthz").await;
    assert_eq!((health["status"].as_str(), health["unpublished"].as_i64()), (Some("degraded"), Some(1)), "{health}");
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("\ntocsin_unpublished 1"), "{metrics}");
    let crew = Crew::of(&server).await;
    let (_, page) = crew.root.browser(&server).await.get("/console/sources").await;
    assert!(page.contains("Sent out, and not published") && page.contains(&broken), "{page}");
    // It is tried again by itself, and at each start.
    server.kill();
    server.run();
    until(&server, "still told", "/healthz", |health| health["unpublished"] == 1).await;
    sql(server.folder.path(), &MEND).await;
    let answer = until(&server, "published", "/alerts/active", |answer| ids(answer).len() == 2).await;
    assert_eq!(ids(&answer), [next.as_str(), broken.as_str()], "newest first, by when it went out");
    let health = server.json("/healthz").await;
    assert_eq!((health["status"].as_str(), health["unpublished"].as_i64()), (Some("ok"), Some(0)));
    let (_, page) = crew.root.browser(&server).await.get("/console/sources").await;
    assert!(!page.contains("Sent out, and not published"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_together_is_what_would_have_been_published_one_by_one() {
    let mut server = Server::start("");
    sql(server.folder.path(), &BREAK).await;
    let first = Cma::new("first");
    let other = Cma { code: "310120000000".into(), ..Cma::new("other") };
    let update = Cma { msg_type: "Update", ..Cma::new("update") }.refers_to(&first);
    let broken = Cma { code: "310115000000".into(), ..Cma::new("broken") };
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("cancel") }.refers_to(&other);
    let mut posted = 0;
    for alert in [&first, &other, &update, &broken, &cancel, &Cma { code: "310112000000".into(), ..Cma::new("last") }] {
        assert_eq!(server.post(alert.xml()).await.0, 201);
        posted += 1;
        let unpublished = usize::from(posted > 3);
        until(&server, "published by itself", "/alerts", |answer| ids(answer).len() + unpublished == posted).await;
    }
    let told = |answer: &Value| {
        let features = answer["features"].as_array().unwrap().iter();
        let of = |feature: &Value| {
            let told = &feature["properties"];
            [&told["id"], &told["state"], &told["ended"], &told["endedBy"], &told["references"]].map(Value::to_string)
        };
        features.map(of).collect::<Vec<_>>()
    };
    let before = told(&server.json("/alerts").await);
    server.kill();
    sql(
        server.folder.path(),
        &["DELETE FROM publication", "DELETE FROM unpublished", "DELETE FROM outlet WHERE name = 'press'"],
    )
    .await;
    server.run();
    let after = until(&server, "published together", "/alerts", |answer| ids(answer).len() == posted - 1).await;
    assert_eq!(told(&after), before);
    until(&server, "still told", "/healthz", |health| health["unpublished"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_whose_row_is_damaged_holds_up_nothing_that_follows_it() {
    let server = Server::start("");
    let (first, other) = (Cma::new("first"), Cma { code: "310120000000".into(), ..Cma::new("other") });
    for alert in [&first, &other] {
        assert_eq!(server.post(alert.xml()).await.1["state"], "released");
    }
    until(&server, "both", "/alerts/active", |answer| ids(answer).len() == 2).await;
    sql(server.folder.path(), &["UPDATE publication SET body = '{' WHERE release = 1"]).await;
    let update = Cma { msg_type: "Update", expires: TimeDelta::hours(9), ..Cma::new("update") }.refers_to(&first);
    let third = Cma { code: "310115000000".into(), ..Cma::new("third") };
    for alert in [&update, &third] {
        let (status, answer) = server.post(alert.xml()).await;
        assert_eq!(status, 201, "{answer}");
    }
    let named = |answer: &Value| -> Vec<String> {
        let features = answer["features"].as_array().into_iter().flatten();
        let names = features.filter_map(|feature| feature["properties"]["identifier"].as_str());
        names.map(str::to_owned).collect()
    };
    for path in ["/alerts/active", "/alerts"] {
        let wanted =
            |answer: &Value| ["update", "third", "other"].iter().all(|name| named(answer).contains(&(*name).into()));
        let answer = until(&server, "what follows, and what was there", path, wanted).await;
        assert!(!named(&answer).contains(&"first".into()), "its place is taken: {answer}");
    }
    let health = server.json("/healthz").await;
    assert_eq!(health["unpublished"], 0, "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_overtaken_while_it_could_not_be_published_is_not_shown_as_in_force() {
    let server = Server::start("");
    sql(server.folder.path(), &BREAK).await;
    let first = Cma::new("broken");
    server.post(first.xml()).await;
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("over") }.refers_to(&first);
    let (status, answer) = server.post(cancel.xml()).await;
    assert_eq!(status, 201, "{answer}");
    until(&server, "the cancel", "/alerts", |answer| ids(answer) == [answer_id(answer, "over")]).await;
    sql(server.folder.path(), &MEND).await;
    until(&server, "settled", "/healthz", |health| health["unpublished"] == 0).await;
    assert!(ids(&server.json("/alerts/active").await).is_empty());
    assert_eq!(ids(&server.json("/alerts").await).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_and_was_never_published_alarms_nobody_and_is_tried_once_a_day() {
    let server = Server::start("");
    sql(server.folder.path(), &BREAK).await;
    let (_, broken) = server.post(Cma::new("broken").xml()).await;
    until(&server, "told", "/healthz", |health| health["unpublished"] == 1 && health["status"] == "degraded").await;
    sql(server.folder.path(), &["UPDATE release SET expires = created_at"]).await;
    until(&server, "over", "/healthz", |health| health["unpublished"] == 0 && health["status"] == "ok").await;
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("\ntocsin_unpublished 0"), "{metrics}");
    // It is on the list of the console for good, and tried again once a day.
    let crew = Crew::of(&server).await;
    let (_, page) = crew.root.browser(&server).await.get("/console/sources").await;
    assert!(page.contains("Sent out, and not published") && page.contains(broken["id"].as_str().unwrap()), "{page}");
    let mut store = store(server.folder.path()).await;
    let day = TimeDelta::days(1).num_milliseconds();
    for _ in 0..3_000 {
        let next: i64 = sqlx::query_scalar("SELECT next_at FROM unpublished").fetch_one(&mut store).await.unwrap();
        if next > Utc::now().timestamp_millis() + day / 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("tried again too soon\n{}", server.log());
}

fn signer(id: i64) -> tocsin::store::OfficerRow {
    use tocsin::officers::{Grant, Grants, OfficerId};
    tocsin::store::OfficerRow {
        id: OfficerId(id),
        login: format!("officer{id}").parse().unwrap(),
        name: format!("officer {id}"),
        language: tocsin::messages::Language::Chinese,
        active: true,
        grants: Grants(["signer:*"].iter().filter_map(|text| Grant::parse(text)).collect()),
        created_at: Utc::now(),
    }
}

/// Its successor has been let go out by the officers of one jurisdiction; the people of the other have nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_overtaken_in_one_jurisdiction_only_is_published_for_the_other() {
    use tocsin::approval::Act;
    use tocsin::world::Live;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let bureau = format!(
        "[[bureau]]\nname = \"east\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\", \"330000\"]\n",
        "0".repeat(64)
    );
    let config = Config::load(&write_config(folder.path(), &bureau)).unwrap();
    let app = App::start(&config, Arc::new(tocsin::clock::SystemClock)).await.unwrap();
    let bureau = config.bureaus.iter().find(|bureau| bureau.name == "east").unwrap();
    let code = "310117000000</value></geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330402000000";
    sql(folder.path(), &BREAK).await;
    let first = Cma { code: code.into(), ..Cma::new("broken") };
    // It is not tried again before we say so.
    let later =
        "CREATE TRIGGER later AFTER INSERT ON unpublished BEGIN UPDATE unpublished SET next_at = 4102444800000; END";
    sql(folder.path(), &[later]).await;
    let broken = app.intake.accept(bureau, first.xml().as_bytes(), Format::Xml).await.unwrap().id;
    while app.store.unpublished(None).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sql(folder.path(), &MEND).await;
    let update = Cma { code: code.into(), colour: support::ORANGE, msg_type: "Update", ..Cma::new("update") };
    let update = app.intake.accept(bureau, update.refers_to(&first).xml().as_bytes(), Format::Xml).await.unwrap().id;
    let rows = app.store.escalations_of::<Live>(update.as_str()).await.unwrap();
    let part = rows.into_iter().find(|row| row.escalation.jurisdiction.as_str() == "310000").unwrap();
    let sign = Act::Approve(tocsin::rules::Stage::Sign);
    app.desk.act::<Live>(part.id, sign, part.escalation.revision, &signer(1)).await.unwrap();
    let regions = |shown: &Shown| -> Vec<(String, Vec<String>)> {
        let entry = |entry: &tocsin::publish::Entry| {
            let regions = entry.regions().iter().map(ToString::to_string).collect();
            (entry.publication.alert.to_string(), regions)
        };
        shown.board.entries.iter().filter(|entry| entry.in_force()).map(entry).collect()
    };
    let of = |alert: &tocsin::cap::AlertId, county: &str| (alert.to_string(), vec![county.to_owned()]);
    shown(&app, |shown| regions(shown) == [of(&update, "310117")]).await;
    sql(folder.path(), &["UPDATE unpublished SET next_at = 0"]).await;
    let shown = shown(&app, |shown| regions(shown).len() == 2).await;
    assert_eq!(regions(&shown), [of(&update, "310117"), of(&broken, "330402")]);
    let late = shown.board.entries.iter().find(|entry| entry.publication.alert == broken).unwrap();
    assert!(late.publication.own && late.publication.id != broken, "an edition of our own");
    let codes: Vec<_> = late.publication.shown.infos[0].areas[0].geocodes.iter().map(|code| &code.value).collect();
    assert_eq!(codes, ["330402000000"]);
    assert_eq!(app.store.unpublished(None).await.unwrap().len(), 0);
    app.stop().await;
}

fn answer_id<'a>(answer: &'a Value, identifier: &str) -> &'a str {
    let features = answer["features"].as_array().into_iter().flatten();
    let mut named = features.filter(|feature| feature["properties"]["identifier"] == identifier);
    named.next().and_then(|feature| feature["properties"]["id"].as_str()).unwrap_or("none")
}

#[cfg(feature = "signatures")]
fn signing(folder: &Path, more: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=tocsin", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    format!("[signing]\nkey_file = \"{key}\"\ncertificate_file = \"{certificate}\"\n{more}\n")
}

/// In JSON it is small enough to be taken; as XML, every ampersand of it is five bytes, and nobody signs or reads so much.
fn unsignable() -> String {
    let sent = Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
    let area = serde_json::json!({"areaDesc": "青浦区", "geocode": [{"valueName": "CPEAS Geographic Code", "value": "310118000000"}]});
    serde_json::json!({
        "identifier": "long", "sender": "上海中心气象台", "sent": sent, "status": "Actual", "msgType": "Alert", "scope": "Public",
        "info": {"language": "zh-CN", "category": "Met", "event": "台风", "urgency": "Expected", "severity": "Moderate",
            "certainty": "Likely", "headline": "上海中心气象台发布台风黄色预警", "description": "&".repeat(1_200_000), "area": area},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "signatures")]
async fn what_cannot_be_signed_goes_out_unsigned_and_says_so_or_is_kept_back_where_config_says() {
    for required in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let more = signing(folder.path(), &format!("required = {required}"));
        write_config(folder.path(), &more);
        let server = Server::start_in(folder);
        let (status, answer) = server.post_as(support::TOKEN, "application/json", unsignable()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        let next = Cma { code: "310120000000".into(), ..Cma::new("next") };
        server.post(next.xml()).await;
        let shown = if required { 1 } else { 2 };
        until(&server, "in force", "/alerts/active", |answer| ids(answer).len() == shown).await;
        let health = server.json("/healthz").await;
        let told = (health["unpublished"].as_i64(), health["unsigned"].as_i64());
        assert_eq!(told, if required { (Some(1), Some(0)) } else { (Some(0), Some(1)) }, "{health}");
        assert_eq!(health["status"], "degraded");
        let metrics = server.get("/metrics").await.text().await.unwrap();
        assert!(metrics.contains(&format!("\ntocsin_unsigned {}", u8::from(!required))), "{metrics}");
        let crew = Crew::of(&server).await;
        let (_, page) = crew.root.browser(&server).await.get("/console/sources").await;
        let words = if required { "required keeps it back" } else { "Published without a signature" };
        assert!(page.contains(words), "{page}");
    }
}
