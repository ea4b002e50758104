//! The recorded warnings of typhoon Muifa, one after the other, as if each were now.

use chrono::{TimeDelta, Utc};
use tocsin::cap::{Alert, Status};
use tocsin::demo::Scenario;
use tocsin::regions::{RegionKind, RegionMap};

use super::sha256;

/// The token of the bureau that sends them.
pub const TOKEN: &str = "tocsin_delta-token";

/// That bureau, which speaks for the whole map, as the config names it.
pub fn bureau() -> String {
    let map = RegionMap::delta().unwrap();
    let speaks_for = map.of_kind(RegionKind::Province).chain(map.sea_areas());
    let speaks_for: Vec<String> = speaks_for.map(|region| format!("\"{}\"", region.code)).collect();
    let (hash, regions) = (sha256(TOKEN), speaks_for.join(", "));
    format!("[[bureau]]\nname = \"delta\"\ntoken_sha256 = \"{hash}\"\nregions = [{regions}]\n")
}

/// The warning of this name; it refers to those before it, and each is a little later than the one before, none in the future.
pub fn alert(id: &str, before: &[Alert], status: Status) -> Alert {
    let (scenario, map) = (Scenario::muifa().unwrap(), RegionMap::delta().unwrap());
    let sent = Utc::now() - TimeDelta::seconds(60 - 10 * i64::try_from(before.len()).unwrap());
    let all = (0..scenario.len()).filter_map(|nth| scenario.alert(nth, &map, sent, before));
    let mut alert = all.into_iter().find(|alert| alert.identifier.contains(id)).unwrap();
    if status == Status::Actual {
        alert.note = None;
    }
    alert.status = status;
    alert
}
