//! Web push: what an independent reader decrypts, and what each answer of a service means.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tocsin_channels::push::{Push, PushConfig, Subscription, VapidKey, encrypt, generate_key};
use tocsin_channels::{Channel, ChannelKind, Class, Content, Key, Message, PushContent, Urgency, Window};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A service that answers every push with this, and tells what it got.
async fn service(answer: &'static str) -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                let mut buffer = [0; 8_192];
                loop {
                    let n = socket.read(&mut buffer).await.unwrap_or(0);
                    got.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&got).into_owned();
                    let Some((head, _)) = text.split_once("\r\n\r\n") else {
                        if n == 0 {
                            return;
                        }
                        continue;
                    };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                    let length: usize = length.and_then(|n| n.parse().ok()).unwrap_or(0);
                    if got.len() >= head.len() + 4 + length || n == 0 {
                        let _ = sender.send(head.to_owned());
                        if !answer.is_empty() {
                            let _ = socket.write_all(answer.as_bytes()).await;
                        }
                        return;
                    }
                }
            });
        }
    });
    (addr, receiver)
}

fn push(allow: &str) -> Push {
    let text = format!(
        "vapid_key_file = \"unused\"\ncontact = \"mailto:desk@example.org\"\nallow_private = [\"{allow}\"]\nsend_timeout_ms = 4000"
    );
    let key = VapidKey::from_pkcs8(&generate_key().unwrap()).unwrap();
    Push::with_key(&toml::from_str::<PushConfig>(&text).unwrap(), key).unwrap()
}

/// The public key of RFC 8291's appendix A: a browser that exists on paper.
const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

fn subscription(endpoint: &str) -> String {
    serde_json::json!({"endpoint": endpoint, "keys": {"p256dh": P256DH, "auth": AUTH}}).to_string()
}

async fn send(push: &Push, endpoint: &str) -> tocsin_channels::Answer {
    let payload = serde_json::json!({"title": "台风红色预警"}).to_string();
    let content = Content::Push(PushContent { payload, topic: "abcDEF_-123".into(), urgency: Urgency::High });
    let messages = [Message {
        key: Key::derive(1, ChannelKind::Push, 1),
        to: subscription(endpoint),
        leave: None,
        why: None,
        receipt: None,
    }];
    let expires = SystemTime::now() + Duration::from_secs(600);
    let window = Window { content: &content, lane: 0, language: "zh-CN", expires, messages: &messages };
    push.send(window).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_says_how_long_how_urgent_and_who() {
    let (addr, mut got) = service("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    let answer = send(&push(&addr.to_string()), &format!("http://{addr}/push/a")).await;
    assert_eq!(answer.class, Class::Accepted, "{answer:?}");
    let head = got.recv().await.unwrap().to_lowercase();
    for part in [
        "post /push/a ",
        "content-encoding: aes128gcm",
        "urgency: high",
        "topic: abcdef_-123",
        "authorization: vapid t=",
    ] {
        assert!(head.contains(part), "{part}\n{head}");
    }
    let ttl: u64 = head.lines().find_map(|line| line.strip_prefix("ttl: ")).unwrap().parse().unwrap();
    assert!((590..=600).contains(&ttl));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_of_a_service_has_its_class_and_only_gone_means_gone() {
    for (answer, class, wait) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Class::Accepted, None),
        ("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", Class::Accepted, None),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Class::BadAddress, None),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", Class::BadAddress, None),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", Class::Policy, None),
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", Class::Policy, None),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", Class::Policy, None),
        ("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n", Class::Content, None),
        ("HTTP/1.1 429 Slow Down\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", Class::Throttled, Some(7)),
        (
            "HTTP/1.1 429 Slow Down\r\nretry-after: Sat, 06 Nov 2094 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n",
            Class::Throttled,
            Some(3_600),
        ),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", Class::Transient, None),
        ("HTTP/1.1 503 Later\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n", Class::Transient, Some(3)),
        ("HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", Class::Policy, None),
        ("", Class::Ambiguous, None),
    ] {
        let (addr, _got) = service(answer).await;
        let found = send(&push(&addr.to_string()), &format!("http://{addr}/p")).await;
        assert_eq!((found.class, found.retry_after), (class, wait.map(Duration::from_secs)), "{answer}");
        assert_eq!(
            found.gone,
            class == Class::BadAddress,
            "{answer}: 404 and 410 end a subscription, nothing else does"
        );
    }
    let port = tocsin_sinks::real::free_port().unwrap();
    let down = send(&push(&format!("127.0.0.1:{port}")), &format!("http://127.0.0.1:{port}/p")).await;
    assert_eq!(down.class, Class::Transient, "nobody there: nothing left us");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_in_a_private_network_is_not_connected_to() {
    let (addr, mut got) = service("HTTP/1.1 201 Created\r\n\r\n").await;
    let closed = push("10.0.0.0/8");
    for endpoint in [
        format!("http://{addr}/"),
        format!("https://{addr}/"),
        format!("https://localhost:{}/", addr.port()),
        "https://localhost/".into(),
    ] {
        let answer = send(&closed, &endpoint).await;
        assert_ne!(answer.class, Class::Accepted, "{endpoint}");
    }
    assert!(got.try_recv().is_err(), "the service heard nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_kept_by_nobody_and_tells_whether_the_subscription_lives() {
    let (addr, mut got) = service("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    let answer = push(&addr.to_string()).probe(&subscription(&format!("http://{addr}/p"))).await;
    assert_eq!((answer.class, answer.gone), (Class::Accepted, false));
    let head = got.recv().await.unwrap().to_lowercase();
    assert!(head.contains("ttl: 0\r\n") && head.contains("urgency: very-low"), "{head}");
    let (addr, _got) = service("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert!(push(&addr.to_string()).probe(&subscription(&format!("http://{addr}/p"))).await.gone);
}

#[test]
fn a_subscription_is_looked_at_before_it_is_taken() {
    let push = push("10.0.0.0/8");
    assert!(push.allows(&subscription("https://push.example/a")).is_ok());
    for endpoint in ["https://127.0.0.1/a", "http://push.example/a", "https://push.example:8443/", "https://[::1]/"] {
        assert!(push.allows(&subscription(endpoint)).is_err(), "{endpoint}");
    }
    assert!(push.allows("{}").is_err());
}

#[test]
fn an_independent_reader_decrypts_what_we_encrypt() {
    let tools = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/node_modules");
    if !tools.join("http_ece").exists() {
        println!("skipped: npm's http_ece is not in target/tools (cargo xtask test fetches it)");
        return;
    }
    let to = Subscription::parse(&subscription("https://push.example/a")).unwrap();
    for text in ["台风红色预警", "", &"避".repeat(1_331)] {
        let body = encrypt(&to, text.as_bytes(), &ring::rand::SystemRandom::new()).unwrap();
        let script = format!(
            "const ece = require('http_ece'), crypto = require('crypto');\
             const curve = crypto.createECDH('prime256v1'); curve.setPrivateKey('{PRIVATE}', 'base64url');\
             const plain = ece.decrypt(Buffer.from('{}', 'base64url'), {{version: 'aes128gcm', privateKey: curve, authSecret: '{AUTH}'}});\
             process.stdout.write(plain);",
            URL_SAFE_NO_PAD.encode(&body)
        );
        let out = Command::new("node").env("NODE_PATH", &tools).args(["-e", &script]).output().expect("node runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
    }
}
