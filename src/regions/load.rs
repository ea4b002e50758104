//! From files to a map: everything is checked here, once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use crate::cap::Point;

use super::error::{FeatureFault, RegionError};
use super::files::{MapFiles, Properties};
use super::geojson::{Collection, Feature, Geometry};
use super::map::{Place, RegionMap};
use super::outline::{Fill, Outline, crossing};
use super::region::{Region, RegionCode, RegionKind};
use super::tables::{Wanted, pairs};

/// A file's name and text.
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: Cow<'static, str>,
}

/// The texts of a map's files, and how to read them.
pub(super) struct Sources {
    pub(super) counties: Source,
    pub(super) groups: Vec<Source>,
    pub(super) sea: Option<Source>,
    pub(super) coast: Option<Source>,
    pub(super) adjacency: Option<Source>,
    pub(super) aliases: Option<Source>,
    pub(super) properties: Properties,
    pub(super) levels: BTreeMap<String, RegionKind>,
}

impl Sources {
    /// Reads the files from disk.
    pub(super) fn read(files: &MapFiles) -> Result<Self, RegionError> {
        let read = |file: &PathBuf| match std::fs::read_to_string(file) {
            Ok(text) => Ok(Source { file: file.clone(), text: text.into() }),
            Err(source) => Err(RegionError::Unreadable { file: file.clone(), source }),
        };
        Ok(Self {
            counties: read(&files.counties)?,
            groups: files.groups.iter().map(read).collect::<Result<_, _>>()?,
            sea: files.sea.as_ref().map(read).transpose()?,
            coast: files.coast.as_ref().map(read).transpose()?,
            adjacency: files.adjacency.as_ref().map(read).transpose()?,
            aliases: files.aliases.as_ref().map(read).transpose()?,
            properties: files.properties.clone(),
            levels: files.levels.clone(),
        })
    }

    /// Builds the map, or says what is wrong with the files.
    pub(super) fn load(&self) -> Result<RegionMap, RegionError> {
        let mut loader = Loader { sources: self, regions: BTreeMap::new(), origins: Vec::new(), places: Vec::new() };
        for group in &self.groups {
            loader.groups(group)?;
        }
        loader.places(&self.counties, RegionKind::County)?;
        if loader.places.is_empty() {
            return Err(RegionError::NoCounty { file: self.counties.file.clone() });
        }
        if let Some(sea) = &self.sea {
            loader.places(sea, RegionKind::Sea)?;
        }
        loader.check_parents()?;
        let Loader { regions, places, .. } = loader;
        let coast = pairs(&regions, self.coast.as_ref(), Wanted::Sea, Wanted::County)?;
        let beside = pairs(&regions, self.adjacency.as_ref(), Wanted::County, Wanted::County)?;
        let aliases = pairs(&regions, self.aliases.as_ref(), Wanted::NoRegion, Wanted::Region)?;
        Ok(RegionMap::new(regions, places, &coast, &beside, &aliases))
    }
}

/// A fault with the code of its feature, where it has one.
type Faulty = (Option<String>, FeatureFault);

/// What has been read so far.
struct Loader<'a> {
    sources: &'a Sources,
    regions: BTreeMap<RegionCode, Region>,
    /// Where each region came from, for the faults that show only at the end.
    origins: Vec<(&'a Source, usize, RegionCode)>,
    places: Vec<Place>,
}

impl<'a> Loader<'a> {
    fn groups(&mut self, source: &'a Source) -> Result<(), RegionError> {
        for (index, feature) in features::<IgnoredAny>(source)?.into_iter().enumerate() {
            let region =
                self.region(&feature.properties.unwrap_or_default(), &[RegionKind::Prefecture, RegionKind::Province]);
            region
                .and_then(|region| self.keep(source, index, region))
                .map_err(|fault| feature_error(source, index, fault))?;
        }
        Ok(())
    }

    fn places(&mut self, source: &'a Source, kind: RegionKind) -> Result<(), RegionError> {
        for (index, feature) in features::<Geometry>(source)?.into_iter().enumerate() {
            let place = self.region(&feature.properties.unwrap_or_default(), &[kind]).and_then(|region| {
                let code = region.code.clone();
                self.keep(source, index, region)?;
                place(code.clone(), kind, feature.geometry).map_err(|fault| (Some(code.to_string()), fault))
            });
            self.places.push(place.map_err(|fault| feature_error(source, index, fault))?);
        }
        Ok(())
    }

