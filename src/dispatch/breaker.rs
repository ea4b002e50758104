//! Stops hammering a provider that is down: open in seconds, one probe at a time, nothing marked failed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tocsin_channels::{Answer, Class};

/// Windows in a row in which nothing was taken before the breaker opens.
const STRIKES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the breaker allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Send.
    Open,
    /// Send one message, and see.
    Probe,
    /// Nothing before this.
    Wait(Instant),
}

#[derive(Debug)]
struct State {
    strikes: u32,
    pause: Duration,
    closed_until: Option<Instant>,
    /// A probe is out.
    probing: bool,
}

impl State {
    const WELL: Self = Self { strikes: 0, pause: FIRST_PAUSE, closed_until: None, probing: false };
}

/// The breaker of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::WELL) }
    }

    /// Asks before a window. After the pause one asker gets the probe, and the rest wait for another pause.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.closed_until {
            None => Gate::Open,
            Some(until) if now < until => Gate::Wait(until),
            Some(_) => {
                state.closed_until = Some(now + state.pause);
                state.probing = true;
                Gate::Probe
            }
        }
    }

    /// When the next message may be tried, if not now. Takes no probe.
    pub(crate) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed_until.filter(|until| now < *until)
    }

    /// Takes in a window's answers; true when the breaker has just opened, false otherwise.
    pub(crate) fn answers(&self, answers: &[Answer], now: Instant) -> bool {
        let bad = |answer: &Answer| matches!(answer.class, Class::Transient | Class::Ambiguous | Class::Policy);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.is_empty() || !answers.iter().all(bad) {
            *state = State::WELL;
            return false;
        }
        state.strikes += 1;
        if state.strikes < STRIKES {
            return false;
        }
        let first = state.closed_until.is_none();
        // Windows that were in flight when it opened say nothing new; a failed probe does.
        if state.probing {
            state.pause = (state.pause * 2).min(LONGEST_PAUSE);
            state.probing = false;
        } else if !first {
            return false;
        }
        state.closed_until = Some(now + state.pause);
        first
    }

    /// Whether the provider is held to be down.
    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_bad_windows_probes_once_and_closes_on_the_first_good_answer() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        let down = [Answer::new(Class::Transient, "connection refused")];
        assert!(!breaker.answers(&down, now));
        assert!(!breaker.answers(&down, now));
        assert!(breaker.answers(&down, now), "the third opens it, and says so once");
        for _ in 0..20 {
            assert!(!breaker.answers(&down, now), "windows that were in flight change nothing");
        }
        assert_eq!(breaker.gate(now), Gate::Wait(now + FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        assert_eq!(breaker.gate(later), Gate::Probe);
        assert!(matches!(breaker.gate(later), Gate::Wait(_)), "one probe at a time");
        assert!(!breaker.answers(&down, later));
        assert_eq!(breaker.gate(later), Gate::Wait(later + 2 * FIRST_PAUSE), "the pause doubles");
        breaker.answers(&[Answer::ACCEPTED], later);
        assert_eq!(breaker.gate(later), Gate::Open);
    }

    #[test]
    fn a_bad_address_is_not_the_providers_fault() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..10 {
            assert!(!breaker.answers(&[Answer::new(Class::BadAddress, "550 5.1.1")], now));
        }
        assert_eq!(breaker.gate(now), Gate::Open);
    }
}
