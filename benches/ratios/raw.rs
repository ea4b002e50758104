//! The raw limit: the same clients in a bare loop, nothing planned, nothing stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tocsin_channels::push::{Subscription, encrypt};

use crate::ours::address;
use crate::process::Watch;
use crate::report::Rate;

/// A mail, a text, a payload of the size that ours have.
const MAIL: usize = 3_600;
const TEXT: &str =
    "【上海中心气象台】台风黄色预警：9月14日20时至15日8时，上海市、吴江区、嘉善县。请立即避险，勿外出，远离门窗。";
const PAYLOAD: usize = 420;
const EVENT: usize = 640;

pub(crate) async fn channel(name: &str, port: u16, people: u64) -> Rate {
    let next = Arc::new(AtomicU64::new(0));
    let watch = Watch::start(None);
    match name {
        "email" => email(port, people, &next).await,
        "mqtt" => mqtt(port, people).await,
        _ => http(name == "push", port, people, &next).await,
    }
    watch.rate(people)
}

/// 16 connections, as many as our engine has workers.
async fn email(port: u16, people: u64, next: &Arc<AtomicU64>) {
    let line = b"VGhpcyBpcyBhIGxpbmUgb2YgYmFzZTY0IHRoYXQgc3RhbmRzIGZvciBhIHdhcm5pbmcgYW5kIG5vdGhpbmc=\r\n";
    let mail: Vec<u8> = line.iter().copied().cycle().take(MAIL).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (next, mail) = (Arc::clone(next), mail.clone());
        tasks.spawn(async move {
            let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
            socket.set_nodelay(true).expect("a socket");
            let hello = ClientId::Domain("w.example.org".into());
            let mut smtp =
                AsyncSmtpConnection::connect_with_transport(Box::new(socket), &hello).await.expect("a greeting");
            let from: lettre::Address = "w@example.org".parse().expect("an address");
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= people {
                    return;
                }
                let to = address("email", n, port).parse().expect("an address");
                let envelope = Envelope::new(Some(from.clone()), vec![to]).expect("an envelope");
                smtp.send(&envelope, &mail).await.expect("INVALID: a mail is refused");
            }
        });
    }
    tasks.join_all().await;
}

/// As many requests at once as our engine has in flight.
async fn http(push: bool, port: u16, people: u64, next: &Arc<AtomicU64>) {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client");
    let random = ring::rand::SystemRandom::new();
    let plain: Arc<[u8]> = vec![b'x'; PAYLOAD].into();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..128 {
        let (next, client, random, plain) = (Arc::clone(next), client.clone(), random.clone(), Arc::clone(&plain));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= people {
                    return;
                }
                let request = if push {
                    let to = Subscription::parse(&address("push", n, port)).expect("a subscription");
                    let body = encrypt(&to, &plain, &random).expect("a body");
                    let request =
                        client.post(to.endpoint).header("ttl", "3600").header("content-encoding", "aes128gcm");
                    request.header("authorization", "vapid t=a.b.c, k=d").body(body)
                } else {
                    let body = serde_json::json!({"to": address("sms", n, port), "text": TEXT}).to_string();
                    client
                        .post(format!("http://127.0.0.1:{port}/sms"))
                        .header("content-type", "application/json")
                        .body(body)
                };
                let answer = request.send().await.expect("INVALID: no answer");
                assert!(answer.status().is_success(), "INVALID: {}", answer.status());
                answer.bytes().await.expect("a body");
            }
        });
    }
    tasks.join_all().await;
}

/// QoS 1, a hundred in flight, done when the last PUBACK is here.
async fn mqtt(port: u16, people: u64) {
    let mut options = MqttOptions::new("raw", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(30));
    options.set_outgoing_inflight_upper_limit(100);
    let mut network = rumqttc::NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    let (client, mut events) = AsyncClient::new(options, 100);
    let sender = tokio::spawn(async move {
        let payload = bytes::Bytes::from(vec![b'x'; EVENT]);
        for n in 0..people {
            let topic = format!("tocsin/v1/device/d{n}/alert/abcdefghijklmnop");
            let properties = PublishProperties {
                message_expiry_interval: Some(3_600),
                user_properties: vec![("tocsin-key".into(), "abcdefghijklmnopqrstuvwxyz".into())],
                content_type: Some("application/json".into()),
                ..PublishProperties::default()
            };
            client
                .publish_with_properties(topic, QoS::AtLeastOnce, true, payload.clone(), properties)
                .await
                .expect("a queue");
        }
        client
    });
    let mut acknowledged = 0;
    while acknowledged < people {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.expect("INVALID: the broker hung up") {
            acknowledged += 1;
        }
    }
    drop(sender.await);
}
