//! From a document of any kind into intake, in the voice of the source's bureau.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

use super::absence;
use super::feed::{self, Body};
use super::problem::{Problem, ProblemCode};
use crate::approval::Wake;
use crate::cap::{AlertId, Code, Gravity, SignaturePolicy};
use crate::clock::Clock;
use crate::config::BureauConfig;
use crate::intake::{Format, Intake, Receipt, Refusal, RefusalCode};
use crate::policy::Policy;
use crate::store::Store;

/// The most alerts of one document that is no feed.
const MAX_ALERTS: usize = 500;

/// What sources need of the program.
pub(crate) struct Door {
    intake: Arc<Intake>,
    policy: Arc<ArcSwap<Policy>>,
    pub(super) store: Store,
    clock: Arc<dyn Clock>,
    wake: Wake,
}

/// In whose voice a source hands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) bureau: &'a str,
    /// Its name: something else may be asked of it than of its bureau.
    pub(super) source: &'a str,
}

/// What became of a document.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Alerts that are on disk.
    pub(super) taken: Vec<Receipt>,
    /// What was refused, each on record with its reason.
    pub(super) refused: Vec<Problem>,
    /// What could not be taken for no fault of its own; it must be handed in again.
    pub(super) not_now: Option<Problem>,
    /// An alert's time lies ahead: it may be taken later.
    pub(super) early: bool,
}

impl Delivered {
    /// Alerts that were not on record before.
    pub(super) fn new_ones(&self) -> u64 {
        self.taken.iter().filter(|receipt| !receipt.repeat).count() as u64
    }

    /// The ids of what is on disk.
    pub(super) fn ids(&self) -> impl Iterator<Item = &AlertId> {
        self.taken.iter().map(|receipt| &receipt.id)
    }
}

