//! The whole way: an alert posted to a running server reaches smtp-sink, Kannel, mosquitto and a push service; what must not
//! go out does not; what is withdrawn is withdrawn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::crew::Crew;
use support::{Cma, RED, Server, write_config};
use tocsin_sinks::real::{Kannel, Mosquitto, SmtpSink};
use tocsin_sinks::{Tally, broker, gateway, smtp};

const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

fn push_csv(addr: std::net::SocketAddr) -> String {
    let keys = json!({"p256dh": P256DH, "auth": "BTBZMqHH6r4Tts7J_aSIgg"});
    json!({"endpoint": format!("http://{addr}/push/1"), "keys": keys}).to_string().replace('"', "\"\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_of_the_weather_service_reaches_every_channel() {
    let folder = tempfile::tempdir().unwrap();
    let servers = tempfile::tempdir().unwrap();
    let (mail, sms) = (SmtpSink::start(servers.path()).unwrap(), Kannel::start(servers.path()).unwrap());
    let mqtt = Mosquitto::start(servers.path(), None).unwrap();
    let push = gateway::start_push(Tally::keeping_keys()).await.unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("password"), "secret").unwrap();
    std::fs::write(path("leave"), "0123456789abcdef0123456789abcdef").unwrap();
    let kannel = include_str!("../channels/src/sms/gateways/kannel.toml")
        .replace("13013", &sms.port.to_string())
        .replace("secrets/kannel-password", &path("password"));
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"预警 <w@example.org>\", domain = \"w.example.org\" }}\n\
         [channels.mqtt]\nvia = {{ host = \"127.0.0.1\", port = {} }}\n\
         [channels.push]\nvia = {{ vapid_key_file = \"{}\", contact = \"mailto:d@example.org\", allow_private = [\"{}\"] }}\n\
         [channels.sms]\n[channels.sms.via]\n{kannel}\n",
        mail.port,
        mqtt.port,
        path("vapid.der"),
        push.addr
    );
    let config = write_config(folder.path(), &more);
    let text = std::fs::read_to_string(&config).unwrap();
    let server =
        format!("[server]\npublic_url = \"https://warn.example.org\"\nleave_secret_file = \"{}\"", path("leave"));
    std::fs::write(&config, text.replace("[server]", &server)).unwrap();
    assert!(support::tocsin(&config, &["keys", "push", &path("vapid.der")]).0);
    let (well, out, _) = support::tocsin(&config, &["config", "check"]);
    assert!(well, "{out}");
    let csv = format!(
        "region,language,phone,email,push,device\n310118,zh-CN,13812345678,li@example.org,\"{}\",siren-1\n310118,en,,smith@example.org,,\n\
         320509,zh-CN,13900000000,elsewhere@example.org,,\n",
        push_csv(push.addr)
    );
    std::fs::write(path("people.csv"), csv).unwrap();
    let (well, out, _) = support::tocsin(&config, &["--json", "subscribers", "import", &path("people.csv")]);
    assert!(well && out.contains("\"addresses\":7"), "{out}");

    let server = Server::start_in(folder);
    let began = std::time::Instant::now();
    let (status, answer) = server.post(Cma::new("1").xml()).await;
    assert_eq!(
        (status, answer["state"].as_str(), answer["verdict"].as_str()),
        (201, Some("released"), Some("accepted")),
        "{answer}"
    );
    let id = answer["id"].as_str().unwrap();
    let states = server
        .until(id, |states| states["planned"] == true && states["states"]["accepted"] == states["audience"])
        .await;
    println!("taken by every provider {} ms after the alert was posted", began.elapsed().as_millis());
    // One text, two mails, one push, the region's topic and the siren's.
    assert_eq!(states["audience"], 6, "{states}");
    assert_eq!(push.tally.counts().messages, 1);
    let mails = mail.mails().unwrap();
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|mail| mail.contains("List-Unsubscribe: <https://warn.example.org/leave/")));
    assert!(!mails.iter().any(|mail| mail.contains("elsewhere")));
    let got = loop {
        let got = sms.messages().unwrap();
        if !got.is_empty() {
            break got;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(got.iter().all(|(to, _)| to == "+8613812345678"), "{got:?}");
    assert!(got.first().is_some_and(|(_, text)| text.starts_with("【上海中心气象台】台风黄色预警：")), "{got:?}");

    let (status, answer) = server.post(Cma::new("1").xml()).await;
    assert!(matches!(status, 200 | 201), "{answer}");
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("tocsin_answers{channel=\"email\",provider=\"email\",class=\"accepted\"}"), "{metrics}");

    // One click and out: a GET asks, a POST leaves, again is no error, a forged link leads nowhere.
    let link = mails
        .iter()
        .find_map(|mail| mail.split("https://warn.example.org").nth(1)?.split('>').next().map(str::to_owned))
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(server.get(&link).await.status(), 200);
    for _ in 0..2 {
        let form =
            client.post(format!("{}{link}", server.url)).body("List-Unsubscribe=One-Click").send().await.unwrap();
        assert_eq!(form.status(), 200);
    }
    assert_eq!(server.get("/leave/forged").await.status(), 404);
    let (_, counts, _) = server.tocsin(&["--json", "subscribers", "count"]);
    let counts: serde_json::Value = serde_json::from_str(&counts).unwrap();
    let all: u64 = counts["addresses"].as_array().unwrap().iter().map(|c| c["addresses"].as_u64().unwrap()).sum();
    assert_eq!(all, 6, "one of seven has left");
}

