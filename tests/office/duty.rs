//! Who is on duty: swaps and rotations are listed, and can be ended.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde_json::Value;

use super::support::crew::{Browser, Crew};
use super::support::{Cma, ORANGE, Server};
use super::{posted, typed};

/// Who is called when an alert comes in.
async fn called(server: &Server, crew: &Crew, county: &str) -> String {
    let alert = Cma { colour: ORANGE, code: format!("{county}000000"), ..Cma::new(county) };
    assert_eq!(server.post(alert.xml()).await.1["state"], "waiting");
    let lines = crew.store.record_from(1, 10_000).await.unwrap();
    let line = lines.iter().rfind(|line| line.kind == "page").unwrap();
    let detail: Value = serde_json::from_str(&line.detail).unwrap();
    detail["called"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

async fn stands_in(by: &Browser, officer: i64, position: &str, from: DateTime<Utc>, to: DateTime<Utc>) {
    let (from, to, officer) = (typed(from), typed(to), officer.to_string());
    let form =
        [("jurisdiction", "310000"), ("position", position), ("officer", &*officer), ("from", &*from), ("to", &*to)];
    posted(by, "/console/duty/override", &form).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_is_seen_at_its_hours_can_be_ended_and_then_the_rotation_holds_again() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    let wang = crew.officer("wang", &["signer:310000"]).await;
    let elsewhere = crew.officer("su", &["signer:320000"]).await.browser(&server).await;
    let root = crew.root.browser(&server).await;
    let desk = li.browser(&server).await;
    let starts = typed(Utc::now() - TimeDelta::days(1));
    let rotation =
        [("jurisdiction", "310000"), ("position", "primary"), ("officers", "li"), ("days", "7"), ("starts", &*starts)];
    posted(&root, "/console/duty/rotation", &rotation).await;
    assert_eq!(called(&server, &crew, "310101").await, "li·名");

    // A swap that holds now, one of two hours tomorrow night, and one in a position that has no rotation.
    let now = DateTime::from_timestamp(Utc::now().timestamp() / 60 * 60, 0).unwrap();
    let beijing = FixedOffset::east_opt(8 * 3_600).unwrap();
    let tomorrow = (now + TimeDelta::days(1)).with_timezone(&beijing).date_naive();
    let at = |hour| tomorrow.and_hms_opt(hour, 0, 0).unwrap().and_local_timezone(beijing).unwrap().to_utc();
    stands_in(&desk, wang.id().0, "primary", now - TimeDelta::minutes(1), now + TimeDelta::hours(2)).await;
    stands_in(&desk, wang.id().0, "primary", at(20), at(22)).await;
    stands_in(&desk, wang.id().0, "chief", at(9), at(10)).await;
    assert_eq!(called(&server, &crew, "310104").await, "wang·名");
    let (_, page) = desk.get("/console/duty").await;
    let page = page.replace("<span class=\"quiet\">", "").replace("</span>", "");
    for seen in ["<div>20:00 wang·名</div><div>22:00 li·名</div>", "09:00 wang·名", "<td>chief</td>"] {
        assert!(page.contains(seen), "{seen}: {page}");
    }
    let (day, hours) = (at(20).with_timezone(&beijing).format("%m-%d").to_string(), ["20:00", "22:00"]);
    assert!(page.contains(&format!("<strong>wang·名</strong> {day} {} – {day} {}", hours[0], hours[1])), "{page}");

    // Others' swaps are not theirs to end; nobody ends a swap twice.
    let end = "/console/duty/override/1/end";
    assert!(!elsewhere.get("/console/duty").await.1.contains(end), "there is no button");
    assert_eq!(elsewhere.post(end, &[]).await.0, 403);
    assert_eq!(called(&server, &crew, "310105").await, "wang·名", "and nothing has changed");
    assert!(page.contains(end));
    posted(&desk, end, &[]).await;
    assert_eq!(desk.post(end, &[]).await.0, 404);
    assert_eq!(called(&server, &crew, "310106").await, "li·名", "the rotation holds again");
    posted(&desk, "/console/duty/override/2/end", &[]).await;
    let (_, page) = desk.get("/console/duty").await;
    assert!(!page.contains("22:00") && page.contains("/console/duty/override/3/end"), "{page}");

    // A rotation is the administrators' to remove.
    let end = "/console/duty/rotation/1/end";
    assert!(!page.contains(end));
    assert_eq!(desk.post(end, &[]).await.0, 403);
    assert!(root.get("/console/duty").await.1.contains(end));
    posted(&root, end, &[]).await;
    assert_eq!(called(&server, &crew, "310107").await, "li·名 wang·名", "everyone who may decide");
    let kinds: Vec<_> = crew.store.record_from(1, 10_000).await.unwrap().into_iter().map(|line| line.kind).collect();
    for kind in ["duty.override.end", "duty.rotation.end"] {
        assert!(kinds.iter().any(|own| own == kind), "{kind} is on record");
    }
}
