//! The press: what is released to the public becomes a publication, frozen, and the board is made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::approval::{Amendment, Desk, DeskError};
use crate::clock::Clock;
use crate::policy::Policy;
use crate::publish::{
    Board, Entry, Ground, Place, Publication, PublishError, Source, feature, make, make_own, standings,
};
use crate::regions::{Located, RegionCode};
use crate::store::{Printed, Released, Store, StoreError};
use crate::world::Live;

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
    publications: Vec<Arc<Publication>>,
    held: BTreeSet<i64>,
    /// Features in JSON, made when first asked for.
    features: RwLock<BTreeMap<i64, Arc<str>>>,
}

/// The press.
pub struct Press {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    policy: Arc<ArcSwap<Policy>>,
    desk: Arc<Desk>,
    sender: String,
    keep: TimeDelta,
    place: Place,
    shown: RwLock<Arc<Shown>>,
    /// The last release that was looked at.
    pub(super) printed: watch::Sender<i64>,
}

/// Why a release cannot be published.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error(transparent)]
    Publish(#[from] PublishError),
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
            keep,
            place: Place { base: base.trim_end_matches('/').to_owned() },
            shown: RwLock::new(Arc::new(shown)),
            printed: watch::Sender::new(0),
        };
        press.catch_up().await?;
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

    /// How long what has ended stays listed.
    pub fn keep(&self) -> TimeDelta {
        self.keep
    }

    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut version = None;
        loop {
            let round = async {
                let now = self.store.publish_version().await?;
                let shown = self.shown();
                let due = shown.board.until.is_some_and(|until| until <= self.clock.now());
                let redrawn = !Arc::ptr_eq(&shown.policy, &self.policy.load_full());
                if version != Some(now) || due || redrawn {
                    self.catch_up().await?;
                    version = Some(now);
                }
                Ok::<(), StoreError>(())
            };
            if let Err(error) = round.await {
                tracing::error!(%error, "what is in force cannot be looked up; the last known stays shown");
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Publishes what was released, and shows it.
    async fn catch_up(&self) -> Result<(), StoreError> {
        let mut seen = self.store.outlet_seen("press").await?.unwrap_or(0);
        loop {
            let released = self.store.released_after(seen, 100).await?;
            for release in &released {
                let printed = match self.publication(release).await {
                    Ok(printed) => printed,
                    Err(Fault::Store(error) | Fault::Desk(DeskError::Store(error)))
                        if !matches!(error, StoreError::Corrupt { .. }) =>
                    {
                        return Err(error);
                    }
                    Err(error) => {
                        tracing::error!(%error, release = release.id, alert.id = %release.alert, "released, and cannot be published");
                        None
                    }
                };
                self.store.print(release.id, printed.as_ref()).await?;
                if let Some(Printed { publication, .. }) = &printed {
                    tracing::info!(publication = %publication.id, alert.id = %release.alert, own = publication.own, "published");
                }
                seen = release.id;
            }
            if released.len() < 100 {
                break;
            }
        }
        self.show().await?;
        self.printed.send_if_modified(|last| std::mem::replace(last, seen) != seen);
        Ok(())
    }

    /// What a release becomes; None for one that is not everybody's.
    async fn publication(&self, release: &Released) -> Result<Option<Printed>, Fault> {
        if !release.public {
            return Ok(None);
        }
        let id = &release.alert;
        let Some(row) = self.store.alert(id).await? else { return Ok(None) };
        let material = self.desk.material(id).await?;
        let Some((raw, format)) = self.store.alert_raw(id).await? else { return Ok(None) };
        let located: Located = serde_json::from_value(self.store.located(id).await?).unwrap_or_default();
        let amendment = match release.escalation {
            Some(escalation) => self.store.escalation::<Live>(escalation).await?.map(|row| row.escalation.amendment),
            None => None,
        };
        let older = self.older(release).await?;
        let policy = self.policy.load_full();
        let source = Source {
            release: release.id,
            at: release.at,
            expires: release.expires,
            regions: &release.regions,
            within: release.within.as_deref(),
            alert: &material.alert,
            raw: (&raw, format == "xml"),
            chain: &row.chain,
            bureau: &row.bureau,
            ours: is_ours(&row.bureau, &material.alert),
            decided: &material.decision.regions,
            located: &located,
            amendment: &amendment.unwrap_or_else(Amendment::default),
            older: &older,
            sender: &self.sender,
            map: &policy.map,
            signing: policy.signing.as_ref(),
        };
        let mut made = make(&source)?;
        if let Some((publication, _)) = &made
            && self.store.printed(publication.id.as_str()).await?.is_some()
        {
            // The event's head speaks once more, to those who joined later: what that replaces must not get lost.
            made = make_own(&source)?;
        }
        Ok(made.map(|(publication, cap)| Printed { publication, cap }))
    }

    /// Publications whose place a release takes, with the counties where each still stands.
    async fn older(&self, release: &Released) -> Result<Vec<(Publication, Vec<RegionCode>)>, StoreError> {
        let replaced = self.store.replaced_by(&release.alert).await?;
        let mut all = self.store.printed_of(&replaced).await?;
        let chains: BTreeSet<String> = all.iter().map(|publication| publication.chain.clone()).collect();
        for chain in chains {
            all.extend(self.store.printed_in_chain(&chain).await?);
        }
        all.sort_by_key(|publication| publication.release);
        all.dedup_by_key(|publication| publication.release);
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        let entries = standings(&all, &BTreeSet::new(), release.at).into_iter();
        let stands = entries.filter(|entry| {
            let publication = &entry.publication;
            publication.warns()
                && replaced.iter().any(|id| id == publication.alert.as_str())
                && entry.standing.by().is_none()
        });
        Ok(stands.map(|entry| (Publication::clone(&entry.publication), entry.left)).collect())
    }

    async fn show(&self) -> Result<(), StoreError> {
        let (now, old, policy) = (self.clock.now(), self.shown(), self.policy.load_full());
        let kept = now - self.keep;
        let last = old.publications.last().map_or(0, |publication| publication.release);
        let new = self.store.printed_since(last, kept).await?;
        let held = self.store.held_publications(kept).await?;
        let due = old.board.until.is_some_and(|until| until <= now);
        let same_map = Arc::ptr_eq(&old.policy, &policy);
        if new.is_empty() && held == old.held && !due && same_map {
            return Ok(());
        }
        let mut publications = old.publications.clone();
        publications.extend(new.into_iter().map(Arc::new));
        let open: BTreeSet<String> =
            publications.iter().filter(|one| one.expires >= kept).map(|one| one.chain.clone()).collect();
        publications.retain(|one| open.contains(&one.chain));
        let mut board = Board::of(&publications, &held, now, self.keep);
        if held != old.held {
            board.updated = now;
        }
        if old.serial > 0 {
            // What was told once is not younger than what follows on it.
            board.updated = board.updated.max(old.board.updated);
        }
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
            held,
            features: RwLock::default(),
        };
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
        Ok(())
    }
}

/// Whether this program wrote an alert.
fn is_ours(bureau: &str, alert: &crate::cap::Alert) -> bool {
    bureau.starts_with("console:")
        || bureau.starts_with("officer:")
        || (alert.sender == "tocsin" && alert.identifier.starts_with("absence-"))
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
