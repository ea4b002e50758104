//! Whom an alert concerns: places in its counties, tested by its exact shape where a county lies on its edge, and by their wishes.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;

use super::wishes::{Danger, wants};
use crate::approval::areas;
use crate::cap::{Alert, Colour, Hazard};
use crate::regions::{Ground, LocateOptions, Located, Meant, RegionCode, RegionMap};
use crate::rules::Decision;
use crate::store::{Store, StoreError, readable};

/// What an alert is to people with places.
#[derive(Debug, Clone)]
pub(crate) struct Concern {
    pub(crate) danger: Danger,
    pub(crate) ground: Ground,
}

/// A place that an alert concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Concerned {
    pub(crate) subscriber: u64,
    pub(crate) place: u64,
    /// Which of the regions asked for: its county, or the one that it is told with.
    pub(crate) region: u16,
    pub(crate) hazards: i64,
    pub(crate) wishes: i64,
    /// Whether it lies in a county that the shape hardly touches.
    pub(crate) grazed: bool,
}

/// People with a place inside the shape in a county that it hardly touches, and the counties that they are told with.
pub(crate) type Grazed = HashMap<u64, Vec<RegionCode>>;

impl Danger {
    /// What an alert that cannot be read any more is.
    const UNKNOWN: Self = Self { hazard: Hazard::Other, level: None };

    fn of(alert: &Alert) -> Self {
        Self { hazard: Hazard::of_alert(alert), level: Colour::of_alert(alert) }
    }

    /// What an alert on record is, whatever ground it covers.
    pub(crate) async fn load(store: &Store, alert: &str) -> Result<Self, StoreError> {
        Ok(store.alert_as_read(alert).await?.as_ref().map_or(Self::UNKNOWN, Self::of))
    }
}

impl Concern {
    /// What an alert is, given what its areas were found to mean.
    pub(crate) fn of(map: &RegionMap, alert: &Alert, located: &Located) -> Self {
        Self { danger: Danger::of(alert), ground: Ground::of(map, &areas(alert), located) }
    }

    /// What an alert on record is. One that cannot be read any more concerns everyone in its counties.
    pub(crate) async fn load(store: &Store, map: &RegionMap, alert: &str) -> Result<Self, StoreError> {
        let Some(read) = store.alert_as_read(alert).await? else {
            return Ok(Self { danger: Danger::UNKNOWN, ground: Ground::default() });
        };
        let located = serde_json::from_value(store.located(alert).await?).unwrap_or_default();
        let mut concern = Self::of(map, &read, &located);
        if concern.ground.grazed().next().is_some() {
            match decided(store, alert).await? {
                // What rules add to what the shape matched is told by its own officers.
                Some(decision) => concern.ground.take_whole(&decision.regions),
                // Nobody knows what they added: then each county is its own officers'.
                None => concern.ground.graze_none(),
            }
        }
        Ok(concern)
    }

    /// The places that it concerns where these counties are told, by owner and age.
    pub(crate) async fn places(&self, store: &Store, regions: &[RegionCode]) -> Result<Vec<Concerned>, StoreError> {
        let mut found = Vec::new();
        for (region, county, who) in self.ground.counties(regions) {
            let mut rows = std::pin::pin!(store.places_in(county, who != Meant::All));
            while let Some(row) = rows.try_next().await? {
                if wants(row.hazards, row.wishes, self.danger) && self.ground.means(who, row.point) {
                    let whole = |id: i64| u64::try_from(id).unwrap_or_default();
                    found.push(Concerned {
                        subscriber: whole(row.subscriber),
                        place: whole(row.id),
                        region,
                        hazards: row.hazards,
                        wishes: row.wishes,
                        grazed: who == Meant::Inside,
                    });
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Who has a place inside the shape in a county that it hardly touches.
    pub(crate) async fn grazed(&self, store: &Store) -> Result<Grazed, StoreError> {
        let mut found = Grazed::new();
        for (county, with) in self.ground.grazed() {
            let mut rows = std::pin::pin!(store.places_in(county, true));
            while let Some(row) = rows.try_next().await? {
                if self.ground.means(Meant::Inside, row.point) {
                    found.entry(u64::try_from(row.subscriber).unwrap_or_default()).or_default().push(with.clone());
                }
            }
        }
        Ok(found)
    }
}

/// What the rules said of an alert; None where that cannot be read.
pub(crate) async fn decided(store: &Store, alert: &str) -> Result<Option<Decision>, StoreError> {
    let row = readable("an alert", store.alert(alert).await)?.flatten();
    Ok(row.and_then(|row| serde_json::from_value(row.decision).ok()))
}

/// The places that an alert concerns, each with its owner: `(owner, place)`.
///
/// # Errors
/// When the store cannot be read.
pub async fn concerned(
    store: &Store,
    map: &RegionMap,
    alert: &Alert,
    options: &LocateOptions,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let located = map.locate(&areas(alert), options);
    let regions: Vec<RegionCode> = located.counties.iter().map(|found| found.region.clone()).collect();
    let places = Concern::of(map, alert, &located).places(store, &regions).await?;
    Ok(places.iter().map(|place| (place.subscriber, place.place)).collect())
}
