//! Residents' browsers after sign-up: they say that they live, move to a new subscription, leave. Those that are gone are found
//! out, and their owners are told where they can still be reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use serde_json::json;
use tocsin_channels::push::Push;
use tocsin_channels::{ChannelKind, Class};
use tokio_util::sync::CancellationToken;

use super::sign_up::{ResidentError, Residents, Span};
use crate::delivery::{Address, ELSEWHERE, Packer, browser_word, read_browser_word};
use crate::messages::{Personal, Reader};
use crate::store::{Entry, Gone, StoreError, insert_personal_release, record, told_of_end};

/// A browser that nothing was heard of for so long is looked after.
const QUIET: TimeDelta = TimeDelta::days(30);
/// A push service that gave no clear answer is asked again after this.
const AGAIN: TimeDelta = TimeDelta::days(1);
/// Browsers looked after in one round, and asked about at once.
const ROUND: i64 = 200;
const AT_ONCE: usize = 8;
/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// Rounds in an hour.
const HOUR: u32 = 720;
/// How long the word of a browser that is gone holds: quiet hours are shorter.
const HOLDS: TimeDelta = TimeDelta::days(1);
/// New subscriptions that one browser may bring in a day.
const SWAPS: i64 = 10;

/// Looks after browsers until told to stop.
pub(crate) async fn watch(residents: Arc<Residents>, stop: CancellationToken) {
    for round in 0_u32.. {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
        let done = async {
            residents.check_browsers().await?;
            residents.tell_of_gone().await?;
            if round.is_multiple_of(HOUR) { residents.forget_lost().await } else { Ok(()) }
        };
        if let Err(error) = done.await {
            tracing::error!(%error, "browsers could not be looked after; it is tried again");
        }
    }
}

