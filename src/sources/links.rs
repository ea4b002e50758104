//! Messages that only lead to an alert: each is on disk before it is acknowledged, and its link is followed from there. So a link that
//! is slow, or does not answer for a while, holds up neither the broker nor other links.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};

use super::feed::digest;
use super::mqtt::{Became, Subscriber};
use super::notice::{self, Notice};
use super::schedule::{again, dice};
use crate::store::{NoticeRow, StoreError};

/// Links of one source that are followed at once.
const AT_ONCE: usize = 16;
/// Messages of one source that wait for their links.
const MOST: i64 = 1_000;
/// A message that only leads somewhere is never longer, bytes.
const LONGEST: usize = 65_536;
/// A link is tried for so long, while we run.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);
/// The longest pause between two tries.
const PAUSE: TimeDelta = TimeDelta::seconds(60);
/// Those that wait are looked through this often.
const ROUND: Duration = Duration::from_millis(500);

/// Wakes whoever follows links.
#[derive(Default)]
pub(super) struct Links(Notify);

/// One try at what a message leads to.
type Attempt = Arc<dyn Fn(Arc<Subscriber>, Vec<u8>) -> BoxFuture<'static, Became> + Send + Sync>;

impl Subscriber {
    /// Keeps a message that leads to an alert elsewhere; false where it does not, or where too many wait already.
    pub(super) async fn keep_link(&self, payload: &[u8]) -> Result<bool, StoreError> {
        let leads = payload.len() <= LONGEST && matches!(notice::read(payload), Ok(Notice::Link(..)));
        if !leads {
            return Ok(false);
        }
        let now = self.door.now();
        let notice = NoticeRow {
            source: self.config.name.clone(),
            digest: digest(payload),
            payload: payload.to_vec(),
            tries: 0,
            since: now,
            next_at: now,
        };
        let kept = self.door.store.keep_notice(&notice, MOST).await?;
        self.links.0.notify_one();
        Ok(kept)
    }

    /// Follows the links of what waits, also of what waited before a restart.
    pub(super) async fn follow_links(self: Arc<Self>) {
        self.follow_by(Arc::new(|own, payload| Box::pin(async move { own.attempt(&payload).await }))).await;
    }

