//! Sirens, loudspeakers and signs at a real broker: who may read and say what, what they are told, and what they say of themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, LastWill, Packet, PubAckReason, Publish};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _};
use support::crew::Crew;
use support::{Cma, ORANGE, RED, Server, tocsin, write_config};
use tocsin::app::store_options;
use tocsin::config::Config;
use tocsin::delivery::Address;
use tocsin::store::{RecordFilter, Store};
use tocsin_channels::ChannelKind;
use tocsin_sinks::real::{Mosquitto, free_port};

const RULES: &str = "[[approval]]\nname = \"none\"\n[[rule]]\nname = \"all\"\nwhen = { status = [\"Actual\"] }\naudience = [\"public\"]\nchannels = [\"mqtt\"]\npriority = 0\napproval = \"none\"\n\
[[rule]]\nname = \"drill\"\nwhen = { status = [\"Exercise\"] }\naudience = [\"drill\"]\nchannels = [\"mqtt\"]\npriority = 3\napproval = \"none\"\n";

const DEVICES: &str = "id,kind,name,region,lat,lon,organisation,lowest,drills\n\
    qp-siren,siren,朱家角镇文化站楼顶,310118,31.10,121.05,,yellow,no\n\
    qp-far,siren,华新镇政府,310118,31.24,121.23,,yellow,no\n\
    sj-horn,loudspeaker,泗泾村口,310117,,,,red,yes\n";

