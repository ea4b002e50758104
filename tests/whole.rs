//! From the bytes that a bureau sends to what becomes of them: each folder of `tests/cases/whole` goes through the real intake, with
//! the shipped rules, at a moment that is set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "support/case.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod case;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use case::{Case, Expected, MARK};
use chrono::{DateTime, FixedOffset, Utc};
use futures_util::StreamExt as _;
use tocsin::approval::Desk;
use tocsin::cap::{AlertId, Verdict};
use tocsin::clock::Clock;
use tocsin::config::{BureauConfig, Config};
use tocsin::intake::{Format, History, Intake};
use tocsin::policy::Policy;
use tocsin::store::{AlertState, Store, StoreOptions};

static POLICY: LazyLock<Arc<ArcSwap<Policy>>> =
    LazyLock::new(|| Arc::new(ArcSwap::from_pointee(Policy::build(&Config::default()).unwrap())));

/// A clock that stands.
struct Still(DateTime<Utc>);

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// The front door over a store of its own.
struct Door {
    store: Store,
    intake: Intake,
    bureau: BureauConfig,
    /// Names of what is on record.
    names: BTreeMap<AlertId, String>,
    _folder: tempfile::TempDir,
}

impl Door {
    async fn of(case: &Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let store = Store::open(&StoreOptions { url, max_size_mib: None }).await.unwrap();
        let comes = case.comes.as_deref().unwrap_or("2022-09-14T20:00:00+08:00");
        let comes: DateTime<FixedOffset> = comes.parse().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Still(comes.to_utc()));
        let desk = Desk::new(store.clone(), Arc::clone(&POLICY), Arc::clone(&clock), "", Arc::new(|| {}));
        let intake = Intake::new(store.clone(), Arc::clone(&POLICY), clock, Arc::new(desk));
        let mut regions = case.regions.clone();
        if regions.is_empty() {
            let policy = POLICY.load();
            regions.extend(["310000", "320000", "330000", "340000"].map(|code| code.parse().unwrap()));
            regions.extend(policy.map.sea_areas().map(|sea| sea.code.clone()));
        }
        let bureau = BureauConfig {
            name: "bureau".into(),
            regions,
            hazards: case.hazards.clone(),
            levels: case.levels.clone(),
            outside: case.outside,
            profile: case.profiles.clone(),
            ..BureauConfig::default()
        };
        let mut door = Self { store, intake, bureau, names: BTreeMap::new(), _folder: folder };
        // What came before is taken however strict the bureau's profile.
        let before = BureauConfig { profile: Vec::new(), ..door.bureau.clone() };
        for (name, raw, json) in &case.earlier {
            let format = if *json { Format::Json } else { Format::Xml };
            let taken = door.intake.accept(&before, raw, format).await;
            let receipt = taken.unwrap_or_else(|refusal| panic!("{name}: {refusal}, {:?}", refusal.findings));
            door.names.insert(receipt.id, name.clone());
        }
        door
    }

    fn name(&self, id: &str) -> String {
        let found = self.names.iter().find(|(own, _)| own.as_str() == id);
        found.map_or_else(|| "what is not on record".to_owned(), |(_, name)| name.clone())
    }

    async fn accept(&mut self, raw: &[u8], format: Format) -> Expected {
        let numbers = |findings: &[tocsin::cap::Finding]| {
            findings.iter().map(|finding| format!("T{}", finding.code.number())).collect()
        };
        let receipt = match self.intake.accept(&self.bureau, raw, format).await {
            Ok(receipt) => receipt,
            Err(refusal) => {
                return Expected {
                    verdict: Verdict::Refused.as_str().into(),
                    refusal: refusal.code.as_str().into(),
                    findings: numbers(&refusal.findings),
                    ..Expected::default()
                };
            }
        };
        self.names.entry(receipt.id.clone()).or_insert_with(|| "it".into());
        let row = self.store.alert(receipt.id.as_str()).await.unwrap().unwrap();
        let history = History::of(&self.store, receipt.id.as_str()).await.unwrap().unwrap();
        let own = history.alerts.iter().find(|link| link.id == receipt.id.as_str()).unwrap();
        let withheld = row.decision["withheld"].as_str().filter(|_| receipt.state == AlertState::Withheld);
        Expected {
            verdict: receipt.verdict.as_str().into(),
            refusal: String::new(),
            findings: numbers(&receipt.findings),
            state: receipt.state.as_str().into(),
            withheld: withheld.unwrap_or_default().into(),
            repeat: receipt.repeat,
            regions: regions(&row.decision["regions"]),
            event: self.name(&history.chain),
            joined: own.joined.iter().map(|join| format!("{} {}", join.why.as_str(), self.name(&join.alert))).collect(),
            head: history.head.map(|head| self.name(&head)).unwrap_or_default(),
        }
    }
}

fn regions(decided: &serde_json::Value) -> Vec<String> {
    const MOST: usize = 8;
    let policy = POLICY.load();
    let codes: Vec<&str> = decided.as_array().into_iter().flatten().filter_map(|code| code.as_str()).collect();
    let named = |code: &&str| {
        let name = code.parse().ok().and_then(|code| policy.map.get(&code)).map(|region| region.name.clone());
        format!("{code} {}", name.unwrap_or_default())
    };
    let mut shown: Vec<_> = codes.iter().take(MOST).map(named).collect();
    if codes.len() > MOST {
        shown.push(format!("and {} more", codes.len() - MOST));
    }
    shown
}

/// What is wrong with one folder; or, where it is to be written, nothing.
async fn judge(name: &str, case: &Case, folder: &Path) -> Option<String> {
    let (raw, json) = case.input(folder);
    let format = if json { Format::Json } else { Format::Xml };
    let found = Door::of(case).await.accept(&raw, format).await;
    if std::env::var_os("TOCSIN_CASES").is_some_and(|what| what == "write") {
        let file = folder.join("expected.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let head = text.split(MARK).next().unwrap().trim_end();
        std::fs::write(file, format!("{head}\n\n{MARK}{}", toml::to_string(&found).unwrap())).unwrap();
        return None;
    }
    let differs = || format!("{name} ({}):\nfound  {found:#?}\nwanted {:#?}", case.says, case.expected);
    (found != case.expected).then(differs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_folder_becomes_what_a_person_agreed_with() {
    let cases = case::all();
    assert!(cases.len() >= 120, "only {} cases", cases.len());
    let each = futures_util::stream::iter(&cases).map(|(name, case, folder)| judge(name, case, folder));
    let wrong: Vec<String> = each.buffered(4).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}