    async fn follow_by(self: Arc<Self>, attempt: Attempt) {
        let started = self.door.now();
        let (mut following, mut busy) = (JoinSet::new(), HashMap::new());
        loop {
            for notice in self.due(&busy).await {
                let work = Arc::clone(&self).follow(notice.clone(), started, Arc::clone(&attempt));
                busy.insert(following.spawn(work).id(), notice);
            }
            tokio::select! {
                Some(done) = following.join_next_with_id() => match done {
                    Ok((id, ())) => drop(busy.remove(&id)),
                    // It ended in a fault of ours: it is still on disk, and tried again later. The others go on.
                    Err(error) => {
                        tracing::error!(%error, source = %self.config.name, "a link could not be followed");
                        if let Some(notice) = busy.remove(&error.id()) {
                            let work = Arc::clone(&self).put_off(notice.clone());
                            busy.insert(following.spawn(work).id(), notice);
                        }
                    }
                },
                () = self.links.0.notified() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    /// Messages that are due and nobody is busy with, as many as there are hands for.
    async fn due(&self, busy: &HashMap<Id, NoticeRow>) -> Vec<NoticeRow> {
        let free = AT_ONCE.saturating_sub(busy.len());
        if free == 0 {
            return Vec::new();
        }
        let due = self.door.store.due_notices(&self.config.name, self.door.now(), 2 * AT_ONCE as i64).await;
        let due = due.unwrap_or_else(|error| {
            tracing::error!(%error, source = %self.config.name, "messages that wait for their links cannot be looked up");
            Vec::new()
        });
        due.into_iter().filter(|one| busy.values().all(|other| other.digest != one.digest)).take(free).collect()
    }

    /// One try at a message. Its time runs while we do: what waited for our start has not been tried.
    async fn follow(self: Arc<Self>, notice: NoticeRow, started: DateTime<Utc>, attempt: Attempt) {
        let waited = self.door.now() - notice.since.max(started);
        match attempt(Arc::clone(&self), notice.payload.clone()).await {
            Became::Settled => {}
            Became::Unreachable(problem) if waited >= PATIENCE => self.refuse(&notice.payload, problem).await,
            Became::Unreachable(problem) | Became::NotNow(problem) => {
                tracing::warn!(source = %self.config.name, %problem, tries = notice.tries, "what a message leads to is tried again");
                return self.put_off(notice).await;
            }
        }
        if let Err(error) = self.door.store.forget_notice(&notice).await {
            tracing::error!(%error, source = %self.config.name, "what became of a message could not be written");
            self.put_off(notice).await;
        }
    }

    /// Puts a message off; where that cannot be written, it is held here for as long.
    async fn put_off(self: Arc<Self>, mut notice: NoticeRow) {
        notice.tries = notice.tries.saturating_add(1);
        let pause = again(notice.tries, dice()).min(PAUSE);
        notice.next_at = self.door.now() + pause;
        if let Err(error) = self.door.store.set_notice(&notice).await {
            tracing::error!(%error, source = %self.config.name, "when a message is tried again could not be written");
            self.door.sleep(pause.to_std().unwrap_or_default()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::super::door::Door;
    use super::super::problem::{Problem, ProblemCode};
    use super::*;
    use crate::app::App;
    use crate::clock::{Clock, SystemClock};
    use crate::config::Config;

    /// A clock that is set, seconds; whoever waits by it waits for good, and is counted.
    #[derive(Default)]
    struct Hand {
        at: AtomicI64,
        waiting: AtomicUsize,
    }

    impl Clock for Hand {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp(self.at.load(Ordering::SeqCst), 0).unwrap()
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::pending())
        }
    }

    struct House {
        app: App,
        clock: Arc<Hand>,
        subscriber: Arc<Subscriber>,
        _folder: tempfile::TempDir,
    }

    impl House {
        async fn new() -> Self {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.toml");
            let store = folder.path().join("t.db");
            std::fs::write(&path, format!("[store]\nurl = \"sqlite://{}\"\n", store.display())).unwrap();
            let app = App::start(&Config::load(&path).unwrap(), Arc::new(SystemClock)).await.unwrap();
            let clock = Arc::new(Hand { at: 1_800_000_000.into(), ..Hand::default() });
            let (intake, policy, store) = (Arc::clone(&app.intake), Arc::clone(&app.policy), app.store.clone());
            let door = Door::new(intake, policy, store, Arc::<Hand>::clone(&clock), Arc::new(|| {}));
            let text = "name = \"wis2\"\nbureau = \"east\"\nhost = \"127.0.0.1\"\nport = 1883\ntopic = \"a\"\n";
            let subscriber = Subscriber::new(toml::from_str(text).unwrap(), Arc::new(door)).await.unwrap();
            Self { app, clock, subscriber: Arc::new(subscriber), _folder: folder }
        }

        async fn keep(&self, name: &str, since: DateTime<Utc>) {
            let (source, payload) = ("wis2".to_owned(), name.as_bytes().to_vec());
            let row = NoticeRow { source, digest: name.into(), payload, tries: 0, since, next_at: since };
            assert!(self.app.store.keep_notice(&row, 100).await.unwrap());
            self.subscriber.links.0.notify_one();
        }

        /// What waits, with its tries, once it is as wanted.
        async fn until(&self, wanted: &[(&str, u32)]) {
            let mut waits = Vec::new();
            for _ in 0..3_000 {
                let all = self.app.store.due_notices("wis2", self.clock.now() + TimeDelta::days(1), 100).await.unwrap();
                waits = all.into_iter().map(|row| (row.digest, row.tries)).collect();
                waits.sort();
                if waits.iter().map(|(name, tries)| (name.as_str(), *tries)).eq(wanted.iter().copied()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{waits:?}");
        }
    }

    fn unreachable() -> Became {
        Became::Unreachable(Problem::new(ProblemCode::Unreachable, "down"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_links_fault_ends_no_other_and_it_is_tried_again_only_after_a_pause() {
        let house = Box::pin(House::new()).await;
        let (tries, gate) = (Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]), Arc::new(Semaphore::new(0)));
        let (counts, go) = (Arc::clone(&tries), Arc::clone(&gate));
        let attempt: Attempt = Arc::new(move |_, payload| {
            let (counts, go) = (Arc::clone(&counts), Arc::clone(&go));
            Box::pin(async move {
                match payload.as_slice() {
                    b"faulty" => {
                        counts[0].fetch_add(1, Ordering::SeqCst);
                        panic!("a fault of ours");
                    }
                    b"slow" => {
                        counts[1].fetch_add(1, Ordering::SeqCst);
                        go.acquire().await.unwrap().forget();
                    }
                    _ => {}
                }
                Became::Settled
            })
        });
        let following = tokio::spawn(Arc::clone(&house.subscriber).follow_by(attempt));
        let now = house.clock.now();
        house.keep("slow", now).await;
        while tries[1].load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        house.keep("faulty", now).await;
        house.until(&[("faulty", 1), ("slow", 0)]).await;
        // The next one is looked at all the same, and the slow one goes on where it was.
        house.keep("next", now).await;
        house.until(&[("faulty", 1), ("slow", 0)]).await;
        gate.add_permits(1);
        house.until(&[("faulty", 1)]).await;
        assert_eq!(tries.each_ref().map(|n| n.load(Ordering::SeqCst)), [1, 1]);
        following.abort();
        house.app.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn where_nothing_can_be_written_a_link_is_not_tried_again_at_once() {
        let house = Box::pin(House::new()).await;
        let mut tx = house.app.store.begin().await.unwrap();
        let sql = "CREATE TRIGGER stuck BEFORE UPDATE ON notice BEGIN SELECT RAISE(ABORT, 'no'); END";
        sqlx::query(sql).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let tries = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&tries);
        let attempt: Attempt = Arc::new(move |_, payload| {
            let down = payload == b"down";
            counts.fetch_add(usize::from(down), Ordering::SeqCst);
            Box::pin(async move { if down { unreachable() } else { Became::Settled } })
        });
        let following = tokio::spawn(Arc::clone(&house.subscriber).follow_by(attempt));
        house.keep("down", house.clock.now()).await;
        while house.clock.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        house.keep("next", house.clock.now()).await;
        house.until(&[("down", 0)]).await;
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        following.abort();
        house.app.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waited_while_we_were_down_is_still_tried_for_its_whole_time() {
        let house = Box::pin(House::new()).await;
        house.keep("old", house.clock.now() - TimeDelta::hours(3)).await;
        let attempt: Attempt = Arc::new(|_, _| Box::pin(async { unreachable() }));
        let following = tokio::spawn(Arc::clone(&house.subscriber).follow_by(attempt));
        house.until(&[("old", 1)]).await;
        house.clock.at.fetch_add(PATIENCE.num_seconds(), Ordering::SeqCst);
        house.until(&[]).await;
        assert_eq!(house.app.store.refusals(9).await.unwrap().len(), 1, "it is refused, and on record");
        following.abort();
        house.app.stop().await;
    }
}
