//! Whom another part of the alert tells sooner: people with a place in its province too, where they are awake.

use chrono::{DateTime, Utc};
use tocsin_channels::ChannelKind;

use super::Plan;
use crate::dispatch::residents::{warning, ways};
use crate::residents::{Concerned, Danger, Telling, Wishes, telling};
use crate::store::{Dispatch, Release, ReleaseKind, StoreError};

/// A part of the alert, and the places that it will warn, by owner.
pub(in crate::dispatch) struct Beside {
    dispatches: Vec<Dispatch>,
    channels: Vec<ChannelKind>,
    places: Vec<Concerned>,
    danger: Danger,
    now: DateTime<Utc>,
}

impl Plan<'_> {
    /// The parts that nobody's yes was needed for, as for this one, and that will be planned after it; none where nobody of these places is
    /// let sleep. Of those that are planned their chunks say whom they tell.
    pub(in crate::dispatch) async fn beside(
        &self,
        danger: Danger,
        places: &[Concerned],
    ) -> Result<Vec<Beside>, StoreError> {
        let now = self.planner.clock.now();
        let sleeps = |place: &Concerned| Wishes::unpack(place.hazards, place.wishes).hold_until(danger, now).is_some();
        let mut found = Vec::new();
        if !self.release.by_rule() || !places.iter().any(sleeps) {
            return Ok(found);
        }
        let store = &self.planner.store;
        for other in store.releases_of(std::slice::from_ref(&self.release.alert)).await? {
            if other.id == self.release.id || !self.will_be_planned(&other).await? {
                continue;
            }
            let Some((_, places)) = self.concerned_in(&other.regions).await? else { continue };
            let channels = other.channels.iter().copied().filter(|kind| self.usable(*kind)).collect();
            let dispatches = store.dispatches(other.id).await?;
            found.push(Beside { dispatches, channels, places, danger, now });
        }
        Ok(found)
    }

    /// Whether a part is still wholly to be planned, as far as anybody can say. Rather told twice than not at all.
    async fn will_be_planned(&self, other: &Release) -> Result<bool, StoreError> {
        let stands = other.superseded_at.is_none() && !other.held && !other.damaged;
        if !stands || !other.by_rule() || other.kind != ReleaseKind::Alert || self.put_off.contains_key(&other.id) {
            return Ok(false);
        }
        let store = &self.planner.store;
        Ok(!store.is_whole(other.id).await? && store.chunk_ids(other.id).await?.is_empty())
    }
}

impl Beside {
    /// How this part tells somebody, in the languages that it can; None where it has nothing to tell them, or no way.
    pub(in crate::dispatch) fn tells(&self, subscriber: u64, own: &[(ChannelKind, u64)]) -> Option<Telling> {
        let from = self.places.partition_point(|place| place.subscriber < subscriber);
        let places: Vec<&Concerned> =
            self.places.get(from..)?.iter().take_while(|place| place.subscriber == subscriber).collect();
        let wishes: Vec<Wishes> = places.iter().map(|place| Wishes::unpack(place.hazards, place.wishes)).collect();
        let mut telling = telling(&wishes, self.danger, self.now)?;
        let quietly = places.iter().all(|place| place.grazed);
        let may = |kind: &ChannelKind| self.channels.contains(kind) && !(quietly && *kind == ChannelKind::Mqtt);
        let (kind, _) = ways(own, &telling, may).into_iter().next()?;
        telling.languages.retain(|language| warning(&self.dispatches, kind, *language).is_some());
        Some(telling)
    }
}
