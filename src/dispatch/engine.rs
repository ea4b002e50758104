//! Starts and stops everything that sends.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use serde::Serialize;
use tocsin_channels::{Channel, ChannelKind, Class};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::feeder::{Desk, feed};
use super::janitor;
use super::ladder::{Climber, climb_all};
use super::pace::{Pace, Rate};
use super::plan::{Planner, plan_all};
use crate::clock::Clock;
use crate::delivery::LeaveLinks;
use crate::policy::Policy;
use crate::store::{Journal, Store, StoreError};

/// A channel as the engine uses it.
pub struct Provider {
    /// Its name in logs, tables and metrics.
    pub name: String,
    /// The adapter.
    pub channel: Arc<dyn Channel>,
    /// What it allows; None for as fast as it takes.
    pub rate: Option<Rate>,
    /// Chunks in work at once: each has one window in flight.
    pub workers: usize,
    /// The most messages in a window, 32 to 128 for most: what a crash may repeat.
    pub window: usize,
}

/// How people leave by what is in their message.
#[derive(Debug, Clone, Default)]
pub struct WaysOut {
    /// One-click links for mails; None to send none.
    pub links: Option<LeaveLinks>,
    /// Whether an answer to a short message comes to us.
    pub answers: bool,
}

/// What the engine needs beside its providers.
#[derive(Clone)]
pub struct EngineOptions {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// What messages say of leaving.
    pub leave: WaysOut,
    /// The map, by which people with places are told; None where there are none.
    pub policy: Option<Arc<ArcSwap<Policy>>>,
}

/// How a provider does, for status pages and metrics.
#[derive(Debug, Clone, Serialize)]
pub struct Lamp {
    /// Its name.
    pub name: String,
    /// Which channel.
    pub channel: ChannelKind,
    /// Whether it takes messages, as far as we know.
    pub up: bool,
    /// The share of the configured rate in use, 0 to 1; below 1 after throttle answers.
    pub share: f64,
    /// Answers since start, by class.
    pub answers: Vec<(Class, u64)>,
}

/// The running engine.
pub struct Engine {
    desks: Vec<Arc<Desk>>,
    planners: Vec<Arc<Notify>>,
    sweep: Arc<Notify>,
    stop: CancellationToken,
    tasks: TaskTracker,
    journal: tokio::task::JoinHandle<()>,
}

impl Engine {
    /// Frees what a stopped program had claimed, and starts planners, feeders and the janitor. There must be one engine per store.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn start(store: Store, providers: Vec<Provider>, options: EngineOptions) -> Result<Self, StoreError> {
        let freed = store.free_claims().await?;
        if freed > 0 {
            tracing::warn!(chunks = freed, "the last run stopped while sending: its chunks are taken up again");
        }
        let (journal, keeper) = Journal::start(store.clone());
        let (stop, tasks, sweep) = (CancellationToken::new(), TaskTracker::new(), Arc::new(Notify::new()));
        let desks: Vec<_> = providers
            .into_iter()
            .map(|p| {
                let pace = Pace::new(p.rate, Instant::now());
                let size = (p.workers, p.window);
                Arc::new(Desk::new(p.name, p.channel, store.clone(), journal.clone(), &options, pace, size))
            })
            .collect();
        let planners: Vec<_> = [0..=1, 2..=3].map(|lanes| (lanes, Arc::new(Notify::new()))).into();
        for (lanes, wake) in &planners {
            let (lanes, clock) = (lanes.clone(), Arc::clone(&options.clock));
            let (policy, desks) = (options.policy.clone(), desks.clone());
            let planner = Planner { store: store.clone(), clock, desks, policy, lanes };
            tasks.spawn(plan_all(planner, Arc::clone(wake), stop.clone()));
        }
        for desk in &desks {
            tasks.spawn(feed(Arc::clone(desk), stop.clone()));
        }
        let climber = Climber { store: store.clone(), clock: Arc::clone(&options.clock), desks: desks.clone() };
        tasks.spawn(climb_all(climber, stop.clone()));
        tasks.spawn(janitor::sweep(store, journal, options.clock, Arc::clone(&sweep), stop.clone()));
        tasks.close();
        let planners = planners.into_iter().map(|(_, wake)| wake).collect();
        Ok(Self { desks, planners, sweep, stop, tasks, journal: keeper })
    }

    /// Says that a release may have been written.
    pub fn wake(&self) {
        (self.waker())();
    }

    /// What says so, for whoever writes releases.
    pub fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let (planners, desks, sweep) = (self.planners.clone(), self.desks.clone(), Arc::clone(&self.sweep));
        Arc::new(move || {
            planners.iter().for_each(|planner| planner.notify_one());
            // A call to officers is in chunks already.
            desks.iter().for_each(|desk| desk.wake.notify_one());
            sweep.notify_one();
        })
    }

    /// How the providers do.
    pub fn lamps(&self) -> Vec<Lamp> {
        let lamp = |desk: &Arc<Desk>| Lamp {
            name: desk.name.clone(),
            channel: desk.kind(),
            up: !desk.breaker.is_open(),
            share: desk.pace.share(Instant::now()),
            answers: Class::ALL.into_iter().map(|class| (class, desk.answered(class))).collect(),
        };
        self.desks.iter().map(lamp).collect()
    }

    /// Stops: no new window opens, those in flight are recorded, unfinished chunks go back to the queue.
    pub async fn stop(self) {
        let Self { desks, planners: _, sweep: _, stop, tasks, journal } = self;
        stop.cancel();
        tasks.wait().await;
        drop(desks);
        if let Err(error) = journal.await {
            tracing::error!(%error, "the diary's task ended badly");
        }
    }
}
