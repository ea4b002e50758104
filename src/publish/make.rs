//! From a release to a publication: the bureau's message byte for byte where nothing was changed and every reader of CAP 1.2 can take
//! it so, else written anew under its own name, or one of our own.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, Utc};

use super::Publication;
use crate::approval::{Amendment, is_officers};
use crate::cap::{
    self, Alert, AlertId, Area, Category, MsgType, NationalId, Reference, Scope, SignatureError, SigningKey, Status,
    WriteError,
};
use crate::messages::Language;
use crate::regions::{Located, RegionCode, RegionMap};

/// Everything that a publication is made of.
pub struct Source<'a> {
    /// The release.
    pub release: i64,
    /// When it went out.
    pub at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires: DateTime<Utc>,
    /// Counties that were warned.
    pub regions: &'a [RegionCode],
    /// Counties whose people it may tell; all where None.
    pub within: Option<&'a [RegionCode]>,
    /// The bureau's message as read, with what a Cancel without words ends.
    pub alert: &'a Alert,
    /// It as it came, and whether that is XML.
    pub raw: (&'a [u8], bool),
    /// Its event.
    pub chain: &'a str,
    /// Who brought it.
    pub bureau: &'a str,
    /// Whether it carries a signature that was verified with its bureau's keys.
    pub verified: bool,
    /// The counties that the rules decided on.
    pub decided: &'a [RegionCode],
    /// What was found of its areas.
    pub located: &'a Located,
    /// What officers changed.
    pub amendment: &'a Amendment,
    /// Publications of what it takes the place of, with the counties where each still stands.
    pub older: &'a [(Publication, Vec<RegionCode>)],
    /// Ours, in CAP.
    pub sender: &'a str,
    /// Our class of agency, unit and extension in the identifiers of GB/T 35965, where config names them.
    pub issuer: Option<&'a str>,
    /// Names of places.
    pub map: &'a RegionMap,
    /// What our own messages are signed with.
    pub signing: Option<&'a SigningKey>,
}

/// Why a release is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// CAP 1.2 cannot say it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It cannot be signed, and `[signing] required` wants that it is.
    #[error("{0}; [signing] required keeps it back until it can be")]
    Unsigned(SignatureError),
}

/// A CAP message as it leaves.
#[derive(Debug)]
pub struct Sent {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// It should have been signed, and could not be.
    pub unsigned: bool,
}

/// What goes out as CAP.
#[derive(Debug)]
pub enum Outgoing<'a> {
    /// The bureau's own bytes.
    AsItCame(&'a str),
    /// One that we write.
    Own(&'a Alert),
}

/// Every CAP message that leaves for the public passes here, and is signed where there is a key. A warning that cannot be signed
/// goes out all the same and says so, unless config wants it signed or not at all.
///
/// # Errors
/// When CAP 1.2 cannot say it, or it must be signed and cannot be.
pub fn outgoing(message: &Outgoing<'_>, signing: Option<&SigningKey>) -> Result<Sent, PublishError> {
    let text = match message {
        Outgoing::AsItCame(text) => Cow::Borrowed(*text),
        Outgoing::Own(alert) => Cow::Owned(cap::write(alert)?),
    };
    let sent = |text: String, unsigned| Sent { bytes: text.into_bytes(), unsigned };
    let Some(key) = signing else { return Ok(sent(text.into_owned(), false)) };
    match key.sign(&text) {
        Ok(signed) => Ok(sent(signed, false)),
        Err(error) if key.is_required() => Err(PublishError::Unsigned(error)),
        Err(error) => {
            tracing::error!(%error, "published UNSIGNED: it cannot be signed; see to the key of [signing]");
            Ok(sent(text.into_owned(), true))
        }
    }
}

/// The bureau's bytes, where any reader of CAP 1.2 can take them as they are; and whether they carry its signature. A signature that
/// was not seen to hold is not passed on: whoever trusts us would trust it.
fn as_it_came<'a>(source: &Source<'a>) -> Option<(&'a str, bool)> {
    let (raw, xml) = source.raw;
    let text = std::str::from_utf8(raw).ok().filter(|_| xml && cap::is_strict(raw))?;
    let signed = source.alert.unknown.iter().any(|element| element.name == "Signature");
    (!signed || source.verified).then_some((text, signed))
}

/// The message's own bytes, or it written anew; never without a word that says so where it should be signed, and is not.
fn serialised(source: &Source<'_>, own: bool, shown: &mut Alert) -> Result<Sent, PublishError> {
    match as_it_came(source).filter(|_| !own) {
        Some((text, true)) => outgoing(&Outgoing::AsItCame(text), None),
        Some((text, false)) => outgoing(&Outgoing::AsItCame(text), source.signing),
        None => match outgoing(&Outgoing::Own(shown), source.signing) {
            Err(PublishError::Write(_)) => {
                mend(shown);
                outgoing(&Outgoing::Own(shown), source.signing)
            }
            done => done,
        },
    }
}

