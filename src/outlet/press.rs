//! The press: what is released to the public becomes a publication, frozen, and the board is made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::approval::Desk;
use crate::clock::Clock;
use crate::policy::Policy;
use crate::publish::{Board, Entry, Ground, Place, Publication, feature, standings};
use crate::store::{Store, StoreError, Unpublished};

/// The store is asked this often whether anything was released.
const ROUND: Duration = Duration::from_millis(200);
/// The grids of shapes that are given out, and of the map on pages, degrees.
const FINE: f64 = 0.01;
const COARSE: f64 = 0.02;

/// What is shown just now, with the map that it is shown on.
#[derive(Debug)]
pub struct Shown {
    /// Counts what was shown before.
    pub serial: u64,
    /// What is in force, and lately was.
    pub board: Board,
    /// The map and its names.
    pub policy: Arc<Policy>,
    /// Shapes to give out.
    pub ground: Arc<Ground>,
    /// Shapes to draw.
    pub coarse: Arc<Ground>,
    pub(super) publications: Vec<Arc<Publication>>,
    /// The number of the last publication that is known here.
    printed: i64,
    held: BTreeSet<i64>,
    /// Features in JSON, made when first asked for.
    features: RwLock<BTreeMap<i64, Arc<str>>>,
}

/// The press.
pub struct Press {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) desk: Arc<Desk>,
    pub(super) sender: String,
    issuer: Option<String>,
    keep: TimeDelta,
    place: Place,
    shown: RwLock<Arc<Shown>>,
    /// The number of the last publication.
    pub(super) printed: watch::Sender<i64>,
    stuck: AtomicBool,
}

