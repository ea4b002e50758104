//! What can be done about a release that is on its way: stop it, let it go on, correct it, send it again to those missed.

use chrono::{DateTime, Utc};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use super::compose::{Draft, Replaced, Texts};
use super::desk::{Desk, DeskError};
use super::escalation::ActError;
use super::split::Part;
use super::{ComposeError, Words};
use crate::cap::{self, Alert, AlertId, MsgType, Reference};
use crate::chains::{Why, says};
use crate::messages::Language;
use crate::officers::Role;
use crate::regions::RegionCode;
use crate::store::{
    AlertRow, AlertState, Entry, NewAlert, NewRelease, OfficerRow, Release, ReleaseKind, Tx, correction_name,
    hold_release, insert_alert, insert_release, is_open, plan_parts_again, record, resume_release, supersede,
    supersede_release, withdraw_escalations,
};
use crate::world::World;

/// A correction in both languages, as the officer wrote it.
#[derive(Debug, Clone, Default)]
pub struct Correction {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// What becomes of an alert where parts of it are corrected, beside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Parts of it stand.
    Stands,
    /// The parts that stand are stopped.
    Stopped,
    /// What has not gone out may still.
    Open,
    /// Nothing more of it goes out.
    Over,
}

impl Desk {
    /// Stops what waits of an alert, in the jurisdictions where this officer may; returns how many releases.
    ///
    /// # Errors
    /// When there is nothing that the officer may stop.
    pub async fn stop<W: World>(&self, alert: &str, reason: &str, officer: &OfficerRow) -> Result<usize, DeskError> {
        let may = [Role::Operator, Role::Reviewer, Role::Signer];
        let mut stopped = 0;
        let (own, mut tx, now) = self.own_releases::<W>(alert, officer, &may).await?;
        let own = self.standing(alert, own).await?;
        for release in &own {
            stopped += usize::from(hold_release(&mut tx, release.id, now).await?);
        }
        plan_parts_again(&mut tx, alert, now)?;
        let detail = json!({"releases": own.iter().map(|r| r.id).collect::<Vec<_>>(), "reason": reason});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "release.stop", alert, detail));
        tx.commit().await?;
        tracing::warn!(alert.id = alert, officer = %officer.login, releases = stopped, "stopped");
        Ok(stopped)
    }

    /// Lets stopped releases go on.
    ///
    /// # Errors
    /// When there is nothing that the officer may let go on.
    pub async fn resume<W: World>(&self, alert: &str, reason: &str, officer: &OfficerRow) -> Result<usize, DeskError> {
        let (own, mut tx, now) = self.own_releases::<W>(alert, officer, &[Role::Signer]).await?;
        let own = self.standing(alert, own).await?;
        let mut resumed = 0;
        for release in &own {
            resumed += usize::from(resume_release(&mut tx, release).await?);
        }
        plan_parts_again(&mut tx, alert, now)?;
        let detail = json!({"releases": own.iter().map(|r| r.id).collect::<Vec<_>>(), "reason": reason});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "release.resume", alert, detail));
        tx.commit().await?;
        (self.wake)();
        Ok(resumed)
    }

    /// Sends an alert once more to those whom it did not reach: refused, given up, or nobody knows.
    ///
    /// # Errors
    /// When there is nothing that the officer may send again, or the alert is over.
    pub async fn resend<W: World>(&self, alert: &str, reason: &str, officer: &OfficerRow) -> Result<usize, DeskError> {
        let (own, mut tx, now) = self.own_releases::<W>(alert, officer, &[Role::Operator, Role::Signer]).await?;
        let own = self.standing(alert, own).await?;
        let mut sent = 0;
        // What officers have stopped is not sent a second time either, until they let it go on.
        let again: Vec<_> = own.iter().filter(|r| r.kind == ReleaseKind::Alert && !r.held).collect();
        if again.is_empty() {
            return Err(ActError::Stopped.into());
        }
        for release in again {
            if release.expires <= now {
                return Err(ActError::Over("expired").into());
            }
            let dispatches = self.store.dispatches(release.id).await?.into_iter();
            let dispatches = dispatches.map(|d| crate::store::NewDispatch {
                language: d.language,
                variant: d.variant,
                content: d.content,
            });
            let new = NewRelease {
                name: format!("resend/{}/{}", release.id, now.timestamp_millis()),
                kind: ReleaseKind::Resend,
                alert: release.alert.clone(),
                jurisdiction: release.jurisdiction.clone(),
                within: release.within.clone(),
                origin: Some(release.id),
                lane: release.lane,
                reach: W::reach(release.reach),
                regions: release.regions.clone(),
                channels: release.channels.clone(),
                expires: release.expires,
                signed_by: officer.name.clone(),
                dispatches: dispatches.collect(),
                scene: release.scene.clone(),
            };
            insert_release(&mut tx, &new, now).await?;
            sent += 1;
        }
        let detail = json!({"releases": sent, "reason": reason});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "release.resend", alert, detail));
        tx.commit().await?;
        (self.wake)();
        Ok(sent)
    }

    /// Tells exactly those who were or may have been told that it was wrong, and stops the rest for good: one step, no second
    /// officer, because every minute of a false alarm costs. Gives the correction's alert.
    ///
    /// # Errors
    /// When there is nothing that the officer may correct.
    pub async fn correct<W: World>(
        &self,
        alert: &str,
        words: &Correction,
        officer: &OfficerRow,
    ) -> Result<AlertId, DeskError> {
        let wrong = self.store.alert(alert).await?.ok_or(DeskError::Unknown)?;
        let policy = self.policy.load_full();
        let older = [wrong.id.clone()];
        let (own, mut tx, now) = self.own_releases::<W>(alert, officer, &[Role::Signer]).await?;
        let own = self.standing(alert, own).await?;
        let material = self.material(alert).await?;
        let replaced = Replaced::of(&self.store, &older).await?;
        // What others have corrected already is no more in force; read before this correction closes its own.
        let in_force = self.store.releases_of(&older).await?.into_iter().filter(|r| r.superseded_at.is_none()).count();
        let correction = correcting(&material.alert, words, now)?;
        let id = AlertId::of(&correction);
        let raw = cap::write(&correction)?;
        let row = AlertRow {
            id: id.to_string(),
            sender: correction.sender.clone(),
            identifier: correction.identifier.clone(),
            sent: correction.sent.to_utc(),
            msg_type: correction.msg_type.to_string(),
            headline: format!("更正：{}", wrong.headline),
            bureau: format!("officer:{}", officer.login),
            received_at: now,
            verdict: "accepted".into(),
            state: AlertState::Released,
            superseded_by: wrong.superseded_by.clone(),
            ends: Some(correction.is_the_end()),
            findings: json!([]),
            ..wrong.clone()
        };
        let links = [(wrong.id.clone(), Why::References)];
        let (raw, says) = (raw.as_bytes(), says(&correction));
        let new =
            NewAlert { row: &row, format: "xml", raw, located: "null", says: &says, links: &links, incidents: &[] };
        insert_alert(&mut tx, &new)?;
        for release in own.iter().filter(|release| release.kind == ReleaseKind::Alert) {
            let part = Part {
                jurisdiction: release.jurisdiction.clone(),
                regions: Vec::new(),
                within: release.within.clone(),
                approval: crate::rules::Approval::none(),
            };
            let draft = Draft {
                policy: &policy,
                alert: &correction,
                chain: &material.chain,
                decision: &material.decision,
                replaced: &replaced,
                part: &part,
                name: correction_name(release.id),
                signed_by: &officer.name,
                whole: false,
                correction: true,
                texts: &Texts::default(),
            };
            supersede_release(&mut tx, release.id, now).await?;
            self.release::<W>(&mut tx, &draft, id.as_str(), now).await?;
        }
        // What of it still waits for a yes here must not go out any more.
        let map = &policy.map;
        let ours = |place: &RegionCode| officer.grants.may(Role::Signer, place, map);
        withdraw_escalations::<W>(&mut tx, &wrong.id, id.as_str(), now, ours).await?;
        let waits = is_open(&mut tx, &wrong.id).await?;
        for release in own.iter().filter(|release| release.kind == ReleaseKind::Resend) {
            supersede_release(&mut tx, release.id, now).await?;
        }
        plan_parts_again(&mut tx, &wrong.id, now)?;
        // Where nothing of it is left in force, the correction stands at the event's head.
        if !waits && in_force == own.len() {
            supersede(&mut tx, &wrong.id, id.as_str(), now)?;
        }
        let detail = json!({"correction": id, "zh": words.zh, "en": words.en, "releases": own.len()});
        record(&mut tx, now, Entry::new(officer.login.as_str(), "release.correct", alert, detail));
        tx.commit().await?;
        (self.wake)();
        Ok(id)
    }

    /// Whether an alert has a release that an officer with one of these roles may stop, correct or send again.
    pub(crate) async fn may_recall(
        &self,
        alert: &str,
        officer: &OfficerRow,
        roles: &[Role],
    ) -> Result<bool, DeskError> {
        Ok(self.owned(alert, officer, roles).await?.iter().any(|release| release.superseded_at.is_none()))
    }

    /// The newest correction of an alert, or of some parts of it.
    pub(crate) async fn correction(&self, alert: &str) -> Result<Option<AlertRow>, DeskError> {
        let releases = self.store.releases_of(&[alert.to_owned()]).await?;
        let Some(correction) = self.store.corrections_of(&releases).await?.pop() else { return Ok(None) };
        Ok(self.store.alert(&correction).await?)
    }

    /// What becomes of the parts of an alert that nobody has corrected.
    pub(crate) async fn rest(&self, alert: &str) -> Result<Rest, DeskError> {
        let now = self.clock.now();
        let mut standing = self.store.releases_of(&[alert.to_owned()]).await?;
        standing.retain(|release| release.superseded_at.is_none() && release.expires > now);
        if !standing.is_empty() {
            return Ok(if standing.iter().all(|release| release.held) { Rest::Stopped } else { Rest::Stands });
        }
        let parts = self.store.escalation_states(alert).await?;
        let open = parts.iter().any(|(_, state)| matches!(state.as_str(), "approved" | "waiting" | "returned"));
        Ok(if open { Rest::Open } else { Rest::Over })
    }

    /// Those of an officer's releases of an alert whose place nothing has taken.
    async fn standing(&self, alert: &str, own: Vec<Release>) -> Result<Vec<Release>, DeskError> {
        let (stand, over): (Vec<_>, Vec<_>) = own.into_iter().partition(|release| release.superseded_at.is_none());
        if !stand.is_empty() {
            return Ok(stand);
        }
        let newer = self.store.alert(alert).await?.and_then(|row| row.superseded_by);
        let mut corrections = self.store.corrections_of(&over).await?;
        // What was sent again ends with what it repeats, and has no correction of its own.
        let all = corrections.len() == over.iter().filter(|release| release.kind == ReleaseKind::Alert).count();
        Err(match (corrections.pop(), newer) {
            (Some(correction), newer) if all || newer.as_ref().is_none_or(|newer| *newer == correction) => {
                ActError::Corrected(correction)
            }
            (_, Some(newer)) => ActError::Replaced(newer),
            (_, None) => ActError::Over("replaced"),
        }
        .into())
    }

    /// The releases of an alert where the officer has one of these roles, with a transaction to change them in.
    async fn own_releases<W: World>(
        &self,
        alert: &str,
        officer: &OfficerRow,
        roles: &[Role],
    ) -> Result<(Vec<Release>, Tx, DateTime<Utc>), DeskError> {
        let row = self.store.alert(alert).await?.filter(|row| row.status == W::STATUS.as_str());
        let row = row.ok_or(DeskError::Unknown)?;
        let tx = self.store.begin().await?;
        let own = self.owned(&row.id, officer, roles).await?;
        if own.is_empty() {
            let map = &self.policy.load().map;
            let may = |place: &RegionCode| roles.iter().any(|role| officer.grants.may(*role, place, map));
            let parts = self.store.escalations_of::<W>(&row.id).await?;
            let theirs = parts.iter().any(|part| may(&part.escalation.jurisdiction));
            return Err(if theirs { ActError::NotOut } else { ActError::NotYours }.into());
        }
        Ok((own, tx, self.clock.now()))
    }

    /// The releases of an alert that are this officer's: of their jurisdiction, or such that reach their counties only.
    async fn owned(&self, alert: &str, officer: &OfficerRow, roles: &[Role]) -> Result<Vec<Release>, DeskError> {
        let map = &self.policy.load().map;
        // An end, and what lifts, speak to those told before, who are in no area of its own.
        let told = Replaced::of(&self.store, &self.store.replaced_by(alert).await?).await?.regions();
        let holds = |place: &RegionCode| roles.iter().any(|role| officer.grants.may(*role, place, map));
        let own = |release: &Release| {
            let within = |place: &&RegionCode| release.within.as_ref().is_none_or(|within| within.contains(place));
            let mut places = release.regions.iter().chain(told.iter().filter(within)).peekable();
            release.jurisdiction.as_ref().is_some_and(holds)
                || (places.peek().is_some() && places.all(holds))
                || roles.iter().any(|role| officer.grants.everywhere(*role))
        };
        let alerts = [alert.to_owned()];
        Ok(self.store.releases_of(&alerts).await?.into_iter().filter(own).collect())
    }
}

