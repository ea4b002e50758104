//! What one bureau, or one address, may ask of the door in a minute. Kept in memory: a restart forgets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::{BureauConfig, BureauRate};

type Addresses = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, MonotonicClock>;
type Bureau = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// Wrong tokens of one address that are answered in a minute.
const GUESSES: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// Addresses remembered before those that were quiet are forgotten.
const ADDRESSES: usize = 10_000;

/// The limits.
pub(super) struct Limits {
    guesses: Addresses,
    bureaus: Mutex<BTreeMap<String, (BureauRate, Arc<Bureau>)>>,
}

impl Limits {
    pub(super) fn new() -> Self {
        let guesses = RateLimiter::new(Quota::per_minute(GUESSES), DefaultKeyedStateStore::default(), MonotonicClock);
        Self { guesses, bureaus: Mutex::default() }
    }

    /// Counts a wrong token; how long to wait where there were too many. A right one is never counted: behind a proxy all bureaus
    /// have one address, and a stranger's guesses must not shut them out. Tokens are too long to be guessed.
    pub(super) fn guess(&self, from: IpAddr) -> Result<(), Duration> {
        if self.guesses.len() > ADDRESSES {
            self.guesses.retain_recent();
            self.guesses.shrink_to_fit();
        }
        self.guesses.check_key(&network(from)).map_err(|wait| wait.wait_time_from(MonotonicClock.now()))
    }

    /// Counts an alert of a bureau; how long to wait where there were too many.
    pub(super) fn alert(&self, bureau: &BureauConfig) -> Result<(), Duration> {
        let Some(rate) = bureau.rate else { return Ok(()) };
        let limiter = {
            let mut bureaus = self.bureaus.lock().unwrap_or_else(PoisonError::into_inner);
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

/// One household of IPv6 is one address.
pub(super) fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) if address.is_loopback() => from,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        canonical @ IpAddr::V4(_) => canonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bureau_has_its_rate_and_a_changed_one_at_once() {
        let limits = Limits::new();
        let rate = |per_minute| Some(BureauRate { per_minute: NonZeroU32::new(per_minute).unwrap() });
        let bureau = BureauConfig { name: "a".into(), rate: rate(2), ..BureauConfig::default() };
        assert!(limits.alert(&bureau).is_ok() && limits.alert(&bureau).is_ok());
        let wait = limits.alert(&bureau).unwrap_err();
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30), "{wait:?}");
        assert!(
            limits.alert(&BureauConfig { name: "b".into(), ..bureau.clone() }).is_ok(),
            "another bureau's is its own"
        );
        assert!(limits.alert(&BureauConfig { rate: rate(3), ..bureau.clone() }).is_ok(), "config was read again");
        assert!((0..100).all(|_| limits.alert(&BureauConfig { rate: None, ..bureau.clone() }).is_ok()));
    }

    #[test]
    fn guesses_of_one_network_are_counted_together() {
        let limits = Limits::new();
        let from = |last: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        assert_eq!((0..40).filter(|n| limits.guess(from(*n)).is_ok()).count(), 30);
        assert!(limits.guess(IpAddr::from([192, 0, 2, 1])).is_ok());
    }
}