impl Press {
    /// A press that has caught up with the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        (store, policy, clock): (Store, Arc<ArcSwap<Policy>>, Arc<dyn Clock>),
        desk: Arc<Desk>,
        config: &crate::config::PublishConfig,
        base: &str,
    ) -> Result<Self, StoreError> {
        let now = clock.now();
        let keep = TimeDelta::hours(i64::from(config.keep_hours));
        let shown = Shown::blank(policy.load_full(), now, keep);
        let press = Self {
            store,
            clock,
            policy,
            desk,
            sender: config.sender.clone(),
            issuer: config.issuer.clone(),
            keep,
            place: Place { base: base.trim_end_matches('/').to_owned() },
            shown: RwLock::new(Arc::new(shown)),
            printed: watch::Sender::new(0),
            stuck: AtomicBool::new(false),
        };
        let late = press.store.unpublished(None).await?;
        press.catch_up(&late).await?;
        Ok(press)
    }

    /// What is shown just now.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How documents name themselves.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Our class, unit and extension in identifiers of messages that are ours, where config names them.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// How long what has ended stays listed.
    pub fn keep(&self) -> TimeDelta {
        self.keep
    }

    /// Whether the last look at what is released failed: what is shown may be old.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// A publication with what became of it meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn entry(&self, publication: Publication) -> Result<Entry, StoreError> {
        let (shown, release) = (self.shown(), publication.release);
        if let Some(known) = shown.board.entries.iter().find(|known| known.publication.release == release) {
            return Ok(known.clone());
        }
        let chain = self.store.printed_in_chain(&publication.chain).await?;
        let chain: Vec<_> = chain.into_iter().map(Arc::new).collect();
        let entries = standings(&chain, &BTreeSet::new(), shown.board.at);
        let known = entries.into_iter().find(|one| one.publication.release == release);
        Ok(known.unwrap_or_else(|| Entry::new(publication)))
    }

    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut version = None;
        loop {
            let round = async {
                let now = self.store.publish_version().await?;
                let shown = self.shown();
                let due = shown.board.until.is_some_and(|until| until <= self.clock.now());
                let redrawn = !Arc::ptr_eq(&shown.policy, &self.policy.load_full());
                let late = self.store.unpublished(Some(self.clock.now())).await?;
                if version != Some(now) || due || redrawn || !late.is_empty() {
                    self.catch_up(&late).await?;
                    version = Some(now);
                }
                Ok::<(), StoreError>(())
            };
            let done = round.await;
            self.stuck.store(done.is_err(), Ordering::Relaxed);
            if let Err(error) = done {
                tracing::error!(%error, "what is in force cannot be looked up; the last known stays shown");
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Publishes what was released, also what could not be before and is due, and shows it.
    async fn catch_up(&self, late: &[Unpublished]) -> Result<(), StoreError> {
        let printed = self.print_all(late).await;
        // What ends by itself, or is stopped, does so also where nothing new can be kept.
        self.show().await?;
        printed?;
        let last = self.shown().printed;
        self.printed.send_if_modified(|printed| std::mem::replace(printed, last) != last);
        Ok(())
    }

    /// What is shown stays, whatever becomes of the machine: it is on disk when this returns.
    async fn print_all(&self, late: &[Unpublished]) -> Result<(), StoreError> {
        let again = self.print_again(late).await?;
        let new = self.print_new().await?;
        if again || new { self.store.on_disk().await } else { Ok(()) }
    }

    async fn show(&self) -> Result<(), StoreError> {
        let (now, old, policy) = (self.clock.now(), self.shown(), self.policy.load_full());
        let kept = now - self.keep;
        let (new, printed) = self.store.printed_since(old.printed, kept).await?;
        let held = self.store.held_publications(kept).await?;
        let due = old.board.until.is_some_and(|until| until <= now);
        let same_map = Arc::ptr_eq(&old.policy, &policy);
        if new.is_empty() && held == old.held && !due && same_map {
            return Ok(());
        }
        let mut publications = old.publications.clone();
        publications.extend(new.into_iter().map(Arc::new));
        // What could not be published at first stands where its release does.
        publications.sort_by_key(|publication| publication.release);
        let open: BTreeSet<String> =
            publications.iter().filter(|one| one.expires >= kept).map(|one| one.chain.clone()).collect();
        publications.retain(|one| open.contains(&one.chain));
        let mut board = Board::of(&publications, &held, now, self.keep);
        board.updated = later(old.board.updated, now);
        let (ground, coarse) = if same_map {
            (Arc::clone(&old.ground), Arc::clone(&old.coarse))
        } else {
            (Arc::new(Ground::of(&policy.map, FINE)), Arc::new(Ground::of(&policy.map, COARSE)))
        };
        let shown = Shown {
            serial: old.serial + 1,
            board,
            policy,
            ground,
            coarse,
            publications,
            printed,
            held,
            features: RwLock::default(),
        };
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
        Ok(())
    }
}

/// When a board changed that follows one which changed at `old`. Dates in HTTP have whole seconds, so each board has one of its own:
/// nobody who has the old one, however young, is told that nothing has changed.
fn later(old: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    now.trunc_subsecs(0).max(old.trunc_subsecs(0) + TimeDelta::seconds(1))
}

impl Shown {
    fn blank(policy: Arc<Policy>, now: DateTime<Utc>, keep: TimeDelta) -> Self {
        Self {
            serial: 0,
            board: Board::of(&[], &BTreeSet::new(), now, keep),
            ground: Arc::new(Ground::of(&policy.map, FINE)),
            coarse: Arc::new(Ground::of(&policy.map, COARSE)),
            policy,
            publications: Vec::new(),
            printed: 0,
            held: BTreeSet::new(),
            features: RwLock::default(),
        }
    }

    /// An entry as a feature, in JSON.
    pub fn feature(&self, entry: &Entry, place: &Place) -> Arc<str> {
        let release = entry.publication.release;
        let known = self.features.read().unwrap_or_else(PoisonError::into_inner).get(&release).cloned();
        known.unwrap_or_else(|| {
            let made: Arc<str> = feature(entry, &self.policy.map, &self.ground, place).to_string().into();
            // Entries of the archive are asked for one by one; only those on the board are worth keeping.
            if self.publications.iter().any(|one| one.release == release) {
                let mut all = self.features.write().unwrap_or_else(PoisonError::into_inner);
                all.insert(release, Arc::clone(&made));
            }
            made
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sqlx::Connection as _;

    use super::*;
    use crate::app::App;
    use crate::clock::SetClock;
    use crate::config::Config;
    use crate::intake::Format;

    fn alert(name: &str, county: &str, sent: DateTime<Utc>, minutes: i64) -> String {
        let beijing = |at: DateTime<Utc>| (at + TimeDelta::hours(8)).format("%Y-%m-%dT%H:%M:%S+08:00").to_string();
        format!(
            "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{name}</identifier><sender>east</sender><sent>{}</sent>\
             <status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><language>zh-CN</language><category>Met</category>\
             <event>台风</event><urgency>Expected</urgency><severity>Moderate</severity><certainty>Likely</certainty><expires>{}</expires>\
             <headline>台风黄色预警</headline><area><areaDesc>本地</areaDesc><geocode><valueName>CPEAS Geographic Code</valueName>\
             <value>{county}000000</value></geocode></area></info></alert>",
            beijing(sent),
            beijing(sent + TimeDelta::minutes(minutes))
        )
    }

    async fn start(folder: &std::path::Path, terms: &str) -> (App, Config, Arc<SetClock>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let path = folder.join("config.toml");
        let mut config = format!("[store]\nurl = \"sqlite://{}\"\n", folder.join("t.db").display());
        write!(config, "[[bureau]]\nname = \"east\"\ntoken_sha256 = \"{}\"\nregions = [\"310000\"]\n", "0".repeat(64))
            .unwrap();
        std::fs::write(&path, config + terms).unwrap();
        let config = Config::load(&path).unwrap();
        let clock = Arc::new(SetClock(std::sync::Mutex::new(Utc::now().trunc_subsecs(0))));
        let app = App::start(&config, Arc::<SetClock>::clone(&clock)).await.unwrap();
        (app, config, clock)
    }

    async fn until(app: &App, wanted: impl Fn(&Press) -> bool) {
        for _ in 0..3_000 {
            if wanted(&app.press) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {:?}", app.press.shown().board);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_ends_is_shown_to_have_ended_also_where_the_disk_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let (app, config, clock) = start(folder.path(), "").await;
        let (begin, bureau) = (clock.now(), &config.bureaus[0]);
        app.intake.accept(bureau, alert("a", "310118", begin, 10).as_bytes(), Format::Xml).await.unwrap();
        until(&app, |press| press.shown().board.in_force().len() == 1).await;
        app.store.fail_disk();
        // It may be there after a restart, or not; the bureau is told that it is not taken.
        assert!(app.intake.accept(bureau, alert("b", "310120", begin, 60).as_bytes(), Format::Xml).await.is_err());
        until(&app, Press::is_stuck).await;
        *clock.0.lock().unwrap() = begin + TimeDelta::minutes(11);
        until(&app, |press| press.shown().board.entries.iter().any(|one| one.standing.ended().is_some())).await;
        app.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_editions_in_one_second_than_it_has_national_names_are_published_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let terms = "outside = \"cut\"\n[publish]\nissuer = \"41699900\"\n";
        let (app, config, clock) = start(folder.path(), terms).await;
        let (begin, bureau) = (clock.now(), &config.bureaus[0]);
        let counties = ["01", "04", "05", "06", "07", "09", "10", "12", "13", "14", "15", "16"];
        for county in counties {
            // Each reaches beyond what its bureau may warn, so that ours says the part that it may.
            let beyond = "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330400000000</value></geocode></area>";
            let text = alert(&format!("310000416000{county}_20260101000000"), &format!("3101{county}"), begin, 60)
                .replace("</geocode></area>", beyond);
            app.intake.accept(bureau, text.as_bytes(), Format::Xml).await.unwrap();
        }
        let all = |press: &Press| -> BTreeSet<String> {
            let board = press.shown().board.clone();
            board.entries.iter().map(|one| one.publication.shown.identifier.clone()).collect()
        };
        let national = |app: &App| all(&app.press).iter().filter(|name| name.len() == 31).count();
        // The clock stands still: what is to be tried again later never is.
        until(&app, |press| all(press).len() == counties.len()).await;
        assert_eq!(national(&app), 10, "{:?}", all(&app.press));
        app.stop().await;
        // Nor does any of them wait where they are all on one sheet, as after a start that finds none of them published.
        let mut rows = sqlx::SqliteConnection::connect(&config.store.url).await.unwrap();
        for sql in ["DELETE FROM publication", "UPDATE outlet SET seen = 0 WHERE name = 'press'"] {
            sqlx::query(sql).execute(&mut rows).await.unwrap();
        }
        rows.close().await.unwrap();
        let (app, ..) = start(folder.path(), terms).await;
        assert_eq!((all(&app.press).len(), national(&app)), (counties.len(), 10), "{:?}", all(&app.press));
        app.stop().await;
    }
}
