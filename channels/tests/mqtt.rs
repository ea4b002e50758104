//! MQTT against a real mosquitto, killed and started again, and a broker that misbehaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::time::{Duration, SystemTime};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tocsin_channels::mqtt::{InForce, Mqtt, MqttConfig};
use tocsin_channels::{Answer, Channel, ChannelKind, Class, Content, Key, Message, MqttContent, Window};
use tocsin_sinks::real::Mosquitto;
use tocsin_sinks::{Fault, Faults, Tally, broker};
use tokio::sync::mpsc;

fn mqtt(port: u16, more: &str) -> Mqtt {
    let text = format!("host = \"127.0.0.1\"\nport = {port}\nack_timeout_ms = 3000\n{more}");
    Mqtt::new(&toml::from_str::<MqttConfig>(&text).unwrap()).unwrap()
}

fn messages(to: &[&str]) -> Vec<Message> {
    let message = |(n, to): (u64, &&str)| Message {
        key: Key::derive(1, ChannelKind::Mqtt, n),
        to: (*to).into(),
        leave: None,
        why: None,
        receipt: None,
    };
    (0..).zip(to).map(message).collect()
}

fn content(state: Option<&str>) -> Content {
    content_of("a", 1, state)
}

fn content_of(chain: &str, rank: u8, state: Option<&str>) -> Content {
    let event = "{\"level\":\"red\"}".to_owned();
    Content::Mqtt(MqttContent {
        hazard: "typhoon".into(),
        event,
        chain: chain.into(),
        rank,
        state: state.map(str::to_owned),
        device: Some("sound".into()),
        exercise: false,
    })
}

async fn send_until(mqtt: &Mqtt, content: &Content, messages: &[Message], expires: SystemTime) -> Vec<Class> {
    let window = Window { content, lane: 0, language: "zh-CN", expires, messages };
    mqtt.send(window).await.into_iter().map(|answer: Answer| answer.class).collect()
}

async fn send(mqtt: &Mqtt, state: Option<&str>, to: &[&str]) -> Vec<Class> {
    send_until(mqtt, &content(state), &messages(to), SystemTime::now() + Duration::from_secs(600)).await
}