/// The publication of a release that reaches the public, with its CAP; None for one that is not everybody's.
///
/// # Errors
/// When its CAP cannot be written.
pub fn make(source: &Source<'_>) -> Result<Option<(Publication, Vec<u8>)>, PublishError> {
    made(source, Name::Any)
}

/// The same as a message of our own: what it would be called otherwise is the name of an earlier release's publication.
///
/// # Errors
/// As [`make`].
pub fn make_own(source: &Source<'_>) -> Result<Option<(Publication, Vec<u8>)>, PublishError> {
    made(source, Name::Own)
}

/// The same under a name that no other release has.
///
/// # Errors
/// As [`make`].
pub fn make_numbered(source: &Source<'_>) -> Result<Option<(Publication, Vec<u8>)>, PublishError> {
    made(source, Name::Numbered)
}

/// What a publication is called.
#[derive(Clone, Copy, PartialEq)]
enum Name {
    /// As its bureau calls it, where nothing is changed.
    Any,
    /// As one of ours.
    Own,
    /// As one of ours, by the release's number.
    Numbered,
}

fn made(source: &Source<'_>, called: Name) -> Result<Option<(Publication, Vec<u8>)>, PublishError> {
    let alert = source.alert;
    if alert.status != Status::Actual || alert.scope != Scope::Public {
        return Ok(None);
    }
    let within: Option<BTreeSet<&RegionCode>> = source.within.map(|within| within.iter().collect());
    let inside = |code: &RegionCode| within.as_ref().is_none_or(|within| within.contains(code));
    let told: BTreeSet<&RegionCode> = source.older.iter().flat_map(|(_, left)| left).collect();
    let decided = || source.decided.iter();
    let whole = decided().chain(told.iter().copied()).all(&inside)
        && (alert.is_the_end() || decided().eq(source.regions.iter()));
    let lifts = !alert.is_the_end() && source.regions.is_empty() && !whole;
    // The counties that it speaks of: those warned, or those where it ends what was there.
    let ends = alert.is_the_end() || lifts;
    let regions: Vec<RegionCode> = if ends {
        let named = decided().filter(|_| alert.is_the_end());
        let all: BTreeSet<&RegionCode> = told.iter().copied().chain(named).filter(|code| inside(code)).collect();
        all.into_iter().cloned().collect()
    } else {
        source.regions.to_vec()
    };
    let seas = seas(source, &regions, whole);
    let own = called != Name::Any
        || !whole
        || !source.amendment.is_empty()
        || source.older.iter().any(|(older, _)| older.own);
    let ended: Vec<&Publication> =
        source.older.iter().filter(|(_, left)| left.iter().all(&inside)).map(|(older, _)| older).collect();
    let mut shown = source.amendment.apply(alert);
    if own {
        shown = edition(source, shown, &regions, &seas, (whole, lifts), &ended);
        shown.identifier = identifier(source, &shown.references, called);
    }
    let Sent { bytes: cap, unsigned } = serialised(source, own, &mut shown)?;
    shown.unknown.clear();
    shown.infos.iter_mut().for_each(|info| info.unknown.clear());
    let publication = Publication {
        id: AlertId::of(&shown),
        release: source.release,
        alert: AlertId::of(alert),
        chain: source.chain.to_owned(),
        bureau: bureau(source),
        at: source.at,
        expires: source.expires,
        regions,
        seas,
        within: source.within.map(<[RegionCode]>::to_vec),
        replaces: source.older.iter().map(|(older, _)| older.release).collect(),
        own,
        listed: !lifts || !ended.is_empty(),
        unsigned,
        correction: is_officers(source.bureau) && alert.msg_type == MsgType::Cancel,
        shown,
    };
    Ok(Some((publication, cap)))
}

/// Who is named as the source; an officer who corrects speaks for the bureau that was wrong, and stays unnamed.
fn bureau(source: &Source<'_>) -> String {
    if !is_officers(source.bureau) {
        return source.bureau.to_owned();
    }
    source.older.first().map_or_else(|| "tocsin".to_owned(), |(older, _)| older.bureau.clone())
}

