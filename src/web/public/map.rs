//! The map of what is in force, drawn here so that it needs no script: level by colour and by the number of bars in its hatching.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::escape::escape;

use crate::cap::Colour;
use crate::outlet::Shown;
use crate::publish::{Entry, Ground, Ring};
use crate::regions::{RegionCode, RegionKind};
use crate::web::words::Words;

/// Steps of a degree in the picture's units.
const STEPS: f64 = 100.0;
/// A picture shows at least so much, in its units: a county among its neighbours.
const LEAST: i32 = 90;

/// Class, bars, colour of the lines.
const LOOKS: [(Option<Colour>, &str, u32, &str); 5] = [
    (Some(Colour::Red), "red", 4, "#fff"),
    (Some(Colour::Orange), "orange", 3, "#000"),
    (Some(Colour::Yellow), "yellow", 2, "#000"),
    (Some(Colour::Blue), "blue", 1, "#fff"),
    (None, "plain", 0, "#fff"),
];

/// The box of a picture: west, south, east, north, in its units.
type View = (i32, i32, i32, i32);

/// Draws these entries on the whole map, or around some regions.
pub(super) fn draw(shown: &Shown, entries: &[&Entry], focus: &[RegionCode], words: Words) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, shown, entries, focus, words);
    out
}

fn write(out: &mut String, shown: &Shown, entries: &[&Entry], focus: &[RegionCode], words: Words) -> std::fmt::Result {
    let map = &shown.policy.map;
    let near = !focus.is_empty();
    let all: Vec<RegionCode> = map.counties().map(|county| county.code.clone()).collect();
    let ground: &Ground = if near { &shown.ground } else { &shown.coarse };
    let around = if near { focus } else { &all };
    let Some(view) = view(&ground.melted(around), ground, near) else { return Ok(()) };
    let (west, south, east, north) = view;
    // A degree of longitude is shorter up here.
    let narrow = (f64::from(south + north) / 2.0 / STEPS).to_radians().cos();
    let (width, height) = (f64::from(east - west) * narrow, north - south);
    let label = words.s("Map of the warnings in force");
    write!(
        out,
        "<svg class=\"map\" role=\"img\" aria-label=\"{}\" viewBox=\"{:.0} {} {width:.0} {height}\" xmlns=\"http://www.w3.org/2000/svg\">",
        escape(label),
        f64::from(west) * narrow,
        -north
    )?;
    let scale = f64::from(height.max(east - west)) / 640.0;
    patterns(out, scale)?;
    write!(out, "<g transform=\"scale({narrow:.4} 1)\">")?;
    let bounds = |codes: &[RegionCode]| path(&ground.melted(codes), ground, view);
    let seas: Vec<RegionCode> = map.sea_areas().map(|sea| sea.code.clone()).collect();
    write!(out, "<path class=\"sea\" d=\"{}\"/>", bounds(&seas))?;
    if near {
        for county in &all {
            let shape = path(&ground.melted([county]), ground, view);
            if !shape.is_empty() {
                write!(out, "<path class=\"land\" d=\"{shape}\"/>")?;
            }
        }
    } else {
        for province in map.of_kind(RegionKind::Province) {
            let counties: Vec<RegionCode> =
                map.counties_below(&province.code).iter().map(|county| county.code.clone()).collect();
            write!(out, "<path class=\"land\" d=\"{}\"/>", bounds(&counties))?;
        }
    }
    for (level, codes) in levels(entries).into_iter().rev() {
        let class = look(level);
        let shape = path(&shown.ground.melted(&codes), &shown.ground, view);
        write!(out, "<path class=\"warned\" fill=\"url(#h-{class})\" d=\"{shape}\"/>")?;
    }
    write!(out, "</g><g lang=\"{}\">", words.language.tag())?;
    labels(out, shown, view, narrow, (focus, scale, words))?;
    out.push_str("</g></svg>");
    Ok(())
}

/// The regions of each level, gravest first; each at its gravest.
fn levels(entries: &[&Entry]) -> BTreeMap<u8, Vec<RegionCode>> {
    let mut worst: BTreeMap<&RegionCode, u8> = BTreeMap::new();
    for entry in entries {
        let level = entry.publication.colour().map_or(4, |colour| colour as u8);
        for code in entry.regions().iter().chain(&entry.publication.seas) {
            let known = worst.entry(code).or_insert(level);
            *known = level.min(*known);
        }
    }
    let mut levels: BTreeMap<u8, Vec<RegionCode>> = BTreeMap::new();
    for (code, level) in worst {
        levels.entry(level).or_default().push(code.clone());
    }
    levels
}

fn look(level: u8) -> &'static str {
    LOOKS.get(usize::from(level)).map_or("plain", |look| look.1)
}