/// Everything published below `filter` from now on, retained messages first.
async fn listen(port: u16, filter: &'static str) -> mpsc::UnboundedReceiver<Publish> {
    let mut options = MqttOptions::new(format!("listener-{:?}", std::time::Instant::now()), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    let (sender, receiver) = mpsc::unbounded_channel();
    let (subscribed, ready) = tokio::sync::oneshot::channel();
    client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
    tokio::spawn(async move {
        let _client = client;
        let mut subscribed = Some(subscribed);
        while let Ok(event) = events.poll().await {
            match event {
                Event::Incoming(Packet::SubAck(_)) => drop(subscribed.take().map(|s| s.send(()))),
                Event::Incoming(Packet::Publish(publish)) => drop(sender.send(publish)),
                _ => {}
            }
        }
    });
    ready.await.unwrap();
    receiver
}

/// What is retained below `filter`: a marker published last shows that all came.
async fn retained(port: u16, filter: &'static str) -> Vec<(String, String)> {
    let mut got = listen(port, filter).await;
    let options = MqttOptions::new("marker", "127.0.0.1", port);
    let (client, mut events) = AsyncClient::new(options, 10);
    client.publish(filter.replace('#', "marker"), QoS::AtLeastOnce, false, "").await.unwrap();
    let poll = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let mut all = Vec::new();
    while let Some(publish) = got.recv().await {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        if topic.ends_with("/marker") {
            break;
        }
        all.push((topic, String::from_utf8_lossy(&publish.payload).into_owned()));
    }
    poll.abort();
    all.sort();
    all
}

fn pair(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_has_its_state_retained_and_an_event_and_a_cancel_clears_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), None).unwrap();
    let mut events = listen(broker.port, "tocsin/v1/event/#").await;
    let mut devices = listen(broker.port, "tocsin/v1/device/#").await;
    let mqtt = mqtt(broker.port, "");
    assert_eq!(
        send(&mqtt, Some("on"), &["region/310118", "drill/310118", "device/siren-1"]).await,
        [Class::Accepted; 3]
    );
    let event = events.recv().await.unwrap();
    assert_eq!(event.topic, "tocsin/v1/event/310118/typhoon");
    let properties = event.properties.unwrap();
    assert!(properties.message_expiry_interval.is_some_and(|left| (590..=600).contains(&left)));
    let key = Key::derive(1, ChannelKind::Mqtt, 0).to_string();
    assert!(properties.user_properties.contains(&("tocsin-key".into(), key)));
    // A siren's word too: one that was off must not find it when it is over.
    let left = devices.recv().await.unwrap().properties.unwrap().message_expiry_interval;
    assert!(left.is_some_and(|left| (590..=600).contains(&left)), "{left:?}");
    let expected = [
        pair("tocsin/v1/current/310118/typhoon", "on"),
        pair("tocsin/v1/device/siren-1/alert/a", "sound"),
        pair("tocsin/v1/exercise/current/310118/typhoon", "on"),
        pair("tocsin/v1/status", "online"),
    ];
    assert_eq!(retained(broker.port, "tocsin/v1/#").await, expected);

    assert_eq!(send(&mqtt, None, &["region/310118"]).await, [Class::Accepted]);
    assert_eq!(retained(broker.port, "tocsin/v1/current/#").await, []);
    mqtt.close().await;
    let status = retained(broker.port, "tocsin/v1/#").await;
    assert!(status.contains(&pair("tocsin/v1/status", "offline")), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path(), None).unwrap();
    let mqtt = mqtt(broker.port, "");
    assert_eq!(send(&mqtt, Some("on"), &["region/310118", "region/320509"]).await, [Class::Accepted; 2]);
    assert_eq!(mqtt.clear_expired(SystemTime::now()).await, 0);
    assert_eq!(mqtt.clear_expired(SystemTime::now() + Duration::from_secs(700)).await, 2);
    loop {
        if retained(broker.port, "tocsin/v1/current/#").await.is_empty() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_gets_what_is_in_force_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Mosquitto::start(folder.path(), None).unwrap();
    let mqtt = mqtt(broker.port, "");
    let restored = InForce {
        to: "region/330421".into(),
        hazard: "rainstorm".into(),
        chain: "r".into(),
        rank: 2,
        payload: "rain".into(),
        expires: SystemTime::now() + Duration::from_secs(600),
    };
    mqtt.restore(vec![restored]).await;
    assert_eq!(send(&mqtt, Some("on"), &["region/310118", "region/320509"]).await, [Class::Accepted; 2]);
    assert_eq!(send(&mqtt, None, &["region/320509"]).await, [Class::Accepted]);
    broker.kill_and_restart().unwrap();
    let expected = [pair("tocsin/v1/current/310118/typhoon", "on"), pair("tocsin/v1/current/330421/rainstorm", "rain")];
    loop {
        let now = retained(broker.port, "tocsin/v1/current/#").await;
        if now == expected {
            break;
        }
        assert!(now.iter().all(|state| expected.contains(state)), "{now:?}");
    }
    // The connection is back: messages go through once it is.
    while send(&mqtt, Some("again"), &["region/310118"]).await != [Class::Accepted] {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone_took_nothing_and_a_wrong_password_is_our_fault() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Mosquitto::start(folder.path(), Some("right")).unwrap();
    let password = folder.path().join("own");
    let account = format!("username = \"tocsin\"\npassword_file = \"{}\"", password.display());
    std::fs::write(&password, "right").unwrap();
    let good = mqtt(broker.port, &account);
    assert_eq!(send(&good, Some("on"), &["region/310118"]).await, [Class::Accepted]);
    std::fs::write(&password, "wrong").unwrap();
    let bad = mqtt(broker.port, &format!("{account}\nclient_id = \"other\""));
    assert_eq!(send(&bad, Some("on"), &["region/310118"]).await, [Class::Policy]);
    broker.kill();
    while send(&good, Some("on"), &["region/310118"]).await != [Class::Transient] {}
}

#[tokio::test(flavor = "multi_thread")]
async fn each_packet_has_its_own_answer() {
    // The device topics are one publish each; "online" is the first, so every third of 30 is refused from the second device on.
    let refusing = broker::start(Tally::faulty(Faults { every: 3, with: Fault::Throttle })).await.unwrap();
    let one = mqtt(refusing.sink.addr.port(), "inflight = 5");
    let names: Vec<_> = (0..30).map(|n| format!("device/d{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let classes = send(&one, None, &names).await;
    let keys = refusing.sink.tally.keys();
    for (n, class) in classes.iter().enumerate() {
        let key = Key::derive(1, ChannelKind::Mqtt, n as u64);
        let there = keys.contains_key(&format!("tocsin/v1/device/d{n}/alert/a {key}"));
        assert_eq!(there, *class == Class::Accepted, "d{n}: {class:?}");
        assert!(matches!(class, Class::Accepted | Class::Throttled));
    }
    assert!(classes.contains(&Class::Throttled));

    let silent = broker::start(Tally::faulty(Faults { every: 10, with: Fault::Silence })).await.unwrap();
    let other = mqtt(silent.sink.addr.port(), "inflight = 50");
    let classes = send(&other, None, &names).await;
    let accepted = classes.iter().filter(|class| **class == Class::Accepted).count();
    assert!(accepted < 30, "the broker hung up before all were acknowledged");
    assert!(
        classes.iter().all(|class| matches!(class, Class::Accepted | Class::Ambiguous | Class::Transient)),
        "{classes:?}"
    );
    assert!(silent.sink.tally.counts().messages >= accepted as u64, "nothing is called sent that was not taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_topic_is_refused() {
    let sink = broker::start(Tally::counting()).await.unwrap();
    let mqtt = mqtt(sink.sink.addr.port(), "");
    let classes = send(&mqtt, None, &["region/#", "device/a/b", "nowhere", "region/", "mail/a"]).await;
    assert_eq!(classes, [Class::BadAddress; 5]);
    let text = "host = \"example.org\"\nport = 1883\nusername = \"u\"\npassword_file = \"/dev/null\"";
    assert!(Mqtt::new(&toml::from_str::<MqttConfig>(text).unwrap()).is_err(), "never a password in the clear");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_events_in_force_the_gravest_is_shown_and_the_other_after_it() {
    let sink = broker::start(Tally::counting()).await.unwrap();
    let mqtt = mqtt(sink.sink.addr.port(), "");
    let shown = || sink.retained().get("tocsin/v1/current/310118/typhoon").map(|payload| payload.to_vec());
    let (to, hour) = (messages(&["region/310118"]), Duration::from_secs(3_600));
    let soon = SystemTime::now() + hour;
    for (chain, rank, state, shows) in [
        ("nation", 0, Some("red"), Some("red")),
        ("city", 1, Some("orange"), Some("red")),
        ("nation", 3, Some("blue"), Some("orange")),
        ("city", 1, None, Some("blue")),
        ("nation", 3, None, None),
    ] {
        assert_eq!(send_until(&mqtt, &content_of(chain, rank, state), &to, soon).await, [Class::Accepted]);
        assert_eq!(shown().as_deref(), shows.map(str::as_bytes), "{chain} {state:?}");
    }
    // An event that changes its hazard leaves nothing behind on the old topic.
    let Content::Mqtt(mut flood) = content_of("nation", 0, Some("flood")) else { unreachable!() };
    send_until(&mqtt, &content_of("nation", 0, Some("red")), &to, soon).await;
    flood.hazard = "flood".into();
    send_until(&mqtt, &Content::Mqtt(flood), &to, soon).await;
    assert_eq!(shown(), None);
    assert!(sink.retained().contains_key("tocsin/v1/current/310118/flood"));
    send_until(&mqtt, &content_of("short", 0, Some("red")), &to, soon).await;
    send_until(&mqtt, &content_of("long", 2, Some("yellow")), &to, soon + hour).await;
    assert_eq!(mqtt.clear_expired(soon + Duration::from_secs(1)).await, 2, "the flood and the short red one");
    while shown().as_deref() != Some(b"yellow") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
