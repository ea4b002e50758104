//! The real intake over a store of its own, a clock that is set, and channels that remember what they were given.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin::approval::Desk;
use tocsin::clock::Clock;
use tocsin::config::BureauConfig;
use tocsin::dispatch::{Engine, EngineOptions, Provider, WaysOut};
use tocsin::intake::{Format, Intake, Receipt, RefusalCode};
use tocsin::messages::{MessageOptions, Templates};
use tocsin::policy::Policy;
use tocsin::regions::{LocateOptions, RegionMap};
use tocsin::rules::RuleSet;
use tocsin::store::{AlertRow, Store, StoreOptions};
use tocsin_channels::{Answer, Channel, ChannelKind, Content, Window};

const RULES: &str = r#"
[[approval]]
name = "none"

[[approval]]
name = "one"
stages = ["sign"]
by = "province"
steps = [{ page = "primary", by = ["email"], within = "3m", then = "hold" }]

[[rule]]
name = "all"
when = { status = ["Actual"] }
audience = ["public"]
channels = ["sms", "mqtt"]
priority = 1
approval = "none"
"#;

static POLICY: LazyLock<Arc<ArcSwap<Policy>>> = LazyLock::new(|| {
    let map = RegionMap::delta().unwrap();
    Arc::new(ArcSwap::from_pointee(Policy {
        rules: RuleSet::parse(RULES, "rules.toml", &map).unwrap(),
        locate: LocateOptions::default(),
        templates: Templates::shipped().unwrap(),
        messages: MessageOptions::default(),
        bureaus: vec![bureau("shanghai"), bureau("other")],
        keys: BTreeMap::new(),
        signing: None,
        sources: BTreeMap::new(),
        map,
    }))
});

fn bureau(name: &str) -> BureauConfig {
    let text = format!("name = \"{name}\"\ntoken_sha256 = \"\"\nregions = [\"310000\"]");
    toml::from_str(&text).unwrap()
}

/// Minute 0 of every test.
fn begin() -> DateTime<Utc> {
    "2026-07-01T02:00:00Z".parse().unwrap()
}

struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> DateTime<Utc> {
        begin() + TimeDelta::minutes(self.0.load(Ordering::SeqCst))
    }
}

struct Remembering(ChannelKind, Mutex<Vec<(String, Heard)>>);

/// What a short message said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Warn,
    Lifted,
    End,
}

impl Heard {
    /// By its words.
    pub fn of(text: &str) -> Self {
        match text {
            _ if text.contains("解除：") => Self::End,
            _ if text.contains("已不在预警区内") => Self::Lifted,
            _ => Self::Warn,
        }
    }
}

#[async_trait::async_trait]
impl Channel for Remembering {
    fn kind(&self) -> ChannelKind {
        self.0
    }

    async fn send(&self, window: Window<'_>) -> Vec<Answer> {
        let heard = match window.content {
            Content::Sms(sms) => Heard::of(&sms.text),
            _ => Heard::Warn,
        };
        self.1.lock().unwrap().extend(window.messages.iter().map(|message| (message.to.clone(), heard)));
        window.messages.iter().map(|_| Answer::ACCEPTED).collect()
    }
}

/// What one message made people hear.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub receipt: Option<Receipt>,
    pub warned: usize,
    pub lifted: usize,
    pub ended: usize,
    pub topics: usize,
    /// In the order in which they left.
    pub heard: Vec<(String, Heard)>,
}

