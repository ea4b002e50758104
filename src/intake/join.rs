//! From a new alert to its place in its event: what the record knows that may be of the same event, and what is written of it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{Refusal, Understood};
use crate::approval::is_officers;
use crate::cap::{self, Alert, AlertId, Code, Finding, Hazard, Reference, Status, Verdict};
use crate::chains::{self, Member, Part, Place, Why, lasts, place, takes_part};
use crate::config::BureauConfig;
use crate::regions::{Located, RegionCode};
use crate::rules::{Decision, Withheld};
use crate::store::{
    self, AlertRow, AlertState, Kin, Like, Newcomer, Store, StoreError, Tx, insert_link, insert_repeat, merge_chain,
    readable, supersede, withdraw_escalations,
};
use crate::world::{Exercise, Live, World};

/// Where an alert stands, with what that means for it.
pub(super) struct Joined {
    pub(super) place: Place,
    /// The alerts whose people it speaks to, and every one that those replaced.
    pub(super) older: Vec<String>,
    /// The alert that it says again.
    pub(super) repeats: Option<String>,
}

impl Joined {
    /// Whether it was joined by a guess, and says something new.
    pub(super) fn is_a_guess(&self) -> bool {
        let guess = |(_, why): &(String, Why)| matches!(why, Why::Incident | Why::Likeness);
        self.repeats.is_none() && self.place.links.iter().any(guess)
    }

    /// The event's name.
    pub(super) fn chain(&self, own: &str) -> String {
        self.place.chain.clone().unwrap_or_else(|| own.to_owned())
    }
}

/// Finds an alert's place, and says in its findings and decision what came of it.
pub(super) async fn join(
    store: &Store,
    bureau: &BureauConfig,
    understood: &mut Understood,
    kin: Kin,
    now: DateTime<Utc>,
) -> Result<Joined, Refusal> {
    let alert = &understood.alert;
    let new = Member::of(alert, counties(&understood.located));
    let warns = matches!(alert.status, Status::Actual | Status::Exercise);
    if !warns {
        // For machines: it names what it names, and changes nothing.
        let links = new.refers_to.iter().map(|id| (id.clone(), Why::Answer)).collect();
        return Ok(Joined { place: Place { links, ..Place::default() }, older: Vec::new(), repeats: None });
    }
    let quiet = understood.decision.withheld.is_some() && new.part != Part::Ends;
    let record = related(store, &bureau.name, (alert, &new), kin).await?;
    let mut place = place(&new, &record, quiet, now);
    cap::grade(&bureau.profile, &mut place.findings);
    understood.findings.append(&mut place.findings);
    let replaces = matches!(alert.msg_type, cap::MsgType::Update | cap::MsgType::Cancel);
    let split = place.links.iter().any(|(_, why)| *why == Why::Split);
    if replaces && place.chain.is_none() && !split {
        understood.findings.push(Finding::new(Code::NothingReplaced, "alert/references", ""));
    }
    let mut repeats = None;
    let mut older = Vec::new();
    if place.behind.is_some() {
        understood.decision.withheld.get_or_insert(Withheld::Late);
    } else if takes_part(alert) {
        let told = place.links.iter().filter(|(_, why)| !matches!(why, Why::Split | Why::Answer | Why::Ignored));
        let mut ids: Vec<String> = told.map(|(id, _)| id.clone()).collect();
        ids.extend(place.takes.iter().cloned());
        older = store.with_older(&ids).await?;
        repeats = said_already(store, &place, &new, understood).await?;
        let said = repeats.iter().map(|id| Finding::new(Code::Repeats, "alert/info", id));
        understood.findings.extend(said);
    }
    understood.verdict = Verdict::of(&understood.findings);
    Ok(Joined { place, older, repeats })
}

