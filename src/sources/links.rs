//! Messages that only lead to an alert: each is on disk before it is acknowledged, and its link is followed from there. So a link that
//! is slow, or does not answer for a while, holds up neither the broker nor other links.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::feed::digest;
use super::mqtt::{Became, Subscriber};
use super::notice::{self, Notice};
use super::schedule::{again, dice};
use crate::store::{NoticeRow, StoreError};

/// Links of one source that are followed at once.
const AT_ONCE: usize = 16;
/// Messages of one source that wait for their links.
const MOST: i64 = 1_000;
/// A message that only leads somewhere is never longer, bytes.
const LONGEST: usize = 65_536;
/// A link is tried for so long.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);
/// The longest pause between two tries.
const PAUSE: TimeDelta = TimeDelta::seconds(60);
/// Those that wait are looked through this often.
const ROUND: Duration = Duration::from_millis(500);

/// Wakes whoever follows links.
#[derive(Default)]
pub(super) struct Links(Notify);

impl Subscriber {
    /// Keeps a message that leads to an alert elsewhere; false where it does not, or where too many wait already.
    pub(super) async fn keep_link(&self, payload: &[u8]) -> Result<bool, StoreError> {
        let leads = payload.len() <= LONGEST && matches!(notice::read(payload), Ok(Notice::Link(..)));
        if !leads {
            return Ok(false);
        }
        let now = self.door.now();
        let notice = NoticeRow {
            source: self.config.name.clone(),
            digest: digest(payload),
            payload: payload.to_vec(),
            tries: 0,
            since: now,
            next_at: now,
        };
        let kept = self.door.store.keep_notice(&notice, MOST).await?;
        self.links.0.notify_one();
        Ok(kept)
    }

    /// Follows the links of what waits, also of what waited before a restart.
    pub(super) async fn follow_links(self: Arc<Self>) {
        let (mut following, mut busy) = (JoinSet::new(), BTreeSet::new());
        loop {
            if busy.len() < AT_ONCE {
                let due = self.door.store.due_notices(&self.config.name, self.door.now(), 2 * AT_ONCE as i64).await;
                let due = due.unwrap_or_else(|error| {
                    tracing::error!(%error, source = %self.config.name, "messages that wait for their links cannot be looked up");
                    Vec::new()
                });
                for notice in due {
                    if busy.len() < AT_ONCE && busy.insert(notice.digest.clone()) {
                        let own = Arc::clone(&self);
                        following.spawn(async move { Box::pin(own.follow(notice)).await });
                    }
                }
            }
            tokio::select! {
                Some(done) = following.join_next() => match done {
                    Ok(digest) => drop(busy.remove(&digest)),
                    // One of them ended in a fault of ours: it is still on disk, and tried with the others.
                    Err(error) => {
                        tracing::error!(%error, source = %self.config.name, "a link could not be followed");
                        following.abort_all();
                        busy.clear();
                    }
                },
                () = self.links.0.notified() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    /// One try at a message; gives its digest.
    async fn follow(&self, mut notice: NoticeRow) -> String {
        let now = self.door.now();
        let became = self.attempt(&notice.payload).await;
        let wrote = match became {
            Became::Settled => self.door.store.forget_notice(&notice).await,
            Became::Unreachable(problem) if now - notice.since >= PATIENCE => {
                self.refuse(&notice.payload, problem).await;
                self.door.store.forget_notice(&notice).await
            }
            Became::Unreachable(problem) | Became::NotNow(problem) => {
                tracing::warn!(source = %self.config.name, %problem, tries = notice.tries, "what a message leads to is tried again");
                notice.tries = notice.tries.saturating_add(1);
                notice.next_at = self.door.now() + again(notice.tries, dice()).min(PAUSE);
                self.door.store.set_notice(&notice).await
            }
        };
        if let Err(error) = wrote {
            tracing::error!(%error, source = %self.config.name, "what became of a message could not be written");
        }
        notice.digest
    }
}