impl Door {
    pub(crate) fn new(
        intake: Arc<Intake>,
        policy: Arc<ArcSwap<Policy>>,
        store: Store,
        clock: Arc<dyn Clock>,
        wake: Wake,
    ) -> Self {
        Self { intake, policy, store, clock, wake }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Waits so long.
    pub(super) async fn sleep(&self, pause: std::time::Duration) {
        self.clock.sleep(pause).await;
    }

    /// What is agreed on about a source, in short: its bureau's entry in config as it holds there, and the size of the map that its
    /// regions are looked up in.
    pub(super) fn agreed(&self, voice: Voice<'_>) -> String {
        let policy = self.policy.load();
        let entry = policy.bureau_by(voice.bureau, voice.source);
        let text = serde_json::json!([entry, policy.map.regions().count()]).to_string();
        feed::digest(text.as_bytes())
    }

    fn bureau(&self, voice: Voice<'_>) -> Result<BureauConfig, Problem> {
        let found = self.policy.load().bureau_by(voice.bureau, voice.source);
        found.ok_or_else(|| Problem::new(ProblemCode::NoBureau, voice.bureau))
    }

    /// Hands in every alert of a document; links in it are not followed.
    pub(super) async fn deliver(&self, voice: Voice<'_>, bytes: &[u8], area: Option<&str>) -> Delivered {
        let mut delivered = Delivered::default();
        let json = bytes.trim_ascii_start().first() == Some(&b'{');
        let whole = (bytes.to_vec(), if json { Format::Json } else { Format::Xml });
        let feed = feed::read(bytes, None, area, MAX_ALERTS).unwrap_or_default();
        let mut left_out = left_out(&feed);
        let here = |entry: feed::Entry| match entry.body {
            Body::Here(bytes, format) => Some((bytes, format)),
            Body::Link(_) => None,
        };
        let mut alerts: Vec<_> = feed.entries.into_iter().filter_map(here).collect();
        if alerts.is_empty() {
            // Intake says why there is nothing to take, and keeps it.
            alerts.push(whole);
            left_out.clear();
        }
        for (bytes, format) in alerts {
            self.hand_in(voice, &bytes, format, &mut delivered).await;
        }
        if delivered.not_now.is_none() {
            for problem in left_out {
                self.keep_refusal(voice.bureau, &problem, bytes).await;
                delivered.refused.push(problem);
            }
        }
        delivered
    }

    /// Hands in one alert. The bureau's rate does not hold here: we fetch at a pace and with limits of our own, and a red alert must
    /// not wait behind a backlog.
    pub(super) async fn hand_in(&self, voice: Voice<'_>, bytes: &[u8], format: Format, delivered: &mut Delivered) {
        match self.bureau(voice) {
            Ok(bureau) => self.hand_in_as(&bureau, bytes, format, delivered).await,
            Err(problem) => delivered.not_now = Some(problem),
        }
    }

    async fn hand_in_as(&self, bureau: &BureauConfig, bytes: &[u8], format: Format, delivered: &mut Delivered) {
        match Box::pin(self.intake.accept(bureau, bytes, format)).await {
            Ok(receipt) => {
                (self.wake)();
                delivered.taken.push(receipt);
            }
            Err(refusal) => {
                let problem = refused(&refusal);
                match refusal.code {
                    RefusalCode::Store | RefusalCode::StoreFull => {
                        delivered.not_now = Some(Problem { code: ProblemCode::Store, ..problem });
                    }
                    RefusalCode::Messages | RefusalCode::Busy => {
                        // The store's own trouble is the graver one.
                        delivered.not_now.get_or_insert(problem);
                    }
                    code => {
                        delivered.early |= code == RefusalCode::FromTheFuture;
                        delivered.refused.push(problem);
                    }
                }
            }
        }
    }

    /// Puts on record what never came as far as intake.
    pub(super) async fn keep_refusal(&self, bureau: &str, problem: &Problem, raw: &[u8]) {
        let finding = serde_json::json!([{"code": problem.code.as_str(), "severity": "error", "path": "", "source": "Tocsin sources",
            "zh": problem.zh(), "en": problem.en()}]).to_string();
        let digest = feed::digest(raw);
        let kept = self.store.record_refusal(self.now(), bureau, problem.code.as_str(), &finding, &digest, raw);
        if let Err(error) = kept.await {
            tracing::error!(%error, %problem, "a refusal could not be recorded");
        }
    }

    /// Ends an alert that its source lists no longer, by a Cancel of our own through the door that every alert takes. What is
    /// over already is left alone.
    pub(super) async fn end(&self, voice: Voice<'_>, alert: &str) -> Result<(), Problem> {
        let store = |error| Problem::new(ProblemCode::Store, error);
        let now = self.now();
        let Some(row) = self.store.alert(alert).await.map_err(store)? else { return Ok(()) };
        let over = row.superseded_by.is_some() || row.expires.is_some_and(|end| end <= now) || row.msg_type == "Cancel";
        if over {
            return Ok(());
        }
        let Some(old) = self.store.alert_as_read(alert).await.map_err(store)? else { return Ok(()) };
        let cancel = absence::cancel(&old, alert, voice.source, now.max(old.sent.to_utc()));
        let text = crate::cap::write(&cancel).map_err(|e| Problem::new(ProblemCode::Unreadable, e))?;
        let mut delivered = Delivered::default();
        // It is ours: what is agreed on about the bureau's signatures and profiles says nothing of it.
        let (signature, profile) = (SignaturePolicy::Ignored, Vec::new());
        let own = BureauConfig { signature, profile, max_bytes: None, ..self.bureau(voice)? };
        self.hand_in_as(&own, text.as_bytes(), Format::Xml, &mut delivered).await;
        if let Some(problem) = delivered.not_now.or_else(|| delivered.refused.pop()) {
            return Err(problem);
        }
        // That the Cancel was taken is not enough: it must have taken the alert's place.
        let ended = self.store.alert(alert).await.map_err(store)?.is_none_or(|row| row.superseded_by.is_some());
        if !ended {
            return Err(Problem::new(ProblemCode::StillOpen, alert));
        }
        tracing::warn!(alert.id = alert, source = voice.source, "no longer listed: ended by a Cancel of our own");
        Ok(())
    }
}

/// What a document holds and nobody takes: parts that are only links, that lead nowhere, or that are too many.
fn left_out(feed: &feed::Feed) -> Vec<Problem> {
    let links = feed.entries.iter().filter_map(|entry| match &entry.body {
        Body::Link(link) => Some(Problem::new(ProblemCode::BadLink, link)),
        Body::Here(..) => None,
    });
    let lost =
        feed.findings.iter().filter(|finding| matches!(finding.code, Code::LongFeed | Code::NoWay)).map(|finding| {
            Problem::in_words(ProblemCode::Unreadable, &finding.zh(), &finding.en(), vec![finding.clone()])
        });
    links.chain(lost).collect()
}

fn refused(refusal: &Refusal) -> Problem {
    let (code, sentences) = (refusal.code.as_str(), refusal.code.sentences());
    let first = refusal.findings.iter().find(|finding| finding.gravity == Gravity::Error);
    let (zh, en) = match first {
        Some(finding) => (finding.zh(), finding.en()),
        None => (refusal.detail.clone(), refusal.detail.clone()),
    };
    let (zh, en) = (format!("{code} {}：{zh}", sentences.0), format!("{code} {}: {en}", sentences.1));
    Problem::in_words(ProblemCode::Refused, &zh, &en, refusal.findings.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_only_links_or_nothing_at_all_are_told() {
        let document =
            b"<feed><entry><id>1</id><link href='https://a.example/1'/></entry><entry><title>?</title></entry>\
            <entry><id>2</id><content><alert><identifier>2</identifier></alert></content></entry></feed>";
        let feed = feed::read(document, None, None, MAX_ALERTS).unwrap_or_default();
        let codes: Vec<_> = left_out(&feed).iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [ProblemCode::BadLink, ProblemCode::Unreadable]);
        let many: String = (0..=MAX_ALERTS)
            .map(|n| format!("<entry><id>{n}</id><alert><identifier>{n}</identifier></alert></entry>"))
            .collect();
        let feed = feed::read(format!("<feed>{many}</feed>").as_bytes(), None, None, MAX_ALERTS).unwrap_or_default();
        assert_eq!((feed.entries.len(), left_out(&feed).len()), (MAX_ALERTS, 1));
    }
}
