//! A warning, two updates and the end, in each of their 24 orders, over any two ways in: the order alone says what people hear.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::json;
use tocsin::cap::{self, AlertId};
use tocsin::regions::RegionMap;
use tocsin::store::{Store, StoreOptions};
use tocsin_sinks::real::Mosquitto;

use super::end_to_end::short_messages;
use super::site::{DAY, Site, atom, inline};
use super::support::{self, Cma, ORANGE, RED, Server, YELLOW, write_config};
use super::world::{Heard, Message, World};

/// The four messages in the order in which they were sent, and every order in which they may come.
fn orders() -> Vec<[usize; 4]> {
    let mut all = Vec::new();
    for n in 0..256_usize {
        let order = [n >> 6, (n >> 4) & 3, (n >> 2) & 3, n & 3];
        if (0..4).all(|message| order.contains(&message)) {
            all.push(order);
        }
    }
    assert_eq!(all.len(), 24);
    all
}

/// What people hear where each message names all before it: every warning that is newer than what they were told, and the end
/// where they were told anything. After the end, nothing.
fn hears(order: [usize; 4]) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut newest = None;
    for message in order {
        if newest.is_none_or(|newest| message > newest) {
            newest = Some(message);
            match message {
                3 if heard.is_empty() => {}
                3 => heard.push(Heard::End),
                _ => heard.push(Heard::Warn),
            }
        }
    }
    heard
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Http,
    Json,
    Feed,
    Topic,
    Folder,
    /// Another service's JSON, which names what it supersedes by id alone.
    Service,
    /// WIS2 notifications: the first and third message are inside, the others behind a link.
    Wis2,
}

const WAYS: [Way; 5] = [Way::Http, Way::Json, Way::Feed, Way::Topic, Way::Folder];
const FURTHER: [Way; 2] = [Way::Service, Way::Wis2];

/// One event: its county, its four messages, in which order they come, and by which two ways in turn.
struct Danger {
    county: String,
    messages: [Cma; 4],
    order: [usize; 4],
    ways: [Way; 2],
    /// Two people live in its county.
    people: [String; 2],
}

impl Danger {
    fn new(n: usize, county: &str, order: [usize; 4], ways: [Way; 2]) -> Self {
        let message = |name: &str, msg_type, colour, ago: i64| {
            let plain = Cma::new(&format!("{county}-{name}"));
            let sent = plain.sent - TimeDelta::seconds(ago);
            Cma { colour, msg_type, sent, code: format!("{county}000000"), ..plain }
        };
        let mut messages = [
            message("first", "Alert", YELLOW, 40),
            message("second", "Update", ORANGE, 30),
            message("third", "Update", RED, 20),
            message("end", "Cancel", RED, 10),
        ];
        for at in 1..4 {
            let named: Vec<_> = messages[..at].iter().map(Cma::reference).collect();
            messages[at].references = named.join(" ");
        }
        let people = [0, 1].map(|one| format!("138{:08}", n * 2 + one));
        Self { county: county.into(), messages, order, ways, people }
    }

    fn id(&self, message: usize) -> String {
        AlertId::of(&cap::read(self.messages[message].xml().as_bytes()).alert.unwrap()).to_string()
    }
}

/// The same message in JSON.
fn in_json(alert: &Cma) -> String {
    let reading = cap::read(alert.xml().as_bytes()).alert.unwrap();
    let info = &reading.infos[0];
    let time = |at: chrono::DateTime<chrono::FixedOffset>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
    json!({
        "identifier": reading.identifier, "sender": reading.sender, "sent": time(reading.sent), "status": "Actual",
        "msgType": alert.msg_type, "scope": "Public",
        "references": Some(&alert.references).filter(|references| !references.is_empty()),
        "info": [{"language": "zh-CN", "category": "Met", "event": alert.event.0, "urgency": "Expected",
            "severity": alert.colour.2, "certainty": "Likely", "expires": time(info.expires.unwrap()),
            "headline": info.headline, "description": info.description,
            "area": [{"areaDesc": "某县", "geocode": [{"valueName": "CPEAS Geographic Code", "value": alert.code}]}]}]
    })
    .to_string()
}

