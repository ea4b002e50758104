//! How many alerts a bureau may send us in a minute. Kept in memory: a restart forgets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::{BureauConfig, BureauRate};

type Bureau = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// What each bureau has sent.
#[derive(Default)]
pub(super) struct Rates(Mutex<BTreeMap<String, (BureauRate, Arc<Bureau>)>>);

impl Rates {
    /// Counts an alert of a bureau; how long to wait where there were too many.
    pub(super) fn count(&self, bureau: &BureauConfig) -> Result<(), Duration> {
        let Some(rate) = bureau.rate else { return Ok(()) };
        let limiter = {
            let mut bureaus = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let built = |rate: BureauRate| {
                (rate, Arc::new(RateLimiter::direct_with_clock(Quota::per_minute(rate.per_minute), MonotonicClock)))
            };
            let entry = bureaus.entry(bureau.name.clone()).or_insert_with(|| built(rate));
            if entry.0 != rate {
                *entry = built(rate);
            }
            Arc::clone(&entry.1)
        };
        limiter.check().map_err(|wait| wait.wait_time_from(MonotonicClock.now()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_bureau_has_its_rate_and_a_changed_one_at_once() {
        let rates = Rates::default();
        let rate = |per_minute| Some(BureauRate { per_minute: NonZeroU32::new(per_minute).unwrap() });
        let bureau = BureauConfig { name: "a".into(), rate: rate(2), ..BureauConfig::default() };
        assert!(rates.count(&bureau).is_ok() && rates.count(&bureau).is_ok());
        let wait = rates.count(&bureau).unwrap_err();
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30), "{wait:?}");
        assert!(
            rates.count(&BureauConfig { name: "b".into(), ..bureau.clone() }).is_ok(),
            "another bureau's is its own"
        );
        assert!(rates.count(&BureauConfig { rate: rate(3), ..bureau.clone() }).is_ok(), "config was read again");
        assert!((0..100).all(|_| rates.count(&BureauConfig { rate: None, ..bureau.clone() }).is_ok()));
    }
}