pub struct World {
    pub store: Store,
    intake: Intake,
    engine: Engine,
    clock: Arc<Set>,
    sms: Arc<Remembering>,
    mqtt: Arc<Remembering>,
    names: Mutex<BTreeMap<String, String>>,
    people: AtomicI64,
    /// Where its tables are.
    pub url: String,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url: url.clone(), max_size_mib: None }).await.unwrap();
        let clock = Arc::new(Set(AtomicI64::new(0)));
        let time: Arc<dyn Clock> = clock.clone();
        let [sms, mqtt] = [ChannelKind::Sms, ChannelKind::Mqtt].map(|k| Arc::new(Remembering(k, Mutex::default())));
        let provider = |channel: &Arc<Remembering>| {
            let name = channel.0.to_string();
            let channel: Arc<dyn Channel> = channel.clone();
            Provider { name, channel, rate: None, workers: 1, window: 64 }
        };
        let options =
            EngineOptions { clock: Arc::clone(&time), leave: WaysOut::default(), policy: Some(Arc::clone(&POLICY)) };
        let engine = Engine::start(store.clone(), vec![provider(&sms), provider(&mqtt)], options).await.unwrap();
        let desk = Desk::new(store.clone(), Arc::clone(&POLICY), Arc::clone(&time), "", engine.waker());
        let intake = Intake::new(store.clone(), Arc::clone(&POLICY), time, Arc::new(desk));
        let (names, people) = (Mutex::default(), AtomicI64::new(0));
        Self { store, intake, engine, clock, sms, mqtt, names, people, url, _folder: folder }
    }

    /// So many more people of a county sign up.
    pub async fn people(&self, region: &str, n: i64) {
        let first = self.people.fetch_add(n, Ordering::SeqCst);
        let rows: String = (first..first + n).map(|id| format!("{region},138{id:08}\n")).collect();
        let csv = format!("region,phone\n{rows}");
        let map = &POLICY.load().map;
        let report = tocsin::residents::import(&self.store, map, csv.as_bytes(), begin(), |_| {}).await.unwrap();
        assert_eq!(report.addresses, u64::try_from(n).unwrap());
    }

    /// A message arrives, and everything that leaves because of it has left.
    pub async fn post(&self, message: &Message) -> Result<Told, RefusalCode> {
        self.clock.0.store(message.arrives, Ordering::SeqCst);
        let (xml, voice) = (message.xml(), bureau(message.bureau));
        let receipt = self.intake.accept(&voice, xml.as_bytes(), Format::Xml).await.map_err(|refusal| refusal.code)?;
        self.names.lock().unwrap().insert(receipt.id.to_string(), message.name.clone());
        self.engine.wake();
        self.settle().await;
        let heard = std::mem::take(&mut *self.sms.1.lock().unwrap());
        let count = |what: Heard| heard.iter().filter(|(_, heard)| *heard == what).count();
        let topics = std::mem::take(&mut *self.mqtt.1.lock().unwrap()).len();
        let (warned, lifted, ended) = (count(Heard::Warn), count(Heard::Lifted), count(Heard::End));
        Ok(Told { receipt: Some(receipt), warned, lifted, ended, topics, heard })
    }

    /// Waits until every release is planned and everyone in it has an end.
    async fn settle(&self) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        'again: loop {
            assert!(std::time::Instant::now() < deadline, "it never settles");
            for alert in self.alerts().await {
                let out = matches!(alert.state.as_str(), "released" | "partly");
                // What is planned has all its chunks: only then do they say whether anything is open.
                let planned = !out || self.store.is_planned(&alert.id).await.unwrap();
                let open: u64 = self.store.states(&alert.id).await.unwrap().values().map(|counts| counts.open()).sum();
                if open > 0 || !planned {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue 'again;
                }
            }
            return;
        }
    }

    pub async fn alerts(&self) -> Vec<AlertRow> {
        self.store.alerts(None, 500).await.unwrap()
    }

    /// The alerts that stand at the head of their events, by name.
    pub async fn heads(&self) -> Vec<String> {
        let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for alert in self.alerts().await {
            let heads = chains.entry(alert.chain.clone()).or_default();
            let part = matches!(alert.msg_type.as_str(), "Alert" | "Update" | "Cancel");
            if part && alert.superseded_by.is_none() && alert.status == "Actual" {
                heads.push(self.name(&alert.id));
            }
        }
        assert!(chains.values().all(|heads| heads.len() <= 1), "an event with two heads: {chains:?}");
        let mut heads: Vec<_> = chains.into_values().flatten().collect();
        heads.sort();
        heads
    }

    pub fn name(&self, id: &str) -> String {
        self.names.lock().unwrap().get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    pub fn id(&self, name: &str) -> String {
        let names = self.names.lock().unwrap();
        names.iter().find(|(_, own)| *own == name).map(|(id, _)| id.clone()).unwrap()
    }
}

