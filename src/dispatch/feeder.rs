//! One provider's desk: claims chunks for its workers, most urgent first.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tocsin_channels::{Answer, Channel, ChannelKind, Class, Content};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::engine::{EngineOptions, WaysOut};
use super::pace::Pace;
use super::worker::{self, Job, SharedJob};
use crate::clock::Clock;
use crate::policy::Policy;
use crate::store::{Claimed, Journal, ReleaseKind, Store, StoreError};

/// No chunk is waiting.
const NONE: u8 = u8::MAX;
/// The store is asked this often even when nobody calls.
const POLL: Duration = Duration::from_millis(250);
/// One claim in so many looks at the lower lanes first, so that they live through a long red alert.
const RESERVED: u64 = 20;
/// A chunk that went back to the queue is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Jobs kept at hand: content is read from the store once per dispatch, not per chunk.
const JOBS: usize = 64;

/// What the workers of one provider share.
pub(crate) struct Desk {
    pub(crate) name: String,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pace: Pace,
    pub(crate) breaker: Breaker,
    pub(crate) leave: WaysOut,
    pub(crate) policy: Option<Arc<ArcSwap<Policy>>>,
    pub(crate) workers: usize,
    pub(crate) window: usize,
    /// Rung when there may be new chunks.
    pub(crate) wake: Notify,
    urgent: AtomicU8,
    answered: [AtomicU64; Class::ALL.len()],
}

impl Desk {
    pub(crate) fn new(
        name: String,
        channel: Arc<dyn Channel>,
        store: Store,
        journal: Journal,
        options: &EngineOptions,
        pace: Pace,
        (workers, window): (usize, usize),
    ) -> Self {
        Self {
            name,
            channel,
            store,
            journal,
            clock: Arc::clone(&options.clock),
            pace,
            breaker: Breaker::new(),
            leave: options.leave.clone(),
            policy: options.policy.clone(),
            workers: workers.max(1),
            window: window.clamp(1, 1_000),
            wake: Notify::new(),
            urgent: AtomicU8::new(NONE),
            answered: Default::default(),
        }
    }

    pub(crate) fn kind(&self) -> ChannelKind {
        self.channel.kind()
    }

