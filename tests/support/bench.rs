//! The officers' desk in this process, over a store of its own.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use tocsin::approval::{Act, Desk};
use tocsin::clock::Clock;
use tocsin::config::{BureauConfig, Config};
use tocsin::intake::{Format, Intake, Receipt};
use tocsin::policy::Policy;
use tocsin::record::Line;
use tocsin::store::EscalationRow;
use tocsin::world::Live;

use super::support::crew::{Crew, Officer};
use super::support::{Cma, write_config};

/// A clock that stands, until its hands are moved: the time at first, and seconds since.
struct Hands(DateTime<Utc>, AtomicI64);

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        self.0 + TimeDelta::seconds(self.1.load(Ordering::SeqCst))
    }
}

/// The desk and the front door in this process, over a store of their own.
pub struct Bench {
    pub crew: Crew,
    pub desk: Arc<Desk>,
    intake: Intake,
    /// When it began.
    pub now: DateTime<Utc>,
    hands: Arc<Hands>,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new(rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.toml");
        std::fs::write(&file, rules).unwrap();
        let config = write_config(folder.path(), &format!("[rules]\nfile = \"{}\"\n", file.display()));
        let crew = Crew::open(&config).await;
        let policy = Arc::new(ArcSwap::from_pointee(Policy::build(&Config::load(&config).unwrap()).unwrap()));
        let now = Utc::now();
        let hands = Arc::new(Hands(now, AtomicI64::new(0)));
        let clock: Arc<dyn Clock> = Arc::clone(&hands) as Arc<dyn Clock>;
        let desk = Desk::new(crew.store.clone(), Arc::clone(&policy), Arc::clone(&clock), "", Arc::new(|| {}));
        let desk = Arc::new(desk);
        let intake = Intake::new(crew.store.clone(), policy, clock, Arc::clone(&desk));
        Self { crew, desk, intake, now, hands, folder }
    }

    /// Time passes, and the desk looks at what is due.
    pub async fn pass(&self, time: TimeDelta) {
        self.hands.1.fetch_add(time.num_seconds(), Ordering::SeqCst);
        self.desk.look().await.unwrap();
    }

    pub async fn post(&self, alert: &Cma) -> Receipt {
        self.post_xml(&alert.xml()).await
    }

    pub async fn post_xml(&self, xml: &str) -> Receipt {
        let regions = ["310000", "320000", "330000", "340000"].map(|code| code.parse().unwrap()).to_vec();
        let bureau = BureauConfig { name: "all".into(), regions, ..BureauConfig::default() };
        self.intake.accept(&bureau, xml.as_bytes(), Format::Xml).await.unwrap()
    }

    /// Posts what is not taken.
    pub async fn refuse(&self, xml: &str) {
        let bureau = BureauConfig { name: "all".into(), ..BureauConfig::default() };
        assert!(self.intake.accept(&bureau, xml.as_bytes(), Format::Xml).await.is_err());
    }

    pub async fn waiting(&self, alert: &Receipt) -> Vec<EscalationRow<Live>> {
        self.crew.store.escalations_of::<Live>(alert.id.as_str()).await.unwrap()
    }

    pub async fn act(&self, id: i64, act: Act, seen: u32, officer: &Officer) -> bool {
        self.desk.act::<Live>(id, act, seen, &officer.row).await.is_ok()
    }

    pub async fn lines(&self, kind: &str) -> Vec<Line> {
        let all = self.crew.store.record_from(1, 100_000).await.unwrap();
        all.into_iter().filter(|line| line.kind == kind).collect()
    }

    pub async fn releases(&self) -> i64 {
        count(&self.folder.path().join("t.db"), "SELECT COUNT(*) FROM release WHERE kind = 'alert'").await
    }
}

pub async fn count(file: &std::path::Path, sql: &'static str) -> i64 {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let n = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    pool.close().await;
    n
}
