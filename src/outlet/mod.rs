//! From what is released to the world outside: the press makes publications of releases and keeps the board of what is in force;
//! webhooks and WIS2 are told of each.
//!
//! Everything is derived from rows: a release commits, the press follows by its number, each outlet follows the press by its own. So a
//! crash between any two steps loses nothing, and repeats at most the tries that were in flight, under the same key.

mod errands;
mod press;
mod receivers;

pub use press::{Press, Shown};
pub use receivers::OutletError;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Starts the press and every outlet that config names; each runs by itself, so that a slow one stalls no other.
///
/// # Errors
/// When a webhook's address or secret cannot be used, or WIS2's broker not be set up.
pub(crate) fn start(
    press: &Arc<Press>,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<()>>, OutletError> {
    let receivers = receivers::of(config)?;
    let mut running = vec![tokio::spawn(Arc::clone(press).run(stop.clone()))];
    running.extend(
        receivers.into_iter().map(|receiver| tokio::spawn(errands::run(Arc::clone(press), receiver, stop.clone()))),
    );
    Ok(running)
}