/// A server with a mail sink and an MQTT broker, and five people in Qingpu.
async fn small() -> (Server, tocsin_sinks::Sink, broker::Broker) {
    let mail = smtp::start(Tally::keeping_keys()).await.unwrap();
    let mqtt = broker::start(Tally::counting()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n\
         [channels.mqtt]\nvia = {{ host = \"127.0.0.1\", port = {} }}\n",
        mail.addr.port(),
        mqtt.sink.addr.port()
    );
    let config = write_config(folder.path(), &more);
    let people = folder.path().join("people.csv");
    let rows: String =
        (0..5).map(|n| format!("310118,zh-CN,r{n}@example.org\n310120,zh-CN,f{n}@example.org\n")).collect();
    std::fs::write(&people, format!("region,language,email\n{rows}")).unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", people.to_str().unwrap()]).0);
    (Server::start_in(folder), mail, mqtt)
}

fn done(states: &serde_json::Value) -> bool {
    states["planned"] == true && states["states"]["waiting"] == 0 && states["states"]["sending"] == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_warning_waits_for_two_officers_and_goes_out_once() {
    let (server, mail, _mqtt) = small().await;
    let crew = Crew::of(&server).await;
    let mut tokens = Vec::new();
    let (li, wang) = (crew.officer("li", &["reviewer:310000"]).await, crew.officer("wang", &["signer:310000"]).await);
    for officer in [&li, &wang] {
        tokens.push(crew.token(officer, &["read", "approve"], 1).await);
    }
    let red = Cma { colour: RED, ..Cma::new("red") };
    let (status, answer) = server.post(red.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")));
    let id = answer["id"].as_str().unwrap();
    assert_eq!(server.states(id).await["audience"], 0);
    let as_officer = |token: &str, arguments: &[&str]| {
        let path = server.folder.path().join("token");
        std::fs::write(&path, token).unwrap();
        server.tocsin(&[arguments, &["--server", &server.url, "--token-file", path.to_str().unwrap()]].concat())
    };
    let (well, out, _) = as_officer(&tokens[0], &["queue"]);
    assert!(well && out.contains("review+sign") && out.contains("上海"), "{out}");
    let (well, out, _) = as_officer(&tokens[0], &["approve", "1", "--confirm", "青浦", "--code", &li.code().await]);
    assert!(!well && out.contains("T6014"), "the word is the jurisdiction's name: {out}");
    let (well, out, _) = as_officer(&tokens[0], &["approve", "1", "--confirm", "上海市", "--code", &li.code().await]);
    assert!(well && out.contains("waiting for: sign"), "{out}");
    assert_eq!(server.states(id).await["audience"], 0, "one yes of two");
    let (well, out, _) =
        as_officer(&tokens[1], &["approve", "1", "--confirm", "Shanghai", "--code", &wang.code().await]);
    assert!(well && out.contains("released"), "{out}");
    server.until(id, done).await;
    assert_eq!(mail.tally.counts().messages, 5);
    let (well, out, _) =
        as_officer(&tokens[1], &["approve", "1", "--confirm", "Shanghai", "--code", &wang.code().await]);
    assert!(!well && out.contains("T6002") && out.contains("does not wait"), "{out}");
    let (well, out, _) = as_officer(&tokens[1], &["take", "99"]);
    assert!(!well && out.contains("T6001"), "{out}");
    let (_, out, _) = as_officer(&tokens[1], &["queue"]);
    assert_eq!(out, "nothing waits\n");
    assert_eq!(mail.tally.counts(), tocsin_sinks::Counts { messages: 5, repeats: 0, faults: 0 });
    let (well, out, _) = server.tocsin(&["audit", "verify"]);
    assert!(well && out.contains("the record is whole"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_moves_on_and_a_cancel_ends_for_everyone_told() {
    let (server, mail, mqtt) = small().await;
    let first = Cma::new("a");
    let (_, answer) = server.post(first.xml()).await;
    let first_id = answer["id"].as_str().unwrap().to_owned();
    server.until(&first_id, done).await;
    let current = |region: &str| format!("tocsin/v1/current/{region}/typhoon");
    assert!(mqtt.retained().contains_key(&current("310118")));

    let update = Cma { msg_type: "Update", code: "310120000000".into(), ..Cma::new("b") }.refers_to(&first);
    let (status, answer) = server.post(update.xml()).await;
    assert_eq!(status, 201, "{answer}");
    let update_id = answer["id"].as_str().unwrap().to_owned();
    let states = server.until(&update_id, done).await;
    // Five told before, five in the new area, and both regions' topics.
    assert_eq!(states["states"]["accepted"], 12, "{states}");
    assert!(mqtt.retained().contains_key(&current("310120")) && !mqtt.retained().contains_key(&current("310118")));
    assert_eq!(
        server.json(&format!("/api/v1/alerts/{first_id}")).await["superseded_by"].as_str(),
        Some(update_id.as_str())
    );

    let cancel = Cma { msg_type: "Cancel", code: "310120000000".into(), ..Cma::new("c") }.refers_to(&update);
    let (_, answer) = server.post(cancel.xml()).await;
    let states = server.until(answer["id"].as_str().unwrap(), done).await;
    assert_eq!(states["states"]["accepted"], 12, "the cancel goes to all who were told, by the first or by the update");
    assert!(mqtt.retained().keys().all(|topic| !topic.contains("/current/")));
    assert_eq!((mail.tally.counts().messages, mail.tally.counts().repeats), (5 + 10 + 10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_without_a_word_ends_what_it_references() {
    let (server, mail, mqtt) = small().await;
    let alert = Cma::new("a");
    let (_, answer) = server.post(alert.xml()).await;
    server.until(answer["id"].as_str().unwrap(), done).await;
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("c") }.refers_to(&alert).xml();
    let bare = format!("{}</alert>", cancel.split("<info>").next().unwrap());
    let (status, answer) = server.post(bare).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
    let states = server.until(answer["id"].as_str().unwrap(), done).await;
    assert_eq!(states["states"]["accepted"], 6);
    assert!(mqtt.retained().keys().all(|topic| !topic.contains("/current/")), "the typhoon's own topic is cleared");
    assert!(mail.tally.last_text().contains("Subject:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_says_all_clear_ends_it() {
    let (server, mail, mqtt) = small().await;
    let alert = Cma::new("a");
    let (_, answer) = server.post(alert.xml()).await;
    server.until(answer["id"].as_str().unwrap(), done).await;
    let clear = Cma { msg_type: "Update", ..Cma::new("b") }.refers_to(&alert).xml();
    let clear = clear.replace("<urgency>", "<responseType>AllClear</responseType><urgency>");
    let (_, answer) = server.post(clear).await;
    let states = server.until(answer["id"].as_str().unwrap(), done).await;
    assert_eq!(states["states"]["accepted"], 6, "those told, and nobody else");
    assert!(mqtt.retained().keys().all(|topic| !topic.contains("/current/")));
    assert_eq!(mail.tally.counts().messages, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_first_keeps_its_alert_from_going_out() {
    let (server, mail, _mqtt) = small().await;
    let alert = Cma::new("late");
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("early") }.refers_to(&alert);
    assert_eq!(server.post(cancel.xml()).await.0, 201);
    let (status, answer) = server.post(alert.xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("withheld")), "{answer}");
    let next = Cma::new("other");
    let (_, answer) = server.post(next.xml()).await;
    server.until(answer["id"].as_str().unwrap(), done).await;
    assert_eq!(mail.tally.counts().messages, 5, "only the other one went out");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_read_again_and_a_broken_file_is_not_taken() {
    let mut server = small().await.0;
    server.stop();
    let rules = server.folder.path().join("rules.toml");
    std::fs::write(&rules, include_str!("../rules/delta.toml")).unwrap();
    let config = std::fs::read_to_string(server.config()).unwrap();
    std::fs::write(server.config(), format!("{config}\n[rules]\nfile = \"{}\"\n", rules.display())).unwrap();
    server.run();
    let reload = |server: &Server| {
        let sent = std::process::Command::new("kill").args(["-HUP", &server.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    let stricter = include_str!("../rules/delta.toml").replace("approval = \"none\"", "approval = \"one\"");
    std::fs::write(&rules, "[[rule]]\nnam = 1").unwrap();
    reload(&server);
    server.logs("the new configuration is refused").await;
    assert_eq!(server.post(Cma::new("1").xml()).await.1["state"], "released", "the old rules stay in force");
    std::fs::write(&rules, stricter).unwrap();
    reload(&server);
    server.logs("were read again").await;
    let (_, answer) = server.post(Cma { event: ("暴雨", "Rainstorm"), ..Cma::new("2") }.xml()).await;
    assert_eq!(answer["state"], "waiting");
    assert!(server.stop(), "a graceful stop: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_seen_by_its_last_will_and_shows_what_is_in_force_when_it_is_back() {
    let servers = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(servers.path(), None).unwrap();
    let mut server =
        Server::start(&format!("[channels.mqtt]\nvia = {{ host = \"127.0.0.1\", port = {} }}\n", broker.port));
    let mut seen = listen(broker.port).await;
    let (_, answer) = server.post(Cma::new("1").xml()).await;
    server.until(answer["id"].as_str().unwrap(), done).await;
    let current = "tocsin/v1/current/310118/typhoon";
    while seen.recv().await.unwrap().0 != current {}
    server.kill();
    while seen.recv().await.unwrap() != ("tocsin/v1/status".to_owned(), "offline".to_owned()) {}
    server.run();
    while seen.recv().await.unwrap().0 != current {}
}

/// Everything published from now on, as topic and text.
async fn listen(port: u16) -> tokio::sync::mpsc::UnboundedReceiver<(String, String)> {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::Packet;
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let (client, mut events) = AsyncClient::new(MqttOptions::new("listener", "127.0.0.1", port), 10);
    client.subscribe("tocsin/v1/#", QoS::AtLeastOnce).await.unwrap();
    while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let _client = client;
        while let Ok(event) = events.poll().await {
            if let Event::Incoming(Packet::Publish(publish)) = event {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                drop(sender.send((text(&publish.topic), text(&publish.payload))));
            }
        }
    });
    receiver
}
