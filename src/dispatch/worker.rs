//! One claimed chunk: window by window, intent first, answers after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tocsin_channels::{Answer, ChannelKind, Class, Content, Key, Message, Window};
use tokio_util::sync::CancellationToken;

use super::breaker::Gate;
use super::feeder::Desk;
use crate::delivery::{DeliveryState, Members, Recipient, WhenAmbiguous, address_of, receipt, unpack, unpack_why};
use crate::messages::{Language, because, leave_by_answer, leave_by_link};
use crate::store::{Claimed, Opened, StoreError};

/// What every chunk of a dispatch shares.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) content: Content,
    pub(crate) language: Language,
    pub(crate) expires: DateTime<Utc>,
    /// Whether its readers may leave the list: officers who are called may not.
    pub(crate) may_leave: bool,
    /// Whether devices report what they have shown.
    pub(crate) reports: bool,
    /// Units of the provider's rate that one message costs.
    pub(crate) weight: u32,
}

/// Why a worker lets go of a chunk that is not done.
enum Pause {
    /// Another chunk is more urgent, or the program stops: anyone may take it on at once.
    GiveWay,
    /// The provider is down until then.
    ProviderDown(Instant),
    /// Everyone was tried; those who must be tried again wait for their turn.
    TryAgain { counted: bool },
}

/// What ends a chunk or lets go of it.
enum Turn {
    Done,
    Ended(DeliveryState),
    Paused(Pause),
}

/// Sends a chunk until it is done, or until something more urgent, a stop or a failing provider takes it away.
pub(crate) async fn run(desk: &Desk, claimed: &Claimed, job: &Job, stop: &CancellationToken) -> Result<(), StoreError> {
    let mut recipients = unpack(&claimed.body).ok_or_else(|| StoreError::corrupt(format!("chunk {}", claimed.id)))?;
    let policy = WhenAmbiguous::of_lane(claimed.lane);
    let (mut members, seq) = if claimed.touched {
        let history = desk.store.history(claimed.id).await?;
        (Members::replay(recipients.len(), policy, &history, false), history.len())
    } else {
        (Members::fresh(recipients.len(), policy), 0)
    };
    address(desk, &mut recipients, &mut members).await?;
    let why = reasons(desk, claimed, job).await?;
    let mut chunk = Chunk { desk, claimed, job, recipients: &recipients, why: &why, members: &mut members, seq };
    match chunk.send_all(stop).await? {
        Turn::Done => {}
        Turn::Ended(state) => members.end(state),
        Turn::Paused(pause) => return let_go(desk, claimed, job, pause).await,
    }
    desk.journal.finish(claimed.id, &members).await
}

/// Reads what the addresses of those who wait say. Who has left meanwhile is not told; whose address is gone, or damaged, is told by
/// their next channel.
async fn address(desk: &Desk, recipients: &mut [Recipient], members: &mut Members) -> Result<(), StoreError> {
    let waiting = members.waiting();
    let one = |member: &u16| recipients.get(usize::from(*member))?.address();
    let ids: Vec<u64> = waiting.iter().filter_map(one).collect();
    let values = desk.store.values(&ids).await?;
    let missing: Vec<u64> = ids.into_iter().filter(|id| !values.contains_key(id)).collect();
    let gone = desk.store.owners(&missing).await?;
    let (mut left, mut bad) = (Vec::new(), Vec::new());
    for member in waiting {
        let Some(recipient) = recipients.get_mut(usize::from(member)) else { continue };
        match recipient.address() {
            Some(id) => match values.get(&id) {
                Some(value) if value.is_empty() => bad.push(member),
                Some(value) => recipient.to.clone_from(value),
                None if gone.contains_key(&id) => bad.push(member),
                None => left.push(member),
            },
            None => recipient.to = desk.store.vault.open(&recipient.to)?,
        }
    }
    members.answer(&left, &vec![Class::OptedOut; left.len()]);
    members.answer(&bad, &vec![Class::BadAddress; bad.len()]);
    Ok(())
}

