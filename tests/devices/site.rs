//! A server, its broker, and devices that connect to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, Packet, PubAckReason, Publish};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _};
use tocsin::app::store_options;
use tocsin::config::Config;
use tocsin::store::Store;
use tocsin_sinks::real::{Mosquitto, free_port};

use crate::support::{Cma, Server, tocsin, write_config};

const RULES: &str = "[[approval]]\nname = \"none\"\n[[rule]]\nname = \"all\"\nwhen = { status = [\"Actual\"] }\naudience = [\"public\"]\nchannels = [\"mqtt\"]\npriority = 0\napproval = \"none\"\n\
[[rule]]\nname = \"drill\"\nwhen = { status = [\"Exercise\"] }\naudience = [\"drill\"]\nchannels = [\"mqtt\"]\npriority = 3\napproval = \"none\"\n";

pub const DEVICES: &str = "id,kind,name,region,lat,lon,organisation,lowest,drills\n\
    qp-siren,siren,朱家角镇文化站楼顶,310118,31.10,121.05,,yellow,no\n\
    qp-far,siren,华新镇政府,310118,31.24,121.23,,yellow,no\n\
    sj-horn,loudspeaker,泗泾村口,310117,,,,red,yes\n";

/// A server, its broker, and the accounts of its devices.
pub struct Site {
    pub server: Server,
    pub broker: Mosquitto,
    pub accounts: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Site {
    /// Everything running, with the devices of this table; `more` is for [devices].
    pub fn start(devices: &str, organisations: Option<&str>, more: &str) -> Self {
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

    pub async fn with(devices: &str, more: &str) -> Self {
        let site = Self::start(devices, None, more);
        site.until("somebody listens", |all| all["listening"] == true).await;
        site
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("accounts").join(name)
    }

    pub fn options(&self, account: &str) -> MqttOptions {
        let mut options = MqttOptions::new(account, "127.0.0.1", self.broker.port);
        options.set_credentials(account, self.accounts.get(account).map_or("", String::as_str));
        options.set_keep_alive(Duration::from_secs(300));
        options
    }

    /// A device that is on: it says so, its last will says when it is not, and it reads its alerts.
    pub async fn device(&self, id: &str) -> Client {
        let mut options = self.options(&format!("dev.{id}"));
        options.set_last_will(LastWill::new(topic(id, "state"), "offline", QoS::AtLeastOnce, true, None));
        let mut client = Client::connect(options).await.unwrap();
        client.subscribe(&topic(id, "alert/#")).await;
        assert_eq!(client.publish(&topic(id, "state"), b"online", true).await, PubAckReason::Success);
        client
    }

    /// What is on record of the devices, by id, and since when somebody listens.
    pub async fn devices(&self) -> Value {
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
    pub async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_200 {
            let all = self.devices().await;
            if wanted(&all) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {what}: {:#}\n{}", self.devices().await, self.server.log());
    }

    pub async fn send(&self, alert: &Cma) -> String {
        let (status, answer) = self.server.post(alert.xml()).await;
        assert_eq!(status, 201, "{answer}");
        text(&answer["id"])
    }

    pub async fn store(&self) -> Store {
        Store::open(&store_options(&Config::load(&self.server.config()).unwrap())).await.unwrap()
    }

    pub async fn metric(&self, line: &str) -> bool {
        self.server.get("/metrics").await.text().await.unwrap().lines().any(|own| own == line)
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

pub fn topic(id: &str, word: &str) -> String {
    format!("tocsin/v1/device/{id}/{word}")
}

/// One connection to the broker.
pub struct Client {
    pub client: AsyncClient,
    events: EventLoop,
    got: std::collections::VecDeque<Publish>,
}

impl Client {
    pub async fn connect(options: MqttOptions) -> Result<Self, ConnectionError> {
        let (client, mut events) = AsyncClient::new(options, 2_000);
        while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        Ok(Self { client, events, got: std::collections::VecDeque::new() })
    }

    pub async fn next(&mut self) -> Packet {
        loop {
            match self.events.poll().await.unwrap() {
                Event::Incoming(Packet::Publish(publish)) => self.got.push_back(publish),
                Event::Incoming(packet) => return packet,
                Event::Outgoing(_) => {}
            }
        }
    }

    pub async fn subscribe(&mut self, filter: &str) {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        while !matches!(self.next().await, Packet::SubAck(_)) {}
    }

    /// Publishes, and says what the broker thinks of it.
    pub async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) -> PubAckReason {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload.to_vec()).await.unwrap();
        loop {
            if let Packet::PubAck(ack) = self.next().await {
                return ack.reason;
            }
        }
    }

    /// The next message: its topic, and its JSON or text.
    pub async fn message(&mut self) -> (String, Value) {
        let next = async {
            while self.got.is_empty() {
                if let Event::Incoming(Packet::Publish(publish)) = self.events.poll().await.unwrap() {
                    self.got.push_back(publish);
                }
            }
            self.got.pop_front().unwrap()
        };
        let publish = tokio::time::timeout(Duration::from_secs(120), next).await.expect("a message comes");
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let word = || Value::String(String::from_utf8_lossy(&publish.payload).into_owned());
        (topic, serde_json::from_slice(&publish.payload).unwrap_or_else(|_| word()))
    }

    /// What is here before a message of one's own comes back: nothing else was on its way.
    pub async fn messages_before(&mut self, site: &Site, marker: &Cma) -> Vec<(String, Value)> {
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