/// A message of a bureau; minutes count from the test's beginning.
#[derive(Debug, Clone)]
pub struct Message {
    pub name: String,
    pub bureau: &'static str,
    pub sent: i64,
    pub arrives: i64,
    pub kind: String,
    pub status: String,
    pub colour: String,
    pub event: String,
    pub area: Vec<String>,
    pub until: i64,
    pub says: String,
    pub clear: bool,
    /// `name@minute`.
    pub references: Vec<String>,
    pub incidents: String,
}

impl Message {
    pub fn new(name: &str, sent: i64) -> Self {
        Self {
            name: name.into(),
            bureau: "shanghai",
            sent,
            arrives: sent,
            kind: "Alert".into(),
            status: "Actual".into(),
            colour: "yellow".into(),
            event: "台风".into(),
            area: vec!["310118".into()],
            until: 600,
            says: name.into(),
            clear: false,
            references: Vec::new(),
            incidents: String::new(),
        }
    }

    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = kind.into();
        self
    }

    pub fn colour(mut self, colour: &str) -> Self {
        self.colour = colour.into();
        self
    }

    pub fn says(mut self, says: &str) -> Self {
        self.says = says.into();
        self
    }

    pub fn until(mut self, minute: i64) -> Self {
        self.until = minute;
        self
    }

    pub fn area(mut self, area: &[&str]) -> Self {
        self.area = area.iter().map(|code| (*code).to_owned()).collect();
        self
    }

    /// References others, each as `name@minute`.
    pub fn names(mut self, names: &[&str]) -> Self {
        self.references = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub fn xml(&self) -> String {
        let time = |minute: i64| {
            let at =
                (begin() + TimeDelta::minutes(minute)).with_timezone(&chrono::FixedOffset::east_opt(28_800).unwrap());
            at.format("%Y-%m-%dT%H:%M:%S%:z").to_string()
        };
        let reference = |named: &String| {
            let (name, minute) = named.split_once('@').expect("name@minute");
            format!("上海中心气象台,{name},{}", time(minute.parse().unwrap()))
        };
        let tag = |tag: &str, text: String| if text.is_empty() { text } else { format!("<{tag}>{text}</{tag}>") };
        let references = tag("references", self.references.iter().map(reference).collect::<Vec<_>>().join(" "));
        let incidents = tag("incidents", self.incidents.clone());
        let (zh, severity) = match self.colour.as_str() {
            "blue" => ("蓝色", "Minor"),
            "orange" => ("橙色", "Severe"),
            "red" => ("红色", "Extreme"),
            _ => ("黄色", "Moderate"),
        };
        let geocode = |code: &String| {
            format!("<geocode><valueName>CPEAS Geographic Code</valueName><value>{code}000000</value></geocode>")
        };
        let area: String = self.area.iter().map(geocode).collect();
        let info = format!(
            "<info><language>zh-CN</language><category>Met</category><event>{event}</event>{}<urgency>Expected</urgency>\
             <severity>{severity}</severity><certainty>Likely</certainty><expires>{}</expires>\
             <headline>上海中心气象台发布{event}{zh}预警</headline><description>{}</description>\
             <area><areaDesc>x</areaDesc>{area}</area></info>",
            if self.clear { "<responseType>AllClear</responseType>" } else { "" },
            time(self.until),
            self.says,
            event = self.event,
        );
        let info = if self.area.is_empty() { String::new() } else { info };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{}</identifier>\
             <sender>上海中心气象台</sender><sent>{}</sent><status>{}</status><msgType>{}</msgType><scope>Public</scope>{references}{incidents}{info}</alert>",
            self.name.replace(' ', "-"),
            time(self.sent),
            self.status,
            self.kind,
        )
    }
}
