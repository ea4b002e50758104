//! Where the exercise's warnings went, as a picture: an SVG file, or text for the terminal.
//!
//! Levels are told apart by word and mark, never by colour alone; every picture says that it is an exercise.

mod svg;
mod terminal;

pub use svg::svg;
pub use terminal::terminal;

use crate::cap::{Colour, Point};
use crate::regions::RegionMap;

/// What a county looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shade {
    /// The gravest level that its people were told of; None when the danger there is over.
    pub level: Option<Colour>,
    /// Share of its audience that was told, 0 to 1.
    pub share_told: f64,
}

impl Shade {
    /// Whether fewer than half were told; pictures that cannot show shares show this.
    fn is_faint(self) -> bool {
        self.share_told < 0.5
    }
}

/// Every level that a picture can show, gravest first.
const LEVELS: [Option<Colour>; 5] =
    [Some(Colour::Red), Some(Colour::Orange), Some(Colour::Yellow), Some(Colour::Blue), None];

/// How a level looks.
struct Look {
    zh: &'static str,
    en: &'static str,
    /// Fill, and lines on it that stay legible.
    fill: &'static str,
    line: &'static str,
    /// Bars of its hatching; 0 for none.
    bars: u32,
    /// Its letter where there is no colour.
    letter: char,
    /// Its number in the terminal's palette of 256, and that of its faint form.
    ansi: [u8; 2],
}

const fn look(level: Option<Colour>) -> Look {
    match level {
        Some(Colour::Red) => {
            Look { zh: "红色", en: "Red", fill: "#c8102e", line: "#fff", bars: 4, letter: 'R', ansi: [160, 174] }
        }
        Some(Colour::Orange) => {
            Look { zh: "橙色", en: "Orange", fill: "#e8730c", line: "#000", bars: 3, letter: 'O', ansi: [208, 223] }
        }
        Some(Colour::Yellow) => {
            Look { zh: "黄色", en: "Yellow", fill: "#ffd100", line: "#000", bars: 2, letter: 'Y', ansi: [220, 229] }
        }
        Some(Colour::Blue) => {
            Look { zh: "蓝色", en: "Blue", fill: "#1f5fbf", line: "#fff", bars: 1, letter: 'B', ansi: [26, 110] }
        }
        None => {
            Look { zh: "解除", en: "All clear", fill: "#4b7f52", line: "#fff", bars: 0, letter: 'A', ansi: [65, 151] }
        }
    }
}

/// A flat view of the map: longitudes shortened by the cosine of the middle latitude.
struct View {
    west: f64,
    north: f64,
    /// Units in a degree of longitude and of latitude.
    scale: (f64, f64),
    /// Size in units.
    width: f64,
    height: f64,
}

impl View {
    /// All counties of the map, this many units wide; None for a map without land.
    fn of(map: &RegionMap, width: f64) -> Option<Self> {
        let points = || map.counties().flat_map(|county| map.rings(&county.code)).flatten();
        let lats = || points().map(|p| p.lat);
        let lons = || points().map(|p| p.lon);
        let (south, north) = (lats().reduce(f64::min)?, lats().reduce(f64::max)?);
        let (west, east) = (lons().reduce(f64::min)?, lons().reduce(f64::max)?);
        let across = width / (east - west);
        let down = across / f64::midpoint(south, north).to_radians().cos();
        Some(Self { west, north, scale: (across, down), width, height: (north - south) * down })
    }

    /// Where a place lies, in units from the upper left corner.
    fn place(&self, point: Point) -> (f64, f64) {
        ((point.lon - self.west) * self.scale.0, (self.north - point.lat) * self.scale.1)
    }

    /// The place that lies there.
    fn point(&self, x: f64, y: f64) -> Point {
        Point { lat: self.north - y / self.scale.1, lon: self.west + x / self.scale.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Shade;
    use crate::cap::Colour;
    use crate::regions::{RegionCode, RegionMap};

    pub(super) fn delta() -> RegionMap {
        RegionMap::delta().expect("the shipped map")
    }

    /// Shanghai red, Jiaxing orange and half told, Suzhou yellow and hardly told, Nanjing blue, Hefei over.
    pub(super) fn shades() -> BTreeMap<RegionCode, Shade> {
        let map = delta();
        let groups = [
            ("310000", Some(Colour::Red), 0.99),
            ("330400", Some(Colour::Orange), 0.5),
            ("320500", Some(Colour::Yellow), 0.1),
            ("320100", Some(Colour::Blue), 1.0),
            ("340100", None, 0.8),
        ];
        let mut shades = BTreeMap::new();
        for (group, level, share_told) in groups {
            for county in map.counties_below(&group.parse().expect("a code")) {
                shades.insert(county.code.clone(), Shade { level, share_told });
            }
        }
        shades
    }
}
