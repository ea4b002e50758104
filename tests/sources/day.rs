//! Days of polling by a clock that runs ahead: what is remembered of a source that always shows something new stays bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use tocsin::app::App;
use tocsin::clock::Clock;
use tocsin::config::Config;

use crate::support::write_config;

/// Rounds, one every ten minutes: more than eight days.
const ROUNDS: i64 = 1_200;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_shows_something_new_each_time_fills_no_table() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Arc::new(AtomicU64::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let feed = async |State(asked): State<Arc<AtomicU64>>| {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        format!(
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>f</id><entry><id>e{n}</id><title>{n}</title>\
             <alert><identifier>{n}</identifier></alert></entry></feed>"
        )
    };
    let router = Router::new().fallback(feed).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "[[source]]\nname = \"day\"\nkind = \"feed\"\nbureau = \"shanghai\"\nurl = \"http://127.0.0.1:{port}/\"\nevery_seconds = 600\n\
         private = [\"127.0.0.1:{port}\"]\n"
    );
    let config = Config::load(&write_config(folder.path(), &source)).unwrap();
    let clock = Arc::new(Fast { now: AtomicI64::new(Utc::now().timestamp_millis()), left: AtomicI64::new(ROUNDS) });
    let app = App::start(&config, Arc::<Fast>::clone(&clock)).await.unwrap();
    while clock.left.load(Ordering::SeqCst) >= 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let row = app.store.source_rows().await.unwrap().remove(0);
    assert_eq!((row.refused, row.failures), (asked.load(Ordering::SeqCst), 0), "each was read");
    app.stop().await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
    let entries: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM source_entry").fetch_one(&mut store).await.unwrap();
    let refusals: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM refusal").fetch_one(&mut store).await.unwrap();
    // Seven days of 144 rounds; the newest thousand refusals.
    assert!(entries <= 7 * 144 + 2 && entries > 800, "{entries} entries are remembered");
    assert_eq!(refusals, 1_000);
}
