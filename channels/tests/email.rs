//! Mail to a real smtp-sink, to relays that misbehave at each step, and over TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tocsin_channels::email::{Email, EmailConfig};
use tocsin_channels::{Channel, ChannelKind, Class, Content, EmailContent, Key, Message, Window};
use tocsin_sinks::real::SmtpSink;
use tocsin_sinks::{Fault, Faults, Tally, smtp};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn email(relays: &[(u16, &str)]) -> Email {
    let relay = |(port, more): &(u16, &str)| format!("{{ host = \"localhost\", port = {port}, {more} }}");
    let relays: Vec<_> = relays.iter().map(relay).collect();
    let text = format!(
        "relays = [{}]\nfrom = '上海预警 <warn@example.org>'\ndomain = 'warn.example.org'\nlist_id = 'w.example.org'\nsend_timeout_ms = 4000",
        relays.join(", ")
    );
    Email::new(&toml::from_str::<EmailConfig>(&text).unwrap()).unwrap()
}

const PLAIN: &str = "tls = \"none\"";

fn messages(n: u64) -> Vec<Message> {
    let message = |n| Message {
        key: Key::derive(1, ChannelKind::Email, n),
        to: format!("r{n}@example.org"),
        leave: Some(format!("https://warn.example.org/leave/{n}")),
        why: None,
        receipt: None,
    };
    (0..n).map(message).collect()
}

