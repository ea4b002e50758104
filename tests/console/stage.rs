//! A server with channels that lead to sinks, people who are told, and officers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;
use tocsin_sinks::broker::Broker;
use tocsin_sinks::real::{SmtpSink, free_port};
use tocsin_sinks::{Sink, Tally, broker, gateway};

use crate::officers::Roll;
use crate::support::{self, Server, write_config};

const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

/// The token of the bureau that speaks for three provinces.
pub const DELTA: &str = "tocsin_delta-token";

/// A session as old as this has no fresh proof of presence, and holds: a grave act asks for a code.
pub const UNPROVED: TimeDelta = TimeDelta::minutes(6);

/// Rules for short tests: red waits for one signature in each province, with this ladder; so does a drill.
pub fn rules(steps: &str) -> String {
    format!(
        "[[approval]]\nname = \"none\"\n[[approval]]\nname = \"short\"\nstages = [\"sign\"]\nby = \"province\"\nsteps = [{steps}]\n\
         [[rule]]\nname = \"red\"\nwhen = {{ all = [{{ status = [\"Actual\"] }}, {{ colour = [\"red\"] }}] }}\n\
         audience = [\"public\"]\nchannels = [\"sms\", \"email\", \"mqtt\", \"push\"]\npriority = 0\napproval = \"short\"\n\
         [[rule]]\nname = \"drill\"\nwhen = {{ status = [\"Exercise\"] }}\naudience = [\"drill\"]\n\
         channels = [\"sms\", \"email\", \"mqtt\", \"push\"]\npriority = 3\napproval = \"short\"\n"
    )
}

/// A rung of the ladder.
pub fn step(page: &str, within: &str, then: &str) -> String {
    format!("{{ page = \"{page}\", by = [\"sms\", \"email\", \"push\"], within = \"{within}\", then = \"{then}\" }}")
}

/// Everything around a server.
pub struct Stage {
    pub server: Server,
    pub sms: Sink,
    pub mail: SmtpSink,
    pub push: Sink,
    pub broker: Broker,
    _servers: tempfile::TempDir,
}

/// A stage before the server starts.
pub struct Props {
    folder: tempfile::TempDir,
    servers: tempfile::TempDir,
    sms: Sink,
    mail: SmtpSink,
    push: Sink,
    broker: Broker,
}

/// A subscription that leads to the push sink.
pub fn subscription(push: &Sink, id: &str) -> String {
    let keys = json!({"p256dh": P256DH, "auth": "BTBZMqHH6r4Tts7J_aSIgg"});
    json!({"endpoint": format!("http://{}/push/{id}", push.addr), "keys": keys}).to_string()
}

impl Props {
    /// Sinks, and a configuration that leads there; the shipped rules where none are given.
    pub async fn new(rules: Option<&str>, texts_a_second: u32) -> Self {
        Self::with_texts(Tally::keeping_keys(), rules, texts_a_second).await
    }

    /// The same with a gateway for short messages that has faults; "gone" is a number that is nobody's.
    pub async fn with_texts(tally: Tally, rules: Option<&str>, texts_a_second: u32) -> Self {
        let (folder, servers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sms = gateway::start_sms(tally).await.unwrap();
        let push = gateway::start_push(Tally::keeping_keys()).await.unwrap();
        let broker = broker::start(Tally::keeping_keys()).await.unwrap();
        let mail = SmtpSink::start(servers.path()).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("password"), "secret").unwrap();
        let kannel = include_str!("../../channels/src/sms/gateways/kannel.toml")
            .replace("127.0.0.1:13013", &sms.addr.to_string())
            .replace("secrets/kannel-password", &path("password"))
            .replace("answers = [", "answers = [\n    { status = \"410\", class = \"bad_address\" },");
        let rules = rules.map_or_else(String::new, |rules| {
            std::fs::write(path("rules.toml"), rules).unwrap();
            format!("[rules]\nfile = \"{}\"\n", path("rules.toml"))
        });
        let hash = ring::digest::digest(&ring::digest::SHA256, DELTA.as_bytes());
        let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let more = format!(
            "[[bureau]]\nname = \"delta\"\ntoken_sha256 = \"{hash}\"\nregions = [\"310000\", \"320000\", \"330000\"]\n{rules}\
             [channels.email]\nvia = {{ relays = [{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}], from = \"预警 <w@example.org>\", domain = \"w.example.org\" }}\n\
             [channels.mqtt]\nvia = {{ host = \"127.0.0.1\", port = {} }}\n\
             [channels.push]\nvia = {{ vapid_key_file = \"{}\", contact = \"mailto:d@example.org\", allow_private = [\"{}\"] }}\n\
             [channels.sms]\nrate = {{ per_second = {texts_a_second} }}\nwindow = 8\nworkers = 2\n[channels.sms.via]\n{kannel}\n",
            mail.port,
            broker.sink.addr.port(),
            path("vapid.der"),
            push.addr
        );
        let config = write_config(folder.path(), &more);
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let text = std::fs::read_to_string(&config).unwrap();
        let server = format!("listen = \"{listen}\"\npublic_url = \"http://{listen}\"");
        std::fs::write(&config, text.replace("listen = \"127.0.0.1:0\"", &server)).unwrap();
        assert!(support::tocsin(&config, &["keys", "push", &path("vapid.der")]).0);
        Self { folder, servers, sms, mail, push, broker }
    }

