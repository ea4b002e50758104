//! The time as an argument: pure code takes a `DateTime`, the rest asks a [`Clock`].

use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// Waits so long by this clock: sources pause by it between their rounds, so that a day of polling can pass in seconds.
    fn sleep(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(pause))
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that a test sets.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct SetClock(pub(crate) std::sync::Mutex<DateTime<Utc>>);

#[cfg(test)]
impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}
