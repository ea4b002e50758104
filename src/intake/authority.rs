//! Who may say what where.

use super::refusal::{Refusal, RefusalCode};
use crate::cap::{Alert, Hazard, MsgType, Status};
use crate::config::BureauConfig;
use crate::policy::Policy;
use crate::regions::Located;

/// Checks that a bureau speaks only for its regions and of its dangers.
pub(super) fn check(policy: &Policy, bureau: &BureauConfig, alert: &Alert, located: &Located) -> Result<(), Refusal> {
    // A Cancel may come without any info: what it references is checked to be the bureau's own.
    let dangers = alert.infos.iter().map(Hazard::of);
    let foreign = bureau.hazards.as_ref().and_then(|own| dangers.into_iter().find(|hazard| !own.contains(hazard)));
    // An info that names no danger (a translation, say) speaks of the alert's.
    let chief = Hazard::of_alert(alert);
    let own = |hazard: Hazard| bureau.hazards.as_ref().is_none_or(|hazards| hazards.contains(&hazard));
    if let Some(hazard) = foreign.filter(|hazard| *hazard != Hazard::Other || !own(chief)) {
        return Err(Refusal::new(RefusalCode::HazardNotYours, hazard.slug()));
    }
    // Sea areas warn a coast that may belong to several provinces: who speaks for the sea speaks for its coast.
    let own_sea = located.sea_areas.iter().any(|found| speaks_for(policy, bureau, &found.region));
    let on_coast = |found: &crate::regions::Match| {
        found
            .how
            .iter()
            .all(|how| matches!(how, crate::regions::How::Coast { .. } | crate::regions::How::Neighbour { .. }))
    };
    let foreign = located
        .counties
        .iter()
        .filter(|found| !(own_sea && on_coast(found)))
        .chain(&located.sea_areas)
        .find(|found| !speaks_for(policy, bureau, &found.region));
    if let Some(found) = foreign {
        let name = policy.map.get(&found.region).map_or("", |region| region.name.as_str());
        return Err(Refusal::new(RefusalCode::RegionNotYours, format!("{} {name}", found.region)));
    }
    let warns = matches!(alert.msg_type, MsgType::Alert | MsgType::Update)
        && matches!(alert.status, Status::Actual | Status::Exercise);
    if warns && located.counties.is_empty() && located.sea_areas.is_empty() {
        let unknown: Vec<_> = located.unknown.iter().map(|(list, code)| format!("{list} {code}")).collect();
        return Err(Refusal::new(RefusalCode::Nowhere, unknown.join(", ")));
    }
    Ok(())
}

fn speaks_for(policy: &Policy, bureau: &BureauConfig, region: &crate::regions::RegionCode) -> bool {
    bureau.regions.iter().any(|own| policy.map.is_in(region, own))
}