impl Residents {
    /// The word that lets one of somebody's own browsers speak for itself; None if it is not theirs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn browser_word(&self, subscriber: i64, subscription: &str) -> Result<Option<String>, ResidentError> {
        let Ok(address) = Address::parse(ChannelKind::Push, subscription) else { return Ok(None) };
        let own = self.store.own_addresses(subscriber).await?;
        let found = own.into_iter().find(|(_, own)| *own == address);
        Ok(found.map(|(id, _)| browser_word(&self.store.vault, id)))
    }

    /// A browser says that it lives.
    ///
    /// # Errors
    /// When the word is not ours or its address has ended, or its push service has said that it is gone.
    pub async fn browser_lives(&self, word: &str) -> Result<(), ResidentError> {
        let id = read_browser_word(&self.store.vault, word).ok_or(ResidentError::Proof)?;
        if self.store.browser(id).await?.is_none() {
            let held = self.store.moving_browser(id).await?.is_some();
            return Err(if held { ResidentError::Gone } else { ResidentError::Proof });
        }
        let id = u64::try_from(id).unwrap_or_default();
        Ok(self.store.check_again(&[id], self.clock.now() + QUIET).await?)
    }

    /// A browser has a new subscription: it takes the old one's place, also where a push service said that the old one is gone.
    ///
    /// # Errors
    /// When the word is not ours, the old subscription is not the address's, or the new one cannot be used.
    pub async fn move_browser(&self, word: &str, old: &str, new: &str) -> Result<(), ResidentError> {
        let id = read_browser_word(&self.store.vault, word).ok_or(ResidentError::Proof)?;
        let subscriber = self.store.moving_browser(id).await?.ok_or(ResidentError::Proof)?;
        let parse = |text: &str| Address::parse(ChannelKind::Push, text).map_err(|_| ResidentError::Endpoint);
        let (old, new) = (parse(old)?, parse(new)?);
        self.allows(&new)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let name = self.store.vault.digest("browser-moves", &id.to_string());
        if !self.store.count_use(&mut tx, &name, (SWAPS, TimeDelta::days(1)), now).await? {
            return Err(ResidentError::Busy);
        }
        if !self.store.swap_browser(&mut tx, id, (&old, &new)).await? {
            return Err(ResidentError::Proof);
        }
        let detail = json!({"service": new.service()});
        record(
            &mut tx,
            now,
            Entry::new("resident", "resident.browser-moved", format!("resident:{subscriber}"), detail),
        );
        tx.commit().await?;
        let id = u64::try_from(id).unwrap_or_default();
        Ok(self.store.check_again(&[id], now + QUIET).await?)
    }

    /// A browser leaves; with somebody's last address everything of theirs goes. A second time is no error.
    ///
    /// # Errors
    /// When the word is not ours, or the store cannot be written.
    pub async fn browser_leaves(&self, word: &str) -> Result<(), ResidentError> {
        let id = read_browser_word(&self.store.vault, word).ok_or(ResidentError::Proof)?;
        let Some(subscriber) = self.store.browser(id).await? else { return Ok(()) };
        if self.store.resident(subscriber).await?.is_some() {
            return self.remove_address(subscriber, id).await;
        }
        self.store.leave(u64::try_from(id).unwrap_or_default(), self.clock.now()).await?;
        Ok(())
    }

    /// Asks the push services about browsers that nothing was heard of for a month, without a sign to their owners.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn check_browsers(&self) -> Result<(), ResidentError> {
        let Some(push) = &self.push else { return Ok(()) };
        let now = self.clock.now();
        if self.store.plan_checks(now + QUIET, ROUND * 25).await? > 0 {
            return Ok(());
        }
        let due = self.store.due_checks(now, ROUND).await?;
        if due.is_empty() {
            return Ok(());
        }
        let (mut living, mut gone, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
        let asked = futures_util::stream::iter(due).map(|(id, to)| ask(push, id, to)).buffer_unordered(AT_ONCE);
        for (id, to, fate) in asked.collect::<Vec<_>>().await {
            match fate {
                Fate::Lives => living.push(id),
                Fate::Gone => gone.push((id, to)),
                Fate::Unclear => unclear.push(id),
            }
        }
        self.store.check_again(&living, now + QUIET).await?;
        self.store.check_again(&unclear, now + AGAIN).await?;
        let ended = self.store.end_gone(&gone, now).await?;
        tracing::info!(living = living.len(), ended, unclear = unclear.len(), "browsers were looked after");
        Ok(())
    }

    /// Tells the owners of browsers that are gone, at their other addresses. One whose rows cannot be read holds up nobody behind them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn tell_of_gone(&self) -> Result<(), ResidentError> {
        let gone = self.store.gone_untold(ROUND).await?;
        for one in &gone {
            match self.tell_owner(one, self.clock.now()).await {
                Err(ResidentError::Store(error @ (StoreError::Corrupt { .. } | StoreError::Key(_)))) => {
                    tracing::error!(%error, address.id = one.address, "the owner of a browser that is gone cannot be told");
                    let mut tx = self.store.begin().await?;
                    told_of_end(&mut tx, one.address, None).await?;
                    tx.commit().await?;
                }
                done => done?,
            }
        }
        if !gone.is_empty() {
            (self.wake)();
        }
        Ok(())
    }

    /// Deletes everything of people whose last address has been gone, or left, for a month: nobody could open their settings any more.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn forget_lost(&self) -> Result<(), ResidentError> {
        let before = self.clock.now() - QUIET;
        for subscriber in self.store.lost_residents(before, ROUND).await? {
            self.erase_all(subscriber, Some(before)).await?;
        }
        Ok(())
    }

    async fn tell_owner(&self, gone: &Gone, now: DateTime<Utc>) -> Result<(), ResidentError> {
        let mut chunks: BTreeMap<ChannelKind, Packer> = BTreeMap::new();
        let owner = u64::try_from(gone.subscriber).unwrap_or_default();
        for (channel, id) in self.store.addresses_of(&[owner]).await?.remove(&owner).unwrap_or_default() {
            if self.channels.contains(&channel) && channel != ChannelKind::Mqtt {
                chunks.entry(channel).or_insert_with(Packer::new).push(id, ELSEWHERE, "");
            }
        }
        // It is not urgent: it wakes nobody, and waits for a provider that is down.
        let wishes = self.store.wishes_of(&[owner]).await?.remove(&owner).unwrap_or_default();
        let quiet = wishes.iter().filter_map(|wish| wish.quiet?.end(now)).max();
        let span = Span { now, from: quiet.unwrap_or(now), until: now + HOLDS };
        let resident = self.store.resident(gone.subscriber).await?;
        let mut tx = self.store.begin().await?;
        let told = (!chunks.is_empty()).then_some(now);
        told_of_end(&mut tx, gone.address, told).await?;
        if told.is_some() {
            let name = format!("browser-gone/{}/{}", gone.address, now.timestamp_millis());
            let chunks = chunks.into_iter().collect();
            let tongue = resident.as_ref().map_or(gone.language.tag(), |resident| &resident.tongue);
            let reader = Reader { language: gone.language, tongue };
            let release = self.release_to_one(&mut tx, &name, (Personal::BrowserGone, reader), chunks, span).await?;
            // A digest that no address has, so that it is none of the tests that somebody asked for.
            insert_personal_release(&mut tx, release, "browser-gone", gone.subscriber, now).await?;
        }
        let detail = json!({"told": told.is_some()});
        let subject = format!("resident:{}", gone.subscriber);
        record(&mut tx, now, Entry::new("tocsin", "resident.browser-gone", subject, detail));
        Ok(tx.commit().await?)
    }
}

/// What a push service says of a subscription.
enum Fate {
    Lives,
    Gone,
    Unclear,
}

async fn ask(push: &Push, id: u64, to: String) -> (u64, String, Fate) {
    let answer = push.probe(&to).await;
    let fate = match answer.class {
        _ if answer.gone => Fate::Gone,
        Class::Accepted => Fate::Lives,
        _ => Fate::Unclear,
    };
    (id, to, fate)
}