/// The CAP message that says that another one was wrong.
fn correcting(wrong: &Alert, words: &Correction, now: DateTime<Utc>) -> Result<Alert, DeskError> {
    let mut nonce = [0_u8; 8];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| ComposeError::Template(crate::messages::TemplateError::Template("no randomness".into())))?;
    let mut correction = wrong.clone();
    correction.msg_type = MsgType::Cancel;
    correction.sender = "tocsin".into();
    correction.identifier = format!("correction-{}", crate::hex(&nonce));
    correction.sent = beijing(now);
    correction.references =
        vec![Reference { sender: wrong.sender.clone(), identifier: wrong.identifier.clone(), sent: wrong.sent }];
    correction.note = Some("correction: issued in error".into());
    let mut amendment = super::Amendment::default();
    for (language, text) in [(Language::Chinese, &words.zh), (Language::English, &words.en)] {
        let words = super::Amendment::words_of(wrong, language);
        let said = Words { description: text.trim().chars().take(500).collect(), instruction: String::new(), ..words };
        amendment.words.insert(language, said);
    }
    Ok(amendment.apply(&correction))
}

fn beijing(now: DateTime<Utc>) -> DateTime<chrono::FixedOffset> {
    let seconds = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now);
    chrono::FixedOffset::east_opt(8 * 3_600).map_or(seconds.fixed_offset(), |zone| seconds.with_timezone(&zone))
}
