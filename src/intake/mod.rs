//! The front door: an alert is read, checked against who may say what where, decided on, and on disk before the answer.

mod aside;
mod authority;
mod history;
mod join;
mod list;
mod rates;
mod refusal;
mod weigh;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aside::Aside;
pub use authority::{Levels, Outside};
use chrono::{DateTime, Utc};
pub(crate) use history::standing_with;
pub use history::{History, Join, LevelSince, Link};
use join::Joined;
use rates::Rates;
pub use refusal::{Refusal, RefusalCode};
use serde::Serialize;
use tokio::sync::Mutex;
pub(crate) use weigh::MAX_AGE;
use weigh::is_old;
pub(crate) use weigh::{late, weigh};

use crate::approval::{Admission, Asked, Desk, Material, Replaced, Texts, complete, concerns_those_told, split};
use crate::cap::{self, Alert, AlertId, Code, Colour, Finding, Hazard, MsgType, Reading, Status, Verdict};
use crate::chains::{self, takes_part};
use crate::clock::Clock;
use crate::config::BureauConfig;
use crate::officers::OfficerId;
use crate::policy::Policy;
use crate::regions::{Located, RegionCode};
use crate::rules::{Approval, Decision, decide};
use crate::store::{AlertRow, AlertState, Entry, NewAlert, Store, StoreError, Tx, insert_alert, record};
use crate::world::{Exercise, Live};

/// How an alert is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CAP XML.
    Xml,
    /// The same elements in JSON.
    Json,
}

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::Json => "json",
        }
    }
}

/// What a bureau is told about an alert that was taken.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// Our id of it.
    pub id: AlertId,
    /// `accepted` or `remarks`.
    pub verdict: Verdict,
    /// Everything that the reader noticed.
    pub findings: Vec<Finding>,
    /// Where it stands: withheld, waiting for officers, or released.
    pub state: AlertState,
    /// Why it goes to nobody, if so: in Chinese and English.
    pub withheld: Option<(String, String)>,
    /// It was on record already; nothing was done again.
    pub repeat: bool,
}

/// So many findings of a refusal are kept; the bureau is told all of them.
const MOST_SAID: usize = 200;

/// The front door.
pub struct Intake {
    store: Store,
    policy: Arc<ArcSwap<Policy>>,
    clock: Arc<dyn Clock>,
    desk: Arc<Desk>,
    /// Where what takes a moment to understand holds up nobody else.
    aside: Aside,
    rates: Rates,
    /// One alert is joined to its chain at a time.
    turn: Mutex<()>,
}

/// An alert with what was found about it.
struct Understood {
    alert: Alert,
    id: AlertId,
    verdict: Verdict,
    findings: Vec<Finding>,
    located: Located,
    decision: Decision,
    /// Counties that the bureau may not warn, and others are asked about.
    asked: BTreeSet<RegionCode>,
    /// What it says, in short.
    says: String,
    /// Its messages as they most likely are, where it needs nobody's yes.
    texts: Texts,
}

impl Intake {
    /// A door to this store.
    pub fn new(store: Store, policy: Arc<ArcSwap<Policy>>, clock: Arc<dyn Clock>, desk: Arc<Desk>) -> Self {
        Self { store, policy, clock, desk, aside: Aside::default(), rates: Rates::default(), turn: Mutex::new(()) }
    }

    /// Counts an alert that a bureau is about to send us; how long it has to wait where there were too many. What we fetch ourselves
    /// is not counted.
    ///
    /// # Errors
    /// When there were more in a minute than agreed on.
    pub fn count(&self, bureau: &BureauConfig) -> Result<(), Duration> {
        self.rates.count(bureau)
    }

    /// Takes in an alert of a bureau. When this returns, the alert is on disk, and so is its release if it needs no officer.
    ///
    /// # Errors
    /// When it is refused; the refusal is on record too, unless the store itself is the reason.
    pub async fn accept(&self, bureau: &BureauConfig, raw: &[u8], format: Format) -> Result<Receipt, Refusal> {
        self.take_in(bureau, &BTreeSet::new(), raw, format).await
    }