async fn send(email: &Email, messages: &[Message]) -> Vec<Class> {
    let content = Content::Email(EmailContent {
        subject: "台风红色预警".into(),
        text: "今晚8时起阵风13级。\n.\n请立即避险。\n".into(),
        html: "<p>今晚8时起阵风13级。</p>".into(),
        picture: None,
    });
    let expires = SystemTime::now() + Duration::from_secs(3_600);
    let answers = email.send(Window { content: &content, lane: 0, language: "zh-CN", expires, messages }).await;
    answers.into_iter().map(|answer| answer.class).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_arrive_whole_at_a_real_server() {
    let folder = tempfile::tempdir().unwrap();
    let sink = SmtpSink::start(folder.path()).unwrap();
    let email = email(&[(sink.port, PLAIN)]);
    assert_eq!(send(&email, &messages(3)).await, [Class::Accepted; 3]);
    email.close().await;
    let mails = sink.mails().unwrap();
    assert_eq!(mails.len(), 3);
    for mail in &mails {
        for part in [
            "List-Unsubscribe: <https://warn.example.org/leave/",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "Auto-Submitted: auto-generated",
            "List-Id: <w.example.org>",
            "Message-ID: <",
            "@warn.example.org>",
        ] {
            assert!(mail.contains(part), "{part}\n{mail}");
        }
    }
    let one = mails.iter().find(|mail| mail.contains("To: <r1@example.org>")).expect("the second person's mail");
    assert!(one.contains(&format!("Message-ID: <{}@", Key::derive(1, ChannelKind::Email, 1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_person_does_not_hold_up_the_others() {
    let sink = smtp::start(Tally::faulty(Faults { every: 3, with: Fault::Gone })).await.unwrap();
    let classes = send(&email(&[(sink.addr.port(), PLAIN)]), &messages(9)).await;
    let expected: Vec<_> = (1..=9).map(|n| if n % 3 == 0 { Class::BadAddress } else { Class::Accepted }).collect();
    assert_eq!(classes, expected);
    assert_eq!((sink.tally.counts().messages, sink.tally.counts().repeats), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttling_relay_is_told_apart_from_one_that_says_later() {
    for (fault, class) in [(Fault::Throttle, Class::Throttled), (Fault::Later, Class::Transient)] {
        let sink = smtp::start(Tally::faulty(Faults { every: 4, with: fault })).await.unwrap();
        let classes = send(&email(&[(sink.addr.port(), PLAIN)]), &messages(4)).await;
        assert_eq!(classes, [Class::Accepted, Class::Accepted, Class::Accepted, class]);
    }
}

/// A relay that hangs up when it hears this word, or after the mail's end, or goes silent there.
async fn breaking(at: &'static str, silent: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (reader, mut writer) = tokio::io::split(socket);
                let mut lines = BufReader::new(reader).lines();
                writer.write_all(b"220 x\r\n").await.ok()?;
                let mut in_data = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with(at) {
                        if silent {
                            std::future::pending::<()>().await;
                        }
                        return None::<()>;
                    }
                    let answer: &[u8] = match line.get(..4).unwrap_or(&line) {
                        _ if in_data && line != "." => continue,
                        "." => b"250 ok\r\n",
                        "EHLO" => b"250 x\r\n",
                        "DATA" => b"354 go\r\n",
                        _ => b"250 ok\r\n",
                    };
                    in_data = line.starts_with("DATA");
                    writer.write_all(answer).await.ok()?;
                }
                None
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_before_the_mail_took_nothing_and_after_it_nobody_knows() {
    for (at, silent, class) in [
        ("EHLO", false, Class::Transient),
        ("MAIL", false, Class::Transient),
        ("RCPT", false, Class::Transient),
        ("DATA", false, Class::Transient),
        (".", false, Class::Ambiguous),
        (".", true, Class::Ambiguous),
        ("MAIL", true, Class::Transient),
    ] {
        let port = breaking(at, silent).await;
        assert_eq!(send(&email(&[(port, PLAIN)]), &messages(1)).await, [class], "{at}, silent {silent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_relay_takes_over_from_one_that_is_down() {
    let down = tocsin_sinks::real::free_port().unwrap();
    let sink = smtp::start(Tally::counting()).await.unwrap();
    let email = email(&[(down, PLAIN), (sink.addr.port(), PLAIN)]);
    assert_eq!(send(&email, &messages(2)).await, [Class::Accepted; 2]);
    assert_eq!(send(&self::email(&[(down, PLAIN)]), &messages(3)).await, [Class::Transient; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_the_relay_closed_costs_nobody_a_mail() {
    let sink = smtp::start(Tally::keeping_keys()).await.unwrap();
    let email = email(&[(sink.addr.port(), PLAIN)]);
    assert_eq!(send(&email, &messages(1)).await, [Class::Accepted]);
    let port = sink.addr.port();
    drop(sink);
    // The same port again, with nothing of the old connections.
    let listener = loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let served = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        polite(socket).await;
    });
    assert_eq!(send(&email, &messages(1)).await, [Class::Accepted], "once more on a fresh connection");
    served.abort();
}

/// Takes one mail after another.
async fn polite(socket: impl tokio::io::AsyncRead + AsyncWrite + Unpin) {
    let (reader, mut writer) = tokio::io::split(socket);
    let _ = writer.write_all(b"220 x\r\n").await;
    talk(reader, writer, "250 x\r\n").await;
}

async fn talk(reader: impl AsyncReadExt + Unpin, mut writer: impl AsyncWrite + Unpin, hello: &str) {
    let mut lines = BufReader::new(reader).lines();
    let mut in_data = false;
    while let Ok(Some(line)) = lines.next_line().await {
        if in_data && line != "." {
            continue;
        }
        in_data = line.starts_with("DATA");
        let answer = match line.get(..4).unwrap_or(&line) {
            "EHLO" => hello,
            "DATA" => "354 go\r\n",
            "AUTH" if line.contains(" PLAIN ") && line.ends_with("AHRvY3NpbgBzZWNyZXQ=") => "235 2.7.0 in\r\n",
            "AUTH" => "535 5.7.8 no\r\n",
            _ => "250 ok\r\n",
        };
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A relay with a certificate of its own: STARTTLS, or TLS from the first byte.
async fn protected(folder: &Path, implicit: bool) -> u16 {
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if !implicit {
                    hello_and_starttls(&mut socket).await;
                }
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let (reader, mut writer) = tokio::io::split(stream);
                if implicit {
                    let _ = writer.write_all(b"220 x\r\n").await;
                }
                talk(reader, writer, "250-x\r\n250 AUTH PLAIN\r\n").await;
            });
        }
    });
    port
}

async fn hello_and_starttls(socket: &mut TcpStream) {
    let _ = socket.write_all(b"220 x\r\n").await;
    let mut buffer = [0; 512];
    for answer in [&b"250-x\r\n250 STARTTLS\r\n"[..], b"220 go\r\n"] {
        let _ = socket.read(&mut buffer).await;
        let _ = socket.write_all(answer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_checked_and_passwords_go_over_it_only() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    for (implicit, tls) in [(false, "required"), (true, "implicit")] {
        let port = protected(folder.path(), implicit).await;
        let ca = format!("tls = \"{tls}\", ca_file = \"{}\"", folder.path().join("cert.pem").display());
        assert_eq!(send(&email(&[(port, &ca)]), &messages(2)).await, [Class::Accepted; 2], "{tls}");
        let account = format!("{ca}, username = \"tocsin\", password_file = \"{}\"", password.display());
        assert_eq!(send(&email(&[(port, &account)]), &messages(1)).await, [Class::Accepted], "{tls} with a password");
        let unknown = format!("tls = \"{tls}\"");
        assert_eq!(send(&email(&[(port, &unknown)]), &messages(1)).await, [Class::Transient], "an unknown authority");
        std::fs::write(folder.path().join("wrong"), "wrong").unwrap();
        let wrong = account.replace("/password\"", "/wrong\"");
        assert_eq!(send(&email(&[(port, &wrong)]), &messages(1)).await, [Class::Policy], "{tls} with a wrong password");
    }
    let sink = smtp::start(Tally::counting()).await.unwrap();
    let required = email(&[(sink.addr.port(), "tls = \"required\"")]);
    assert_eq!(send(&required, &messages(1)).await, [Class::Policy], "no STARTTLS on offer");
    let clear = format!(
        "relays = [{{ host = \"h\", port = 25, tls = \"none\", username = \"u\", password_file = \"{}\" }}]\nfrom = 'a@b.org'\ndomain = 'b.org'",
        password.display()
    );
    assert!(Email::new(&toml::from_str::<EmailConfig>(&clear).unwrap()).is_err(), "never a password in the clear");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_is_not_sent_to() {
    let sink = smtp::start(Tally::counting()).await.unwrap();
    let mut all = messages(3);
    all[1].to = "a@example.org>\r\nRCPT TO:<b@example.org".into();
    assert_eq!(
        send(&email(&[(sink.addr.port(), PLAIN)]), &all).await,
        [Class::Accepted, Class::BadAddress, Class::Accepted]
    );
    assert_eq!(sink.tally.counts().messages, 2);
}