/// What the record knows of a new alert.
pub(super) async fn kin(tx: &mut Tx, bureau: &str, understood: &Understood) -> Result<Kin, StoreError> {
    let Understood { alert, id, .. } = understood;
    let [also, too] = &undated(alert);
    // Only what says nothing of where it belongs may belong to what it is like.
    let alone = alert.references.is_empty() && alert.incidents.is_empty();
    let hazard = Some(Hazard::of_alert(alert)).filter(|hazard| alone && *hazard != Hazard::Other);
    let like = hazard.map(|hazard| Like {
        bureau,
        hazard: hazard.slug(),
        sender: &alert.sender,
        status: alert.status.as_str(),
        at: alert.sent.to_utc(),
    });
    store::kin(tx, &Newcomer { id: id.as_str(), also_named: [also, too], like }).await
}

/// Everything on record that may be of the same event, with its whole events.
async fn related(
    store: &Store,
    bureau: &str,
    (alert, new): (&Alert, &Member),
    kin: Kin,
) -> Result<Vec<Member>, StoreError> {
    let mut ids: BTreeSet<String> = new.refers_to.iter().cloned().collect();
    let undated = undated(alert);
    if new.part != Part::Answers {
        ids.extend(kin.naming);
        ids.extend(store.naming(&new.refers_to).await?);
        ids.extend(store.of_incidents(bureau, &new.incidents).await?);
        if new.hazard.is_some() && new.names_nothing() && new.incidents.is_empty() {
            let near = |located: &serde_json::Value| {
                new.counties.is_empty() || !counties_of(located).is_disjoint(&new.counties)
            };
            ids.extend(kin.alike.into_iter().filter(|(_, located)| near(located)).map(|(id, _)| id));
        }
    }
    let rows = store.alerts_by_id(&ids.into_iter().collect::<Vec<_>>()).await?;
    // Anybody may answer anybody; but an answer is no way into another bureau's event, nor is an officer's correction its head.
    let own = |row: &&AlertRow| {
        let theirs = new.part == Part::Answers || row.bureau == bureau;
        row.status == alert.status.as_str() && theirs && !is_officers(&row.bureau)
    };
    let chains: BTreeSet<String> = rows.iter().filter(own).map(|row| row.chain.clone()).collect();
    let mut found = Vec::new();
    for chain in chains {
        let mut links = store.why_in_chain(&chain).await?;
        for row in store.chain(&chain).await?.into_iter().filter(|row| own(&row)) {
            let named = links.remove(&row.id).unwrap_or_default();
            let mut member = member(store, row, named).await?;
            if member.sent >= new.sent && member.refers_to.iter().any(|id| undated.contains(id)) {
                member.refers_to.push(new.id.clone());
            }
            found.push(member);
        }
    }
    Ok(found)
}

/// What an alert is called by successors that came before it and name it by its identifier alone.
fn undated(alert: &Alert) -> [String; 2] {
    [alert.sender.as_str(), "?"].map(|sender| {
        let (sender, identifier) = (sender.to_owned(), alert.identifier.clone());
        AlertId::of_reference(&Reference { sender, identifier, sent: DateTime::UNIX_EPOCH.into() }).to_string()
    })
}

/// What chains know of an alert on record. Only of those at the head they ask where.
async fn member(store: &Store, row: AlertRow, named: Vec<(String, Why)>) -> Result<Member, StoreError> {
    let superseded = row.superseded_by.is_some();
    let mut part = match row.msg_type.as_str() {
        "Alert" => Part::Warns,
        "Update" => Part::Updates,
        "Cancel" => Part::Ends,
        _ => Part::Answers,
    };
    if part == Part::Updates {
        let ends = match row.ends {
            Some(ends) => ends,
            // A row from before this was written with it.
            None => store.alert_as_read(&row.id).await?.is_some_and(|alert| alert.is_the_end()),
        };
        part = if ends { Part::Ends } else { part };
    }
    let (counties, incidents) = match superseded {
        true => (BTreeSet::new(), Vec::new()),
        false => (counties_of(&store.located(&row.id).await?), store.incidents(&row.id).await?),
    };
    let names = |why: &Why| matches!(why, Why::References | Why::Split | Why::Answer);
    Ok(Member {
        hazard: Hazard::from_slug(&row.hazard).filter(|hazard| *hazard != Hazard::Other),
        ignored: named.iter().filter(|(_, why)| *why == Why::Ignored).map(|(id, _)| id.clone()).collect(),
        refers_to: named.into_iter().filter(|(_, why)| names(why)).map(|(id, _)| id).collect(),
        chain: row.chain,
        sender: row.sender,
        sent: row.sent.timestamp(),
        expires: row.expires,
        id: row.id,
        part,
        counties,
        incidents,
        superseded,
    })
}