    /// People: region, language, list, phone, e-mail, the name of a browser; one a line.
    pub fn people(&self, lines: &str) {
        let mut csv = "region,language,audience,phone,email,push\n".to_owned();
        for line in lines.lines() {
            let mut cells: Vec<String> = line.split(',').map(|cell| cell.trim().to_owned()).collect();
            if let Some(push) = cells.get_mut(5).filter(|push| !push.is_empty()) {
                *push = format!("\"{}\"", subscription(&self.push, push).replace('"', "\"\""));
            }
            csv += &(cells.join(",") + "\n");
        }
        let path = self.folder.path().join("people.csv");
        std::fs::write(&path, csv).unwrap();
        let config = self.folder.path().join("config.toml");
        let (well, out, _) =
            support::tocsin(&config, &["--json", "subscribers", "import", &path.display().to_string()]);
        assert!(well && out.contains("\"bad\":0"), "{out}");
    }

    /// The officers' roll, while the server is not running.
    pub async fn roll(&self, behind: TimeDelta) -> Roll {
        Roll::open(&self.folder.path().join("config.toml"), behind).await
    }

    pub fn start(self) -> Stage {
        let Self { folder, servers, sms, mail, push, broker } = self;
        Stage { server: Server::start_in(folder), sms, mail, push, broker, _servers: servers }
    }
}

impl Stage {
    /// What waits in a jurisdiction is due now: its ladder's time is over.
    pub async fn let_due(&self, jurisdiction: &str) {
        use sqlx::Connection as _;
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}", self.server.folder.path().join("t.db").display());
        let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 10000").execute(&mut store).await.unwrap();
        let changed = sqlx::query(
            "UPDATE escalation SET due_at = 0, body = json_set(body, '$.due', '2020-01-01T00:00:00Z')
             WHERE jurisdiction = $1 AND state = 'waiting'",
        )
        .bind(jurisdiction)
        .execute(&mut store)
        .await
        .unwrap();
        assert_eq!(changed.rows_affected(), 1);
        store.close().await.unwrap();
    }

    /// Every short message at the gateway, text by number; what came twice is there twice.
    pub fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (target, times) in self.sms.tally.keys() {
            let url = reqwest::Url::parse(&format!("http://sink{target}")).unwrap();
            let fields: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
            for _ in 0..times {
                texts.push((fields["to"].clone(), fields["text"].clone()));
            }
        }
        texts
    }

    /// The texts that came to a number.
    pub fn texts_to(&self, number: &str) -> Vec<String> {
        self.texts().into_iter().filter(|(to, _)| to == number).map(|(_, text)| text).collect()
    }

    /// Addresses of all mails at the relay, with the mails.
    pub fn mails(&self) -> Vec<(String, String)> {
        let to =
            |mail: &String| mail.split("\nTo: <").nth(1).and_then(|rest| rest.split('>').next()).map(str::to_owned);
        self.mail.mails().unwrap().into_iter().filter_map(|mail| Some((to(&mail)?, mail))).collect()
    }

    pub fn mails_to(&self, address: &str) -> usize {
        self.mails().iter().filter(|(to, _)| to == address).count()
    }

    /// How often a browser was pushed to.
    pub fn pushes_to(&self, id: &str) -> u32 {
        self.push.tally.keys().get(&format!("/push/{id}")).copied().unwrap_or(0)
    }
}

/// Waits for something outside the browser.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
