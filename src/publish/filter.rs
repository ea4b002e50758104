//! Which alerts a machine asks for. A parameter that is not known, or a value that cannot be, is refused: a filter that is silently
//! dropped would show a town the alerts of another, or none.

use chrono::{DateTime, Utc};

use super::Entry;
use crate::cap::{Area, Certainty, Circle, MsgType, Point, Severity, Status, Urgency};
use crate::regions::{LocateOptions, RegionCode, RegionKind, RegionMap};

/// A place off every county, by a harbour's mouth or a coarse coastline, is also asked about on the land so near.
const SHORE_KM: f64 = 3.0;

/// A question that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub struct BadParameter {
    /// Which parameter.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// What a path understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Everything in force.
    Active,
    /// The archive: times, and pages.
    Archive,
    /// In force in one place: the path says where.
    Here,
    /// Nothing.
    None,
}

/// What is asked for; a list holds if one of its values does, and all that are given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    status: Option<Vec<Status>>,
    message_type: Option<Vec<MsgType>>,
    event: Option<Vec<String>>,
    code: Option<Vec<String>>,
    urgency: Option<Vec<Urgency>>,
    severity: Option<Vec<Severity>>,
    certainty: Option<Vec<Certainty>>,
    /// Groups of regions of which one must match.
    places: Vec<Vec<RegionCode>>,
    marine: Option<bool>,
    /// Only what is in force.
    pub active: Option<bool>,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Only those before this release.
    pub cursor: Option<i64>,
}