/// The same message as a weather service's app gets it.
fn of_service(alert: &Cma) -> String {
    let time = |at: chrono::DateTime<chrono::FixedOffset>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, false);
    let does = alert.msg_type.to_lowercase();
    let supersedes: Vec<&str> = alert.references.split(' ').filter_map(|triple| triple.split(',').nth(1)).collect();
    let title = format!("上海中心气象台发布{}{}预警", alert.event.0, alert.colour.0);
    json!({
        "id": alert.identifier, "senderName": "上海中心气象台", "issuedTime": time(alert.sent),
        "messageType": {"code": does, "supersedes": supersedes}, "eventType": {"name": alert.event.0},
        "color": {"code": alert.colour.1}, "expireTime": time(alert.sent + alert.expires),
        "headline": title, "description": title, "areas": [{"name": "某县", "code": alert.code}],
    })
    .to_string()
}

/// What a WIS2 node says of a message: its content packed, or where it lies.
fn notification(text: &str, link: Option<String>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA512, text.as_bytes());
    let integrity = json!({"method": "sha512", "value": STANDARD.encode(digest.as_ref())});
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    let content = json!({"encoding": "gzip", "value": STANDARD.encode(packed.finish().unwrap()), "size": text.len()});
    let (properties, links) = match link {
        None => (json!({"integrity": integrity, "content": content}), json!([])),
        Some(href) => (json!({"integrity": integrity}), json!([{"rel": "update", "href": href}])),
    };
    json!({"type": "Feature", "id": "1", "conformsTo": ["http://wis.wmo.int/spec/wnm/1/conf/core"], "geometry": null,
        "properties": properties, "links": links})
    .to_string()
}

/// An SMS gateway that remembers who was told what, in turn.
#[derive(Clone, Default)]
struct Gateway(Arc<Mutex<BTreeMap<String, Vec<Heard>>>>);

impl Gateway {
    async fn start() -> (Self, u16) {
        let gateway = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(take).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (gateway, port)
    }

    fn heard(&self, person: &str) -> Vec<Heard> {
        self.0.lock().unwrap().get(person).cloned().unwrap_or_default()
    }
}

