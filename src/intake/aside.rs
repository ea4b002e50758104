//! What takes a moment to understand gets a thread of its own, and each bureau a line of its own: whoever sends much of it waits behind
//! himself alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

use crate::cap::Alert;

/// An alert of so many bytes takes a moment to read.
const LARGE: usize = 64 * 1024;
/// More shapes or points take a moment to measure, however few bytes they are.
const SHAPES: usize = 8;
const POINTS: usize = 2_000;

/// Whether reading it may take a moment.
pub(super) fn is_large(raw: &[u8]) -> bool {
    raw.len() >= LARGE
}

/// Whether finding out where it is may take a moment.
pub(super) fn is_heavy(alert: &Alert) -> bool {
    let areas = || alert.infos.iter().flat_map(|info| &info.areas);
    // Among the codes are holes, drawn as polygons.
    let shapes: usize =
        areas().map(|area| area.polygons.len() + area.circles.len() + area.geocodes.len() / SHAPES).sum();
    let points: usize = areas().flat_map(|area| &area.polygons).map(|polygon| polygon.ring.len()).sum();
    shapes > SHAPES || points > POINTS
}

/// So many of a bureau's may be in its line, with the one at work.
const MOST_WAITING: usize = 64;

/// The lines, by bureau.
#[derive(Default)]
pub(super) struct Aside {
    lines: Mutex<HashMap<String, Line>>,
}

/// One bureau's: room in its line, and the one place at its head.
#[derive(Clone)]
struct Line {
    room: Arc<Semaphore>,
    head: Arc<Semaphore>,
}

/// A bureau's turn.
pub(super) struct Turn(#[expect(dead_code, reason = "held until it is dropped")] [OwnedSemaphorePermit; 2]);

impl Aside {
    /// Waits until what came before of a bureau is done; None where too much of it waits already.
    pub(super) async fn turn(&self, bureau: &str) -> Option<Turn> {
        let line = self.line(bureau);
        let room = line.room.try_acquire_owned().ok()?;
        // Never closed.
        let head = line.head.acquire_owned().await.ok()?;
        Some(Turn([head, room]))
    }

    fn line(&self, bureau: &str) -> Line {
        let new = |places| Arc::new(Semaphore::new(places));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(bureau.to_owned()).or_insert_with(|| Line { room: new(MOST_WAITING), head: new(1) });
        line.clone()
    }
}

impl Turn {
    /// Does work on a thread of its own. Whoever hangs up leaves it behind: the turn ends with it.
    ///
    /// # Errors
    /// When it panics.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        tokio::task::spawn_blocking(move || {
            let _turn = self;
            work()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Deterministic: the first of a's work is held until b's is done.
    #[tokio::test]
    async fn a_bureau_waits_behind_itself_alone() {
        let aside = Arc::new(Aside::default());
        let (go, held) = mpsc::channel::<()>();
        let (began, beginning) = mpsc::channel();
        let (own, first_began) = (Arc::clone(&aside), began.clone());
        let first = tokio::spawn(async move {
            own.turn("a")
                .await
                .unwrap()
                .run(move || {
                    first_began.send(1).unwrap();
                    held.recv().unwrap();
                })
                .await
        });
        while beginning.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let own = Arc::clone(&aside);
        let second =
            tokio::spawn(async move { own.turn("a").await.unwrap().run(move || began.send(2).unwrap()).await });
        assert_eq!(aside.turn("b").await.unwrap().run(|| "done").await.unwrap(), "done");
        assert!(beginning.try_recv().is_err() && !second.is_finished(), "one at a time");
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(beginning.recv(), Ok(2));
    }

    #[tokio::test]
    async fn no_more_of_a_bureau_waits_than_there_is_room_for() {
        let aside = Aside::default();
        let head = aside.turn("a").await.unwrap();
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| Box::pin(aside.turn("a"))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(aside.turn("a").await.is_none(), "it is told to come back");
        assert!(aside.turn("b").await.is_some(), "another bureau's line is its own");
        drop((head, waiting));
        assert!(aside.turn("a").await.is_some(), "who hung up waits no longer");
    }
}
