//! Ways in that we go ourselves: feeds are polled, topics subscribed to, a folder watched. Whatever comes is handed to intake, as
//! if the source's bureau had sent it.
//!
//! Each source has a task and a client of its own, so that none waits for another. Knows no SQL and no pages.

mod absence;
mod config;
mod disk;
mod door;
mod entry;
mod feed;
mod fetch;
mod folder;
mod health;
mod links;
mod mqtt;
mod notice;
mod poll;
#[doc(hidden)]
pub mod probe;
mod problem;
mod schedule;

use std::sync::Arc;

pub use config::{FeedSource, FolderSource, MqttSource, SourceConfig, SourceTerms};
pub(crate) use door::Door;
pub use fetch::FetchLimits;
pub use health::{Condition, Health};
pub use problem::{Problem, ProblemCode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Starts every source; each ends when told to stop.
pub(crate) fn start(sources: &[SourceConfig], door: &Arc<Door>, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let each = sources.iter().cloned().map(|source| {
        let (door, stop) = (Arc::clone(door), stop.clone());
        match source {
            SourceConfig::Feed(feed) => tokio::spawn(poll::run(feed, door, stop)),
            SourceConfig::Mqtt(mqtt) => tokio::spawn(mqtt::run(mqtt, door, stop)),
            SourceConfig::Folder(folder) => tokio::spawn(folder::run(folder, door, stop)),
        }
    });
    each.collect()
}
