//! Days of polling by a clock that runs ahead: what is remembered of a source that always shows something new stays bounded, on disk
//! and in memory. A program of its own, because it counts every byte that is allocated.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use peak_alloc::PeakAlloc;
use support::{Cma, tables, write_config};
use tocsin::app::App;
use tocsin::clock::Clock;
use tocsin::config::Config;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Rounds, one every ten minutes: more than ten days.
const ROUNDS: i64 = 1_500;
/// From here on, a week is remembered of everything: whatever grows now grows for ever.
const FULL: i64 = 1_080;
/// Memory is compared in steps of so many rounds.
const STEP: i64 = 60;
/// One entry in so many is an alert that is taken, and released.
const TAKEN: u64 = 10;

/// Pauses of sources pass at once, so many of them.
struct Fast {
    now: AtomicI64,
    left: AtomicI64,
}

impl Clock for Fast {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now.load(Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
                return std::future::pending().await;
            }
            self.now.fetch_add(i64::try_from(pause.as_millis()).unwrap(), Ordering::SeqCst);
        })
    }
}

/// A feed of one entry, another one each time: an alert of a quarter of an hour now and then, else what is refused.
fn feed(n: u64, now: DateTime<Utc>) -> String {
    let alert = match n % TAKEN {
        0 => {
            let sent = now.with_timezone(&FixedOffset::east_opt(8 * 3_600).unwrap());
            let alert = Cma { sent, expires: TimeDelta::minutes(15), ..Cma::new(&format!("a{n}")) };
            alert.xml().split_once("?>").unwrap().1.to_owned()
        }
        _ => format!("<alert><identifier>{n}</identifier></alert>"),
    };
    format!(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>f</id><entry><id>e{n}</id><title>{n}</title><content type=\"text/xml\">{alert}\
         </content></entry></feed>"
    )
}

/// Serves the feed; gives its address, and how often it was asked.
async fn serve(clock: Arc<Fast>) -> (String, Arc<AtomicU64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let shown = async |State((asked, clock)): State<(Arc<AtomicU64>, Arc<Fast>)>| {
        feed(asked.fetch_add(1, Ordering::SeqCst), clock.now())
    };
    let router = Router::new().fallback(shown).with_state((Arc::clone(&asked), clock));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (addr.to_string(), asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_shows_something_new_each_time_fills_neither_tables_nor_memory() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Arc::new(Fast { now: AtomicI64::new(Utc::now().timestamp_millis()), left: AtomicI64::new(ROUNDS) });
    let (addr, asked) = serve(Arc::clone(&clock)).await;
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "[[source]]\nname = \"day\"\nkind = \"feed\"\nbureau = \"shanghai\"\nurl = \"http://{addr}/\"\nevery_seconds = 600\n\
         private = [\"{addr}\"]\n"
    );
    let config = Config::load(&write_config(folder.path(), &source)).unwrap();
    let app = App::start(&config, Arc::<Fast>::clone(&clock)).await.unwrap();
    // The least that was allocated in each step: what a round needs for a moment is not counted.
    let mut least: BTreeMap<i64, usize> = BTreeMap::new();
    while clock.left.load(Ordering::SeqCst) >= 0 {
        let step = (ROUNDS - clock.left.load(Ordering::SeqCst)) / STEP;
        let now = MEMORY.current_usage();
        least.entry(step).and_modify(|bytes| *bytes = now.min(*bytes)).or_insert(now);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let row = app.store.source_rows().await.unwrap().remove(0);
    let asked = asked.load(Ordering::SeqCst);
    assert_eq!((row.taken + row.refused, row.failures), (asked, 0), "each was read");
    assert_eq!(row.taken, asked.div_ceil(TAKEN));
    app.stop().await;

    let kib = |step: i64| i64::try_from(least[&step] / 1_024).unwrap();
    let (early, late) = (FULL / STEP, ROUNDS / STEP - 1);
    let grown = kib(late) - kib(early);
    let all: Vec<i64> = least.keys().map(|step| kib(*step)).collect();
    println!(
        "KiB allocated after each {STEP} rounds: {all:?}; grown by {grown} KiB from {} to {} rounds",
        early * STEP,
        late * STEP
    );
    assert!(grown < 64, "memory grows by {grown} KiB in {} rounds: {all:?}", (late - early) * STEP);

    let mut store = tables(folder.path()).await;
    let entries: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM source_entry").fetch_one(&mut store).await.unwrap();
    let refusals: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM refusal").fetch_one(&mut store).await.unwrap();
    // Seven days of 144 rounds; the newest thousand refusals.
    assert!(entries <= 7 * 144 + 2 && entries > 800, "{entries} entries are remembered");
    assert_eq!(refusals, 1_000);
}
