//! An end that officers bring forward.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tocsin_sinks::{Sink, Tally, smtp};

use super::bench::count;
use super::support::crew::Crew;
use super::support::{self, Cma, ORANGE, Server, write_config};
use super::{codes, posted, typed};

/// A server whose mails leave at this rate, with so many people in Qingpu.
async fn slow(people: u64, per_second: u32) -> (Server, Sink) {
    let mail = smtp::start(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nrate = {{ per_second = {per_second} }}\nwindow = 2\nworkers = 1\n\
         via = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n",
        mail.addr.port(),
    );
    let config = write_config(folder.path(), &more);
    let file = folder.path().join("people.csv");
    let rows: String = (0..people).map(|n| format!("310118,zh-CN,r{n}@example.org\n")).collect();
    std::fs::write(&file, format!("region,language,email\n{rows}")).unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", file.to_str().unwrap()]).0);
    (Server::start_in(folder), mail)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_brought_forward_is_the_releases_the_texts_and_the_caps_and_nothing_leaves_after_it() {
    const PEOPLE: u64 = 400;
    let (server, mail) = slow(PEOPLE, 5).await;
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000"]).await.browser(&server).await;
    let signer = crew.officer("signer", &["signer:310000"]).await.browser(&server).await;
    let (status, answer) = server.post(Cma { colour: ORANGE, ..Cma::new("long") }.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let alert = answer["id"].as_str().unwrap();

    // The alert's own end is in six hours.
    let change = async |end: DateTime<Utc>, seen: &'static str| {
        let form = [("seen", seen), ("reason", "shorter"), ("region", "310118"), ("expires", &*typed(end))];
        author.post("/console/escalations/1/amend", &form).await
    };
    let (status, page) = change(Utc::now() + TimeDelta::hours(7), "0").await;
    assert!(status == 422 && page.contains("T6012"), "an end after the alert's own is refused: {status}");
    let half_an_hour = Utc::now() + TimeDelta::minutes(30);
    assert_eq!(change(half_an_hour, "0").await.0, 303);
    let (_, page) = author.get(&format!("/console/alerts/{alert}")).await;
    let shown = typed(half_an_hour);
    assert_eq!(ends(&page), [("", &shown[11..16])], "the page says at its top until when");
    let end = DateTime::from_timestamp(Utc::now().timestamp() + 20, 0).unwrap();
    assert_eq!(change(end, "1").await.0, 303, "and changed once more");
    posted(&signer, "/console/escalations/1/approve", &[("seen", "2"), ("stage", "sign"), ("word", "")]).await;

    let db = server.folder.path().join("t.db");
    assert_eq!(count(&db, "SELECT expires FROM release WHERE kind = 'alert'").await, end.timestamp_millis());
    // What is published has the new end, in the list and in its CAP.
    let active = loop {
        let active = server.json("/alerts/active").await;
        if active["features"].as_array().is_some_and(|all| !all.is_empty()) {
            break active;
        }
        assert!(Utc::now() < end, "it was never in force: {active}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let shown = active["features"][0]["properties"]["expires"].as_str().unwrap();
    assert_eq!(shown.parse::<DateTime<Utc>>().unwrap(), end, "{active}");
    let id = active["features"][0]["properties"]["id"].as_str().or(active["features"][0]["id"].as_str()).unwrap();
    let id = id.rsplit('/').next().unwrap();
    let raw = server.get(&format!("/alerts/{id}.cap")).await.text().await.unwrap();
    let cap = tocsin::cap::read(raw.as_bytes()).alert.unwrap_or_else(|| panic!("{id}: {raw}"));
    assert!(cap.infos.iter().all(|info| info.expires.unwrap().to_utc() == end), "{raw}");

    // Whoever is not told when it ends is not told any more.
    let mails = |states: &Value, state: &str| states["channels"]["email"][state].as_u64().unwrap_or_default();
    let states = server.until(alert, |states| mails(states, "expired") > 0).await;
    assert!(Utc::now() >= end, "nobody is given up before: {states}");
    let states = server.until(alert, |states| mails(states, "sending") + mails(states, "waiting") == 0).await;
    let (told, late) = (mails(&states, "accepted"), mails(&states, "expired"));
    assert!(told > 0 && told + late == PEOPLE, "{states}");
    assert_eq!(mail.tally.counts().messages, told);
    let latest = count(&db, "SELECT MAX(at) FROM send_window").await;
    assert!(latest < end.timestamp_millis(), "no window opened after the end");
    let text = decoded(&mail.tally.last_text());
    let clock = typed(end);
    let (hour, minute) = (clock[11..13].parse::<u32>().unwrap(), clock[14..16].parse::<u32>().unwrap());
    let clock = if minute == 0 { format!("{hour}时") } else { format!("{hour}时{minute}分") };
    assert!(text.contains(&format!("日{clock}")) || text.contains(&format!("至{clock}")), "{clock}: {text}");
}

/// Until when an alert's page says at its top that it holds: all of it, and its parts by name.
fn ends(page: &str) -> Vec<(&str, &str)> {
    let head = page.split("<div class=\"head\">").nth(1).unwrap().split("</p>").next().unwrap();
    let ends: Vec<_> = head.split("valid until <time>").collect();
    ends.windows(2)
        .map(|pair| {
            let [before, after] = pair else { unreachable!() };
            let place = before.rsplit(" · ").next().unwrap().trim();
            let place = place.split_once('>').map_or("", |(_, rest)| rest.trim_end_matches("</a>"));
            let clock = after.split("</time>").next().unwrap();
            // With the day, or with seconds.
            let clock = clock.rsplit(' ').next().unwrap();
            (place, &clock[..5])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_end_otherwise_are_named_beside_the_bureaus_end() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000"]).await.browser(&server).await;
    let alert = Cma { colour: ORANGE, code: codes(&["310118", "310120"]), ..Cma::new("two") };
    let page = format!("/console/alerts/{}", server.post(alert.xml()).await.1["id"].as_str().unwrap());
    posted(&author, "/console/escalations/1/split", &[("seen", "0"), ("region", "310120")]).await;
    let bureau = typed((alert.sent + alert.expires).to_utc());
    let sooner = typed(Utc::now() + TimeDelta::minutes(30));
    let (bureau, soon) = (&bureau[11..16], &sooner[11..16]);
    let change = async |id: u8, region: &'static str| {
        let form = [("seen", "1"), ("reason", "shorter"), ("region", region), ("expires", &*sooner)];
        posted(&author, &format!("/console/escalations/{id}/amend"), &form).await;
        author.get(&page).await.1
    };
    assert_eq!(ends(&author.get(&page).await.1), [("", bureau)]);
    assert_eq!(ends(&change(2, "310120").await), [("", bureau), ("Fengxian District", soon)]);
    assert_eq!(ends(&change(1, "310118").await), [("", soon)], "all of it has that end now");
}

/// A mail's parts with their transfer encoding undone.
fn decoded(mail: &str) -> String {
    use base64::Engine as _;
    let mut all = String::new();
    for part in mail.split("\r\n\r\n") {
        let joined: String = part.split("\r\n--").next().unwrap_or_default().split_whitespace().collect();
        if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(&joined) {
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    all
}
