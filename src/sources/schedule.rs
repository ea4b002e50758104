//! When a source is asked next: a pure function of schedule, clock, failures and a throw of the dice.

use std::str::FromStr as _;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use cron::Schedule;

use super::config::FeedSource;

/// The longest pause after failures.
const LONGEST: TimeDelta = TimeDelta::minutes(10);
/// The longest pause that a source may ask for, seconds.
const LONGEST_WISH: u64 = 3_600;

/// When a source is asked.
#[derive(Debug, Clone)]
pub(super) enum When {
    /// So often.
    Every(TimeDelta),
    /// At these times, in China Standard Time.
    At(Box<Schedule>),
}

impl When {
    /// As config says.
    pub(super) fn of(feed: &FeedSource) -> Result<Self, cron::error::Error> {
        match &feed.schedule {
            Some(text) => Ok(Self::At(Box::new(Schedule::from_str(text)?))),
            None => Ok(Self::Every(TimeDelta::seconds(i64::from(feed.every_seconds)))),
        }
    }

    /// The next time after `now`. `failures` in a row make the pause longer, up to ten minutes; `dice` (0 to 1) moves it, so that
    /// many who ask the same source do not ask at once; `wish` is what the source itself asks for.
    pub(super) fn next(&self, now: DateTime<Utc>, failures: u32, dice: f64, wish: Option<u64>) -> DateTime<Utc> {
        let usual = self.usual(now);
        let pause = usual - now;
        if failures > 0 {
            let base = pause.clamp(TimeDelta::seconds(1), TimeDelta::seconds(30));
            let grown = base.checked_mul(1 << failures.min(12)).unwrap_or(LONGEST).min(LONGEST);
            // Half of it is certain, half is the dice's.
            let pause = share(grown, 0.5 + dice / 2.0);
            // Nobody silences us for longer than this, whatever number they write.
            let wish = TimeDelta::seconds(i64::try_from(wish.unwrap_or(0).min(LONGEST_WISH)).unwrap_or(0));
            return now + pause.max(wish);
        }
        match self {
            Self::Every(_) => now + pause + share(pause, dice / 10.0),
            Self::At(_) => usual + share(pause.min(TimeDelta::seconds(50)), dice / 10.0),
        }
    }

    fn usual(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Every(pause) => now + *pause,
            Self::At(schedule) => {
                let beijing = FixedOffset::east_opt(8 * 3_600).map(|zone| now.with_timezone(&zone));
                let next = beijing.and_then(|now| schedule.after(&now).next()).map(|at| at.to_utc());
                // A schedule whose last year is over is looked at again in a day.
                next.unwrap_or(now + TimeDelta::days(1))
            }
        }
    }
}

/// The pause before something that failed so often is tried again, the first time after five seconds.
pub(super) fn again(failures: u32, dice: f64) -> TimeDelta {
    let grown =
        TimeDelta::seconds(5).checked_mul(1 << failures.saturating_sub(1).min(12)).unwrap_or(LONGEST).min(LONGEST);
    share(grown, 0.5 + dice / 2.0)
}

#[expect(clippy::cast_possible_truncation, reason = "a share of at most ten minutes, in milliseconds")]
fn share(whole: TimeDelta, part: f64) -> TimeDelta {
    let millis = whole.num_milliseconds().min(86_400_000);
    TimeDelta::milliseconds((f64::from(i32::try_from(millis).unwrap_or(i32::MAX)) * part.clamp(0.0, 1.0)) as i64)
}

/// A throw of the dice, 0 to 1.
pub(super) fn dice() -> f64 {
    use ring::rand::{SecureRandom as _, SystemRandom};
    let mut bytes = [0_u8; 4];
    // Without randomness there is no jitter, and nothing else is lost.
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_schedule_is_read_in_beijing_and_moved_by_the_dice() {
        let when = When::At(Box::new("0 0 8 * * *".parse().unwrap()));
        let now = at("2026-07-01T00:00:00Z");
        assert_eq!(when.next(now, 0, 0.0, None), at("2026-07-02T00:00:00Z"), "08:00 in Beijing is just over");
        assert_eq!(
            when.next(at("2026-06-30T23:59:50Z"), 0, 1.0, None),
            at("2026-07-01T00:00:01Z"),
            "a tenth of the pause"
        );
        let every = When::Every(TimeDelta::seconds(60));
        assert_eq!(every.next(now, 0, 0.0, None), at("2026-07-01T00:01:00Z"));
        assert_eq!(every.next(now, 0, 1.0, None), at("2026-07-01T00:01:06Z"));
    }

    #[test]
    fn failures_make_the_pause_grow_to_ten_minutes_and_a_wish_is_kept() {
        let every = When::Every(TimeDelta::seconds(10));
        let now = at("2026-07-01T00:00:00Z");
        let pause = |failures, dice, wish| (every.next(now, failures, dice, wish) - now).num_seconds();
        assert_eq!([1, 2, 3, 20].map(|n| pause(n, 1.0, None)), [20, 40, 80, 600]);
        assert_eq!(pause(1, 0.0, None), 10, "half of it is certain");
        assert_eq!(pause(1, 0.0, Some(120)), 120);
        assert_eq!(pause(1, 0.0, Some(u64::MAX)), 3_600, "nobody silences us for longer than an hour");
        assert_eq!((again(1, 1.0).num_seconds(), again(30, 1.0).num_seconds()), (5, 600));
    }

    proptest! {
        #[test]
        fn the_next_time_always_lies_ahead_and_never_further_than_told(
            failures in 0_u32..100, dice in 0.0_f64..=1.0, seconds in 1_i64..86_400, wish in proptest::option::of(any::<u64>()),
        ) {
            let now = at("2026-07-01T00:00:00Z");
            let next = When::Every(TimeDelta::seconds(seconds)).next(now, failures, dice, wish);
            prop_assert!(next > now);
            let longest = if failures > 0 { TimeDelta::hours(1) } else { TimeDelta::seconds(seconds) * 11 / 10 };
            prop_assert!(next - now <= longest);
        }
    }
}
