//! Marks of templates and ends of lines in every field of an alert: mail, short message, page, feed, webhook and MQTT topic stay
//! whole, and say the marks as they are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::Value;
use tocsin::cap::{self, Document};
use tocsin_sinks::real::Mosquitto;
use tocsin_sinks::{Tally, smtp};

use super::support::{self, Cma, Server, write_config};
use super::texts::decoded;

/// What a template would work out, read a file by, or leave out.
const MARKS: &str = "{{ 7*7 }}{% include \"/etc/passwd\" %}{# gone #}${7*7}";
/// What would end a header, a line of a log, or a topic's level.
const ENDS: &str = "x\r\nBcc: thief@example.org\r\n\r\ny/+/#";

/// Marks and ends of lines in every field that is a text; those that are names get marks without white space.
fn alert(identifier: &str) -> String {
    let text = format!("{MARKS}{ENDS}").replace('\r', "&#13;").replace('\n', "&#10;");
    let put = |xml: String, tag: &str| xml.replace(&format!("<{tag}>"), &format!("<{tag}>{text} "));
    let fields = ["description", "senderName", "areaDesc"];
    let xml = fields.into_iter().fold(Cma::new(identifier).xml(), put);
    let title = |xml: String, end: &str| xml.replace(&format!("{end}</headline>"), &format!("{end}{text}</headline>"));
    let xml = ["预警", "warning"].into_iter().fold(xml, title);
    let xml = xml.replace("<event>台风", &format!("<event>台风{text}")).replace("Typhoon<", &format!("Typhoon{text}<"));
    let pair = |tag: &str| format!("<{tag}><valueName>{text}</valueName><value>{text}</value></{tag}>");
    xml.replace("</scope>", &format!("</scope><note>{text}</note><incidents>{text}</incidents>"))
        .replace("<expires>", &format!("{}<expires>", pair("eventCode")))
        .replace(
            "</description>",
            &format!("</description><instruction>{text}</instruction><contact>{text}</contact>{}", pair("parameter")),
        )
        .replace("</areaDesc>", &format!("</areaDesc>{}", pair("geocode")))
}

/// Everything that our gateway and our webhook's receiver were asked.
type Asked = Arc<Mutex<Vec<(Uri, String)>>>;

async fn receiver() -> (Asked, u16) {
    async fn take(State(asked): State<Asked>, uri: Uri, body: Bytes) -> (StatusCode, &'static str) {
        asked.lock().unwrap().push((uri, String::from_utf8(body.to_vec()).unwrap()));
        (StatusCode::ACCEPTED, "0: Accepted for delivery\n")
    }
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(take).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (asked, port)
}

/// Topic and text of everything that the broker is given.
async fn listen(port: u16) -> Arc<Mutex<Vec<(String, String)>>> {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("listener", "127.0.0.1", port), 10);
    client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
    while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
    let heard = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&heard);
    tokio::spawn(async move {
        let _client = client;
        while let Ok(event) = events.poll().await {
            if let Event::Incoming(Packet::Publish(publish)) = event {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                own.lock().unwrap().push((text(&publish.topic), text(&publish.payload)));
            }
        }
    });
    heard
}

/// Waits until there is an answer, and no longer than a slow machine takes.
async fn until<T>(what: &str, server: &Server, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never came: {what}\n{}", server.log());
}

