//! Calling officers, by the same engine that tells people.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use tocsin_channels::{ChannelKind, Content, EmailContent, Picture};

use super::desk::DeskError;
use super::escalation::{Escalation, State};
use crate::delivery::{Packer, officer_recipient};
use crate::messages::{Language, PageFacts, Templates};
use crate::officers::Role;
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::rules::{Lane, Position, Reach, Stage, Then};
use crate::store::{
    Entry, NewDispatch, NewRelease, OfficerRow, ReleaseKind, Store, Tx, insert_planned_chunk, insert_release, record,
};
use crate::world::World;

/// A call is of use for so long.
const HOLDS: TimeDelta = TimeDelta::minutes(30);

/// Who is called for a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom {
    /// Those on duty.
    OnDuty,
    /// Everyone who could decide: those on duty have no address.
    Everybody,
}

/// What a call is about.
pub(super) struct Call<'a, W: World> {
    pub(super) id: i64,
    pub(super) alert: &'a str,
    pub(super) headline: &'a str,
    pub(super) escalation: &'a Escalation<W>,
    pub(super) step: usize,
    pub(super) whom: Whom,
    /// Where the console stands; empty without a public address.
    pub(super) base: &'a str,
}

/// Whom a call reaches: packed addresses by channel and language.
#[derive(Default)]
struct Recipients(BTreeMap<(ChannelKind, Language), Packer>);