    /// Takes in what an officer composed: another officer looks at it, whatever the rules say.
    ///
    /// # Errors
    /// As for a bureau's alert.
    pub(crate) async fn accept_composed(
        &self,
        voice: &BureauConfig,
        authors: &BTreeSet<OfficerId>,
        raw: &[u8],
    ) -> Result<Receipt, Refusal> {
        self.take_in(voice, authors, raw, Format::Xml).await
    }

    async fn take_in(
        &self,
        bureau: &BureauConfig,
        authors: &BTreeSet<OfficerId>,
        raw: &[u8],
        format: Format,
    ) -> Result<Receipt, Refusal> {
        let policy = self.policy.load_full();
        let understood = self.understand(&policy, bureau, raw, format).await;
        // It may have waited.
        let now = self.clock.now();
        let taken = match understood {
            Ok(understood) => self.record(&policy, bureau, authors, (raw, format), understood, now).await,
            Err(refusal) => Err(refusal),
        };
        // Committed is not yet on disk; a repeat may find what was committed a moment ago.
        let taken = match taken {
            Ok(receipt) => self.store.on_disk().await.map(|()| receipt).map_err(Refusal::from),
            refused => refused,
        };
        if let Err(refusal) = &taken
            && refusal.code != RefusalCode::Busy
        {
            self.keep_refusal(bureau, raw, refusal, now).await;
        }
        taken
    }

    /// Reads and weighs an alert; one that takes a moment where it holds up nobody else.
    async fn understand(
        &self,
        policy: &Arc<Policy>,
        bureau: &BureauConfig,
        raw: &[u8],
        format: Format,
    ) -> Result<Understood, Refusal> {
        if let Some(most) = bureau.max_bytes.filter(|most| raw.len() > *most) {
            let too_large = Finding::new(Code::TooLarge, "", format!("{} > {most} bytes", raw.len()));
            return Err(Refusal::with_findings(RefusalCode::Unreadable, "", vec![too_large]));
        }
        let mut read = None;
        if !aside::is_large(raw) {
            let reading = read_as(raw, format);
            if !reading.alert.as_ref().is_some_and(aside::is_heavy) {
                return understand(policy, bureau, (raw, format), reading, self.clock.now());
            }
            read = Some(reading);
        }
        let Some(turn) = self.aside.turn(&bureau.name).await else {
            return Err(Refusal::new(RefusalCode::Busy, ""));
        };
        // What waits is not yet copied.
        let (policy, own, raw, now) = (Arc::clone(policy), bureau.clone(), raw.to_vec(), self.clock.now());
        let work = move || {
            let reading = read.unwrap_or_else(|| read_as(&raw, format));
            understand(&policy, &own, (&raw, format), reading, now)
        };
        let done = turn.run(work).await;
        done.unwrap_or_else(|error| Err(Refusal::new(RefusalCode::Unreadable, error.to_string())))
    }