impl Filter {
    /// Reads a query.
    ///
    /// # Errors
    /// At the first parameter that is not known there, given twice, or cannot be.
    pub fn parse(query: &str, fields: Fields, map: &RegionMap) -> Result<Self, BadParameter> {
        let mut filter = Self::default();
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let bad = |why: &str| BadParameter { name: name.chars().take(40).collect(), why: why.to_owned() };
            if seen.contains(&name) {
                return Err(bad("given twice; write a list, apart by commas / 重复，多个值以逗号分隔"));
            }
            filter.set(&name, &value, fields, map).map_err(|why| bad(&why))?;
            seen.push(name);
        }
        Ok(filter)
    }

    /// What is in force in one region, by its code.
    ///
    /// # Errors
    /// When the map has no such region.
    pub fn here(mut self, code: &str, map: &RegionMap, one_zone: bool) -> Result<Self, BadParameter> {
        let name = if one_zone { "zone" } else { "area" };
        let bad = |why: String| BadParameter { name: name.into(), why };
        self.places.push(if one_zone { zones(code, map).map_err(bad)? } else { areas(code, map).map_err(bad)? });
        Ok(self)
    }

    /// What is in force in one sea area, by its code.
    ///
    /// # Errors
    /// When the map has no such sea area.
    pub fn at_sea(mut self, code: &str, map: &RegionMap) -> Result<Self, BadParameter> {
        self.places.push(sea_areas(code, map).map_err(|why| BadParameter { name: "region".into(), why })?);
        Ok(self)
    }

    fn set(&mut self, name: &str, value: &str, fields: Fields, map: &RegionMap) -> Result<(), String> {
        let unknown = || format!("no such parameter here; known are {} / 未知参数", known(fields).join(", "));
        if !known(fields).contains(&name) {
            return Err(unknown());
        }
        match name {
            "status" => self.status = Some(words(value, Status::ALL, |v| v.as_str())?),
            "message_type" => self.message_type = Some(words(value, MsgType::ALL, |v| v.as_str())?),
            "urgency" => self.urgency = Some(words(value, Urgency::ALL, |v| v.as_str())?),
            "severity" => self.severity = Some(words(value, Severity::ALL, |v| v.as_str())?),
            "certainty" => self.certainty = Some(words(value, Certainty::ALL, |v| v.as_str())?),
            "event" => self.event = Some(list(value)?),
            "code" => self.code = Some(list(value)?),
            "area" => self.places.push(areas(value, map)?),
            "zone" => self.places.push(zones(value, map)?),
            "region" => self.places.push(sea_areas(value, map)?),
            "region_type" => {
                self.marine = Some(match value {
                    "land" => false,
                    "marine" => true,
                    _ => return Err("land or marine / 只能是 land 或 marine".into()),
                });
            }
            "point" => self.places.push(point(value, map)?),
            "active" => {
                self.active = Some(match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err("true or false / 只能是 true 或 false".into()),
                });
            }
            "start" => self.start = Some(moment(value)?),
            "end" => self.end = Some(moment(value)?),
            "limit" => match value.parse() {
                Ok(limit @ 1..=500) => self.limit = Some(limit),
                _ => return Err("1 to 500 / 1 至 500".into()),
            },
            "cursor" => {
                let release = value.strip_prefix('r').and_then(|number| number.parse().ok());
                self.cursor = Some(release.ok_or("not a cursor of ours / 无效的分页标记")?);
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Whether an entry is asked for.
    pub fn takes(&self, entry: &Entry) -> bool {
        let publication = &entry.publication;
        let alert = &publication.shown;
        let info = |test: &dyn Fn(&crate::cap::Info) -> bool| alert.infos.iter().any(test);
        let place = |codes: &Vec<RegionCode>| {
            codes.iter().any(|code| entry.regions().contains(code) || publication.seas.contains(code))
        };
        let same = |a: &str, b: &str| a.trim().to_lowercase() == b.to_lowercase();
        let hazard = publication.hazard();
        let event = |wanted: &String| {
            [hazard.slug(), hazard.name_zh(), hazard.name_en()].iter().any(|name| same(name, wanted))
                || info(&|info| same(&info.event, wanted))
        };
        let code = |wanted: &String| {
            same(hazard.slug(), wanted) || info(&|info| info.event_codes.iter().any(|code| same(&code.value, wanted)))
        };
        let sent = alert.sent.to_utc();
        self.status.as_ref().is_none_or(|list| list.contains(&alert.status))
            && self.message_type.as_ref().is_none_or(|list| list.contains(&alert.msg_type))
            && self.severity.as_ref().is_none_or(|list| list.contains(&alert.severity()))
            && self.urgency.as_ref().is_none_or(|list| info(&|info| list.contains(&info.urgency)))
            && self.certainty.as_ref().is_none_or(|list| info(&|info| list.contains(&info.certainty)))
            && self.event.as_ref().is_none_or(|list| list.iter().any(event))
            && self.code.as_ref().is_none_or(|list| list.iter().any(code))
            && self.places.iter().all(place)
            && self
                .marine
                .is_none_or(|marine| if marine { !publication.seas.is_empty() } else { !entry.regions().is_empty() })
            && self.active.is_none_or(|active| entry.in_force() == active)
            && self.start.is_none_or(|start| sent >= start)
            && self.end.is_none_or(|end| sent <= end)
    }
}

fn known(fields: Fields) -> &'static [&'static str] {
    match fields {
        Fields::Archive => &[
            "active",
            "start",
            "end",
            "status",
            "message_type",
            "event",
            "code",
            "area",
            "point",
            "region",
            "region_type",
            "zone",
            "urgency",
            "severity",
            "certainty",
            "limit",
            "cursor",
        ],
        Fields::Active => &[
            "status",
            "message_type",
            "event",
            "code",
            "area",
            "point",
            "region",
            "region_type",
            "zone",
            "urgency",
            "severity",
            "certainty",
            "limit",
        ],
        Fields::Here => &["status", "message_type", "event", "code", "urgency", "severity", "certainty", "limit"],
        Fields::None => &[],
    }
}

fn list(value: &str) -> Result<Vec<String>, String> {
    let all: Vec<String> =
        value.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
    if all.is_empty() || all.len() > 50 {
        Err("1 to 50 values, apart by commas / 1 至 50 个值".into())
    } else {
        Ok(all)
    }
}