/// Why each member is told, where the channel says so and they have places.
async fn reasons(desk: &Desk, claimed: &Claimed, job: &Job) -> Result<Vec<Option<String>>, StoreError> {
    let channel = job.content.kind();
    if channel == ChannelKind::Mqtt {
        return Ok(Vec::new());
    }
    let why = unpack_why(&desk.store.chunk_why(claimed.id).await?);
    if why.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<u64> = why.iter().flatten().copied().collect();
    let names = desk.store.place_names(&ids).await?;
    let line = |places: &Vec<u64>| {
        let own: Vec<&str> = places.iter().filter_map(|id| names.get(id)).map(String::as_str).collect();
        (!own.is_empty()).then(|| because(channel, job.language, &own))
    };
    Ok(why.iter().map(line).collect())
}

struct Chunk<'a> {
    desk: &'a Desk,
    claimed: &'a Claimed,
    job: &'a Job,
    recipients: &'a [Recipient],
    why: &'a [Option<String>],
    members: &'a mut Members,
    seq: usize,
}

impl Chunk<'_> {
    async fn send_all(&mut self, stop: &CancellationToken) -> Result<Turn, StoreError> {
        let waiting = self.members.waiting();
        let mut rest = waiting.as_slice();
        let mut counted = false;
        let mut sent = false;
        while !rest.is_empty() {
            if stop.is_cancelled() || (sent && self.desk.more_urgent_than(self.claimed.lane)) {
                return Ok(Turn::Paused(Pause::GiveWay));
            }
            let most = match self.desk.breaker.gate(Instant::now()) {
                Gate::Open => self.desk.pace.window(
                    self.desk.window,
                    (self.desk.workers, self.desk.channel.at_once()),
                    self.job.weight,
                ),
                Gate::Probe => 1,
                Gate::Wait(until) => return Ok(Turn::Paused(Pause::ProviderDown(until))),
            };
            let (window, next) = rest.split_at(most.min(rest.len()));
            let units = u32::try_from(window.len()).unwrap_or(u32::MAX).saturating_mul(self.job.weight);
            tokio::select! {
                () = self.desk.pace.wait(units) => {}
                () = stop.cancelled() => return Ok(Turn::Paused(Pause::GiveWay)),
            }
            let now = self.desk.clock.now();
            if now >= self.job.expires {
                return Ok(Turn::Ended(DeliveryState::Expired));
            }
            let seq = i64::try_from(self.seq).unwrap_or(i64::MAX);
            let opened = self.desk.journal.open(self.claimed, seq, window, now.timestamp_millis()).await?;
            match opened {
                Opened::Go => {}
                Opened::Superseded => return Ok(Turn::Ended(DeliveryState::Superseded)),
                Opened::Held => return Ok(Turn::Paused(Pause::GiveWay)),
            }
            counted |= self.send(window, seq).await?;
            self.seq += 1;
            rest = next;
            sent = true;
        }
        let done = self.members.waiting().is_empty();
        Ok(if done { Turn::Done } else { Turn::Paused(Pause::TryAgain { counted }) })
    }

    /// Sends one window and records its answers; true if an answer counts as an attempt (a throttle does not).
    async fn send(&mut self, window: &[u16], seq: i64) -> Result<bool, StoreError> {
        let messages: Vec<Message> = window.iter().filter_map(|member| self.message(*member)).collect();
        let began = Instant::now();
        let mut answers = self
            .desk
            .channel
            .send(Window {
                content: &self.job.content,
                lane: self.claimed.lane,
                language: self.job.language.tag(),
                expires: self.job.expires.into(),
                messages: &messages,
            })
            .await;
        self.desk.pace.took(window.len(), began.elapsed());
        // An adapter that breaks its promise may have sent: nobody knows.
        answers.resize_with(window.len(), || Answer::new(Class::Ambiguous, "no answer from the channel"));
        let classes: Vec<Class> = answers.iter().map(|answer| answer.class).collect();
        let detail = answers.iter().find_map(|answer| answer.detail.as_deref()).map(str::to_owned);
        let at = self.desk.clock.now().timestamp_millis();
        self.desk.journal.outcome(self.claimed.id, seq, &classes, detail, at).await?;
        self.members.answer(window, &classes);
        self.desk.learn(&answers);
        self.end_gone(window, &answers).await;
        Ok(classes.iter().any(|class| matches!(class, Class::Transient | Class::Ambiguous | Class::Policy)))
    }

    /// Ends the addresses that the provider does not know any more. It is tried again with the next message to them.
    async fn end_gone(&self, window: &[u16], answers: &[Answer]) {
        let gone = window.iter().zip(answers).filter(|(_, answer)| answer.gone);
        let sent_to = |(member, _): (&u16, _)| {
            let recipient = self.recipients.get(usize::from(*member))?;
            Some((address_of(recipient.id), recipient.to.clone()))
        };
        let gone: Vec<(u64, String)> = gone.filter_map(sent_to).collect();
        if gone.is_empty() {
            return;
        }
        match self.desk.store.end_gone(&gone, self.desk.clock.now()).await {
            Ok(ended) => {
                tracing::info!(addresses = ended, channel = %self.desk.kind(), "addresses that are gone were ended")
            }
            Err(error) => tracing::error!(%error, "addresses that are gone could not be ended"),
        }
    }

    fn message(&self, member: u16) -> Option<Message> {
        let recipient = self.recipients.get(usize::from(member))?;
        let (kind, language) = (self.job.content.kind(), self.job.language);
        let leave = match (kind, &self.desk.leave.links) {
            (ChannelKind::Email, Some(links)) if self.job.may_leave => Some(links.link(address_of(recipient.id))),
            (ChannelKind::Sms, _) if self.job.may_leave && self.desk.leave.answers => {
                Some(leave_by_answer(language).to_owned())
            }
            _ => None,
        };
        let why = self.why.get(usize::from(member)).cloned().flatten();
        let why = match (kind, &leave) {
            (ChannelKind::Email, Some(link)) => {
                let lines: Vec<String> = why.into_iter().chain([leave_by_link(language, link)]).collect();
                Some(lines.join("\n"))
            }
            _ => why,
        };
        let (release, expires) = (self.claimed.release, self.job.expires);
        let own = kind == ChannelKind::Push && self.job.reports;
        let receipt = own.then(|| receipt(&self.desk.store.vault, release, recipient.id, expires));
        let key = Key::derive(release, kind, recipient.id);
        Some(Message { key, to: recipient.to.clone(), leave, why, receipt })
    }
}