    async fn record(
        &self,
        policy: &Policy,
        bureau: &BureauConfig,
        authors: &BTreeSet<OfficerId>,
        (raw, format): (&[u8], Format),
        mut understood: Understood,
        now: DateTime<Utc>,
    ) -> Result<Receipt, Refusal> {
        let _turn = self.turn.lock().await;
        // Whatever it joins is read while nobody else writes: an officer's yes in between would be a release that it misses.
        let mut tx = self.store.begin_early().await?;
        let kin = join::kin(&mut tx, &bureau.name, &understood).await?;
        if kin.is_known
            && let Some(row) = self.store.alert(understood.id.as_str()).await?
        {
            let same = row.bureau == bureau.name && self.says_the_same(&understood, raw).await?;
            return if same {
                Ok(receipt(&understood, row.state, true))
            } else {
                Err(Refusal::new(RefusalCode::IdTaken, understood.id.to_string()))
            };
        }
        self.date_references(bureau, &mut understood.alert).await?;
        self.check_references(bureau, &understood.alert).await?;
        let joined = join::join(&self.store, bureau, &mut understood, kin, now).await?;
        let older = &joined.older;
        let replaced = Replaced::of(&self.store, older).await?.guessed(joined.is_a_guess());
        understood.findings.extend(replaced.damaged().map(|id| Finding::new(Code::Damaged, "alert/references", id)));
        understood.verdict = Verdict::of(&understood.findings);
        let chain = joined.chain(understood.id.as_str());
        let late = joined.place.behind.is_some();

        let goes_out = understood.decision.withheld.is_none() || concerns_those_told(&understood.decision, &replaced);
        // Nobody knows how long it is meant to hold: an officer looks at it.
        let endless = understood.findings.iter().any(|f| f.code == Code::BadPartTime && f.path.ends_with("/expires"));
        let old = is_old(bureau, &mut understood, now);
        let asked = match (endless || old || joined.place.unsure, authors.is_empty()) {
            (false, true) => understood.decision.approval.clone(),
            _ => understood.decision.approval.clone().stricter(policy.rules.approval("one")),
        };
        let nobody = asked.is_none() && understood.asked.is_empty();
        let state = match (goes_out && !late, nobody) {
            (false, _) => AlertState::Withheld,
            (true, true) => AlertState::Released,
            (true, false) => AlertState::Waiting,
        };
        let alert = complete(&self.store, understood.alert.clone(), older).await?;
        let decision = understood.decision.clone();
        let row = row(&understood, bureau, state, &chain, joined.place.behind.clone(), now);
        let located = serde_json::to_string(&understood.located).map_err(StoreError::corrupt)?;
        let (links, incidents) = (&joined.place.links, &understood.alert.incidents);
        let new = NewAlert {
            row: &row,
            format: format.as_str(),
            raw,
            located: &located,
            says: &understood.says,
            links,
            incidents,
        };
        let overtaken = self.overtaken(&joined).await?;
        insert_alert(&mut tx, &new)?;
        let event = serde_json::json!({"chain": &chain, "links": links, "takes": joined.place.takes,
            "merged": joined.place.merged, "behind": joined.place.behind, "repeats": joined.repeats});
        let detail = serde_json::json!({"bureau": bureau.name, "verdict": understood.verdict, "event": event, "decision": {
            "counties": decision.regions.len(), "lane": decision.lane, "approval": asked.name, "withheld": decision.withheld,
            "rules": decision.rules.iter().filter(|r| r.matched).map(|r| &r.rule).collect::<Vec<_>>(),
        }});
        record(&mut tx, now, Entry::new(&format!("bureau:{}", bureau.name), "alert.accept", &understood.id, detail));
        join::write(&mut tx, &joined, (understood.id.as_str(), understood.alert.status), now).await?;
        if let (Some(head), Some(told)) = (&joined.place.behind, &overtaken) {
            match understood.alert.status {
                Status::Exercise => self.desk.tell_also::<Exercise>(&mut tx, policy, head, told, &row.id, now).await?,
                _ => self.desk.tell_also::<Live>(&mut tx, policy, head, told, &row.id, now).await?,
            }
        }
        let material = Material { alert, headline: row.headline.clone(), chain, decision, replaced };
        let state = match state {
            AlertState::Withheld => state,
            state => self.admit(&mut tx, policy, bureau, &understood, (&material, state), &asked, authors, now).await?,
        };
        tx.commit().await?;
        tracing::info!(alert.id = %understood.id, bureau = %bureau.name, state = state.as_str(),
            regions = understood.decision.regions.len(), "alert taken");
        Ok(receipt(&understood, state, false))
    }

