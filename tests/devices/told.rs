//! What devices are told, in earnest and in drills.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use serde_json::json;

use crate::site::{DEVICES, Site, text, topic};
use crate::support::{Cma, ORANGE, RED};

#[tokio::test(flavor = "multi_thread")]
async fn a_siren_plays_says_so_and_is_stopped_and_one_that_was_off_plays_nothing_old() {
    let site = Site::with(DEVICES, "").await;
    let mut siren = site.device("qp-siren").await;
    let first = Cma { colour: RED, ..Cma::new("first") };
    let id = site.send(&first).await;
    let (at, play) = siren.message().await;
    let event = text(&play["event"]);
    assert_eq!(at, topic("qp-siren", &format!("alert/{event}")));
    let wanted = json!({"id": id, "action": "play", "level": "red", "hazard": "typhoon", "pattern": "wail", "seconds": 60,
        "repeat": 3, "exercise": false, "language": "zh-CN"});
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&play[key], value, "{key} of {play}");
    }
    let said = text(&play["text"]);
    assert!(said.contains("青浦区") && said.contains("台风红色预警") && !said.contains('\n'), "{said}");
    let until = chrono::DateTime::parse_from_rfc3339(&text(&play["until"])).unwrap();
    assert!(until > Utc::now() + TimeDelta::hours(5));

    // It says that it has played; the one that has not is named.
    let said = json!({"id": id}).to_string();
    assert_eq!(siren.publish(&topic("qp-siren", "played"), said.as_bytes(), false).await, PubAckReason::Success);
    let store = site.store().await;
    let mut told = Vec::new();
    for _ in 0..2_000 {
        told = store.devices_played(&id).await.unwrap();
        if told.iter().any(|(_, at)| at.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told: Vec<_> = told.iter().map(|(id, at)| (id.as_str(), at.is_some())).collect();
    assert_eq!(told, [("qp-far", false), ("qp-siren", true)], "Songjiang's is not asked");
    // Said twice, or of an alert that was for others: no news.
    siren.publish(&topic("qp-siren", "played"), said.as_bytes(), false).await;

    // An update replaces it on the same topic, whose newest word alone is kept.
    let update = Cma { msg_type: "Update", colour: ORANGE, ..Cma::new("update") }.refers_to(&first);
    let second = site.send(&update).await;
    let (same, play) = siren.message().await;
    assert_eq!((same, text(&play["id"]), text(&play["event"])), (at.clone(), second, event));
    assert_eq!((&play["action"], &play["pattern"]), (&json!("play"), &json!("alternate")));
    drop(siren);
    let cancel = Cma { msg_type: "Cancel", colour: ORANGE, ..Cma::new("cancel") }.refers_to(&update);
    let last = site.send(&cancel).await;
    site.server.until(&last, |states| states["channels"]["mqtt"]["accepted"].as_u64() >= Some(2)).await;
    // It was off meanwhile: it finds that all is over, and nothing to play.
    let mut siren = site.device("qp-siren").await;
    let (at_once, stop) = siren.message().await;
    assert_eq!((at_once, &stop["action"], &stop["id"]), (at, &json!("stop"), &json!(last)));
    assert_eq!((&stop["pattern"], &stop["seconds"]), (&json!("none"), &json!(0)));

    // A shape that covers one of two: the other, in the same county, is not for it; a level below its own neither.
    let mut far = site.device("qp-far").await;
    let before = far.message().await;
    assert_eq!(before.1["action"], "stop", "of the first, retained");
    let near = Cma { event: ("暴雨", "Rainstorm"), colour: RED, ..Cma::new("shape") };
    let shape = "</areaDesc><polygon>31.08,121.02 31.08,121.08 31.12,121.08 31.12,121.02 31.08,121.02</polygon>";
    let xml = near.xml().replace(
        "</areaDesc><geocode><valueName>CPEAS Geographic Code</valueName><value>310118000000</value></geocode>",
        shape,
    );
    let (status, answer) = site.server.post(xml).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(siren.message().await.1["id"], answer["id"]);
    let marker = Cma { event: ("暴雨", "Rainstorm"), colour: RED, ..Cma::new("marker") };
    assert_eq!(far.messages_before(&site, &marker).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_heard_by_those_who_take_part_on_topics_of_its_own() {
    let site = Site::with(&DEVICES.replace("red,yes", "yellow,yes"), "").await;
    let mut horn = site.device("sj-horn").await;
    horn.subscribe("tocsin/v1/exercise/device/sj-horn/alert/#").await;
    let mut siren = site.device("qp-siren").await;
    siren.subscribe("tocsin/v1/exercise/#").await;
    for county in ["310117000000", "310118000000"] {
        site.send(&Cma { status: "Exercise", code: county.into(), colour: RED, ..Cma::new(county) }).await;
    }
    let (at, play) = horn.message().await;
    assert!(at.starts_with("tocsin/v1/exercise/device/sj-horn/alert/"), "{at}");
    assert_eq!((&play["exercise"], &play["action"]), (&json!(true), &json!("play")));
    assert!(text(&play["text"]).starts_with("演练"), "{play}");
    let marker = Cma { colour: RED, ..Cma::new("live") };
    assert_eq!(siren.messages_before(&site, &marker).await, [], "it never hears of drills");
    let live = Cma { code: "310117000000".into(), colour: RED, ..Cma::new("live-2") };
    assert_eq!(horn.messages_before(&site, &live).await, [], "nothing of the drill came as if it were real");
}
