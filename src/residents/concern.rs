//! Whom an alert concerns: places in its counties, tested by its exact shape where a county lies on its edge, and by their wishes.

use futures_util::TryStreamExt as _;

use super::wishes::{Danger, wants};
use crate::approval::areas;
use crate::cap::{Alert, Colour, Hazard};
use crate::regions::{Ground, LocateOptions, Located, RegionCode, RegionMap};
use crate::store::{PlaceRow, Store, StoreError};

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
    /// Which of the regions asked for.
    pub(crate) region: u16,
    pub(crate) hazards: i64,
    pub(crate) wishes: i64,
}

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
        Ok(Self::of(map, &read, &located))
    }

    /// The places in these counties that it concerns, by owner and age.
    pub(crate) async fn places(&self, store: &Store, regions: &[RegionCode]) -> Result<Vec<Concerned>, StoreError> {
        let mut found = Vec::new();
        for (index, region) in (0_u16..).zip(regions) {
            let edge = self.ground.is_edge(region);
            let mut rows = std::pin::pin!(store.places_in(region, edge));
            while let Some(row) = rows.try_next().await? {
                if self.means(&row) {
                    let whole = |id: i64| u64::try_from(id).unwrap_or_default();
                    found.push(Concerned {
                        subscriber: whole(row.subscriber),
                        place: whole(row.id),
                        region: index,
                        hazards: row.hazards,
                        wishes: row.wishes,
                    });
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn means(&self, row: &PlaceRow) -> bool {
        wants(row.hazards, row.wishes, self.danger) && row.point.is_none_or(|point| self.ground.covers(point))
    }
}

/// The places that an alert concerns in the counties that its areas match, each with its owner: `(owner, place)`.
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
