//! What one address may ask of the door in a minute. Kept in memory: a restart forgets.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

type Addresses = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, MonotonicClock>;

/// Wrong tokens of one address that are answered in a minute.
const GUESSES: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// Addresses remembered before those that were quiet are forgotten.
const ADDRESSES: usize = 10_000;

/// The limits.
pub(super) struct Limits {
    guesses: Addresses,
}

impl Limits {
    pub(super) fn new() -> Self {
        let guesses = RateLimiter::new(Quota::per_minute(GUESSES), DefaultKeyedStateStore::default(), MonotonicClock);
        Self { guesses }
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
    fn guesses_of_one_network_are_counted_together() {
        let limits = Limits::new();
        let from = |last: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        assert_eq!((0..40).filter(|n| limits.guess(from(*n)).is_ok()).count(), 30);
        assert!(limits.guess(IpAddr::from([192, 0, 2, 1])).is_ok());
    }
}