    /// Hands the alert to the officers' desk, in the alert's own world. Gives where it stands then.
    #[expect(clippy::too_many_arguments, reason = "the parts of one admission")]
    async fn admit(
        &self,
        tx: &mut Tx,
        policy: &Policy,
        bureau: &BureauConfig,
        understood: &Understood,
        (material, state): (&Material, AlertState),
        asked: &Approval,
        authors: &BTreeSet<OfficerId>,
        now: DateTime<Utc>,
    ) -> Result<AlertState, Refusal> {
        let mut least = policy.rules.approval("one");
        least.name = format!("{}（{} 转请 / asked by {}）", least.name, bureau.name, bureau.name);
        let theirs = Asked { regions: &understood.asked, approval: least };
        let parts = split(&material.decision, &material.alert, &material.replaced, &policy.map, asked, &theirs);
        let admission =
            Admission { id: understood.id.as_str(), material, parts: &parts, authors, state, texts: &understood.texts };
        match understood.alert.status {
            Status::Exercise => self.desk.admit::<Exercise>(tx, policy, &admission, now).await?,
            _ => self.desk.admit::<Live>(tx, policy, &admission, now).await?,
        }
        let asks = parts.iter().filter(|part| !part.approval.is_none()).count();
        Ok(match parts.len() - asks {
            _ if asks == 0 => AlertState::Released,
            0 => AlertState::Waiting,
            _ => AlertState::Partly,
        })
    }

    /// Whether the message on record says what this one says: byte for byte, as read, or as we hand it on. Another service passes on
    /// the original and our writing of it, and both are one alert.
    async fn says_the_same(&self, understood: &Understood, raw: &[u8]) -> Result<bool, Refusal> {
        let Some((old, format)) = self.store.alert_raw(understood.id.as_str()).await? else { return Ok(false) };
        if old == raw {
            return Ok(true);
        }
        let reading = if format == Format::Json.as_str() { cap::read_json(&old) } else { cap::read(&old) };
        let plain = |alert: &Alert| Alert { unknown: Vec::new(), version: cap::Version::V1_2, ..alert.clone() };
        let written = |alert: &Alert| cap::write(alert).ok();
        let same = |old: Alert, new: &Alert| {
            plain(&old) == plain(new) || written(&old).is_some_and(|old| written(new) == Some(old))
        };
        Ok(reading.alert.is_some_and(|old| same(old, &understood.alert)))
    }

    /// Some senders name what they refer to by its identifier alone: its sender and time are those that the bureau's newest alert of
    /// that name has.
    async fn date_references(&self, bureau: &BureauConfig, alert: &mut Alert) -> Result<(), Refusal> {
        for reference in alert.references.iter_mut().filter(|reference| reference.is_undated()) {
            let named = self.store.alert_named(&bureau.name, &reference.identifier).await?;
            if let Some(row) = self.store.alerts_by_id(named.as_slice()).await?.pop() {
                (reference.sender, reference.sent) = (row.sender, row.sent.into());
            }
        }
        Ok(())
    }

    /// An Update or Cancel must not touch another bureau's alert, or another world's (a drill's).
    async fn check_references(&self, bureau: &BureauConfig, alert: &Alert) -> Result<(), Refusal> {
        if alert.msg_type == MsgType::Alert || !takes_part(alert) {
            return Ok(());
        }
        let ids: Vec<_> =
            alert.references.iter().map(|reference| AlertId::of_reference(reference).to_string()).collect();
        for row in self.store.alerts_by_id(&ids).await? {
            if row.bureau != bureau.name {
                return Err(Refusal::new(RefusalCode::ForeignReference, &row.identifier));
            }
            if row.status != alert.status.as_str() {
                return Err(Refusal::new(RefusalCode::OtherWorld, format!("{} / {}", alert.status, row.status)));
            }
        }
        Ok(())
    }

    /// What a late alert shows to be of the head's event, where people were told of it: the head speaks to them too.
    async fn overtaken(&self, joined: &Joined) -> Result<Option<Material>, Refusal> {
        let (Some(head), false) = (&joined.place.behind, joined.place.takes.is_empty()) else { return Ok(None) };
        let mut older = self.store.with_older(&joined.place.takes).await?;
        if Replaced::of(&self.store, &older).await?.is_empty() {
            return Ok(None);
        }
        older.extend(self.store.replaced_by(head).await?);
        Ok(Some(self.desk.material_over(head, &older).await?))
    }

