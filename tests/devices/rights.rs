//! Who may read and say what at the broker.

use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, PubAckReason};
use rumqttc::v5::{ConnectionError, MqttOptions};
use serde_json::Value;

use crate::site::{Client, DEVICES, Site, text, topic};
use crate::support::{Cma, RED};

#[tokio::test(flavor = "multi_thread")]
async fn each_account_reads_and_says_what_is_its_own_and_nothing_else() {
    let organisations = "code,name,kind,regions,contact,duty,consent,consent_at,phone\n\
        qp-school,青浦实验小学,school,310118,李明,安全员,2026-1,2026-03-01,13800000001\n";
    let site = Site::start(DEVICES, Some(organisations), "");
    // Nobody without an account, and nobody with a wrong password.
    let nobody = Client::connect(MqttOptions::new("nobody", "127.0.0.1", site.broker.port)).await;
    let mut forged = site.options("dev.qp-siren");
    forged.set_credentials("dev.qp-siren", "guess");
    for refused in [nobody, Client::connect(forged).await] {
        let why = refused.err().expect("refused");
        assert!(
            matches!(
                why,
                ConnectionError::ConnectionRefused(
                    ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword
                )
            ),
            "{why}"
        );
    }
    let mut school = Client::connect(site.options("org.qp-school")).await.unwrap();
    school.subscribe("#").await;
    let mut siren = site.device("qp-siren").await;
    siren.subscribe("#").await;
    let mut horn = site.device("sj-horn").await;

    // A siren says of itself what a siren says, and nothing in another's name, nor in ours.
    for (topic, allowed) in [
        (topic("qp-siren", "heartbeat"), true),
        (topic("qp-siren", "played"), true),
        (topic("sj-horn", "heartbeat"), false),
        (topic("sj-horn", "played"), false),
        (topic("qp-siren", "alert/x"), false),
        (topic("sj-horn", "alert/x"), false),
        ("tocsin/v1/current/310118/typhoon".into(), false),
        ("tocsin/v1/status".into(), false),
        ("elsewhere".into(), false),
    ] {
        let said = siren.publish(&topic, b"{\"id\":\"aaaaaaaaaaaaaaaa\"}", false).await;
        assert_eq!(said != PubAckReason::NotAuthorized, allowed, "{topic}: {said:?}");
    }
    for topic in ["tocsin/v1/current/310118/typhoon", "tocsin/v1/event/310118/typhoon", "org.qp-school"] {
        assert_eq!(school.publish(topic, b"x", true).await, PubAckReason::NotAuthorized, "{topic}");
    }

    // Each reads its own county, or its own alerts, whatever it subscribes to.
    let elsewhere = Cma { code: "310117000000".into(), colour: RED, ..Cma::new("songjiang") };
    site.send(&Cma { code: "310117000000".into(), event: ("暴雨", "Rainstorm"), ..Cma::new("below") }).await;
    let id = site.send(&elsewhere).await;
    let (at, said) = horn.message().await;
    assert!(at.starts_with("tocsin/v1/device/sj-horn/alert/"), "{at}");
    assert_eq!(said["id"], id.as_str(), "a yellow one is below what this horn plays");
    let own = Cma { event: ("暴雨", "Rainstorm"), colour: RED, ..Cma::new("qingpu") };
    let heard = school.messages_before(&site, &own).await;
    assert!(heard.iter().all(|(topic, _)| topic == "tocsin/v1/status"), "{heard:?}");
    let heard = siren.messages_before(&site, &Cma { event: ("台风", "Typhoon"), ..Cma::new("second") }).await;
    let strange: Vec<_> = heard
        .iter()
        .map(|(topic, _)| topic)
        .filter(|t| !t.contains("/device/qp-siren/alert/") && *t != "tocsin/v1/status")
        .collect();
    assert!(strange.is_empty() && !heard.is_empty(), "{heard:?}");

    // A new password: the old one ends when the broker has read its files, which are written by themselves.
    let before = std::fs::read_to_string(site.file("passwords")).unwrap();
    assert!(before.lines().all(|line| line.contains(":$7$101$")) && before.contains("tocsin:"), "{before}");
    let (well, out, _) = site.server.tocsin(&["--json", "devices", "renew", "qp-siren"]);
    assert!(well);
    let renewed: Value = serde_json::from_str(&out).unwrap();
    assert!(!before.contains(&text(&renewed["password"])), "hashes only");
    for _ in 0..2_000 {
        if std::fs::read_to_string(site.file("passwords")).unwrap() != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.broker.reload().unwrap();
    let mut new = site.options("dev.qp-siren");
    new.set_credentials("dev.qp-siren", text(&renewed["password"]));
    let mut tries = 0;
    while Client::connect(new.clone()).await.is_err() {
        tries += 1;
        assert!(tries < 2_000, "the new password is good");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(Client::connect(site.options("dev.qp-siren")).await.is_err(), "the old one is not");
    assert!(site.server.tocsin(&["devices", "end", "qp-siren"]).0);
    // The passwords are put in place last.
    for _ in 0..2_000 {
        if !std::fs::read_to_string(site.file("passwords")).unwrap().contains("qp-siren") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for name in ["acl", "passwords"] {
        assert!(!std::fs::read_to_string(site.file(name)).unwrap().contains("qp-siren"), "{name}");
    }
}
