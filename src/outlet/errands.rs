//! One receiver's errands: taken on by number, tried until done or until the publication is over, each try on record.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use tocsin_channels::Class;
use tokio_util::sync::CancellationToken;

use super::press::Press;
use super::receivers::Receiver;
use crate::publish::Standing;
use crate::store::{Errand, StoreError, readable};

/// Errands are looked through this often.
const ROUND: Duration = Duration::from_millis(500);
/// Tries of one receiver at once.
const AT_ONCE: usize = 4;
/// The longest pause between two tries, seconds.
const LONGEST: i64 = 300;

pub(super) async fn run(press: Arc<Press>, receiver: Receiver, stop: CancellationToken) {
    let mut printed = press.printed.subscribe();
    loop {
        let round = async {
            take_on(&press, &receiver).await?;
            work(&press, &receiver).await
        };
        tokio::select! {
            done = round => {
                if let Err(error) = done {
                    tracing::error!(%error, outlet = receiver.name, "errands cannot be looked up");
                }
            }
            // What is in flight is tried again after the next start, under the same key.
            () = stop.cancelled() => break,
        }
        tokio::select! {
            _ = printed.changed() => {}
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => break,
        }
    }
    receiver.close().await;
}

/// Takes on what was published since, by the order of publishing; a receiver that is new begins with what comes next.
async fn take_on(press: &Press, receiver: &Receiver) -> Result<(), StoreError> {
    let (store, now) = (&press.store, press.clock.now());
    let Some(seen) = store.outlet_seen(&receiver.name).await? else {
        let last = store.last_printed().await?;
        return store.give_errands(&receiver.name, &[], last, now).await;
    };
    let (new, last) = store.printed_since(seen, now).await?;
    if last == seen {
        return Ok(());
    }
    let shown = press.shown();
    let mut errands = Vec::new();
    for publication in &new {
        let chain = store.printed_in_chain(&publication.chain).await?;
        if publication.expires > now && receiver.wants(publication, &chain, &shown) {
            errands.push(publication.release);
        }
    }
    store.give_errands(&receiver.name, &errands, last, now).await
}

async fn work(press: &Press, receiver: &Receiver) -> Result<(), StoreError> {
    let due = press.store.due_errands(&receiver.name, press.clock.now(), 64).await?;
    let tries = stream::iter(due).map(|errand| attempt(press, receiver, errand)).buffer_unordered(AT_ONCE);
    let done: Vec<Result<(), StoreError>> = tries.collect().await;
    done.into_iter().collect()
}

async fn attempt(press: &Press, receiver: &Receiver, mut errand: Errand) -> Result<(), StoreError> {
    let now = press.clock.now();
    let missing = || StoreError::corrupt(format!("an errand for release {} that was not published", errand.release));
    let printed = press.store.printed_release(errand.release).await.and_then(|printed| printed.ok_or_else(missing));
    let Some(printed) = readable("what is to be handed on", printed)? else {
        // It holds up no other; somebody may mend it.
        (errand.attempts, errand.changed) = (errand.attempts + 1, now);
        errand.detail = Some("the publication cannot be read / 记录损坏，无法读出".into());
        errand.next_at = again(errand.attempts, None, now);
        return press.store.set_errand(&errand).await;
    };
    let entry = press.entry(printed.publication).await?;
    let (id, ends) = (&entry.publication.id, entry.publication.expires);
    errand.changed = now;
    if ends <= now {
        tracing::error!(outlet = receiver.name, publication = %id, tries = errand.attempts,
            last = errand.detail.as_deref().unwrap_or_default(), "given up: the alert was over before it could be handed on");
        errand.state = "given_up".into();
        return press.store.set_errand(&errand).await;
    }
    if entry.standing == Standing::Paused || press.store.is_release_held(errand.release).await? {
        // An officer has stopped it: it waits until it is let go on, or is over.
        errand.next_at = now + TimeDelta::seconds(1);
        return press.store.set_errand(&errand).await;
    }
    let answer = receiver.hand_on(press, (&entry, &printed.cap), now).await;
    errand.attempts += 1;
    errand.changed = press.clock.now();
    errand.detail = answer.detail.as_deref().map(str::to_owned);
    if answer.class == Class::Accepted {
        errand.state = "done".into();
    } else {
        errand.next_at = again(errand.attempts, answer.retry_after, errand.changed).min(ends);
        tracing::warn!(outlet = receiver.name, publication = %id, tries = errand.attempts, class = answer.class.as_str(),
            detail = errand.detail.as_deref().unwrap_or_default(), next = %errand.next_at, "not handed on; it is tried again");
    }
    press.store.set_errand(&errand).await
}

/// When the next try is due: 1, 2, 4 … 300 seconds, or as the other side asks.
pub(super) fn again(attempts: i64, wish: Option<Duration>, now: DateTime<Utc>) -> DateTime<Utc> {
    let pause = 1_i64 << (attempts - 1).clamp(0, 9);
    let wish = wish.and_then(|wish| i64::try_from(wish.as_secs()).ok()).unwrap_or(0);
    now + TimeDelta::seconds(pause.max(wish).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_five_minutes_and_follow_a_wish() {
        let now = DateTime::UNIX_EPOCH;
        let pauses: Vec<i64> = (1..=12).map(|n| (again(n, None, now) - now).num_seconds()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!((again(1, Some(Duration::from_secs(30)), now) - now).num_seconds(), 30);
    }
}