async fn take(
    State(gateway): State<Gateway>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> (StatusCode, &'static str) {
    let to = asked["to"].trim_start_matches("+86").to_owned();
    gateway.0.lock().unwrap().entry(to).or_default().push(Heard::of(&asked["text"]));
    (StatusCode::ACCEPTED, "0: Accepted for delivery\n")
}

/// The program with every door open.
struct House {
    server: Server,
    store: Store,
    site: Site,
    broker: Mosquitto,
    drop: tempfile::TempDir,
    listed: Vec<(String, String)>,
}

impl House {
    async fn start(dangers: &[Danger], gateway: u16) -> Self {
        let (folder, drop) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let site = Site::start().await;
        site.show("/feed", atom(&[]));
        let broker = Mosquitto::start(drop.path(), None).unwrap();
        std::fs::create_dir(drop.path().join("box")).unwrap();
        let rows = dangers
            .iter()
            .flat_map(|danger| danger.people.iter().map(|person| format!("{},{person}\n", danger.county)));
        let people: String = std::iter::once("region,phone\n".to_owned()).chain(rows).collect();
        let more = format!(
            "{}\n[[bureau]]\nname = \"delta\"\ntoken_sha256 = \"{}\"\n\
             regions = [\"310000\", \"320000\", \"330000\", \"340000\"]\n\n{}",
            short_messages(folder.path(), gateway, &people),
            support::sha256("delta-token"),
            sources(&site, &broker, drop.path()),
        );
        let config = write_config(folder.path(), &more);
        let csv = folder.path().join("people.csv");
        let (well, _, error) = support::tocsin(&config, &["subscribers", "import", csv.to_str().unwrap()]);
        assert!(well, "{error}");
        let server = Server::start_in(folder);
        let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        // Who publishes before there is a subscription is not heard.
        while store.source_rows().await.unwrap().iter().filter(|row| row.good_at.is_some()).count() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { server, store, site, broker, drop, listed: Vec::new() }
    }

    /// Sends one message of each event, and waits until everything that leaves because of them has left.
    async fn round(&mut self, dangers: &[Danger], n: usize) {
        let mut published = Vec::new();
        for danger in dangers {
            let message = &danger.messages[danger.order[n]];
            match danger.ways[n % 2] {
                Way::Http => self.post("application/cap+xml", message.xml()).await,
                Way::Json => self.post("application/json", in_json(message)).await,
                Way::Feed => self.listed.push((message.identifier.clone(), inline(&message.xml()))),
                Way::Topic => published.push(message.xml()),
                Way::Service => self.post("application/json", of_service(message)).await,
                Way::Wis2 => {
                    let (text, path) = (message.xml(), format!("/{}.xml", message.identifier));
                    let link = (danger.order[n] % 2 == 1).then(|| self.site.url(&path));
                    published.push(notification(&text, link));
                    self.site.show(&path, text);
                }
                Way::Folder => {
                    let path = self.drop.path().join("box").join(&message.identifier);
                    std::fs::write(path.with_extension("xml"), message.xml()).unwrap();
                }
            }
        }
        let entries: Vec<_> = self.listed.iter().map(|(key, body)| (key.as_str(), DAY, body.clone())).collect();
        self.site.show("/feed", atom(&entries));
        publish(self.broker.port, published).await;
        let arrived: Vec<_> =
            dangers.iter().flat_map(|danger| danger.order[..=n].iter().map(|message| danger.id(*message))).collect();
        self.settle(&arrived).await;
    }

    async fn post(&self, kind: &str, body: String) {
        let (status, answer) = self.server.post_as("delta-token", kind, body).await;
        assert_eq!(status, 201, "{answer}");
    }

    async fn settle(&self, ids: &[String]) {
        let deadline = std::time::Instant::now() + Duration::from_secs(300);
        for id in ids {
            loop {
                assert!(std::time::Instant::now() < deadline, "{id} does not come or settle: {}", self.server.log());
                if let Some(row) = self.store.alert(id).await.unwrap() {
                    let out = matches!(row.state.as_str(), "released" | "partly");
                    let open: u64 = self.store.states(id).await.unwrap().values().map(|counts| counts.open()).sum();
                    if open == 0 && (!out || self.store.is_planned(id).await.unwrap()) {
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn sources(site: &Site, broker: &Mosquitto, drop: &Path) -> String {
    format!(
        "[[source]]\nname = \"feed\"\nkind = \"feed\"\nbureau = \"delta\"\nurl = \"{}\"\nevery_seconds = 1\nprivate = [\"{}\"]\n\n\
         [[source]]\nname = \"topic\"\nkind = \"mqtt\"\nbureau = \"delta\"\nhost = \"127.0.0.1\"\nport = {}\ntopic = \"warn/#\"\nprivate = [\"{}\"]\n\n\
         [[source]]\nname = \"drop\"\nkind = \"folder\"\nbureau = \"delta\"\npath = \"{}\"\nevery_seconds = 1\n",
        site.url("/feed"),
        site.addr,
        broker.port,
        site.addr,
        drop.join("box").display()
    )
}

async fn publish(port: u16, alerts: Vec<String>) {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("bureau", "127.0.0.1", port), alerts.len().max(1));
    let mut waiting = alerts.len();
    for alert in alerts {
        client.publish("warn/a", QoS::AtLeastOnce, false, alert.into_bytes()).await.unwrap();
    }
    while waiting > 0 {
        if matches!(events.poll().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {
            waiting -= 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_24_orders_over_any_two_ways_in_has_one_end_and_tells_the_same_people() {
    let pairs = WAYS.iter().enumerate().flat_map(|(at, one)| WAYS[at + 1..].iter().map(|other| [*one, *other]));
    each_order_has_one_end(pairs.collect()).await;
}

/// Another service's JSON and WIS2, each with every other way, and with one another.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_24_orders_with_a_services_json_or_wis2_has_one_end_and_tells_the_same_people() {
    let pairs = FURTHER.iter().flat_map(|one| WAYS.iter().map(|other| [*one, *other]));
    each_order_has_one_end(pairs.chain([FURTHER]).collect()).await;
}

/// Each order by each two ways is an event of its own, in a county of its own; all of them go through one program at once.
async fn each_order_has_one_end(pairs: Vec<[Way; 2]>) {
    let map = RegionMap::delta().unwrap();
    let mut counties = map.counties().map(|county| county.code.as_str());
    let mut dangers = Vec::new();
    for ways in pairs {
        for order in orders() {
            dangers.push(Danger::new(dangers.len(), counties.next().unwrap(), order, ways));
        }
    }
    let (gateway, port) = Gateway::start().await;
    let mut house = House::start(&dangers, port).await;
    for n in 0..4 {
        house.round(&dangers, n).await;
    }
    let mut wrong = Vec::new();
    for danger in &dangers {
        let (order, ways) = (danger.order, danger.ways);
        let end = danger.id(3);
        let mut rows = Vec::new();
        for message in 0..4 {
            rows.push(house.store.alert(&danger.id(message)).await.unwrap().unwrap());
        }
        let heads: Vec<_> = rows.iter().filter(|row| row.superseded_by.is_none()).map(|row| row.id.as_str()).collect();
        let one_chain = rows.iter().all(|row| row.chain == rows[0].chain);
        if !one_chain || heads != [end.as_str()] {
            wrong.push(format!("{order:?} by {ways:?}: heads {heads:?}, one event: {one_chain}"));
        }
        for person in &danger.people {
            let heard = gateway.heard(person);
            if heard != hears(order) {
                wrong.push(format!("{order:?} by {ways:?}: {person} heard {heard:?}, not {:?}", hears(order)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    let strangers = gateway.0.lock().unwrap().len();
    assert_eq!(strangers, dangers.iter().filter(|danger| danger.order[0] != 3).count() * 2, "and nobody else");
}

/// Where each message names only the one before it, an end that comes early may not be known for theirs; but it has the last word,
/// and never twice in a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_close_late_leave_nobody_without_the_end() {
    let messages = [
        Message::new("first", 0),
        Message::new("second", 1).kind("Update").colour("orange").names(&["first@0"]),
        Message::new("third", 2).kind("Update").colour("red").names(&["second@1"]),
        Message::new("end", 3).kind("Cancel").names(&["third@2"]),
    ];
    for order in orders() {
        let world = World::start().await;
        world.people("310118", 2).await;
        let mut heard: BTreeMap<String, Vec<Heard>> = BTreeMap::new();
        for at in order {
            let message = Message { arrives: 10, ..messages[at].clone() };
            for (to, what) in world.post(&message).await.unwrap().heard {
                heard.entry(to).or_default().push(what);
            }
        }
        assert_eq!(world.heads().await, ["end"], "{order:?}");
        // Only where everything comes after what names it does nobody hear anything.
        let people = if order == [3, 2, 1, 0] { 0 } else { 2 };
        assert_eq!(heard.len(), people, "{order:?}: {heard:?}");
        for heard in heard.values() {
            let twice = heard.windows(2).any(|pair| pair == [Heard::End, Heard::End]);
            assert_eq!((heard.last(), twice), (Some(&Heard::End), false), "{order:?}: {heard:?}");
        }
    }
}
