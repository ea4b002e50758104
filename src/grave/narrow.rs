//! What of new settings comes into force without anybody's yes: what takes authority away, and what changes no meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::GraveSettings;
use crate::cap::{Colour, Hazard, ProfileName};
use crate::config::BureauConfig;
use crate::intake::MAX_AGE;
use crate::intake::{Levels, Outside};
use crate::regions::{RegionCode, RegionMap};
use crate::rules::Span;
use crate::sources::SourceTerms;

/// What is in force when these settings were agreed to and those are wanted: never more than was agreed to.
pub fn in_force(agreed: &GraveSettings, wanted: &GraveSettings, map: &RegionMap) -> GraveSettings {
    let old = |name: &str| agreed.bureaus.iter().find(|bureau| bureau.name == name);
    let bureaus = wanted.bureaus.iter().filter_map(|new| narrower(old(&new.name)?, new, map));
    let rules = if same_rules(&agreed.rules, &wanted.rules) { &wanted.rules } else { &agreed.rules };
    let templates = agreed.templates.as_ref().or(wanted.templates.as_ref()).cloned();
    let channels = agreed.channels.iter().map(|(name, old)| {
        let new = wanted.channels.get(name);
        (name.clone(), new.map_or_else(|| old.clone(), |new| with_provider(new, old)))
    });
    let bureaus: Vec<BureauConfig> = bureaus.collect();
    let sources = sources(agreed, wanted, &bureaus);
    let keys = agreed.keys.as_ref().map_or_else(|| wanted.keys.clone(), |agreed| Some(keys_of(&bureaus, agreed)));
    GraveSettings { bureaus, sources, rules: rules.clone(), templates, keys, channels: channels.collect() }
}

/// The keys that these bureaus have.
fn keys_of(bureaus: &[BureauConfig], files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let names = bureaus.iter().flat_map(|bureau| &bureau.keys).map(|path| path.display().to_string());
    names.filter_map(|name| Some((name.clone(), files.get(&name)?.clone()))).collect()
}

/// What is asked of single sources: never less than was agreed to, of a new one never less than of its bureau.
fn sources(agreed: &GraveSettings, wanted: &GraveSettings, bureaus: &[BureauConfig]) -> BTreeMap<String, SourceTerms> {
    let plain = |bureau: &str| SourceTerms { bureau: bureau.to_owned(), ..SourceTerms::default() };
    let names: BTreeSet<&String> = agreed.sources.keys().chain(wanted.sources.keys()).collect();
    let stricter = |name: &String| {
        let (old, new) = (agreed.sources.get(name), wanted.sources.get(name));
        let speaks_as = &new.or(old)?.bureau;
        let bureau = bureaus.iter().find(|bureau| bureau.name == *speaks_as)?;
        let asked = |terms: Option<&SourceTerms>| {
            terms
                .filter(|terms| terms.bureau == *speaks_as)
                .map_or_else(|| plain(speaks_as), SourceTerms::clone)
                .of(bureau)
        };
        let (old, wants) = (asked(old), asked(new));
        let profile = union(&old.profile, &wants.profile);
        let signature = old.signature.max(wants.signature);
        let as_wanted = signature == wants.signature && profile == union(&wants.profile, &[]);
        let held = SourceTerms { bureau: speaks_as.clone(), profile: Some(profile), signature: Some(signature) };
        let terms = if as_wanted { new.cloned() } else { Some(held) };
        Some((name.clone(), terms?))
    };
    names.into_iter().filter_map(stricter).collect()
}

fn union(some: &[ProfileName], others: &[ProfileName]) -> Vec<ProfileName> {
    some.iter().chain(others).copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// A bureau with what both allow. Another token waits: whoever holds it could speak with the bureau's voice.
fn narrower(old: &BureauConfig, new: &BureauConfig, map: &RegionMap) -> Option<BureauConfig> {
    let within = |code: &RegionCode, above: &[RegionCode]| above.iter().any(|above| map.is_in(code, above));
    let mut regions: Vec<RegionCode> = new.regions.iter().filter(|code| within(code, &old.regions)).cloned().collect();
    let smaller = old.regions.iter().filter(|code| within(code, &new.regions) && !within(code, &regions));
    let smaller: Vec<_> = smaller.cloned().collect();
    regions.extend(smaller);
    let both = |own: &Vec<Hazard>, other: &Vec<Hazard>| own.iter().filter(|h| other.contains(h)).copied().collect();
    let hazards = match (&old.hazards, &new.hazards) {
        (None, any) | (any, None) => any.clone(),
        (Some(old), Some(new)) => Some(both(new, old)),
    };
    let mute = regions.is_empty() || hazards.as_ref().is_some_and(Vec::is_empty);
    let stricter = BureauConfig {
        name: old.name.clone(),
        token_sha256: old.token_sha256.clone(),
        certificate_sha256: old.certificate_sha256.clone(),
        regions,
        hazards,
        levels: both_levels(old.levels.as_ref(), new.levels.as_ref()),
        outside: if old.outside == Outside::Refuse { Outside::Refuse } else { new.outside },
        profile: union(&old.profile, &new.profile),
        signature: old.signature.max(new.signature),
        keys: old.keys.iter().filter(|key| new.keys.contains(key)).cloned().collect(),
        max_age: shorter(old.max_age, new.max_age),
        // How much it may send is the operator's.
        rate: new.rate,
        max_bytes: new.max_bytes,
    };
    (!mute).then_some(stricter)
}

/// Levels that both hold; all where neither names any.
fn both_levels(old: Option<&Levels>, new: Option<&Levels>) -> Option<Levels> {
    let held = |levels: Option<&Levels>, colour| levels.is_none_or(|levels| levels.hold(colour));
    old.or(new)?;
    Some(Colour::ALL.into_iter().filter(|colour| held(old, *colour) && held(new, *colour)).collect())
}

/// The shorter of two spans, where one left out is a day.
fn shorter(old: Option<Span>, new: Option<Span>) -> Option<Span> {
    let time = |span: Option<Span>| span.map_or(MAX_AGE, Span::time);
    if time(new) <= time(old) { new } else { old }
}

/// Comments and spaces are nobody's business.
fn same_rules(old: &str, new: &str) -> bool {
    let read = |text: &str| text.parse::<toml::Table>().ok();
    old == new || read(old).is_some_and(|old| read(new) == Some(old))
}

/// How fast and how wide a channel goes is the operator's; whom it goes through is agreed to.
fn with_provider(new: &Value, old: &Value) -> Value {
    let mut merged = new.clone();
    if let (Some(merged), Some(via)) = (merged.as_object_mut(), old.get("via")) {
        merged.insert("via".into(), via.clone());
    }
    merged
}