fn headers(mail: &str) -> BTreeSet<String> {
    let head = mail.split("\r\n\r\n").next().unwrap();
    let own = head.lines().filter(|line| !line.starts_with([' ', '\t']));
    own.map(|line| line.split(':').next().unwrap().to_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_and_ends_of_lines_in_every_field_break_no_way_out() {
    let (asked, port) = receiver().await;
    let servers = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(servers.path(), None).unwrap();
    let mail = smtp::start(Tally::keeping_keys()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("secret"), "a secret of more than sixteen bytes").unwrap();
    let kannel = include_str!("../../channels/src/sms/gateways/kannel.toml")
        .replace("13013", &port.to_string())
        .replace("secrets/kannel-password", &path("secret"));
    let more = format!(
        "[channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"w@example.org\", domain = \"w.example.org\" }}\n\
         [channels.mqtt]\nvia = {{ host = \"127.0.0.1\", port = {} }}\n[channels.sms]\n[channels.sms.via]\n{kannel}\n\
         [[webhook]]\nname = \"hook\"\nurl = \"http://127.0.0.1:{port}/hook\"\nsecret_file = \"{}\"\nallow_private = [\"127.0.0.1:{port}\"]\n",
        mail.addr.port(),
        broker.port,
        path("secret"),
    );
    let config = write_config(folder.path(), &more);
    std::fs::write(
        path("people.csv"),
        "region,language,phone,email\n310118,zh-CN,13812345678,\n310118,en,,a@example.org\n",
    )
    .unwrap();
    assert!(support::tocsin(&config, &["subscribers", "import", &path("people.csv")]).0);
    let server = Server::start_in(folder);
    let heard = listen(broker.port).await;
    let done = |states: &Value| states["planned"] == true && states["states"]["accepted"] == states["audience"];

    // An alert that says nothing evil shows what is usual.
    let (_, answer) = server.post(Cma { code: "310118000000".into(), ..Cma::new("plain") }.xml()).await;
    server.until(answer["id"].as_str().unwrap(), done).await;
    let usual = headers(&mail.tally.last_text());
    let topics = |heard: &[(String, String)]| heard.iter().map(|(topic, _)| topic.clone()).collect::<BTreeSet<_>>();
    // The listener's own copies may be on their way; an event's comes last.
    until("the event's topic", &server, async || {
        heard.lock().unwrap().iter().any(|(topic, _)| topic == "tocsin/v1/event/310118/typhoon").then_some(())
    })
    .await;
    let known = topics(&heard.lock().unwrap());
    assert!(known.iter().any(|topic| topic == "tocsin/v1/current/310118/typhoon"), "{known:?}");

    let evil = alert("{{7*7}}{%x%}");
    let (status, answer) = server.post(evil.clone()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("released")), "{answer}");
    let id = answer["id"].as_str().unwrap();
    server.until(id, done).await;

    let text = mail.tally.last_text();
    assert_eq!(headers(&text), usual, "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().lines().any(|line| line.starts_with("bcc") || line.starts_with("x\r")), "{head}");
    let body = decoded(body);
    assert!(body.contains("{{ 7*7 }}") && body.contains("{% include") && !body.contains("root:"), "{body}");

    let sms: Vec<_> = asked.lock().unwrap().iter().filter(|(uri, _)| uri.path() != "/hook").cloned().collect();
    let last: Vec<(String, String)> = form_urlencoded::parse(sms.last().unwrap().0.query().unwrap().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let names: Vec<_> = last.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["to", "text", "charset", "coding", "from", "validity", "username", "password"], "{last:?}");
    assert_eq!(last[0].1, "+8613812345678");
    assert!(last[1].1.contains("{{ 7*7 }}"), "{last:?}");

    until("its page", &server, async || (server.get(&format!("/alerts/{id}")).await.status() == 200).then_some(()))
        .await;
    for path in ["/?lang=en", "/regions/310118?lang=zh-CN", &format!("/events/{id}"), "/sources/shanghai"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("7*7") && !page.contains("root:") && page.contains("</html>"), "{path}");
    }
    for path in ["/feeds/atom.xml", "/feeds/rss.xml"] {
        let feed = server.get(path).await.text().await.unwrap();
        let Document::Wrapped { .. } = cap::read_document(feed.as_bytes()) else { panic!("no feed: {feed}") };
        assert!(feed.contains("{{ 7*7 }}"), "{feed}");
    }
    let one = server.json(&format!("/alerts/{id}.json")).await;
    assert!(one.to_string().contains("{{ 7*7 }}"), "{one}");
    assert_eq!(server.get(&format!("/alerts/{id}.cap")).await.bytes().await.unwrap(), evil.as_bytes());

    // Posts may overtake each other.
    let post = until("its post", &server, async || {
        let asked = asked.lock().unwrap().clone();
        let posts = asked.iter().filter(|(uri, _)| uri.path() == "/hook");
        let mut posts = posts.map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
        posts.find(|post| post["alert"] == id)
    })
    .await;
    assert!(post["feature"]["properties"].to_string().contains("{{ 7*7 }}"), "{post}");

    // Everything was acknowledged; the listener's own copies may be on their way.
    until("its copy on a topic", &server, async || {
        heard.lock().unwrap().iter().any(|(_, payload)| payload.contains("7*7")).then_some(())
    })
    .await;
    let heard = heard.lock().unwrap();
    assert!(
        topics(&heard).iter().all(|topic| topic.split('/').count() <= 5 && !topic.contains(['{', '\r', '\n', ' ']))
    );
    assert_eq!(topics(&heard), known, "no other topics than usual");
    assert!(
        heard
            .iter()
            .filter(|(_, payload)| payload.contains("7*7"))
            .all(|(_, payload)| { serde_json::from_str::<Value>(payload).is_ok() })
    );
    assert!(!server.log().lines().any(|line| line.trim_start().starts_with("Bcc:")), "{}", server.log());
}