/// One hatching a level: as many bars as the level's mark has, then a gap.
fn patterns(out: &mut String, scale: f64) -> std::fmt::Result {
    out.push_str("<defs>");
    for (_, class, bars, line) in LOOKS {
        let tile = 26.0 * scale;
        write!(
            out,
            "<pattern id=\"h-{class}\" width=\"{tile:.2}\" height=\"{tile:.2}\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><rect class=\"fill-{class}\" width=\"{tile:.2}\" height=\"{tile:.2}\"/>"
        )?;
        for bar in 0..bars {
            let (at, wide) = ((2.0 + f64::from(bar) * 5.0) * scale, 2.0 * scale);
            write!(
                out,
                "<rect x=\"{at:.2}\" width=\"{wide:.2}\" height=\"{tile:.2}\" fill=\"{line}\" fill-opacity=\".7\"/>"
            )?;
        }
        out.push_str("</pattern>");
    }
    out.push_str("</defs>");
    Ok(())
}

/// Names of provinces, or near by of counties.
fn labels(
    out: &mut String,
    shown: &Shown,
    (west, south, east, north): View,
    narrow: f64,
    (focus, scale, words): (&[RegionCode], f64, Words),
) -> std::fmt::Result {
    let map = &shown.policy.map;
    let near = !focus.is_empty();
    let kind = if near { RegionKind::County } else { RegionKind::Province };
    let size = if near { 14.0 } else { 22.0 } * scale;
    let letter = if words.language == crate::messages::Language::Chinese { 1.05 } else { 0.62 };
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    // The places that it is about are named first.
    let (about, rest): (Vec<_>, Vec<_>) = map.of_kind(kind).partition(|region| focus.contains(&region.code));
    for region in about.into_iter().chain(rest) {
        let middle = if near { map.middle(&region.code) } else { weighed(map, &map.counties_below(&region.code)) };
        let Some(middle) = middle else { continue };
        let name = region.name_in(words.language);
        let (x, y) = (middle.lon * STEPS * narrow, middle.lat * STEPS);
        let half = size * letter * f64::from(u16::try_from(name.chars().count()).unwrap_or(u16::MAX)) / 2.0;
        let inside = f64::from(west) * narrow < x - half
            && x + half < f64::from(east) * narrow
            && f64::from(south) + size < y
            && y + size < f64::from(north);
        // A name that would lie on another is left out; the list has them all.
        let free = taken.iter().all(|(a, b, c)| (a - x).abs() > c + half || (b - y).abs() > size);
        if inside && free {
            taken.push((x, y, half));
            write!(out, "<text x=\"{x:.0}\" y=\"{:.0}\" font-size=\"{size:.1}\">{}</text>", -y, escape(name))?;
        }
    }
    Ok(())
}

/// The middle of several counties.
fn weighed(map: &crate::regions::RegionMap, counties: &[&crate::regions::Region]) -> Option<crate::cap::Point> {
    let (mut lat, mut lon, mut all) = (0.0, 0.0, 0.0);
    for county in counties {
        let (Some(middle), km2) = (map.middle(&county.code), map.km2(&county.code)) else { continue };
        (lat, lon, all) = (lat + middle.lat * km2, lon + middle.lon * km2, all + km2);
    }
    (all > 0.0).then(|| crate::cap::Point { lat: lat / all, lon: lon / all })
}

fn view(rings: &[Ring], ground: &Ground, near: bool) -> Option<View> {
    let range = |of: fn(&(i32, i32)) -> i32| {
        let all = || rings.iter().flatten().map(of);
        Some((units(all().min()?, ground), units(all().max()?, ground)))
    };
    let ((mut west, mut east), (mut south, mut north)) = (range(|c| c.0)?, range(|c| c.1)?);
    let margin = if near { (LEAST - (east - west).min(north - south)).max(20) / 2 } else { 8 };
    (west, east, south, north) = (west - margin, east + margin, south - margin, north + margin);
    Some((west, south, east, north))
}

/// A grid's steps in the picture's units.
#[expect(clippy::cast_possible_truncation, reason = "a map has few units")]
fn units(steps: i32, ground: &Ground) -> i32 {
    (f64::from(steps) * ground.step() * STEPS).round() as i32
}

/// Rings that touch the view, in relative steps.
fn path(rings: &[Ring], ground: &Ground, (west, south, east, north): View) -> String {
    let mut path = String::new();
    for ring in rings {
        let corners: Vec<(i32, i32)> = ring.iter().map(|(x, y)| (units(*x, ground), units(*y, ground))).collect();
        let (xs, ys) = (|| corners.iter().map(|c| c.0), || corners.iter().map(|c| c.1));
        let apart =
            xs().max() < Some(west) || xs().min() > Some(east) || ys().max() < Some(south) || ys().min() > Some(north);
        if apart {
            continue;
        }
        let mut before = (0, 0);
        for (index, corner) in corners.iter().enumerate() {
            let letter = match index {
                0 => "M",
                1 => "l",
                _ => " ",
            };
            let _ = write!(path, "{letter}{} {}", corner.0 - before.0, before.1 - corner.1);
            before = *corner;
        }
        path.push('z');
    }
    path
}