/// A server, its broker, and the accounts of its devices.
struct Site {
    server: Server,
    broker: Mosquitto,
    accounts: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Site {
    /// Everything running, with the devices of this table; `more` is for [devices].
    fn start(devices: &str, organisations: Option<&str>, more: &str) -> Self {
        let (folder, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let port = free_port().unwrap();
        let path = |name: &str| own.path().join(name);
        std::fs::write(path("password"), "the channel's own").unwrap();
        std::fs::write(path("rules.toml"), RULES).unwrap();
        let config = format!(
            "[rules]\nfile = \"{}\"\n[broker]\naccounts = \"{}\"\n[devices]\n{more}\n[channels.mqtt]\nvia = {{ host = \"127.0.0.1\", port = {port}, username = \"tocsin\", password_file = \"{}\" }}\n",
            path("rules.toml").display(),
            path("accounts").display(),
            path("password").display(),
        );
        let config = write_config(folder.path(), &config);
        std::fs::write(path("devices.csv"), devices).unwrap();
        let (table, made) = (path("devices.csv"), path("accounts.csv"));
        let well =
            tocsin(&config, &["devices", "import", table.to_str().unwrap(), "--accounts", made.to_str().unwrap()]);
        assert!(well.0, "{well:?}");
        let mut accounts: BTreeMap<String, String> = std::fs::read_to_string(&made)
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| line.split_once(',').map(|(name, word)| (name.to_owned(), word.to_owned())).unwrap())
            .collect();
        if let Some(table) = organisations {
            std::fs::write(path("organisations.csv"), table).unwrap();
            let file = path("organisations.csv");
            let well = tocsin(&config, &["organisations", "import", file.to_str().unwrap()]);
            assert!(well.0, "{well:?}");
            let (_, out, _) = tocsin(&config, &["--json", "organisations", "account", "qp-school"]);
            let made: Value = serde_json::from_str(&out).unwrap();
            accounts.insert(text(&made["account"]), text(&made["password"]));
        }
        let well = tocsin(&config, &["mqtt", "accounts", "--out", path("accounts").to_str().unwrap()]);
        assert!(well.0, "{well:?}");
        let broker = Mosquitto::with_accounts(own.path(), port, &path("accounts")).unwrap();
        Self { server: Server::start_in(folder), broker, accounts, folder: own }
    }

    async fn with(devices: &str, more: &str) -> Self {
        let site = Self::start(devices, None, more);
        site.until("somebody listens", |all| all["listening"] == true).await;
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("accounts").join(name)
    }

    fn options(&self, account: &str) -> MqttOptions {
        let mut options = MqttOptions::new(account, "127.0.0.1", self.broker.port);
        options.set_credentials(account, self.accounts.get(account).map_or("", String::as_str));
        options.set_keep_alive(Duration::from_secs(300));
        options
    }

    /// A device that is on: it says so, its last will says when it is not, and it reads its alerts.
    async fn device(&self, id: &str) -> Client {
        let mut options = self.options(&format!("dev.{id}"));
        options.set_last_will(LastWill::new(topic(id, "state"), "offline", QoS::AtLeastOnce, true, None));
        let mut client = Client::connect(options).await.unwrap();
        client.subscribe(&topic(id, "alert/#")).await;
        assert_eq!(client.publish(&topic(id, "state"), b"online", true).await, PubAckReason::Success);
        client
    }

    /// What is on record of the devices, by id, and since when somebody listens.
    async fn devices(&self) -> Value {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}", self.server.folder.path().join("t.db").display());
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        let sql = "SELECT id, seen_at, offline_at, battery, firmware, refused, problem FROM device";
        let mut all = json!({});
        for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
            let number = |name: &str| row.get::<Option<i64>, _>(name);
            let word = |name: &str| row.get::<Option<String>, _>(name);
            all[row.get::<String, _>("id")] = json!({
                "lives": number("offline_at").is_none() && number("seen_at").is_some(), "gone": number("offline_at").is_some(),
                "battery": number("battery"), "firmware": word("firmware"), "refused": number("refused"), "problem": word("problem"),
            });
        }
        let listening = "SELECT value FROM counter WHERE name = 'devices_listening' AND value > 0";
        let since: Option<i64> = sqlx::query_scalar(listening).fetch_optional(&mut connection).await.unwrap();
        all["listening"] = json!(since.is_some());
        all
    }

    /// Waits until what is known of the devices is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let all = self.devices().await;
            if wanted(&all) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {what}: {:#}\n{}", self.devices().await, self.server.log());
    }

    async fn send(&self, alert: &Cma) -> String {
        let (status, answer) = self.server.post(alert.xml()).await;
        assert_eq!(status, 201, "{answer}");
        text(&answer["id"])
    }

    async fn store(&self) -> Store {
        Store::open(&store_options(&Config::load(&self.server.config()).unwrap())).await.unwrap()
    }

    async fn metric(&self, line: &str) -> bool {
        self.server.get("/metrics").await.text().await.unwrap().lines().any(|own| own == line)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn topic(id: &str, word: &str) -> String {
    format!("tocsin/v1/device/{id}/{word}")
}

/// One connection to the broker.
struct Client {
    client: AsyncClient,
    events: EventLoop,
    got: std::collections::VecDeque<Publish>,
}

impl Client {
    async fn connect(options: MqttOptions) -> Result<Self, ConnectionError> {
        let (client, mut events) = AsyncClient::new(options, 2_000);
        while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        Ok(Self { client, events, got: std::collections::VecDeque::new() })
    }

    async fn next(&mut self) -> Packet {
        loop {
            match self.events.poll().await.unwrap() {
                Event::Incoming(Packet::Publish(publish)) => self.got.push_back(publish),
                Event::Incoming(packet) => return packet,
                Event::Outgoing(_) => {}
            }
        }
    }

    async fn subscribe(&mut self, filter: &str) {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        while !matches!(self.next().await, Packet::SubAck(_)) {}
    }

    /// Publishes, and says what the broker thinks of it.
    async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) -> PubAckReason {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload.to_vec()).await.unwrap();
        loop {
            if let Packet::PubAck(ack) = self.next().await {
                return ack.reason;
            }
        }
    }

    /// The next message: its topic, and its JSON or text.
    async fn message(&mut self) -> (String, Value) {
        let next = async {
            while self.got.is_empty() {
                if let Event::Incoming(Packet::Publish(publish)) = self.events.poll().await.unwrap() {
                    self.got.push_back(publish);
                }
            }
            self.got.pop_front().unwrap()
        };
        let publish = tokio::time::timeout(Duration::from_secs(30), next).await.expect("a message comes");
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let word = || Value::String(String::from_utf8_lossy(&publish.payload).into_owned());
        (topic, serde_json::from_slice(&publish.payload).unwrap_or_else(|_| word()))
    }

    /// What is here before a message of one's own comes back: nothing else was on its way.
    async fn messages_before(&mut self, site: &Site, marker: &Cma) -> Vec<(String, Value)> {
        let id = site.send(marker).await;
        let mut all = Vec::new();
        loop {
            let (topic, said) = self.message().await;
            if said["id"] == id.as_str() || said["alert"] == id.as_str() {
                return all;
            }
            all.push((topic, said));
        }
    }
}

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
    for _ in 0..200 {
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
        assert!(tries < 200, "the new password is good");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(Client::connect(site.options("dev.qp-siren")).await.is_err(), "the old one is not");
    let rights = std::fs::read_to_string(site.file("acl")).unwrap();
    assert!(site.server.tocsin(&["devices", "end", "qp-siren"]).0);
    for _ in 0..200 {
        if std::fs::read_to_string(site.file("acl")).unwrap() != rights {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for name in ["acl", "passwords"] {
        assert!(!std::fs::read_to_string(site.file(name)).unwrap().contains("qp-siren"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_siren_plays_says_so_and_is_stopped_and_one_that_was_off_plays_nothing_old() {
    let site = Site::with(DEVICES, "").await;
    let mut siren = site.device("qp-siren").await;
    let first = Cma { colour: RED, ..Cma::new("first") };
    let id = site.send(&first).await;
    let (at, play) = siren.message().await;
    let event = text(&play["event"]);
    assert_eq!(at, topic("qp-siren", &format!("alert/{event}")));
    let wanted = json!({"id": id, "action": "play", "level": "red", "hazard": "typhoon", "pattern": "wail", "seconds": 60,
        "repeat": 3, "exercise": false, "language": "zh-CN"});
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&play[key], value, "{key} of {play}");
    }
    let said = text(&play["text"]);
    assert!(said.contains("青浦区") && said.contains("台风红色预警") && !said.contains('\n'), "{said}");
    let until = chrono::DateTime::parse_from_rfc3339(&text(&play["until"])).unwrap();
    assert!(until > Utc::now() + TimeDelta::hours(5));

    // It says that it has played; the one that has not is named.
    let said = json!({"id": id}).to_string();
    assert_eq!(siren.publish(&topic("qp-siren", "played"), said.as_bytes(), false).await, PubAckReason::Success);
    let store = site.store().await;
    let mut told = Vec::new();
    for _ in 0..200 {
        told = store.devices_played(&id).await.unwrap();
        if told.iter().any(|(_, at)| at.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told: Vec<_> = told.iter().map(|(id, at)| (id.as_str(), at.is_some())).collect();
    assert_eq!(told, [("qp-far", false), ("qp-siren", true)], "Songjiang's is not asked");
    // Said twice, or of an alert that was for others: no news.
    siren.publish(&topic("qp-siren", "played"), said.as_bytes(), false).await;

    // An update replaces it on the same topic, whose newest word alone is kept.
    let update = Cma { msg_type: "Update", colour: ORANGE, ..Cma::new("update") }.refers_to(&first);
    let second = site.send(&update).await;
    let (same, play) = siren.message().await;
    assert_eq!((same, text(&play["id"]), text(&play["event"])), (at.clone(), second, event));
    assert_eq!((&play["action"], &play["pattern"]), (&json!("play"), &json!("alternate")));
    drop(siren);
    let cancel = Cma { msg_type: "Cancel", colour: ORANGE, ..Cma::new("cancel") }.refers_to(&update);
    let last = site.send(&cancel).await;
    site.server.until(&last, |states| states["channels"]["mqtt"]["accepted"].as_u64() >= Some(2)).await;
    // It was off meanwhile: it finds that all is over, and nothing to play.
    let mut siren = site.device("qp-siren").await;
    let (at_once, stop) = siren.message().await;
    assert_eq!((at_once, &stop["action"], &stop["id"]), (at, &json!("stop"), &json!(last)));
    assert_eq!((&stop["pattern"], &stop["seconds"]), (&json!("none"), &json!(0)));

    // A shape that covers one of two: the other, in the same county, is not for it; a level below its own neither.
    let mut far = site.device("qp-far").await;
    let before = far.message().await;
    assert_eq!(before.1["action"], "stop", "of the first, retained");
    let near = Cma { event: ("暴雨", "Rainstorm"), colour: RED, ..Cma::new("shape") };
    let shape = "</areaDesc><polygon>31.08,121.02 31.08,121.08 31.12,121.08 31.12,121.02 31.08,121.02</polygon>";
    let xml = near.xml().replace(
        "</areaDesc><geocode><valueName>CPEAS Geographic Code</valueName><value>310118000000</value></geocode>",
        shape,
    );
    let (status, answer) = site.server.post(xml).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(siren.message().await.1["id"], answer["id"]);
    let marker = Cma { event: ("暴雨", "Rainstorm"), colour: RED, ..Cma::new("marker") };
    assert_eq!(far.messages_before(&site, &marker).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_heard_by_those_who_take_part_on_topics_of_its_own() {
    let site = Site::with(&DEVICES.replace("red,yes", "yellow,yes"), "").await;
    let mut horn = site.device("sj-horn").await;
    horn.subscribe("tocsin/v1/exercise/device/sj-horn/alert/#").await;
    let mut siren = site.device("qp-siren").await;
    siren.subscribe("tocsin/v1/exercise/#").await;
    for county in ["310117000000", "310118000000"] {
        site.send(&Cma { status: "Exercise", code: county.into(), colour: RED, ..Cma::new(county) }).await;
    }
    let (at, play) = horn.message().await;
    assert!(at.starts_with("tocsin/v1/exercise/device/sj-horn/alert/"), "{at}");
    assert_eq!((&play["exercise"], &play["action"]), (&json!(true), &json!("play")));
    assert!(text(&play["text"]).starts_with("演练"), "{play}");
    let marker = Cma { colour: RED, ..Cma::new("live") };
    assert_eq!(siren.messages_before(&site, &marker).await, [], "it never hears of drills");
    let live = Cma { code: "310117000000".into(), colour: RED, ..Cma::new("live-2") };
    assert_eq!(horn.messages_before(&site, &live).await, [], "nothing of the drill came as if it were real");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_device_is_refused_and_counted_and_holds_up_nobody() {
    let site = Site::with(DEVICES, "").await;
    let (mut bad, mut calm) = (site.device("qp-siren").await, site.device("qp-far").await);
    let beat = topic("qp-siren", "heartbeat");
    let large = vec![b'{'; 20_000];
    for payload in [large.as_slice(), b"{", b"\xff\xff", b"{\"battery\":1e9}", b"{\"firmware\":\"<script>\"}"] {
        bad.publish(&beat, payload, false).await;
    }
    bad.publish(&topic("qp-siren", "played"), b"{\"id\":\"'; DROP TABLE device\"}", false).await;
    for _ in 0..1_500 {
        bad.client.try_publish(&beat, QoS::AtMostOnce, false, "{}").unwrap();
    }
    bad.publish(&beat, b"{}", false).await;
    let firmware = b"{\"battery\":64,\"firmware\":\"2.1.0\"}";
    assert_eq!(calm.publish(&topic("qp-far", "heartbeat"), firmware, false).await, PubAckReason::Success);
    let all = site.until("the calm one is heard", |all| all["qp-far"]["battery"] == 64).await;
    assert_eq!((&all["qp-far"]["firmware"], &all["qp-far"]["refused"]), (&json!("2.1.0"), &json!(0)));
    let all = site.until("all is counted", |all| all["qp-siren"]["refused"].as_i64() > Some(500)).await;
    assert_eq!(all["qp-siren"]["problem"], "flood");
    assert!(site.metric("tocsin_device_refusals{reason=\"content\"} 5").await, "bad JSON and its like");
    assert!(site.metric("tocsin_device_refusals{reason=\"too_large\"} 1").await);
    assert!(site.metric("tocsin_devices{kind=\"siren\",presence=\"alive\"} 2").await);
    // And alerts go on.
    let id = site.send(&Cma { colour: RED, ..Cma::new("after") }).await;
    assert_eq!(calm.message().await.1["id"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_goes_is_silent_at_once_and_many_silent_ones_are_called_for_once() {
    let site = Site::with(DEVICES, "alarm_percent = 50\nalarm_least = 2").await;
    let crew = Crew::of(&site.server).await;
    let operator = crew.officer("op", &["operator:310000"]).await;
    let address = Address::parse(ChannelKind::Email, "op@example.org").unwrap();
    crew.staff.set_own_addresses(&operator.row, &[address]).await.unwrap();
    let (siren, far, horn) = (site.device("qp-siren").await, site.device("qp-far").await, site.device("sj-horn").await);
    let ids = ["qp-siren", "qp-far", "sj-horn"];
    let gone = |all: &Value| ids.iter().filter(|id| all[*id]["gone"] == true).count();
    site.until("all three live", |all| ids.iter().all(|id| all[*id]["lives"] == true)).await;
    // The broker notices that they are gone, and says so in their stead.
    drop(siren);
    let all = site.until("one is gone", |all| gone(all) == 1).await;
    assert_eq!(all["qp-siren"]["gone"], true);
    let (well, out, _) = site.server.tocsin(&["--json", "devices", "list"]);
    assert!(!well && out.contains("\"silent\":1"), "{out}");
    drop(far);
    site.until("two are gone", |all| gone(all) == 2).await;
    let store = crew.store.clone();
    let count = async |kind: &str| {
        let filter = RecordFilter { kind: Some(kind.into()), ..RecordFilter::default() };
        store.record_lines(&filter, 10).await.unwrap()
    };
    let mut lines = Vec::new();
    for _ in 0..200 {
        lines = count("device.silent").await;
        if !lines.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(lines.len(), 1, "{}", site.server.log());
    assert_eq!(lines[0].detail, json!({"silent": 2, "devices": 3}).to_string());
    let called = count("device.call").await;
    assert_eq!((called.len(), called[0].subject.as_str()), (1, "op"));
    assert_eq!(called[0].detail, json!({"addresses": 1}).to_string());
    // Well again, and said so.
    let _back = site.device("qp-siren").await;
    for _ in 0..200 {
        if !count("device.alive").await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((count("device.silent").await.len(), count("device.alive").await.len()), (1, 1));
    drop(horn);
}

#[test]
fn a_bad_row_is_named_by_its_line_and_a_trial_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let file = folder.path().join("d.csv");
    let table = "id,kind,name,region,lat,lon,organisation,lowest,drills\n\
        good-1,siren,楼顶,310118,,,,,\n\
        Bad ID,siren,楼顶,310118,,,,,\n\
        bad-2,bell,楼顶,310118,,,,,\n\
        bad-3,siren,楼顶,310000,,,,,\n\
        bad-4,siren,楼顶,310118,30.0,120.0,,,\n\
        bad-5,siren,楼顶,310118,north,120.0,,,\n\
        bad-6,siren,楼顶,310118,,,nobody,,\n\
        bad-7,siren,,310118,,,,,\n\
        bad-8,siren,楼顶,310118,,,,purple,\n\
        bad-9,siren,楼顶,310118,,,,,maybe\n\
        good-1,siren,again,310118,,,,,\n";
    std::fs::write(&file, table).unwrap();
    let path = file.to_str().unwrap();
    let (well, out, _) = tocsin(&config, &["--json", "devices", "import", path, "--dry-run"]);
    let done: Value = serde_json::from_str(&out).unwrap();
    assert!(!well, "bad rows are an answer of no");
    let lines: Vec<_> = done["bad"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!((done["added"].as_u64(), lines), (Some(1), (3..=12).collect()), "{done:#}");
    let (_, out, _) = tocsin(&config, &["--json", "devices", "list"]);
    assert!(out.contains("\"devices\":[]"), "{out}");
    for (text, why) in [("id,kind\n", "`name`"), ("id,kind,name,region,colour\n", "`colour`"), ("", "`id`")] {
        std::fs::write(&file, text).unwrap();
        let (well, _, error) = tocsin(&config, &["devices", "import", path, "--dry-run"]);
        assert!(!well && error.contains(why), "{text}: {error}");
    }
}