/// The alert whose content this one says again, if its people need not hear it twice: it is out, as the bureau wrote it.
async fn said_already(
    store: &Store,
    place: &Place,
    new: &Member,
    understood: &Understood,
) -> Result<Option<String>, StoreError> {
    let Some(head) = place.follows.as_ref().filter(|head| new.part != Part::Ends && place.takes == [(*head).clone()])
    else {
        return Ok(None);
    };
    let Some(row) = store.alert(head).await?.filter(|row| row.state == AlertState::Released) else { return Ok(None) };
    let read = serde_json::from_value::<Decision>(row.decision).map_err(StoreError::corrupt);
    // What cannot be read is not known to say the same.
    let Some(old) = readable("a decision", read)? else { return Ok(None) };
    let places = old.regions == understood.decision.regions && counties_of(&store.located(head).await?) == new.counties;
    let amended = match understood.alert.status {
        Status::Exercise => amended::<Exercise>(store, head).await?,
        _ => amended::<Live>(store, head).await?,
    };
    let same = places && !amended && lasts(row.expires, new.expires) && !understood.alert.infos.is_empty();
    if !same {
        return Ok(None);
    }
    let said = match store.says(head).await? {
        // A row from before this was written with it.
        None => store.alert_as_read(head).await?.map(|old| chains::says(&old)),
        said => said,
    };
    Ok((said.as_ref() == Some(&understood.says)).then(|| head.clone()))
}

/// Whether officers changed an alert's words, or may have.
async fn amended<W: World>(store: &Store, alert: &str) -> Result<bool, StoreError> {
    let rows = readable("an alert's escalations", store.escalations_of::<W>(alert).await)?;
    Ok(rows.is_none_or(|rows| rows.iter().any(|row| !row.escalation.amendment.is_empty())))
}

/// Writes what an alert changes in its event: the head's place, the links, and events that are one now.
pub(super) async fn write(
    tx: &mut Tx,
    joined: &Joined,
    (id, status): (&str, Status),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let place = &joined.place;
    let head = place.behind.as_deref().unwrap_or(id);
    for old in &place.takes {
        supersede(tx, old, head, now)?;
        match status {
            Status::Exercise => withdraw_escalations::<Exercise>(tx, old, head, now, |_| true).await?,
            _ => withdraw_escalations::<Live>(tx, old, head, now, |_| true).await?,
        };
        insert_link(tx, head, old, Why::Place)?;
    }
    if let Some(chain) = &place.chain {
        for other in &place.merged {
            merge_chain(tx, other, chain)?;
        }
    }
    if let Some(old) = &joined.repeats {
        insert_repeat(tx, id, old)?;
    }
    Ok(())
}

fn counties(located: &Located) -> BTreeSet<RegionCode> {
    located.counties.iter().map(|found| found.region.clone()).collect()
}

/// The counties of what was found of an alert's areas.
pub(super) fn counties_of(located: &serde_json::Value) -> BTreeSet<RegionCode> {
    let found = located["counties"].as_array().into_iter().flatten();
    found.filter_map(|county| county["region"].as_str()?.parse().ok()).collect()
}
