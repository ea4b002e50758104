//! Who may say what where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::refusal::{Refusal, RefusalCode};
use crate::cap::{Alert, Colour, Hazard, MsgType, Status};
use crate::config::BureauConfig;
use crate::regions::{How, Located, Match, RegionCode, RegionMap};

/// Levels that a bureau may warn of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Levels {
    /// This one and all below.
    UpTo(Colour),
    /// These.
    Of(Vec<Colour>),
}

impl Levels {
    /// Whether a level is one of them.
    pub fn hold(&self, colour: Colour) -> bool {
        match self {
            // Red is the first, and the gravest.
            Self::UpTo(gravest) => colour >= *gravest,
            Self::Of(some) => some.contains(&colour),
        }
    }
}

/// What becomes of an alert that reaches beyond what its bureau may warn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken for the bureau's own regions, and those who may speak for the others are asked.
    Cut,
}

/// Checks that a bureau speaks only for its regions, of its dangers and at its levels. Gives the counties that it may not warn,
/// where its policy is to ask those who may.
pub(crate) fn check(
    map: &RegionMap,
    bureau: &BureauConfig,
    alert: &Alert,
    located: &Located,
) -> Result<BTreeSet<RegionCode>, Refusal> {
    check_hazards(bureau, alert)?;
    check_level(bureau, alert)?;
    let speaks_for = |region: &RegionCode| bureau.regions.iter().any(|own| map.is_in(region, own));
    // Sea areas warn a coast that may belong to several provinces: who speaks for the sea speaks for its coast.
    let own_coast = |how: &How| match how {
        How::Coast { sea } => speaks_for(sea),
        How::Neighbour { .. } => located.sea_areas.iter().any(|found| speaks_for(&found.region)),
        _ => false,
    };
    let own = |found: &&Match| speaks_for(&found.region) || (!found.how.is_empty() && found.how.iter().all(own_coast));
    let foreign: Vec<&Match> = located.counties.iter().chain(&located.sea_areas).filter(|found| !own(found)).collect();
    let all = located.counties.len() + located.sea_areas.len();
    if let Some(first) = foreign.first() {
        // The end of an alert goes to whom it was told, and to nobody else.
        let end = alert.is_the_end();
        if bureau.outside == Outside::Refuse || (foreign.len() == all && !end) {
            return Err(Refusal::new(RefusalCode::RegionNotYours, named(map, &first.region)));
        }
        let counties = foreign.iter().filter(|_| !end).map(|found| found.region.clone());
        return Ok(counties.collect());
    }
    let warns = matches!(alert.msg_type, MsgType::Alert | MsgType::Update)
        && matches!(alert.status, Status::Actual | Status::Exercise);
    if warns && all == 0 {
        let unknown: Vec<_> = located.unknown.iter().map(|(list, code)| format!("{list} {code}")).collect();
        return Err(Refusal::new(RefusalCode::Nowhere, unknown.join(", ")));
    }
    Ok(BTreeSet::new())
}

/// A region's code and name.
pub(super) fn named(map: &RegionMap, code: &RegionCode) -> String {
    format!("{code} {}", map.get(code).map_or("", |region| region.name.as_str()))
}

fn check_hazards(bureau: &BureauConfig, alert: &Alert) -> Result<(), Refusal> {
    let Some(own) = &bureau.hazards else { return Ok(()) };
    // A Cancel may come without any info: what it references is checked to be the bureau's own.
    let foreign = alert.infos.iter().map(Hazard::of).find(|hazard| !own.contains(hazard));
    // An info that names no danger (a translation, say) speaks of the alert's.
    let chief = Hazard::of_alert(alert);
    match foreign.filter(|hazard| *hazard != Hazard::Other || !own.contains(&chief)) {
        Some(hazard) => Err(Refusal::new(RefusalCode::HazardNotYours, hazard.slug())),
        None => Ok(()),
    }
}

/// The gravest of what an alert's titles, codes and severities say must be the bureau's to say; so must a level that none of them
/// names. The end of an alert has no level.
fn check_level(bureau: &BureauConfig, alert: &Alert) -> Result<(), Refusal> {
    let Some(own) = bureau.levels.as_ref().filter(|_| !alert.is_the_end() && !alert.infos.is_empty()) else {
        return Ok(());
    };
    let said = alert.infos.iter().flat_map(|info| [Colour::of(info), Colour::of_severity(info.severity)]).flatten();
    let mut said: Vec<_> = said.collect();
    said.sort_unstable();
    match said.iter().find(|colour| !own.hold(**colour)) {
        None if !said.is_empty() => Ok(()),
        wrong => Err(Refusal::new(RefusalCode::LevelNotYours, wrong.map_or("?", |colour| colour.as_str()))),
    }
}