/// The sea areas: all, or for a part those whose coast it warns.
fn seas(source: &Source<'_>, regions: &[RegionCode], whole: bool) -> Vec<RegionCode> {
    let older = source.older.iter().flat_map(|(older, _)| &older.seas);
    let older = older.filter(|_| source.alert.is_the_end());
    let all: BTreeSet<&RegionCode> = source.located.sea_areas.iter().map(|found| &found.region).chain(older).collect();
    let own = |sea: &&RegionCode| whole || source.map.coast_of(sea).any(|county| regions.contains(&county.code));
    all.into_iter().filter(own).cloned().collect()
}

/// What a message of ours is called: as GB/T 35965 has it where what it stands for is called so and we are an issuer of our own, else as
/// the bureau calls it with the release's number behind. The second is nobody else's; of the first there are ten a second. The bureau's
/// own issuer is never ours: a message of that name may be the bureau's next.
fn identifier(source: &Source<'_>, references: &[Reference], called: Name) -> String {
    let national = || {
        let theirs = NationalId::read(&source.alert.identifier)?;
        let issuer = source.issuer.filter(|ours| *ours != format!("{}{}", theirs.agency, theirs.unit))?;
        let ours = NationalId::write(&theirs.area, issuer, source.at, source.release)?;
        references.iter().all(|reference| reference.identifier != ours).then_some(ours)
    };
    let national = if called == Name::Numbered { None } else { national() };
    national.unwrap_or_else(|| format!("{}-{}", name(&source.alert.identifier), source.release))
}

/// Our own message in place of the bureau's: our sender, and what it stands for referenced.
fn edition(
    source: &Source<'_>,
    mut shown: Alert,
    regions: &[RegionCode],
    seas: &[RegionCode],
    (whole, lifts): (bool, bool),
    ended: &[&Publication],
) -> Alert {
    let original = source.alert;
    let triple = |alert: &Alert| Reference {
        sender: alert.sender.clone(),
        identifier: alert.identifier.clone(),
        sent: alert.sent,
    };
    let mut references = vec![triple(original)];
    references.extend(ended.iter().map(|older| triple(&older.shown)));
    if whole {
        references.extend(original.references.iter().cloned());
    }
    let mut seen = BTreeSet::new();
    references.retain(|r| seen.insert((r.sender.clone(), r.identifier.clone())));
    shown.references = references;
    shown.msg_type = if lifts || original.msg_type == MsgType::Cancel { MsgType::Cancel } else { MsgType::Update };
    shown.sender = name(source.sender);
    shown.sent = beijing(source.at);
    shown.source.get_or_insert_with(|| original.sender.clone());
    if !whole {
        for info in &mut shown.infos {
            let language = Language::of_tag(&info.language).unwrap_or(Language::English);
            info.areas = vec![area(source.map, regions, seas, language)];
        }
    }
    shown
}

/// An area of regions by their codes.
fn area(map: &RegionMap, regions: &[RegionCode], seas: &[RegionCode], language: Language) -> Area {
    let all: Vec<RegionCode> = regions.iter().chain(seas).cloned().collect();
    let between = if language == Language::Chinese { "、" } else { ", " };
    Area {
        description: map.name_places(&all, language).join(between),
        polygons: Vec::new(),
        circles: Vec::new(),
        geocodes: all.iter().map(|code| map.geocode(code)).collect(),
        altitude: None,
        ceiling: None,
    }
}

/// A name as CAP allows it: no spaces, commas, `<` or `&`.
fn name(text: &str) -> String {
    let kept = |c: char| if c.is_whitespace() || c.is_control() || matches!(c, ',' | '<' | '&') { '_' } else { c };
    text.chars().map(kept).collect()
}

/// Takes out what CAP 1.2 cannot say: a warning goes out all the same.
fn mend(alert: &mut Alert) {
    let mut all = serde_json::to_value(&*alert).unwrap_or_default();
    clean(&mut all);
    if let Ok(cleaned) = serde_json::from_value(all) {
        *alert = cleaned;
    }
    alert.identifier = name(&alert.identifier);
    alert.sender = name(&alert.sender);
    for reference in &mut alert.references {
        reference.identifier = name(&reference.identifier);
    }
    for info in &mut alert.infos {
        if info.categories.is_empty() {
            info.categories.push(Category::Other);
        }
        for area in &mut info.areas {
            area.polygons.retain(|polygon| polygon.ring.len() >= 4 && polygon.ring.first() == polygon.ring.last());
        }
    }
}

/// Every text in a value without control characters.
fn clean(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => *text = super::text::printable(text),
        Value::Array(list) => list.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        _ => {}
    }
}

fn beijing(at: DateTime<Utc>) -> DateTime<FixedOffset> {
    let seconds = DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at);
    FixedOffset::east_opt(8 * 3_600).map_or(seconds.fixed_offset(), |zone| seconds.with_timezone(&zone))
}
