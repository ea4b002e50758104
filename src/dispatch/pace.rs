//! A provider's rate: `governor` paces, a throttle answer slows the whole account at once, and it recovers slowly.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::MonotonicClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use serde::Deserialize;

/// What a provider allows, in the unit that it counts: SMS parts, mails, publishes, pushes.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Units a second.
    pub per_second: NonZeroU32,
    /// Units that may go at once after a pause; a tenth of a second's worth unless named.
    pub burst: Option<NonZeroU32>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// The pace of one provider. Without a configured rate it never waits, and a throttle answer still makes it pause.
pub(crate) struct Pace {
    rate: Option<Rate>,
    slowed: Mutex<Slowed>,
    limiter: Mutex<Option<Built>>,
    /// Seconds that a message of a window takes.
    each: Mutex<f64>,
}

/// A limiter, and the share of the configured rate that it was built for.
#[derive(Clone)]
struct Built {
    limiter: std::sync::Arc<Limiter>,
    share: f64,
}

/// How far below the configured rate we are.
#[derive(Debug, Clone, Copy)]
struct Slowed {
    /// 1.0 is the configured rate.
    share: f64,
    since: Instant,
    pause_until: Option<Instant>,
}

/// A throttle answer takes this much of the rate away.
const SLOW_DOWN: f64 = 0.7;
/// And this much of the configured rate comes back a second.
const RECOVER: f64 = 0.02;
const LEAST: f64 = 0.01;
/// A slower pace shows at the provider after this.
const SETTLES: Duration = Duration::from_secs(1);
/// A limiter is built anew when this much has come back.
const STEP: f64 = 0.05;
/// The most windows' worth of seconds that may be in a provider's hands, because its queue cannot be overtaken.
const IN_FLIGHT: f64 = 2.0;
/// A window takes no longer, as far as can be foreseen: what is stopped or overtaken stands still with the window in hand.
const WINDOW: f64 = 1.0;
/// Messages of the first window, when nothing is known of a provider yet.
const FIRST: f64 = 16.0;
/// How much the newest window says of the next one.
const NEWEST: f64 = 0.3;

impl Pace {
    pub(crate) fn new(rate: Option<Rate>, now: Instant) -> Self {
        let slowed = Slowed { share: 1.0, since: now, pause_until: None };
        let pace =
            Self { rate, slowed: Mutex::new(slowed), limiter: Mutex::new(None), each: Mutex::new(WINDOW / FIRST) };
        pace.rebuild(1.0);
        pace
    }