    /// Says that a chunk of this lane is waiting.
    pub(crate) fn announce(&self, lane: u8) {
        self.urgent.fetch_min(lane, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Whether a chunk waits that goes before this lane.
    pub(crate) fn more_urgent_than(&self, lane: u8) -> bool {
        self.urgent.load(Ordering::Relaxed) < lane
    }

    /// Answers so far, by class.
    pub(crate) fn answered(&self, class: Class) -> u64 {
        self.answered[usize::from(class.code())].load(Ordering::Relaxed)
    }

    /// Takes a window's answers into pace, breaker and counters.
    pub(crate) fn learn(&self, answers: &[Answer]) {
        let now = Instant::now();
        for answer in answers {
            self.answered[usize::from(answer.class.code())].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(throttle) = answers.iter().find(|answer| answer.class == Class::Throttled) {
            self.pace.throttled(throttle.retry_after, now);
        }
        if self.breaker.answers(answers, now) {
            let detail = answers.iter().find_map(|answer| answer.detail.as_deref()).unwrap_or("no answer");
            tracing::error!(provider.name = %self.name, channel = %self.kind(), detail,
                "the provider takes nothing: it is probed until it does, and nothing is marked failed");
        }
    }

    async fn refresh_urgent(&self) -> Result<(), StoreError> {
        let lane = self.store.most_urgent(self.kind(), self.clock.now()).await?;
        self.urgent.store(lane.unwrap_or(NONE), Ordering::Relaxed);
        Ok(())
    }
}

/// Feeds a desk's workers until told to stop; returns when the last window is recorded.
pub(crate) async fn feed(desk: Arc<Desk>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(desk.workers));
    let mut jobs = HashMap::new();
    let mut turn = 0_u64;
    while !stop.is_cancelled() {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = tokio::time::sleep(POLL) => {
                log(&desk, desk.refresh_urgent().await);
                continue;
            }
            () = stop.cancelled() => break,
        };
        if let Some(until) = desk.breaker.closed_until(Instant::now()) {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => continue,
                () = stop.cancelled() => break,
            }
        }
        turn += 1;
        match claim(&desk, &mut jobs, turn).await {
            Ok(Some((claimed, job))) => {
                if !is_reserved(turn) {
                    desk.urgent.store(claimed.lane, Ordering::Relaxed);
                }
                let (desk, stop) = (Arc::clone(&desk), stop.clone());
                tokio::spawn(async move {
                    work(&desk, claimed, job, &stop).await;
                    drop(slot);
                });
            }
            Ok(None) => {
                desk.urgent.store(NONE, Ordering::Relaxed);
                drop(slot);
                tokio::select! {
                    () = desk.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = stop.cancelled() => break,
                }
            }
            Err(error) => {
                // Of a damaged row nobody waits for the store: whatever else is ready goes on at once.
                let damaged = matches!(error, StoreError::Corrupt { .. });
                log(&desk, Err(error));
                if !damaged {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
    let all = u32::try_from(desk.workers).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
    desk.channel.close().await;
}

async fn claim(
    desk: &Desk,
    jobs: &mut HashMap<i64, SharedJob>,
    turn: u64,
) -> Result<Option<(Claimed, SharedJob)>, StoreError> {
    let now = desk.clock.now().timestamp_millis();
    let Some(claimed) = desk.journal.claim(desk.kind(), now, lanes(turn)).await? else { return Ok(None) };
    match job_of(desk, jobs, &claimed).await {
        Ok(job) => Ok(Some((claimed, job))),
        Err(error) => {
            // Nobody works on it: it goes back to the queue, so that its people are told while the program runs; less and less often
            // where its rows are damaged, for there may be a thousand like it.
            let damaged = matches!(error, StoreError::Corrupt { .. });
            let attempt = claimed.attempt + i64::from(damaged);
            let pause = AGAIN * if damaged { 1 << claimed.attempt.clamp(0, 7) } else { 1 };
            let at = desk.clock.now() + pause;
            desk.journal.requeue(claimed.id, at.timestamp_millis(), attempt).await?;
            Err(error)
        }
    }
}

async fn job_of(desk: &Desk, jobs: &mut HashMap<i64, SharedJob>, claimed: &Claimed) -> Result<SharedJob, StoreError> {
    if let Some(job) = jobs.get(&claimed.dispatch) {
        return Ok(Arc::clone(job));
    }
    let dispatch = desk.store.dispatch(claimed.dispatch).await?;
    let release = desk.store.release(claimed.release).await?;
    let (Some(mut dispatch), Some(release)) = (dispatch, release) else {
        return Err(StoreError::corrupt(format!("chunk {} without its dispatch", claimed.id)));
    };
    if let Content::Email(mail) = &mut dispatch.content
        && let (true, Some(scene), Some(policy)) = (mail.wants_picture(), &release.scene, &desk.policy)
    {
        mail.picture = scene.draw(&policy.load().map);
    }
    let weight = desk.channel.weight(&dispatch.content).max(1);
    let language = dispatch.language;
    let may_leave = matches!(release.kind, ReleaseKind::Alert | ReleaseKind::Resend);
    let reports = release.kind != ReleaseKind::Page;
    let job =
        Arc::new(Job { content: dispatch.content, language, expires: release.expires, may_leave, reports, weight });
    if jobs.len() >= JOBS {
        jobs.clear();
    }
    jobs.insert(claimed.dispatch, Arc::clone(&job));
    Ok(job)
}

/// The order in which a turn looks through the lanes.
fn lanes(turn: u64) -> Vec<u8> {
    if is_reserved(turn) { vec![3, 2, 1, 0] } else { vec![0, 1, 2, 3] }
}

fn is_reserved(turn: u64) -> bool {
    turn.is_multiple_of(RESERVED)
}

/// Runs a worker; one that fails or panics gives its chunk back, so that nobody in it is forgotten.
async fn work(desk: &Arc<Desk>, claimed: Claimed, job: SharedJob, stop: &CancellationToken) {
    let (id, attempt) = (claimed.id, claimed.attempt);
    let task = {
        let (desk, stop) = (Arc::clone(desk), stop.clone());
        tokio::spawn(async move { worker::run(&desk, &claimed, &job, &stop).await })
    };
    let failed = match task.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic.to_string(),
    };
    tracing::error!(chunk.id = id, error = %failed, "a worker failed; its chunk goes back to the queue");
    let at = desk.clock.now() + AGAIN;
    log(desk, desk.journal.requeue(id, at.timestamp_millis(), attempt + 1).await);
}

fn log(desk: &Desk, result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(provider.name = %desk.name, %error, "the store does not answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_goes_first_and_one_turn_in_twenty_keeps_the_others_alive() {
        let reserved = (1..=100).filter(|turn| lanes(*turn)[0] != 0).count();
        assert_eq!(reserved, 5);
    }
}
