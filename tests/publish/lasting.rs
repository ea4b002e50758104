//! What is published stays: names of alerts after a restart and after officers changed words, an event with its whole chain, counts.

use serde_json::{Value, json};
use tocsin::cap::{AlertId, Hazard};

use super::support::crew::Crew;
use super::support::{Cma, ORANGE, Server};
use super::{client, header, ids, read, text, until};

/// Status, where it leads, and the bytes.
async fn got(server: &Server, path: &str) -> (u16, String, Vec<u8>) {
    let answer = client().get(format!("{}{path}", server.url)).send().await.unwrap();
    (answer.status().as_u16(), header(&answer, "location"), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_lead_to_the_same_after_a_restart_and_after_officers_changed_the_words() {
    let mut server = Server::start("");
    let (yellow, orange) = (Cma::new("y"), Cma { colour: ORANGE, code: "310120000000".into(), ..Cma::new("o") });
    let (_, answer) = server.post(yellow.xml()).await;
    let verbatim = answer["id"].as_str().unwrap().to_owned();
    let (_, answer) = server.post(orange.xml()).await;
    let bureaus = answer["id"].as_str().unwrap().to_owned();
    // Li changes the words, Wang lets them go out.
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000", "reviewer:310000"]).await.browser(&server).await;
    let words = [
        ("seen", "0"),
        ("reason", "plainer"),
        ("region", "310120"),
        ("zh-CN.headline", "改过的标题"),
        ("zh-CN.description", "改过的内容"),
        ("zh-CN.instruction", "请勿外出"),
    ];
    assert_eq!(li.post("/console/escalations/1/amend", &words).await.0, 303);
    let wang = crew.officer("wang", &["signer:310000"]).await.browser(&server).await;
    let sign = [("seen", "1"), ("stage", "sign"), ("word", "")];
    assert_eq!(wang.post("/console/escalations/1/approve", &sign).await.0, 303);
    let listed = until(&server, "/alerts", |answer| ids(answer).len() == 2).await;
    let ours = ids(&listed).into_iter().find(|id| *id != verbatim).unwrap();
    assert_ne!(ours, bureaus, "our own message has a name of its own");
    let cap = String::from_utf8(got(&server, &format!("/alerts/{ours}.cap")).await.2).unwrap();
    assert_eq!(AlertId::of(&read(&cap)).as_str(), ours, "which follows from what it says");
    assert!(cap.contains("改过的标题"), "{cap}");
    let paths: Vec<String> = [&verbatim, &ours]
        .iter()
        .flat_map(|id| ["cap", "json", "geojson"].map(|end| format!("/alerts/{id}.{end}")))
        .collect();
    let mut before = Vec::new();
    for path in &paths {
        before.push(got(&server, path).await);
        assert_eq!(before.last().unwrap().0, 200, "{path}");
    }
    crew.store.close().await;
    for power_cut in [false, true] {
        if power_cut {
            server.kill();
        } else {
            assert!(server.stop());
        }
        server.run();
        for (path, was) in paths.iter().zip(&before) {
            assert_eq!(&got(&server, path).await, was, "{path}");
        }
        // Who knows the bureau's name of it is led to what was released in its place.
        for end in ["", ".cap", ".json", ".geojson"] {
            let (status, leads, _) = got(&server, &format!("/alerts/{bureaus}{end}")).await;
            assert_eq!((status, leads), (303, format!("/alerts/{ours}{end}")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_events_page_tells_its_whole_chain_newest_first_with_what_each_changed() {
    let server = Server::start("");
    let first = Cma::new("first");
    let wider =
        "310118000000</value></geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>310117000000";
    let second =
        Cma { msg_type: "Update", code: wider.into(), expires: chrono::TimeDelta::hours(9), ..Cma::new("second") }
            .refers_to(&first);
    let end = Cma { msg_type: "Cancel", code: wider.into(), ..Cma::new("end") }.refers_to(&second);
    let mut chain = Vec::new();
    for message in [&first, &second, &end] {
        let (status, answer) = server.post(message.xml()).await;
        assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
        chain.push(answer["id"].as_str().unwrap().to_owned());
        until(&server, "/alerts", |answer| ids(answer).len() == chain.len()).await;
    }
    let event = chain[0].clone();
    for (lang, added, until, over) in
        [("en", "Added: Songjiang", "Until: ", "withdrawn"), ("zh-CN", "新增区域：松江", "结束时间：", "已解除")]
    {
        let page = text(&server, &format!("/events/{event}?lang={lang}")).await;
        let at: Vec<_> = chain.iter().map(|id| page.find(&format!("<li id=\"a-{id}\"")).expect("an anchor")).collect();
        assert!(at[2] < at[1] && at[1] < at[0], "newest first: {at:?}");
        assert_eq!(page.matches("<li id=\"a-").count(), 3);
        assert!(chain.iter().all(|id| page.contains(&format!("/alerts/{id}.cap"))));
        let update = &page[at[1]..at[0]];
        assert!(update.contains(added) && update.contains(until), "{update}");
        assert!(page.contains(over), "{lang}: {}", &page[..at[2]]);
    }
    // Each message's own link leads to its place on that page.
    for id in &chain {
        let asked = client().get(format!("{}/alerts/{id}", server.url)).header("accept", "text/html");
        let answer = asked.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, format!("/events/{event}#a-{id}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_say_how_many_hold_where_and_types_what_can_be_asked_for() {
    let server = Server::start("");
    let none = server.json("/alerts/active/count").await;
    let zero = json!({"total": 0, "land": 0, "marine": 0, "areas": {}, "zones": {}, "regions": {}});
    assert_eq!(none, zero);
    let rain = Cma { event: ("暴雨", "Rainstorm"), ..Cma::new("rain") };
    let surge = Cma { event: ("风暴潮", "Storm surge"), code: "HZB".into(), ..Cma::new("surge") };
    let surge = surge.xml().replace("CPEAS Geographic Code", "TOCSIN Sea Area");
    for alert in [Cma::new("typhoon").xml(), rain.xml(), surge] {
        assert_eq!(server.post(alert).await.1["state"], "released");
    }
    let counts = until(&server, "/alerts/active/count", |answer| answer["total"] == 4).await;
    // What crosses provinces is released, and published, for each.
    assert_eq!((&counts["land"], &counts["marine"], &counts["regions"]), (&json!(4), &json!(2), &json!({"HZB": 2})));
    assert_eq!(counts["areas"], json!({"310000": 3, "330000": 1}), "the bay's coast lies in two provinces");
    let zone = |code: &str| counts["zones"][code].as_u64();
    assert_eq!((zone("310118"), zone("310116"), zone("310101")), (Some(2), Some(1), None), "{counts}");
    // They are those of what is listed.
    for (area, n) in [("310000", 3), ("330000", 1)] {
        assert_eq!(ids(&server.json(&format!("/alerts/active?area={area}")).await).len(), n, "{area}");
    }

    let types = server.json("/alerts/types").await;
    let hazards = types["hazards"].as_array().unwrap();
    assert_eq!(hazards.len(), Hazard::ALL.len());
    assert!(hazards.contains(&json!({"hazard": "typhoon", "zh": "台风", "en": "Typhoon"})), "{types}");
    for name in types["eventTypes"].as_array().unwrap().iter().chain(hazards.iter().map(|one| &one["hazard"])) {
        let name: String = form_urlencoded::byte_serialize(name.as_str().unwrap().as_bytes()).collect();
        let asked = server.get(&format!("/alerts/active?event={name}")).await;
        assert_eq!(asked.status(), 200, "{name}");
    }
    let found: Value = server.json("/alerts/active?event=storm-surge").await;
    assert_eq!(found["features"].as_array().unwrap().len(), 2);
}
