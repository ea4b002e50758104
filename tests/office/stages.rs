//! Every stage of an alert with its time, from the first word of its draft.

use chrono::{TimeDelta, Utc};
use reqwest::Method;

use super::support::crew::{Browser, Crew};
use super::support::{Server, tables};
use super::{posted, typed};

/// The console's place after a form.
async fn leads_to(browser: &Browser, path: &str, form: &[(&str, &str)]) -> String {
    let form = [&[("csrf", browser.csrf.as_str())], form].concat();
    let answer = browser.send(Method::POST, path, &form, &[("sec-fetch-site", "same-origin")]).await;
    let place = answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
    let status = answer.status();
    place.unwrap_or_else(|| panic!("{path}: {status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_of_a_prefecture_mends_what_the_province_returned_and_nobody_beside_them_does() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("suzhou", &["author:320500"]).await.browser(&server).await;
    let beside = crew.officer("wuxi", &["author:320200"]).await.browser(&server).await;
    let signer = crew.officer("jiangsu", &["signer:320000"]).await.browser(&server).await;
    let end = typed(Utc::now() + TimeDelta::hours(3));
    let form = [
        ("msg_type", "Alert"),
        ("hazard", "rainstorm"),
        ("colour", "orange"),
        ("region", "320500"),
        ("expires", &*end),
        ("places", "320509"),
    ];
    let draft = leads_to(&author, "/console/compose/new/save", &form).await;
    let (_, page) = author.get(&draft).await;
    let seen = page.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [&form[..], &[("seen", seen)]].concat();
    let alert = leads_to(&author, &format!("{draft}/submit"), &form).await;
    posted(&signer, "/console/escalations/1/return", &[("seen", "0"), ("reason", "which streets?")]).await;
    let place = alert.split('#').next().unwrap();
    let amend = "/console/escalations/1/amend";
    assert!(author.get(place).await.1.contains(amend), "the form is there");
    assert!(!beside.get(place).await.1.contains(amend));
    let form = [("seen", "0"), ("reason", "named"), ("region", "320509"), ("zh-CN.headline", "暴雨橙色预警")];
    assert_eq!(beside.post(amend, &form).await.0, 403);
    posted(&author, amend, &form).await;
    let row = crew.store.escalation::<tocsin::world::Live>(1).await.unwrap().unwrap().escalation;
    assert_eq!((row.state.as_str(), row.revision), ("waiting", 1), "and it is in the queue again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_journey_is_a_row_for_each_step_in_order_with_its_time() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000"]).await.browser(&server).await;
    let signer = crew.officer("signer", &["signer:310000"]).await.browser(&server).await;
    let end = typed(Utc::now() + TimeDelta::hours(3));
    let form = [
        ("msg_type", "Alert"),
        ("hazard", "rainstorm"),
        ("colour", "orange"),
        ("region", "310000"),
        ("expires", &*end),
        ("places", "310118 310120 310115"),
    ];
    let draft = leads_to(&author, "/console/compose/new/save", &form).await;
    let (_, page) = author.get(&draft).await;
    let seen = page.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [&form[..], &[("seen", seen)]].concat();
    let alert = leads_to(&author, &format!("{draft}/submit"), &form).await;
    assert!(alert.starts_with("/console/alerts/"), "{alert}");

    let escalation = async |by: &Browser, id: u32, act: &str, seen: &str, more: &[(&str, &str)]| {
        let form = [&[("seen", seen), ("reason", "so")], more].concat();
        posted(by, &format!("/console/escalations/{id}/{act}"), &form).await;
    };
    let yes = [("stage", "sign"), ("word", "")];
    escalation(&signer, 1, "take", "0", &[]).await;
    escalation(&signer, 1, "return", "0", &[]).await;
    let all = ["310115", "310118", "310120"].map(|code| ("region", code));
    escalation(&author, 1, "amend", "0", &[&all[..], &[("zh-CN.headline", "暴雨橙色预警")]].concat()).await;
    escalation(&author, 1, "split", "1", &[("region", "310120")]).await;
    escalation(&author, 1, "split", "2", &[("region", "310115")]).await;
    escalation(&signer, 2, "reject", "2", &[]).await;
    escalation(&author, 3, "withdraw", "3", &[]).await;
    escalation(&signer, 1, "approve", "3", &yes).await;
    for act in ["stop", "resume", "resend"] {
        posted(&signer, &format!("{alert}/{act}"), &[("reason", "so")]).await;
    }
    posted(&signer, &format!("{alert}/correct"), &[("word", "CORRECT"), ("zh", "有误"), ("en", "wrong")]).await;

    // Residents read of the wrong warning that it was wrong, not that its danger is over.
    let mut page = String::new();
    for _ in 0..3_000 {
        page = server.get("/regions/310118?lang=zh-CN").await.text().await.unwrap();
        if page.contains("已更正，此前发布有误") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(page.contains("已更正，此前发布有误") && !page.contains("解除</"), "{page}");

    let (status, csv) = signer.get(&format!("{alert}/times.csv")).await;
    assert_eq!(status, 200, "{csv}");
    let rows: Vec<Vec<String>> = csv::Reader::from_reader(csv.as_bytes())
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(csv.lines().next(), Some("stage,who,at,after_ms"));
    let steps: Vec<&str> = rows.iter().map(|row| row[0].as_str()).filter(|step| !step.contains("message")).collect();
    let expected = [
        // Saved, and saved once more with the submission.
        "draft saved",
        "draft saved",
        "submitted",
        "received, decided on",
        "escalated",
        "officers called",
        "taken",
        // What comes back calls its author.
        "returned",
        "officers called",
        "changed",
        "officers called",
        "split",
        "officers called",
        "split",
        "officers called",
        "rejected",
        "withdrawn",
        "signed",
        "released",
        "stopped",
        "let go on",
        "sent again to those missed",
        "corrected",
    ];
    assert_eq!(steps, expected, "{csv}");
    let after: Vec<i64> = rows.iter().map(|row| row[3].parse().unwrap()).collect();
    assert!(after[0] == 0 && after.is_sorted(), "{after:?}");
    for row in &rows {
        let at = chrono::DateTime::parse_from_rfc3339(&row[2]).unwrap();
        assert_eq!(at.offset().local_minus_utc(), 8 * 3_600, "on Beijing's clocks: {row:?}");
    }
    let who = |step: &str| rows.iter().find(|row| row[0] == step).unwrap()[1].clone();
    assert_eq!((who("submitted"), who("signed")), ("author Shanghai".into(), "signer Shanghai".into()));
    let (_, page) = signer.get(&alert).await;
    for step in expected {
        assert!(page.contains(&format!("<td>{step}</td>")), "the chart shows it too: {step}");
    }

    look_again(&server, alert.trim_start_matches("/console/alerts/"), 1_200).await;
    let (_, later) = signer.get(&format!("{alert}/times.csv")).await;
    assert_eq!(later, csv, "no step is lost, however much is on record after it");
}

/// So many later lines about an alert.
async fn look_again(server: &Server, alert: &str, times: i64) {
    let mut store = tables(server.folder.path()).await;
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
         INSERT INTO record (seq, at, actor, kind, subject, detail, hash)
         SELECT 1000000 + i, 4000000000000, 'signer', 'person.view', $2, '{}', '' FROM n";
    sqlx::query(sql).bind(times).bind(alert).execute(&mut store).await.unwrap();
}

/// What a national reader looks for: the identifier's 31 characters, the event's code, and the colour as a field of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_officers_compose_is_written_in_chinas_dialect() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000"]).await.browser(&server).await;
    let signer = crew.officer("signer", &["signer:310000"]).await.browser(&server).await;
    let end = typed(Utc::now() + TimeDelta::hours(3));
    let form = [
        ("msg_type", "Alert"),
        ("hazard", "rainstorm"),
        ("colour", "yellow"),
        ("region", "310000"),
        ("expires", &*end),
        ("places", "310118"),
    ];
    let draft = leads_to(&author, "/console/compose/new/save", &form).await;
    let (_, page) = author.get(&draft).await;
    let seen = page.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let alert = leads_to(&author, &format!("{draft}/submit"), &[&form[..], &[("seen", seen)]].concat()).await;
    let yes = [("seen", "0"), ("stage", "sign"), ("word", "")];
    posted(&signer, "/console/escalations/1/approve", &yes).await;
    let path =
        format!("/alerts/{}.cap", alert.strip_prefix("/console/alerts/").unwrap().split(['?', '#']).next().unwrap());
    let cap = loop {
        let answer = server.get(&path).await;
        if answer.status() == 200 {
            break answer.bytes().await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let mut reading = tocsin::cap::read(&cap);
    let alert = reading.alert.unwrap();
    assert_eq!(
        (alert.identifier.len(), alert.identifier.starts_with("31000041600000_")),
        (31, true),
        "{}",
        alert.identifier
    );
    // Nothing was typed: danger and level say it, in both languages.
    let said = |n: usize| alert.infos[n].description.clone().unwrap_or_default();
    assert!(
        said(0).contains("6小时内降雨量将达50毫米") && said(1).contains("50 mm of rain within 6 hours"),
        "{alert:?}"
    );
    for info in &alert.infos {
        let pairs = |all: &[tocsin::cap::NamedValue]| all.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
        assert_eq!((pairs(&info.event_codes), pairs(&info.parameters)), (vec!["11B03".into()], vec!["yellow".into()]));
    }
    tocsin::cap::hold_against(&[tocsin::cap::ProfileName::China], &alert, &mut reading.findings);
    assert!(reading.findings.is_empty(), "what we write gives nobody cause for a remark: {:?}", reading.findings);
}

/// The third message of an event names both before it, as readers who go by the letter want.
#[tokio::test(flavor = "multi_thread")]
async fn what_officers_compose_names_all_of_its_event_that_stands() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let author = crew.officer("author", &["author:310000"]).await.browser(&server).await;
    let end = typed(Utc::now() + TimeDelta::hours(3));
    let compose = async |msg_type: &str, refers: &str, text: &str| {
        let form = [
            ("msg_type", msg_type),
            ("refers", refers),
            ("hazard", "rainstorm"),
            ("colour", "yellow"),
            ("region", "310000"),
            ("expires", &*end),
            ("places", "310118"),
            ("zh-CN.description", text),
        ];
        // Identifiers are told apart by tenths of a second.
        tokio::time::sleep(std::time::Duration::from_millis(110)).await;
        let place = leads_to(&author, "/console/compose/new/submit", &form).await;
        place
            .strip_prefix("/console/alerts/")
            .unwrap_or_else(|| panic!("{place}"))
            .split(['?', '#'])
            .next()
            .unwrap()
            .to_owned()
    };
    let named = async |id: &str| {
        let findings = crew.store.alert(id).await.unwrap().unwrap().findings;
        assert_eq!(findings, serde_json::json!([]), "what we write gives nobody cause for a remark");
        let history = tocsin::intake::History::of(&crew.store, id).await.unwrap().unwrap();
        let own = history.alerts.iter().find(|link| link.id == id).unwrap();
        own.joined.iter().filter(|join| join.why.as_str() == "references").count()
    };
    let first = compose("Alert", "", "甲").await;
    let second = compose("Update", &first, "乙").await;
    let third = compose("Update", &second, "丙").await;
    let last = compose("Cancel", &third, "丁").await;
    for (id, names) in [(&first, 0), (&second, 1), (&third, 2), (&last, 3)] {
        assert_eq!(named(id).await, names, "{id}");
    }
}