    async fn keep_refusal(&self, bureau: &BureauConfig, raw: &[u8], refusal: &Refusal, now: DateTime<Utc>) {
        let digest = crate::hex(ring::digest::digest(&ring::digest::SHA256, raw).as_ref());
        let findings: Vec<_> = refusal.findings.iter().take(MOST_SAID).collect();
        let findings = serde_json::to_string(&findings).unwrap_or_default();
        let code = refusal.code.as_str();
        tracing::warn!(bureau = %bureau.name, code, detail = %refusal.detail, digest, "alert refused");
        if let Err(error) = self.store.record_refusal(now, &bureau.name, code, &findings, &digest, raw).await {
            tracing::error!(%error, digest, "the refusal itself could not be recorded");
        }
    }
}

fn read_as(raw: &[u8], format: Format) -> Reading {
    match format {
        Format::Xml => cap::read(raw),
        Format::Json => cap::read_json(raw),
    }
}

fn understand(
    policy: &Policy,
    bureau: &BureauConfig,
    message: (&[u8], Format),
    reading: Reading,
    now: DateTime<Utc>,
) -> Result<Understood, Refusal> {
    let mut findings = reading.findings;
    let Some(alert) = reading.alert else {
        return Err(Refusal::with_findings(RefusalCode::Unreadable, "", findings));
    };
    let (located, mut asked) = match weigh(policy, bureau, message, &alert, &mut findings, now) {
        Ok(weighed) => weighed,
        // What the reader found may be the cause: a polygon that it left out lies nowhere.
        Err(refusal) if refusal.findings.is_empty() => return Err(Refusal { findings, ..refusal }),
        Err(refusal) => return Err(refusal),
    };
    let verdict = Verdict::of(&findings);
    let decision = decide(&alert, &located, &policy.rules, &policy.map, now);
    authority::ask_for_added(&policy.map, bureau, &located, &decision.regions, &mut asked);
    let id = AlertId::of(&alert);
    let alone = alert.msg_type == MsgType::Alert && alert.references.is_empty();
    let texts = match alone && decision.withheld.is_none() && decision.approval.is_none() && asked.is_empty() {
        true => Texts::ahead(policy, &alert, id.as_str(), &decision),
        false => Texts::default(),
    };
    let says = chains::says(&alert);
    Ok(Understood { id, alert, verdict, findings, located, decision, asked, says, texts })
}

fn row(
    understood: &Understood,
    bureau: &BureauConfig,
    state: AlertState,
    chain: &str,
    superseded_by: Option<String>,
    now: DateTime<Utc>,
) -> AlertRow {
    let alert = &understood.alert;
    let headline = alert.info_in("zh-CN").and_then(|info| info.headline.clone()).unwrap_or_else(|| {
        let colour = Colour::of_alert(alert).map_or("", Colour::name_zh);
        format!("{}{colour}", Hazard::of_alert(alert).name_zh())
    });
    AlertRow {
        id: understood.id.to_string(),
        sender: alert.sender.clone(),
        identifier: alert.identifier.clone(),
        sent: alert.sent.to_utc(),
        msg_type: alert.msg_type.to_string(),
        status: alert.status.to_string(),
        hazard: Hazard::of_alert(alert).slug().into(),
        severity: alert.severity().to_string(),
        headline: headline.chars().take(200).collect(),
        expires: alert.expires().map(|at| at.to_utc()),
        bureau: bureau.name.clone(),
        received_at: now,
        verdict: understood.verdict.as_str().into(),
        state,
        chain: chain.to_owned(),
        superseded_by,
        ends: Some(alert.is_the_end()),
        findings: serde_json::to_value(&understood.findings).unwrap_or_default(),
        decision: serde_json::to_value(&understood.decision).unwrap_or_default(),
    }
}

fn receipt(understood: &Understood, state: AlertState, repeat: bool) -> Receipt {
    let withheld = understood.decision.withheld.filter(|_| state == AlertState::Withheld);
    Receipt {
        id: understood.id.clone(),
        verdict: understood.verdict,
        findings: understood.findings.clone(),
        state,
        withheld: withheld.map(|why| (why.zh().to_owned(), why.en().to_owned())),
        repeat,
    }
}
