//! What every page shares.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRef;
use governor::clock::MonotonicClock;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use super::console::{Live, Tallies, Watchers};
use super::limits::{Limits, network};
use super::public::Answers;
use crate::app::App;

type Doors = RateLimiter<std::net::IpAddr, DefaultKeyedStateStore<std::net::IpAddr>, MonotonicClock>;

/// The program, and what its pages keep in memory.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) app: Arc<App>,
    pub(super) live: Arc<Live>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) limits: Arc<Limits>,
    doors: Arc<Doors>,
    portal: Arc<Doors>,
    pub(super) answers: Arc<Answers>,
    pub(super) stop: CancellationToken,
}

impl Site {
    pub(super) fn new(app: Arc<App>, stop: CancellationToken) -> Self {
        // Thirty tries at once, then one every two seconds, from one address.
        let quota =
            Quota::per_minute(NonZeroU32::MIN.saturating_add(29)).allow_burst(NonZeroU32::MIN.saturating_add(29));
        let doors = || Arc::new(RateLimiter::new(quota, DefaultKeyedStateStore::default(), MonotonicClock));
        let watchers = Arc::<Watchers>::default();
        let tallies = Arc::<Tallies>::default();
        let live = Arc::new(Live::new(Arc::clone(&app), Arc::clone(&watchers), Arc::clone(&tallies), stop.clone()));
        Self {
            app,
            live,
            watchers,
            tallies,
            limits: Arc::new(Limits::new()),
            doors: doors(),
            portal: doors(),
            answers: Arc::default(),
            stop,
        }
    }

    /// Whether an officer at this address may try to sign in once more.
    pub(super) fn may_try(&self, from: std::net::IpAddr) -> bool {
        passes(&self.doors, from)
    }

    /// Whether a resident at this address may try once more: however many sign up behind one address, officers come in.
    pub(super) fn may_sign_up(&self, from: std::net::IpAddr) -> bool {
        passes(&self.portal, from)
    }
}

fn passes(doors: &Doors, from: std::net::IpAddr) -> bool {
    if doors.len() > 10_000 {
        doors.retain_recent();
        doors.shrink_to_fit();
    }
    doors.check_key(&network(from)).is_ok()
}

impl FromRef<Site> for Arc<App> {
    fn from_ref(site: &Site) -> Self {
        Self::clone(&site.app)
    }
}
