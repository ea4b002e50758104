//! A subscription to a real broker: nothing is acknowledged before it is on disk, and nothing is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::json;
use sqlx::Connection as _;
use tocsin_sinks::real::Mosquitto;

use crate::site::{Page, Site};
use crate::support::{Cma, Server};
use crate::{alerts, findings, store, until, until_source};

pub fn source(broker: &Mosquitto, more: &str) -> String {
    format!(
        "[[source]]\nname = \"bus\"\nkind = \"mqtt\"\nbureau = \"shanghai\"\nhost = \"127.0.0.1\"\nport = {}\ntopic = \"warn/#\"\n{more}\n",
        broker.port
    )
}

/// Publishes with QoS 1, as a bureau does, until the broker has it.
pub async fn publish(broker: &Mosquitto, payload: &[u8]) {
    publish_to(broker, "warn/a", payload).await;
}

async fn publish_to(broker: &Mosquitto, topic: &str, payload: &[u8]) {
    let mut options = MqttOptions::new("bureau", "127.0.0.1", broker.port);
    options.set_max_packet_size(Some(8 << 20));
    let (client, mut events) = AsyncClient::new(options, 8);
    client.publish(topic, QoS::AtLeastOnce, false, payload.to_vec()).await.unwrap();
    while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {}
    client.disconnect().await.unwrap();
    while events.poll().await.is_ok() {}
}

fn sha512(bytes: &[u8]) -> String {
    STANDARD.encode(ring::digest::digest(&ring::digest::SHA512, bytes).as_ref())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_is_taken_and_what_is_not_what_was_meant_is_refused_and_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), None).unwrap();
    let site = Site::start().await;
    let server = Server::start(&source(&broker, &format!("private = [\"{}\"]", site.addr)));
    let store = store(&server).await;
    until_source(&server, &store, "bus", |row| row.good_at.is_some()).await;
    publish(&broker, Cma::new("plain").xml().as_bytes()).await;
    let composer = json!({"filename": "a.xml", "data": STANDARD.encode(Cma::new("composer").xml())});
    publish(&broker, composer.to_string().as_bytes()).await;
    let notice = |properties: serde_json::Value, href: Option<&str>| {
        let links: Vec<_> = href.into_iter().map(|href| json!({"rel": "canonical", "href": href})).collect();
        json!({"type": "Feature", "id": "1", "properties": properties, "links": links}).to_string()
    };
    let here = Cma::new("inline").xml();
    let content = json!({"encoding": "base64", "value": STANDARD.encode(&here)});
    let integrity = |of: &str| json!({"method": "sha512", "value": sha512(of.as_bytes())});
    publish(&broker, notice(json!({"content": content, "integrity": integrity(&here)}), None).as_bytes()).await;
    let linked = Cma::new("linked").xml();
    site.show("/linked.xml", linked.clone());
    publish(&broker, notice(json!({"integrity": integrity(&linked)}), Some(&site.url("/linked.xml"))).as_bytes()).await;
    assert_eq!(alerts(&server, 4).await.len(), 4);
    // What follows must be refused, each for its own reason.
    let forged = Cma::new("forged").xml();
    site.show("/forged.xml", forged);
    publish(
        &broker,
        notice(json!({"integrity": integrity("something else")}), Some(&site.url("/forged.xml"))).as_bytes(),
    )
    .await;
    let row = until_source(&server, &store, "bus", |row| row.refused == 1).await;
    assert_eq!(findings(&row), ["T8010"], "a link's content is checked before use");
    let inside = notice(json!({}), Some("http://127.0.0.1:1/x"));
    for (n, payload, code) in [(2, inside.as_str(), "T8007"), (3, "{", "T8012"), (4, "nonsense", "T8016")] {
        publish(&broker, payload.as_bytes()).await;
        let row = until_source(&server, &store, "bus", |row| row.refused == n).await;
        assert_eq!(findings(&row), [code], "{payload}");
    }
    publish(&broker, Cma::new("after").xml().as_bytes()).await;
    let taken = alerts(&server, 5).await;
    assert!(taken.iter().all(|alert| alert["identifier"] != "forged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_receiving_and_acknowledging_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), None).unwrap();
    let mut server = Server::start(&source(&broker, ""));
    let looking = store(&server).await;
    until_source(&server, &looking, "bus", |row| row.good_at.is_some()).await;
    looking.close().await;
    // Somebody else holds the writer: what comes is received, and cannot be on disk.
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let mut holder = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    publish(&broker, Cma::new("in-hand").xml().as_bytes()).await;
    until("received", &server, async || server.log().contains("a message came").then_some(())).await;
    server.kill();
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    holder.close().await.unwrap();
    // While we are away, the broker keeps what comes.
    publish_to(&broker, "warn/meanwhile", Cma::new("meanwhile").xml().as_bytes()).await;
    server.run();
    let taken = alerts(&server, 2).await;
    let mut names: Vec<_> = taken.iter().map(|alert| alert["identifier"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["in-hand", "meanwhile"]);
    // What was acknowledged does not come again. Whatever comes after it shows that the acknowledgement has left.
    publish(&broker, Cma::new("next").xml().as_bytes()).await;
    alerts(&server, 3).await;
    assert!(server.stop());
    server.run();
    publish(&broker, Cma::new("last").xml().as_bytes()).await;
    alerts(&server, 4).await;
    assert_eq!(server.log().matches("warn/meanwhile").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_and_comes_back_is_subscribed_to_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Mosquitto::start(folder.path(), None).unwrap();
    let server = Server::start(&source(&broker, ""));
    let store = store(&server).await;
    until_source(&server, &store, "bus", |row| row.good_at.is_some()).await;
    broker.kill_and_restart().unwrap();
    until_source(&server, &store, "bus", |row| row.failures > 0).await;
    until_source(&server, &store, "bus", |row| row.failures == 0).await;
    publish(&broker, Cma::new("after").xml().as_bytes()).await;
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_link_does_not_hold_up_the_messages_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), None).unwrap();
    let site = Site::start().await;
    site.put("/slow", Page::Silent);
    let server = Server::start(&source(&broker, &format!("private = [\"{}\"]", site.addr)));
    let store = store(&server).await;
    until_source(&server, &store, "bus", |row| row.good_at.is_some()).await;
    let slow = json!({"type": "Feature", "properties": {}, "links": [{"rel": "canonical", "href": site.url("/slow")}]});
    publish(&broker, slow.to_string().as_bytes()).await;
    site.asked("/slow", 1).await;
    publish(&broker, Cma::new("quick").xml().as_bytes()).await;
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "quick");
    assert_eq!(until_source(&server, &store, "bus", |_| true).await.refused, 0, "the slow one is still waited for");
}