    /// The region that a feature's properties describe; its kind must be one of `kinds`, of which the first is meant
    /// where a single one is possible and the feature says nothing.
    fn region(&self, properties: &Map<String, Value>, kinds: &[RegionKind]) -> Result<Region, Faulty> {
        let names = &self.sources.properties;
        let text = |name: &str| match properties.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let code = text(&names.code).ok_or_else(|| (None, FeatureFault::NoCode(names.code.clone())))?;
        let faulty = |fault: FeatureFault| (Some(code.clone()), fault);
        let kind = match (kinds, text(&names.level)) {
            ([RegionKind::Sea], _) => RegionKind::Sea,
            ([kind], None) => *kind,
            (_, level) => {
                let level = level.unwrap_or_default();
                let kind = self.kind(&level).filter(|kind| kinds.contains(kind));
                kind.ok_or_else(|| faulty(FeatureFault::Level(level)))?
            }
        };
        let name = text(&names.name).unwrap_or_else(|| code.clone());
        let name_en = text(&names.name_en).unwrap_or_else(|| name.clone());
        let parent = text(&names.parent).map(RegionCode::try_from).transpose().map_err(|e| faulty(e.into()))?;
        let code = RegionCode::try_from(code.clone()).map_err(|e| faulty(e.into()))?;
        Ok(Region { code, name, name_en, kind, parent })
    }

    fn kind(&self, level: &str) -> Option<RegionKind> {
        self.sources.levels.get(level).copied().or(match level {
            "county" => Some(RegionKind::County),
            "prefecture" => Some(RegionKind::Prefecture),
            "province" => Some(RegionKind::Province),
            _ => None,
        })
    }

    fn keep(&mut self, source: &'a Source, index: usize, region: Region) -> Result<(), Faulty> {
        let code = region.code.clone();
        if self.regions.contains_key(&code) {
            return Err((Some(code.to_string()), FeatureFault::Duplicate));
        }
        self.origins.push((source, index, code.clone()));
        self.regions.insert(code, region);
        Ok(())
    }

    /// Every parent exists, and is of a greater kind: so no chain of parents can be endless.
    fn check_parents(&self) -> Result<(), RegionError> {
        for (source, index, code) in &self.origins {
            let Some(region) = self.regions.get(code) else { continue };
            let Some(parent) = &region.parent else { continue };
            let greater =
                self.regions.get(parent).is_some_and(|found| region.kind < found.kind && found.kind != RegionKind::Sea);
            if !greater {
                let fault = FeatureFault::Parent(parent.to_string());
                return Err(feature_error(source, *index, (Some(code.to_string()), fault)));
            }
        }
        Ok(())
    }
}

fn features<G: DeserializeOwned>(source: &Source) -> Result<Vec<Feature<G>>, RegionError> {
    serde_json::from_str::<Collection<G>>(&source.text)
        .map(|collection| collection.features)
        .map_err(|error| RegionError::NotGeoJson { file: source.file.clone(), source: error })
}

fn feature_error(source: &Source, index: usize, (code, fault): Faulty) -> RegionError {
    RegionError::Feature { file: source.file.clone(), index, code, fault }
}

fn place(code: RegionCode, kind: RegionKind, geometry: Option<Geometry>) -> Result<Place, FeatureFault> {
    let rings = geometry.ok_or(FeatureFault::NoPolygon)?.into_rings();
    for (index, ring) in rings.iter().enumerate() {
        check_ring(index, ring)?;
    }
    if let Some(Point { lat, lon }) = crossing(&rings) {
        return Err(FeatureFault::Crossing { lon, lat });
    }
    let outline = Outline::new(&rings, Fill::EvenOdd).ok_or(FeatureFault::NoPolygon)?;
    Ok(Place::new(code, kind, rings, outline))
}

fn check_ring(index: usize, ring: &[Point]) -> Result<(), FeatureFault> {
    if ring.len() < 4 {
        return Err(FeatureFault::TooShort(index));
    }
    if let Some(p) = ring.iter().find(|p| p.lat.abs() > 90.0 || p.lon.abs() > 180.0) {
        return Err(FeatureFault::OffEarth { ring: index, lon: p.lon, lat: p.lat });
    }
    if ring.first() == ring.last() { Ok(()) } else { Err(FeatureFault::Open(index)) }
}
