//! What takes a moment to understand gets a thread of its own, and each bureau a line of its own: whoever sends much of it waits behind
//! himself alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
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

/// The lines, by bureau.
#[derive(Default)]
pub(super) struct Aside {
    lines: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Aside {
    /// Does work of a bureau after what of it came before.
    ///
    /// # Errors
    /// When it panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bureau: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let line = self.line(bureau);
        // Never closed.
        let turn = line.acquire_owned().await;
        // Whoever hangs up leaves his work behind: the turn ends with it.
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    fn line(&self, bureau: &str) -> Arc<Semaphore> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lines.entry(bureau.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
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
            own.run("a", move || {
                first_began.send(1).unwrap();
                held.recv().unwrap();
            })
            .await
        });
        while beginning.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let own = Arc::clone(&aside);
        let second = tokio::spawn(async move { own.run("a", move || began.send(2).unwrap()).await });
        assert_eq!(aside.run("b", || "done").await.unwrap(), "done");
        assert!(beginning.try_recv().is_err() && !second.is_finished(), "one at a time");
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(beginning.recv(), Ok(2));
    }
}