/// More links that never answer than the broker sends at once: what comes after them is taken, also another link; and what waits
/// outlives a restart.
#[tokio::test(flavor = "multi_thread")]
async fn links_that_do_not_answer_take_nobodys_place() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), None).unwrap();
    let site = Site::start().await;
    // Shorter than anybody's patience: the places of those who are slow become free.
    let more = format!("private = [\"{}\"]\ntimeout_seconds = 1", site.addr);
    let mut server = Server::start(&source(&broker, &more));
    let looking = store(&server).await;
    until_source(&server, &looking, "bus", |row| row.good_at.is_some()).await;
    let link = |path: &str| {
        json!({"type": "Feature", "properties": {}, "links": [{"rel": "canonical", "href": site.url(path)}]})
            .to_string()
    };
    for n in 0..40 {
        site.put(&format!("/slow{n}"), Page::Silent);
        publish(&broker, link(&format!("/slow{n}")).as_bytes()).await;
    }
    publish(&broker, Cma::new("inline").xml().as_bytes()).await;
    assert_eq!(alerts(&server, 1).await[0]["identifier"], "inline");
    site.show("/linked", Cma { code: "310120000000".into(), ..Cma::new("linked") }.xml());
    publish(&broker, link("/linked").as_bytes()).await;
    alerts(&server, 2).await;
    assert_eq!(until_source(&server, &looking, "bus", |_| true).await.refused, 0, "the slow ones are still waited for");
    looking.close().await;
    server.kill();
    site.show("/slow7", Cma { code: "310115000000".into(), ..Cma::new("slow") }.xml());
    server.run();
    let taken = alerts(&server, 3).await;
    assert!(taken.iter().any(|alert| alert["identifier"] == "slow"), "acknowledged, and not lost");
}
