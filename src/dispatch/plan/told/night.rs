//! Who of those told before sleeps, and until when: an update that grew no worse, or an end, wakes nobody.

use chrono::{DateTime, Utc};

use crate::delivery::{Recipient, address_of};
use crate::dispatch::plan::{Extra, Onward, Plan, because};
use crate::residents::{Concerned, Danger, Wishes, telling};
use crate::store::StoreError;

/// What is looked up once for a release, when the first of its people needs it: nobody else waits for that.
#[derive(Default)]
pub(super) struct Night {
    danger: Option<Danger>,
    /// The places that the release warns, by owner.
    concerned: Option<Vec<Concerned>>,
}

impl Night {
    /// What goes with each of a chunk who were told. If their channel fails, people with places hear of it by another.
    pub(super) async fn extras(
        &mut self,
        plan: &Plan<'_>,
        why: &[Vec<u64>],
        told: &[(usize, Recipient)],
    ) -> Result<Vec<Extra>, StoreError> {
        let mut extras: Vec<Extra> = told.iter().map(|(at, _)| because(why, *at)).collect();
        let places: Vec<u64> = extras.iter().flat_map(|extra| &extra.why).copied().collect();
        if places.is_empty() {
            return Ok(extras);
        }
        for extra in extras.iter_mut().filter(|extra| !extra.why.is_empty()) {
            extra.onward = Onward::LookedUp;
        }
        // Nothing is held without the map: nobody can say whom the alert concerns.
        if plan.planner.policy.is_none() {
            return Ok(extras);
        }
        let store = &plan.planner.store;
        let danger = match self.danger {
            Some(known) => known,
            None => *self.danger.insert(Danger::load(store, &plan.release.alert).await?),
        };
        let wishes = store.wishes_at(&places).await?;
        for extra in &mut extras {
            extra.hold = hold(plan, danger, extra.why.iter().filter_map(|place| wishes.get(place)));
        }
        self.wake(plan, danger, &mut extras, told).await?;
        Ok(extras)
    }

    /// Sleepers are warned as all their places wish that this release warns, not only those that the older one told them for.
    async fn wake(
        &mut self,
        plan: &Plan<'_>,
        danger: Danger,
        extras: &mut [Extra],
        told: &[(usize, Recipient)],
    ) -> Result<(), StoreError> {
        let asleep = || extras.iter().zip(told).filter(|(extra, _)| extra.hold.is_some());
        let ids: Vec<u64> = asleep().map(|(_, (_, recipient))| address_of(recipient.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let concerned = match &mut self.concerned {
            Some(known) => known,
            none => none.insert(plan.concerned().await?.map(|(_, places)| places).unwrap_or_default()),
        };
        if concerned.is_empty() {
            return Ok(());
        }
        let owners = plan.planner.store.owners(&ids).await?;
        for (extra, (_, recipient)) in extras.iter_mut().zip(told).filter(|(extra, _)| extra.hold.is_some()) {
            let Some(owner) = owners.get(&address_of(recipient.id)) else { continue };
            let from = concerned.partition_point(|place| place.subscriber < *owner);
            let own: Vec<_> = concerned.iter().skip(from).take_while(|place| place.subscriber == *owner).collect();
            if own.is_empty() {
                continue;
            }
            let wishes: Vec<Wishes> = own.iter().map(|place| Wishes::unpack(place.hazards, place.wishes)).collect();
            extra.hold = hold(plan, danger, &wishes);
            extra.why = own.iter().map(|place| place.place).collect();
        }
        Ok(())
    }
}

/// Until when somebody with these wishes sleeps. Who would wake when it is all over is not held: they would never hear of it.
fn hold<'a>(plan: &Plan<'_>, danger: Danger, wishes: impl IntoIterator<Item = &'a Wishes>) -> Option<DateTime<Utc>> {
    telling(wishes, danger, plan.planner.clock.now())?.hold.filter(|hold| *hold < plan.release.expires)
}
