//! What every page shares.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRef;
use governor::clock::MonotonicClock;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use super::console::{Live, Watchers};
use super::limits::Limits;
use super::public::Answers;
use crate::app::App;

type Doors = RateLimiter<std::net::IpAddr, DefaultKeyedStateStore<std::net::IpAddr>, MonotonicClock>;

/// The program, and what its pages keep in memory.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) app: Arc<App>,
    pub(super) live: Arc<Live>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) limits: Arc<Limits>,
    doors: Arc<Doors>,
    pub(super) answers: Arc<Answers>,
    pub(super) stop: CancellationToken,
}

impl Site {
    pub(super) fn new(app: Arc<App>, stop: CancellationToken) -> Self {
        // Thirty tries at once, then one every two seconds, from one address.
        let quota =
            Quota::per_minute(NonZeroU32::MIN.saturating_add(29)).allow_burst(NonZeroU32::MIN.saturating_add(29));
        let doors = Arc::new(RateLimiter::new(quota, DefaultKeyedStateStore::default(), MonotonicClock));
        let watchers = Arc::<Watchers>::default();
        let live = Arc::new(Live::new(Arc::clone(&app), Arc::clone(&watchers), stop.clone()));
        Self { app, live, watchers, limits: Arc::new(Limits::new()), doors, answers: Arc::default(), stop }
    }

    /// Whether this address may try to sign in once more.
    pub(super) fn may_try(&self, from: std::net::IpAddr) -> bool {
        if self.doors.len() > 10_000 {
            self.doors.retain_recent();
            self.doors.shrink_to_fit();
        }
        self.doors.check_key(&from).is_ok()
    }
}

impl FromRef<Site> for Arc<App> {
    fn from_ref(site: &Site) -> Self {
        Self::clone(&site.app)
    }
}
