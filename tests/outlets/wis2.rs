//! Notifications for WMO's WIS2, held against the rules of WNM 1.0.

use std::time::Duration;

use base64::Engine as _;
use ring::digest;
use serde_json::{Value, json};
use tocsin_sinks::real::Mosquitto;

use super::support::{Cma, Server, write_config};

/// Everything published below `origin/` from now on, as topic and text.
async fn listen(port: u16) -> tokio::sync::mpsc::UnboundedReceiver<(String, String, u8)> {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::Packet;
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let (client, mut events) = AsyncClient::new(MqttOptions::new("listener", "127.0.0.1", port), 10);
    client.subscribe("origin/#", QoS::AtLeastOnce).await.unwrap();
    while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let _client = client;
        while let Ok(event) = events.poll().await {
            if let Event::Incoming(Packet::Publish(publish)) = event {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                drop(sender.send((text(&publish.topic), text(&publish.payload), publish.qos as u8)));
            }
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn wis2_is_notified_of_each_alert_once_the_broker_is_there() {
    let servers = tempfile::tempdir().unwrap();
    let mut broker = Mosquitto::start(servers.path(), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[publish.wis2]\ncentre_id = \"cn-shanghai-test\"\nmetadata_id = \"urn:wmo:md:cn-shanghai-test:warnings\"\n\
         via = {{ host = \"127.0.0.1\", port = {}, client_id = \"tocsin-wis2\" }}\n",
        broker.port
    );
    let config = write_config(folder.path(), &more);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[server]\n", "[server]\npublic_url = \"https://warn.example\"\n")).unwrap();
    let server = Server::start_in(folder);
    let mut seen = listen(broker.port).await;
    let short = Cma::new("1");
    let (_, answer) = server.post(short.xml()).await;
    let id = answer["id"].as_str().unwrap();
    let (topic, message, qos) = seen.recv().await.unwrap();
    assert_eq!((topic.as_str(), qos), ("origin/a/wis2/cn-shanghai-test/data/core/weather/advisories-warnings", 1));
    let message: Value = serde_json::from_str(&message).unwrap();
    sound(&message, id, short.xml().as_bytes());
    assert_eq!(message["properties"]["content"]["value"], short.xml());

    // A message too large to be carried is linked; and a broker that was away gets it when it is back.
    broker.kill_and_restart().unwrap();
    let mut seen = listen(broker.port).await;
    let long = Cma::new("2");
    let raw = long.xml().replace("<description>", &format!("<description>{}", "很长。".repeat(600)));
    let (_, answer) = server.post(raw.clone()).await;
    let first = message["id"].clone();
    let message = loop {
        let (_, text, _) = tokio::time::timeout(Duration::from_secs(60), seen.recv()).await.unwrap().unwrap();
        let message: Value = serde_json::from_str(&text).unwrap();
        // The broker may have been killed before its PUBACK: then the first comes again, known by its id.
        if message["id"] != first {
            break message;
        }
    };
    sound(&message, answer["id"].as_str().unwrap(), raw.as_bytes());
    assert!(message["properties"].get("content").is_none());
    let got = server.get(&format!("/alerts/{}.cap", answer["id"].as_str().unwrap())).await.bytes().await.unwrap();
    assert_eq!(got, raw.as_bytes(), "the link leads to what the digest is of");
}

/// The rules of WNM 1.0's schema and requirements classes, one by one.
fn sound(message: &Value, id: &str, cap: &[u8]) {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{message}")).to_owned();
    let uuid = text(&message["id"]);
    assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'5' && uuid.matches('-').count() == 4, "{uuid}");
    assert_eq!(message["conformsTo"], json!(["http://wis.wmo.int/spec/wnm/1/conf/core"]));
    assert!(message.get("version").is_none(), "one or the other");
    assert_eq!((text(&message["type"]).as_str(), text(&message["geometry"]["type"]).as_str()), ("Feature", "Polygon"));
    let ring = message["geometry"]["coordinates"][0].as_array().unwrap();
    assert!(ring.len() >= 4 && ring.first() == ring.last());
    let properties = &message["properties"];
    for time in ["pubtime", "datetime"] {
        let time = text(&properties[time]);
        assert!(time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(&time).is_ok(), "{time}");
    }
    assert_eq!(
        text(&properties["data_id"]),
        format!("wis2/cn-shanghai-test/data/core/weather/advisories-warnings/{id}")
    );
    assert_eq!(text(&properties["metadata_id"]), "urn:wmo:md:cn-shanghai-test:warnings");
    assert_eq!(text(&properties["integrity"]["method"]), "sha512");
    let digest = base64::engine::general_purpose::STANDARD.encode(digest::digest(&digest::SHA512, cap));
    assert_eq!(text(&properties["integrity"]["value"]), digest);
    if let Some(content) = properties.get("content") {
        assert_eq!((text(&content["encoding"]).as_str(), content["size"].as_u64()), ("utf-8", Some(cap.len() as u64)));
        assert!(cap.len() <= 4_096);
    }
    let link = &message["links"][0];
    assert_eq!(
        (text(&link["rel"]).as_str(), text(&link["href"])),
        ("canonical", format!("https://warn.example/alerts/{id}.cap"))
    );
    assert_eq!(
        (text(&link["type"]).as_str(), link["length"].as_u64()),
        ("application/cap+xml", Some(cap.len() as u64))
    );
    assert!(message.to_string().len() <= 8_192, "the whole message is small");
}