    /// How many messages of this weight a window may hold when `workers` windows are in flight.
    /// What the channel sends at once takes no longer than one of them: no window is smaller for the sake of time.
    pub(crate) fn window(&self, most: usize, (workers, at_once): (usize, usize), weight: u32) -> usize {
        let in_time = WINDOW / self.each.lock().unwrap_or_else(PoisonError::into_inner).max(1e-6);
        let in_time = in_time.max(at_once as f64);
        let fits = self.rate.map_or(in_time, |rate| {
            let units = f64::from(rate.per_second.get()) * self.share(Instant::now()) * IN_FLIGHT;
            in_time.min(units / (workers.max(1) as f64) / f64::from(weight.max(1)))
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=most right here")]
        let fits = fits.clamp(1.0, most as f64) as usize;
        fits
    }

    /// A window of so many messages took so long.
    pub(crate) fn took(&self, messages: usize, time: Duration) {
        let now = time.as_secs_f64() / (messages.max(1) as f64);
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        *each += NEWEST * (now - *each);
    }

    /// Waits until this many units may go.
    pub(crate) async fn wait(&self, units: u32) {
        loop {
            let pause = self.lock().pause_until.map(|until| until.saturating_duration_since(Instant::now()));
            match pause {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => break,
            }
        }
        let built = || self.limiter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut current) = built() else { return };
        let share = self.share(Instant::now());
        if share > current.share + STEP || (share >= 1.0 && current.share < 1.0) {
            self.rebuild(share);
            current = built().unwrap_or(current);
        }
        let mut left = units;
        while let Some(now) = NonZeroU32::new(left.min(self.burst())) {
            // `now` never exceeds the burst, so the limiter cannot refuse it for good.
            if current.limiter.until_n_ready(now).await.is_err() {
                return;
            }
            left -= now.get();
        }
    }

    /// The provider says "too fast".
    pub(crate) fn throttled(&self, retry_after: Option<Duration>, now: Instant) {
        // Windows in flight complain of one and the same haste: it is slowed once.
        let last = *self.lock();
        let again = last.share < 1.0 && now.saturating_duration_since(last.since) < SETTLES;
        let share = if again { last.share } else { (self.share(now) * SLOW_DOWN).max(LEAST) };
        let least = if self.rate.is_some() { Duration::ZERO } else { Duration::from_millis(250) };
        let pause = retry_after.unwrap_or(least).clamp(least, Duration::from_secs(60));
        let since = if again { last.since } else { now };
        *self.lock() = Slowed { share, since, pause_until: Some(now + pause) };
        if !again {
            self.rebuild(share);
        }
    }

    /// The share of the configured rate that is in use, 0 to 1.
    pub(crate) fn share(&self, now: Instant) -> f64 {
        let slowed = *self.lock();
        (slowed.share + RECOVER * now.saturating_duration_since(slowed.since).as_secs_f64()).min(1.0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slowed> {
        self.slowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn burst(&self) -> u32 {
        self.rate.map_or(1, |rate| rate.burst.map_or(rate.per_second.get() / 10, NonZeroU32::get)).max(1)
    }

    fn rebuild(&self, share: f64) {
        let Some(rate) = self.rate else { return };
        let Some(burst) = NonZeroU32::new(self.burst()) else { return };
        let gap = Duration::from_secs_f64(1.0 / (f64::from(rate.per_second.get()) * share).max(0.001));
        let Some(quota) = Quota::with_period(gap) else { return };
        let limiter = RateLimiter::direct_with_clock(quota.allow_burst(burst), MonotonicClock);
        // A limiter is born with a full burst: drained, so that a restart never exceeds the provider's rate.
        let _ = limiter.check_n(burst);
        *self.limiter.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Built { limiter: std::sync::Arc::new(limiter), share });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> Option<Rate> {
        Some(Rate { per_second: NonZeroU32::new(per_second).unwrap(), burst: None })
    }

    #[test]
    fn a_throttle_answer_slows_the_account_and_it_recovers_slowly() {
        let now = Instant::now();
        let pace = Pace::new(rate(100), now);
        pace.throttled(None, now);
        assert!((pace.share(now) - 0.7).abs() < 1e-9);
        pace.throttled(None, now);
        assert!((pace.share(now) - 0.7).abs() < 1e-9, "sixteen windows in flight slow it once");
        assert!((pace.share(now + Duration::from_secs(5)) - 0.8).abs() < 1e-9);
        assert!((pace.share(now + Duration::from_secs(60)) - 1.0).abs() < 1e-9);
        let later = now + Duration::from_secs(2);
        pace.throttled(None, later);
        assert!(pace.share(later) < 0.7, "still too fast: slower again");
    }

    #[test]
    fn a_window_is_as_large_as_a_second_holds() {
        let pace = Pace::new(None, Instant::now());
        assert_eq!(pace.window(64, (4, 1), 1), 16, "nothing is known yet");
        (0..20).for_each(|_| pace.took(16, Duration::from_millis(10)));
        assert_eq!(pace.window(64, (4, 1), 1), 64);
        (0..20).for_each(|_| pace.took(64, Duration::from_secs(13)));
        assert_eq!(pace.window(64, (4, 1), 1), 4, "200 ms a message");
        (0..20).for_each(|_| pace.took(1, Duration::from_secs(30)));
        assert_eq!(pace.window(64, (4, 1), 1), 1);
    }

    #[test]
    fn a_provider_that_is_slow_but_takes_many_at_once_keeps_its_window() {
        let pace = Pace::new(None, Instant::now());
        for _ in 0..50 {
            let window = pace.window(64, (4, 32), 1);
            pace.took(window, Duration::from_millis(1_500));
        }
        assert_eq!(pace.window(64, (4, 32), 1), 32);
    }

    #[test]
    fn no_more_than_two_seconds_of_traffic_are_in_flight() {
        let pace = Pace::new(rate(30), Instant::now());
        assert_eq!(pace.window(64, (4, 1), 3), 5);
        assert_eq!(Pace::new(rate(1), Instant::now()).window(64, (16, 1), 3), 1);
    }
}
