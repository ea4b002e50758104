//! Where those live of whom an older chunk does not say enough, and whose part of this alert tells them.

use std::collections::HashMap;

use crate::delivery::{ELSEWHERE, Recipient, address_of};
use crate::dispatch::plan::Plan;
use crate::messages::Variant;
use crate::regions::{Located, RegionCode};
use crate::residents::{Grazed, decided};
use crate::store::{Release, StoreError};

/// What is known of those told before, whoever they are.
#[derive(Default)]
pub(super) struct Census {
    /// Counties that other parts of this alert warn, or will when their officers say yes.
    others: Vec<RegionCode>,
    /// Whether anybody may have been told with a county beside their own, which a shape hardly touched.
    guests: bool,
    /// Who is inside the shape in a county that it hardly touches: looked up when first needed.
    grazed: Option<Grazed>,
}

/// Somebody inside an older alert's shape who was told with a county that is not theirs.
struct Guest {
    /// Their own counties, of which the older release did not speak.
    counties: Vec<RegionCode>,
    /// Whether they were told for nothing else.
    only: bool,
}

/// Where some of a chunk's recipients live.
pub(super) struct Homes {
    own: HashMap<u64, Vec<RegionCode>>,
    /// The counties that they go with where the shape hardly touches theirs.
    with: HashMap<u64, Vec<RegionCode>>,
    guests: HashMap<u64, Guest>,
}

impl Homes {
    /// Which regions somebody's address is told for.
    pub(super) fn of(&self, recipient: &Recipient) -> impl Iterator<Item = &RegionCode> {
        let id = address_of(recipient.id);
        [&self.own, &self.with].into_iter().filter_map(move |known| known.get(&id)).flatten()
    }

    /// Whether somebody was told as a guest for one of these counties (sorted).
    pub(super) fn is_guest_of(&self, recipient: &Recipient, counties: &[RegionCode]) -> bool {
        let known = self.guests.get(&recipient.id);
        known.is_some_and(|guest| guest.counties.iter().any(|county| counties.binary_search(county).is_ok()))
    }
}

impl Census {
    /// What is to be known for telling those of older releases. An end is told by whoever told them.
    pub(super) async fn of(plan: &Plan<'_>, older: &[Release]) -> Result<Self, StoreError> {
        let goes_on = plan.dispatches.iter().any(|one| matches!(one.variant, Variant::Warn | Variant::Lifted));
        let Some(within) = plan.release.within.as_ref().filter(|_| goes_on) else { return Ok(Self::default()) };
        let store = &plan.planner.store;
        let mut others = decided(store, &plan.release.alert).await?.map(|one| one.regions).unwrap_or_default();
        others.retain(|county| within.binary_search(county).is_err());
        let mut alerts: Vec<&str> = older.iter().map(|old| old.alert.as_str()).collect();
        alerts.dedup();
        let mut guests = false;
        for alert in alerts {
            let located: Located = serde_json::from_value(store.located(alert).await?).unwrap_or_default();
            guests |= located.is_drawn();
        }
        Ok(Self { others, guests, grazed: None })
    }

    /// The regions of those of a chunk about whom the chunk itself does not say enough, and the counties that they are told with.
    pub(super) async fn homes(
        &mut self,
        plan: &Plan<'_>,
        (old, places): (&Release, &[u16]),
        (why, told): (&[Vec<u64>], &[(usize, Recipient)]),
    ) -> Result<Homes, StoreError> {
        let all_here = plan.release.within.is_none() || old.within == plan.release.within;
        let may_be_guests = self.guests && !why.is_empty();
        let unknown = |(_, recipient): &&(usize, Recipient)| {
            let region = usize::from(recipient.region);
            let elsewhere = places.get(region).is_none_or(|at| *at == ELSEWHERE);
            let asked = elsewhere || (may_be_guests && !self.others.is_empty());
            !recipient.is_region() && (asked || (!all_here && old.regions.get(region).is_none()))
        };
        let unknown: Vec<&(usize, Recipient)> = told.iter().filter(unknown).collect();
        let ids: Vec<u64> = unknown.iter().map(|(_, recipient)| address_of(recipient.id)).collect();
        let own = plan.planner.store.regions_of_addresses(&ids).await?;
        let mut homes = Homes { own, with: HashMap::new(), guests: HashMap::new() };
        if ids.is_empty() || why.is_empty() {
            return Ok(homes);
        }
        let grazed = match &mut self.grazed {
            Some(known) => known,
            none => none.insert(plan.grazed().await?),
        };
        if !grazed.is_empty() {
            for (id, owner) in plan.planner.store.owners(&ids).await? {
                homes.with.entry(id).or_default().extend(grazed.get(&owner).into_iter().flatten().cloned());
            }
        }
        if may_be_guests {
            homes.guests = guests(plan, old, &homes.own, (why, &unknown)).await?;
        }
        Ok(homes)
    }

    /// Whether somebody is left to another part: that warns them where they are, or will when its officers say yes. They are not told
    /// that it is over meanwhile; nor twice of one place.
    pub(super) fn leaves(&self, homes: &Homes, recipient: &Recipient, region: u16) -> bool {
        let warned = |county: &RegionCode| self.others.contains(county);
        let elsewhere = region == ELSEWHERE;
        let with = homes.with.get(&address_of(recipient.id)).filter(|_| elsewhere);
        let guest = homes.guests.get(&recipient.id).filter(|guest| guest.only || elsewhere);
        with.into_iter().flatten().any(warned) || guest.is_some_and(|guest| guest.counties.iter().any(warned))
    }
}

/// Who of a chunk was told with a county that is not theirs.
async fn guests(
    plan: &Plan<'_>,
    old: &Release,
    own: &HashMap<u64, Vec<RegionCode>>,
    (why, told): (&[Vec<u64>], &[&(usize, Recipient)]),
) -> Result<HashMap<u64, Guest>, StoreError> {
    let named = |county: &&RegionCode| old.regions.binary_search(county).is_ok();
    let reasons = |at: usize| why.get(at).into_iter().flatten();
    let places: Vec<u64> = told.iter().flat_map(|(at, _)| reasons(*at)).copied().collect();
    let places = plan.planner.store.regions_of_places(&places).await?;
    let mut found = HashMap::new();
    for (at, recipient) in told.iter().filter(|(at, _)| reasons(*at).next().is_some()) {
        let Some(homes) = own.get(&address_of(recipient.id)) else { continue };
        let only = !homes.iter().any(|home| named(&home));
        let told_for = reasons(*at).filter_map(|place| places.get(place)).filter(|county| !named(county));
        let counties: Vec<RegionCode> = if only { homes.clone() } else { told_for.cloned().collect() };
        if !counties.is_empty() {
            found.insert(recipient.id, Guest { counties, only });
        }
    }
    Ok(found)
}