fn words<T: Copy>(value: &str, all: &[T], name: fn(&T) -> &'static str) -> Result<Vec<T>, String> {
    let known = || all.iter().map(name).collect::<Vec<_>>().join(", ");
    let one = |word: String| {
        let found = all.iter().copied().find(|value| name(value).eq_ignore_ascii_case(&word));
        found.ok_or_else(|| format!("one of {} / 取值不在此列", known()))
    };
    list(value)?.into_iter().map(one).collect()
}

fn moment(value: &str) -> Result<DateTime<Utc>, String> {
    // A plus that nobody escaped arrives as a space.
    let text = value.replace(' ', "+");
    DateTime::parse_from_rfc3339(&text)
        .map(|at| at.to_utc())
        .map_err(|_| "a time as in 2022-09-14T10:00:00+08:00 / 时间格式不对".into())
}

fn region<'a>(code: &str, map: &'a RegionMap) -> Result<&'a crate::regions::Region, String> {
    let found = code.parse::<RegionCode>().ok().and_then(|code| map.get(&code));
    found.ok_or_else(|| "no region of the map has this code / 没有此代码的区域".into())
}

/// Every county of these regions, or the sea area.
fn areas(value: &str, map: &RegionMap) -> Result<Vec<RegionCode>, String> {
    let mut all = Vec::new();
    for code in list(value)? {
        let region = region(&code, map)?;
        all.push(region.code.clone());
        all.extend(map.counties_below(&region.code).iter().map(|county| county.code.clone()));
    }
    Ok(all)
}

/// Counties and sea areas, exactly these.
fn zones(value: &str, map: &RegionMap) -> Result<Vec<RegionCode>, String> {
    let zone = |code: String| {
        let region = region(&code, map)?;
        match region.kind {
            RegionKind::County | RegionKind::Sea => Ok(region.code.clone()),
            _ => Err("a group of counties is no zone; ask for it as `area` / 请用 area 查询".to_owned()),
        }
    };
    list(value)?.into_iter().map(zone).collect()
}

/// Sea areas, exactly these: what api.weather.gov calls a marine region.
fn sea_areas(value: &str, map: &RegionMap) -> Result<Vec<RegionCode>, String> {
    let sea = |code: String| {
        let region = region(&code, map)?;
        match region.kind {
            RegionKind::Sea => Ok(region.code.clone()),
            _ => {
                Err("not a sea area; `area` and `zone` take those on land / 不是海区，陆地请用 area 或 zone".to_owned())
            }
        }
    };
    list(value)?.into_iter().map(sea).collect()
}

/// Land and sea at a place, looked up apart, so that neither hides the other.
fn point(value: &str, map: &RegionMap) -> Result<Vec<RegionCode>, String> {
    let bad = || "latitude and longitude in degrees, as in 31.15,121.12 / 坐标格式不对".to_owned();
    let (lat, lon) = value.split_once(',').ok_or_else(bad)?;
    let degrees = |text: &str| text.trim().parse::<f64>().ok().filter(|d| d.is_finite());
    let (lat, lon) = (degrees(lat).ok_or_else(bad)?, degrees(lon).ok_or_else(bad)?);
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
        return Err(bad());
    }
    let center = Point { lat, lon };
    let sea = map.sea_area_at(center).map(|region| region.code.clone());
    let mut all: Vec<RegionCode> = sea.into_iter().collect();
    match map.county_at(center) {
        Some(county) => all.push(county.code.clone()),
        None => {
            let near = Area {
                description: String::new(),
                polygons: Vec::new(),
                circles: vec![Circle { center, radius_km: SHORE_KM }],
                geocodes: Vec::new(),
                altitude: None,
                ceiling: None,
            };
            let found = map.locate(&[near], &LocateOptions { coast: false, ..LocateOptions::default() });
            all.extend(found.counties.into_iter().map(|found| found.region));
        }
    }
    Ok(all)
}
