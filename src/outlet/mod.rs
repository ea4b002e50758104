//! From what is released to the world outside: the press makes publications of releases and keeps the board of what is in force;
//! webhooks and WIS2 are told of each.
//!
//! Everything is derived from rows: a release commits, the press follows by its number, each outlet follows the press by its own. So a
//! crash between any two steps loses nothing, and repeats at most the tries that were in flight, under the same key.

mod errands;
mod hooks;
mod press;
mod print;
mod receivers;

pub use press::{Press, Shown};
pub use receivers::OutletError;
pub(crate) use receivers::Receivers;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Starts the press and everybody who is told; each runs by itself, so that a slow one stalls no other.
pub(crate) fn start(
    press: &Arc<Press>,
    receivers: Receivers,
    allow_private: &[String],
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let mut running = vec![
        tokio::spawn(Arc::clone(press).run(stop.clone())),
        tokio::spawn(hooks::run(Arc::clone(press), allow_private.to_vec(), stop.clone())),
    ];
    let each = receivers.0.into_iter().map(|one| tokio::spawn(errands::run(Arc::clone(press), one, stop.clone())));
    running.extend(each);
    running
}