async fn let_go(desk: &Desk, claimed: &Claimed, job: &Job, pause: Pause) -> Result<(), StoreError> {
    let now = desk.clock.now();
    let (wait, attempt) = match pause {
        Pause::GiveWay => (Duration::ZERO, claimed.attempt),
        Pause::ProviderDown(until) => (until.saturating_duration_since(Instant::now()), claimed.attempt),
        Pause::TryAgain { counted: false } => (Duration::from_millis(500), claimed.attempt),
        Pause::TryAgain { counted: true } => (back_off(claimed.attempt, claimed.id), claimed.attempt + 1),
    };
    let at = (now + wait).min(job.expires.max(now));
    desk.journal.requeue(claimed.id, at.timestamp_millis(), attempt).await?;
    desk.wake.notify_one();
    Ok(())
}

/// 1, 2, 4 ... 60 s, three quarters to the whole of it, spread by the chunk so that they do not all come back at once.
fn back_off(attempt: i64, chunk: i64) -> Duration {
    let seconds = 1_u64 << attempt.clamp(0, 6);
    let whole = Duration::from_secs(seconds.min(60));
    let spread = chunk.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    whole - whole.mul_f64(spread as f64 / 1024.0)
}

/// A job as the feeder keeps it.
pub(crate) type SharedJob = Arc<Job>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_slower_and_never_slower_than_a_minute() {
        for chunk in 0..100 {
            assert!((750..=1000).contains(&back_off(0, chunk).as_millis()));
            assert!((3000..=4000).contains(&back_off(2, chunk).as_millis()));
            assert!((45_000..=60_000).contains(&back_off(40, chunk).as_millis()));
        }
    }
}
