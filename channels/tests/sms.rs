//! Short messages to a real Kannel, and to gateways that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::time::{Duration, SystemTime};

use tocsin_channels::sms::{GatewayConfig, Sms};
use tocsin_channels::{Channel, ChannelKind, Class, Content, Key, Message, SmsContent, Window};
use tocsin_sinks::real::Kannel;
use tocsin_sinks::{Fault, Faults, Tally, gateway};

fn messages(n: u64) -> Vec<Message> {
    let message = |n| Message {
        key: Key::derive(1, ChannelKind::Sms, n),
        to: format!("+86138{n:08}"),
        leave: None,
        why: None,
        receipt: None,
    };
    (0..n).map(message).collect()
}

async fn send(sms: &Sms, text: &str, messages: &[Message]) -> Vec<Class> {
    let content = Content::Sms(SmsContent { text: text.into() });
    let expires = SystemTime::now() + Duration::from_secs(3_600);
    let answers = sms.send(Window { content: &content, lane: 0, language: "zh-CN", expires, messages }).await;
    answers.into_iter().map(|answer| answer.class).collect()
}

fn kannel(port: u16, password: &std::path::Path) -> Sms {
    let text = include_str!("../src/sms/gateways/kannel.toml")
        .replace("13013", &port.to_string())
        .replace("secrets/kannel-password", &password.display().to_string());
    Sms::new(&toml::from_str::<GatewayConfig>(&text).unwrap()).unwrap()
}

fn json(addr: &str) -> Sms {
    let text =
        include_str!("../src/sms/gateways/json.toml").replace("127.0.0.1:8080", addr) + "\nsend_timeout_ms = 4000\n";
    Sms::new(&toml::from_str::<GatewayConfig>(&text).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chinese_warning_arrives_whole_through_kannel() {
    let folder = tempfile::tempdir().unwrap();
    let kannel_server = Kannel::start(folder.path()).unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    let sms = kannel(kannel_server.port, &password);
    let text = "【上海气象】台风红色预警：今晚8时至明晨，青浦等地阵风13级。请立即避险，勿外出。";
    assert_eq!(send(&sms, text, &messages(2)).await, [Class::Accepted; 2]);
    let got = loop {
        let got = kannel_server.messages().unwrap();
        if got.len() >= 2 {
            break got;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(got.iter().any(|(to, _)| to == "+8613800000001"));
    assert!(got.iter().all(|(_, got)| got == text), "{got:?}");

    std::fs::write(&password, "wrong").unwrap();
    let refused = self::kannel(kannel_server.port, &password);
    assert_eq!(send(&refused, text, &messages(1)).await, [Class::Policy], "our fault, nobody's address");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_of_a_gateway_has_its_class() {
    for (fault, class) in
        [(Fault::Throttle, Class::Throttled), (Fault::Later, Class::Transient), (Fault::Silence, Class::Ambiguous)]
    {
        let sink = gateway::start_sms(Tally::faulty(Faults { every: 3, with: fault })).await.unwrap();
        let classes = send(&json(&sink.addr.to_string()), "t", &messages(9)).await;
        let faulty = classes.iter().filter(|found| **found != Class::Accepted).collect::<Vec<_>>();
        // A connection that ends takes the requests behind it along: those are unclear too, never called sent.
        assert!(faulty.iter().all(|found| **found == class), "{fault:?}: {classes:?}");
        assert!(!faulty.is_empty());
        let accepted = classes.len() - faulty.len();
        assert!(sink.tally.counts().messages >= accepted as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_there_took_nothing() {
    let port = tocsin_sinks::real::free_port().unwrap();
    assert_eq!(send(&json(&format!("127.0.0.1:{port}")), "t", &messages(3)).await, [Class::Transient; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_never_answers_may_have_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let held = tokio::spawn(async move {
        let mut sockets = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            sockets.push(socket);
        }
    });
    assert_eq!(send(&json(&addr), "t", &messages(2)).await, [Class::Ambiguous; 2]);
    held.abort();
}