impl Recipients {
    async fn add(&mut self, store: &Store, officer: &OfficerRow, by: &BTreeSet<ChannelKind>) -> Result<(), DeskError> {
        for (id, address) in store.officer_addresses(officer.id).await? {
            if by.contains(&address.channel) {
                let packer = self.0.entry((address.channel, officer.language)).or_insert_with(Packer::new);
                packer.push(officer_recipient(id), crate::delivery::ELSEWHERE, &address.value);
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.values().map(Packer::len).sum()
    }
}

/// The first of these steps whose officers have an address to be called at.
pub(super) async fn callable<W: World>(
    store: &Store,
    policy: &Policy,
    escalation: &Escalation<W>,
    now: DateTime<Utc>,
) -> Result<Option<usize>, DeskError> {
    for at in escalation.steps_after(escalation.step) {
        let Some(step) = escalation.approval.steps.get(at) else { break };
        let mut recipients = Recipients::default();
        for officer in &officers(store, policy, &escalation.jurisdiction, &[step.page].into(), now).await?.0 {
            recipients.add(store, officer, &step.by).await?;
        }
        if recipients.len() > 0 {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Calls the officers of a step, and records who was called; gives how many addresses there are. When there are none, the record
/// and the log say so.
pub(super) async fn page<W: World>(
    tx: &mut Tx,
    store: &Store,
    policy: &Policy,
    call: &Call<'_, W>,
    now: DateTime<Utc>,
) -> Result<usize, DeskError> {
    let Some(step) = call.escalation.approval.steps.get(call.step) else { return Ok(0) };
    let jurisdiction = &call.escalation.jurisdiction;
    // In the green channel the first call is to every position of the ladder at once.
    let approval = &call.escalation.approval;
    let all = approval.green && call.step == 0;
    let steps = || approval.steps.iter().skip(call.step).take(if all { usize::MAX } else { 1 });
    let positions: BTreeSet<_> = steps().map(|step| step.page).collect();
    let by: BTreeSet<_> = steps().flat_map(|step| step.by.iter().copied()).collect();
    let (called, on_roster) = match call.whom {
        Whom::OnDuty => officers(store, policy, jurisdiction, &positions, now).await?,
        Whom::Everybody => (able(store, policy, jurisdiction).await?, false),
    };
    let mut recipients = Recipients::default();
    for officer in &called {
        recipients.add(store, officer, &by).await?;
    }
    let names: Vec<_> = called.iter().map(|officer| officer.name.as_str()).collect();
    let reached = recipients.len();
    if reached == 0 && matches!(call.whom, Whom::Everybody) {
        // That those on duty cannot be called is on record already.
        return Ok(0);
    }
    if reached == 0 {
        tracing::error!(alert.id = call.alert, jurisdiction = %call.escalation.jurisdiction, position = step.page.as_str(),
            "nobody can be called: no officer of this jurisdiction is on duty with an address");
    }
    let detail = serde_json::json!({
        "escalation": call.id, "jurisdiction": call.escalation.jurisdiction, "step": call.step, "position": step.page, "all": all,
        "called": names, "on_roster": on_roster, "addresses": reached,
    });
    record(tx, now, Entry::new("tocsin", "page", call.alert, detail));
    let called = names.join("、");
    let make = |language| facts(policy, call, language, called.clone(), now);
    ring(tx, policy, call, &format!("{}", call.step), recipients, make, now).await?;
    Ok(reached)
}

/// Calls those who can mend what came back; gives how many addresses there are. First those who wrote it, wherever they can be
/// reached; where none can be, or when nobody has mended it, those who write here too, and at last everyone who could decide.
pub(super) async fn page_menders<W: World>(
    tx: &mut Tx,
    store: &Store,
    policy: &Policy,
    call: &Call<'_, W>,
    now: DateTime<Utc>,
) -> Result<usize, DeskError> {
    let State::Returned { by, reason } = &call.escalation.state else { return Ok(0) };
    let everything: BTreeSet<_> = ChannelKind::ALL.into_iter().collect();
    let all: Vec<OfficerRow> = store.officers().await?.into_iter().filter(|officer| officer.active).collect();
    let may = |officer: &OfficerRow, role| officer.grants.may(role, &call.escalation.jurisdiction, &policy.map);
    let circle = |officer: &OfficerRow| match () {
        () if call.escalation.authors.contains(&officer.id) => Some(0),
        () if may(officer, Role::Author) => Some(1),
        () if may(officer, Role::Reviewer) || may(officer, Role::Signer) => Some(2),
        () => None,
    };
    let mut recipients = Recipients::default();
    let mut names = Vec::new();
    for nth in 0..=2 {
        if nth > call.step && recipients.len() > 0 {
            break;
        }
        for officer in all.iter().filter(|officer| circle(officer) == Some(nth)) {
            recipients.add(store, officer, &everything).await?;
            names.push(officer.name.as_str());
        }
    }
    let reached = recipients.len();
    if reached == 0 {
        tracing::error!(alert.id = call.alert, jurisdiction = %call.escalation.jurisdiction,
            "returned, and nobody who could mend it can be called");
    }
    let detail = serde_json::json!({
        "escalation": call.id, "jurisdiction": call.escalation.jurisdiction, "position": "author", "called": names,
        "addresses": reached,
    });
    record(tx, now, Entry::new("tocsin", "page", call.alert, detail));
    let called = names.join("、");
    let make = |language| {
        let pick = |zh: &str, en: &str| if language == Language::Chinese { zh.to_owned() } else { en.to_owned() };
        let reason: String = reason.chars().take(60).collect();
        PageFacts {
            asked: pick(&format!("修改（{by}退回：{reason}）"), &format!("Returned by {by} ({reason}), to be mended")),
            take: String::new(),
            then: pick("再次呼叫，预警到期则作废", "you are called again; it lapses when the alert ends"),
            ..facts(policy, call, language, called.clone(), now)
        }
    };
    ring(tx, policy, call, "authors", recipients, make, now).await?;
    Ok(reached)
}

/// Writes a call as a release of its own, with everybody whom it reaches.
async fn ring<W: World>(
    tx: &mut Tx,
    policy: &Policy,
    call: &Call<'_, W>,
    what: &str,
    recipients: Recipients,
    facts: impl Fn(Language) -> PageFacts,
    now: DateTime<Utc>,
) -> Result<(), DeskError> {
    let mut dispatches = Vec::new();
    for (channel, language) in recipients.0.keys() {
        let facts = facts(*language);
        let content = policy.templates.page(*channel, *language, &facts).or_else(|error| {
            tracing::error!(%error, %channel, "the template of calls failed; the shipped one is used");
            Templates::shipped()?.page(*channel, *language, &facts)
        });
        if let Some(content) = content.map_err(super::ComposeError::from)? {
            dispatches.push(NewDispatch { language: *language, variant: crate::messages::Variant::Warn, content });
        }
    }
    if dispatches.is_empty() {
        return Ok(());
    }
    let lane = if W::EXERCISE { Lane::REST } else { Lane::EXTREME };
    let release = NewRelease {
        name: format!("page/{}/{}/{what}/{}", call.id, call.escalation.revision, now.timestamp_millis()),
        kind: ReleaseKind::Page,
        alert: format!("page/{}", call.alert),
        jurisdiction: Some(call.escalation.jurisdiction.clone()),
        within: None,
        origin: None,
        lane,
        reach: Reach::NOBODY,
        regions: Vec::new(),
        channels: BTreeSet::new(),
        expires: now + HOLDS,
        signed_by: "tocsin".into(),
        dispatches,
        scene: None,
    };
    let id = insert_release(tx, &release, now).await?;
    for ((channel, language), mut packer) in recipients.0 {
        let (body, n) = packer.take();
        insert_planned_chunk(tx, id, lane, (channel, language), (&body, n), (now, now)).await?;
    }
    Ok(())
}

/// Who is on duty in one of these positions and could decide: of the jurisdiction, else of the region above it; where nobody is,
/// everyone who could. The second part says whether the roster named them.
async fn officers(
    store: &Store,
    policy: &Policy,
    jurisdiction: &RegionCode,
    positions: &BTreeSet<Position>,
    now: DateTime<Utc>,
) -> Result<(Vec<OfficerRow>, bool), DeskError> {
    let roster = store.roster(now).await?;
    let mut found: Vec<OfficerRow> = Vec::new();
    for position in positions {
        let mut at = policy.map.get(jurisdiction);
        while let Some(region) = at {
            if let Some((officer, _)) = roster.on_duty(&region.code, *position, now)
                && let Some(officer) = store.officer(officer).await?.filter(|who| decides(who, jurisdiction, policy))
            {
                if found.iter().all(|known| known.id != officer.id) {
                    found.push(officer);
                }
                break;
            }
            at = region.parent.as_ref().and_then(|above| policy.map.get(above));
        }
    }
    if found.is_empty() { Ok((able(store, policy, jurisdiction).await?, false)) } else { Ok((found, true)) }
}

/// Everyone who could decide for a jurisdiction.
async fn able(store: &Store, policy: &Policy, jurisdiction: &RegionCode) -> Result<Vec<OfficerRow>, DeskError> {
    let all = store.officers().await?.into_iter();
    Ok(all.filter(|officer| decides(officer, jurisdiction, policy)).collect())
}

/// Whether an officer could decide for a jurisdiction: a roster may still name somebody whose role was taken away.
fn decides(officer: &OfficerRow, jurisdiction: &RegionCode, policy: &Policy) -> bool {
    let may = |role| officer.grants.may(role, jurisdiction, &policy.map);
    officer.active && (may(Role::Reviewer) || may(Role::Signer))
}

fn facts<W: World>(
    policy: &Policy,
    call: &Call<'_, W>,
    language: Language,
    called: String,
    now: DateTime<Utc>,
) -> PageFacts {
    let chinese = language == Language::Chinese;
    let pick = |zh: &str, en: &str| if chinese { zh.to_owned() } else { en.to_owned() };
    let escalation = call.escalation;
    let asked = match escalation.missing().as_slice() {
        _ if escalation.one_is_enough() => pick("签发（一人即可）", "Sign (one is enough)"),
        [Stage::Review, Stage::Sign] => pick("复核与签发", "Review and sign"),
        [Stage::Review] => pick("复核", "Review"),
        _ => pick("签发", "Sign"),
    };
    let then = match escalation.approval.steps.get(call.step).map(|step| step.then) {
        Some(Then::Release) => pick("自动发布", "it goes out"),
        Some(Then::ReleaseSigned) => {
            pick("一人签字即发布，否则呼叫下一位", "one signature is enough, else the next is called")
        }
        Some(Then::Lapse) => pick("作废", "it lapses"),
        Some(Then::Hold) => pick("标为超时并再次呼叫", "it is overdue, and you are called again"),
        _ if escalation.approval.green => pick("再次呼叫", "those after you are called again"),
        _ => pick("呼叫下一位", "the next is called"),
    };
    let until = beijing(escalation.due.unwrap_or(now));
    let name = policy.map.get(&escalation.jurisdiction).map_or("", |region| region.name_in(language));
    let at = |path| if call.base.is_empty() { String::new() } else { format!("{}{}{path}", call.base, W::BASE) };
    PageFacts {
        exercise: W::EXERCISE,
        headline: call.headline.chars().take(60).collect(),
        jurisdiction: name.to_owned(),
        counties: escalation.regions.len(),
        asked,
        until,
        then,
        called,
        link: at(format!("/alerts/{}#e{}", call.alert, call.id)),
        take: at(format!("/escalations/{}/take", call.id)),
        topic: format!("page{}", call.id),
    }
}

/// A time on Beijing's clocks.
fn beijing(at: DateTime<Utc>) -> String {
    let zone = FixedOffset::east_opt(8 * 3_600);
    zone.map_or_else(String::new, |zone| at.with_timezone(&zone).format("%H:%M").to_string())
}

impl super::Desk {
    /// Calls an officer who wants to know whether calls arrive; gives how many addresses were called.
    ///
    /// # Errors
    /// When the store does not answer, or the call cannot be made.
    pub async fn call_test(&self, officer: &OfficerRow) -> Result<usize, DeskError> {
        let chinese = officer.language == Language::Chinese;
        let pick = |zh: &str, en: &str| if chinese { zh.to_owned() } else { en.to_owned() };
        let facts = PageFacts {
            exercise: true,
            headline: pick("呼叫测试，无需处理", "Test of calls; nothing to do"),
            jurisdiction: officer.name.clone(),
            asked: pick("知悉", "For your knowledge"),
            until: "--:--".into(),
            then: pick("无后续", "nothing happens"),
            called: officer.name.clone(),
            topic: format!("test{}", officer.id),
            ..PageFacts::default()
        };
        self.tell(officer, "duty.test", &facts).await
    }

    /// Calls one officer, by every channel that they have; gives how many addresses were called.
    pub(crate) async fn tell(
        &self,
        officer: &OfficerRow,
        kind: &'static str,
        facts: &PageFacts,
    ) -> Result<usize, DeskError> {
        let policy = self.policy.load_full();
        let make = |channel| policy.templates.page(channel, officer.language, facts).map_err(super::ComposeError::from);
        let content: Vec<Content> =
            ChannelKind::ALL.into_iter().filter_map(|kind| make(kind).transpose()).collect::<Result<_, _>>()?;
        self.send_to(officer, kind, content).await
    }

    /// Mails a text with a picture (PNG) to an officer's own addresses; gives how many there are.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn mail(
        &self,
        officer: &OfficerRow,
        subject: &str,
        text: &str,
        picture: Option<Picture>,
    ) -> Result<usize, DeskError> {
        let body = quick_xml::escape::escape(text);
        let shown =
            picture.as_ref().map_or_else(String::new, |_| format!("<img src=\"cid:{}\" alt=\"\">", Picture::NAME));
        let html = format!(
            "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font:16px/1.6 system-ui,sans-serif\">\
             <div style=\"white-space:pre-line\">{body}</div>{shown}</body></html>"
        );
        let mail = EmailContent { subject: subject.to_owned(), text: text.to_owned(), html, picture };
        self.send_to(officer, "draft.mail", vec![Content::Email(mail)]).await
    }

    async fn send_to(
        &self,
        officer: &OfficerRow,
        kind: &'static str,
        content: Vec<Content>,
    ) -> Result<usize, DeskError> {
        let now = self.clock.now();
        let mut recipients: BTreeMap<ChannelKind, Packer> = BTreeMap::new();
        for (id, address) in self.store.officer_addresses(officer.id).await? {
            if content.iter().any(|content| content.kind() == address.channel) {
                let packer = recipients.entry(address.channel).or_insert_with(Packer::new);
                packer.push(officer_recipient(id), crate::delivery::ELSEWHERE, &address.value);
            }
        }
        let reached: usize = recipients.values().map(Packer::len).sum();
        let own = content.into_iter().filter(|content| recipients.contains_key(&content.kind()));
        let dispatches = own.map(|content| NewDispatch {
            language: officer.language,
            variant: crate::messages::Variant::Warn,
            content,
        });
        let release = NewRelease {
            name: format!("page/{kind}/{}/{}", officer.id, now.timestamp_millis()),
            kind: ReleaseKind::Page,
            alert: format!("page/{kind}"),
            jurisdiction: None,
            within: None,
            origin: None,
            lane: Lane::REST,
            reach: Reach::NOBODY,
            regions: Vec::new(),
            channels: BTreeSet::new(),
            expires: now + HOLDS,
            signed_by: officer.name.clone(),
            dispatches: dispatches.collect(),
            scene: None,
        };
        let mut tx = self.store.begin().await?;
        let login = officer.login.as_str();
        record(&mut tx, now, Entry::new(login, kind, login, serde_json::json!({"addresses": reached})));
        if reached > 0 {
            let id = insert_release(&mut tx, &release, now).await?;
            for (channel, mut packer) in recipients {
                let (body, n) = packer.take();
                insert_planned_chunk(&mut tx, id, Lane::REST, (channel, officer.language), (&body, n), (now, now))
                    .await?;
            }
        }
        tx.commit().await?;
        (self.wake)();
        Ok(reached)
    }
}
