use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use quick_xml::escape::escape;

use super::{LEVELS, Look, Shade, View, look};
use crate::cap::Point;
use crate::regions::{Region, RegionCode, RegionKind, RegionMap};

/// Width of the map in the picture's units. Corners lie on whole units, about 700 m on the delta, the same for both sides of a border.
const WIDTH: f64 = 1000.0;
/// Free space around it, and above it for the heading.
const MARGIN: f64 = 40.0;
const HEADING: f64 = 130.0;
/// Height of the legend below it.
const LEGEND: f64 = 195.0;
/// The colour of an exercise.
const VIOLET: &str = "#6a2c91";

/// A corner in whole units.
type Corner = (i32, i32);

/// Draws the counties as an SVG picture of a few hundred kilobytes: level by colour and by the number of bars in its
/// hatching, share told by strength, with a heading and a legend in Chinese and English and each county's words as its tooltip.
pub fn svg(map: &RegionMap, shade: &BTreeMap<RegionCode, Shade>) -> String {
    let mut text = String::new();
    let Some(view) = View::of(map, WIDTH) else { return text };
    // Writing to a String cannot fail; `draw` has the `?` that say so in one place.
    let _ = draw(&mut text, map, shade, &view);
    text
}

fn draw(out: &mut String, map: &RegionMap, shade: &BTreeMap<RegionCode, Shade>, view: &View) -> std::fmt::Result {
    let (width, height) = (view.width + 2.0 * MARGIN, view.height + HEADING + LEGEND);
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" font-family="system-ui, 'Noto Sans CJK SC', sans-serif">"#
    )?;
    writeln!(out, "<title>演练：预警发布图 · Exercise: where the warnings went</title>")?;
    patterns(out)?;
    writeln!(out, r##"<rect width="100%" height="100%" fill="#fff"/>"##)?;
    writeln!(
        out,
        r#"<rect x="6" y="6" width="{:.0}" height="{:.0}" fill="none" stroke="{VIOLET}" stroke-width="12"/>"#,
        width - 12.0,
        height - 12.0
    )?;
    heading(out, width)?;
    // A picture of its own, so that the sea ends where the map does.
    let (across, down) = (view.width, view.height);
    writeln!(
        out,
        r#"<svg x="{MARGIN}" y="{HEADING}" width="{across:.0}" height="{down:.0}" overflow="hidden" stroke-linejoin="round">"#
    )?;
    for sea in map.sea_areas() {
        writeln!(out, r##"<path d="{}" fill="#d7e9f3" stroke="#b0cddd" fill-rule="evenodd"/>"##, path(map, sea, view))?;
    }
    writeln!(out, r##"<g stroke="#8a8a8a" stroke-width="0.6" fill-rule="evenodd">"##)?;
    for county in map.counties() {
        draw_county(out, map, county, shade.get(&county.code), view)?;
    }
    writeln!(out, "</g>")?;
    writeln!(out, r##"<path d="{}" fill="none" stroke="#222" stroke-width="1.5"/>"##, borders(map, view))?;
    labels(out, map, view)?;
    writeln!(out, "</svg>")?;
    legend(out, view, shade)?;
    writeln!(out, "</svg>")
}

/// One hatching a level: as many bars as the level's mark has, then a gap.
fn patterns(out: &mut String) -> std::fmt::Result {
    writeln!(out, "<defs>")?;
    for level in LEVELS {
        let Look { fill, line, bars, letter, .. } = look(level);
        writeln!(
            out,
            r#"<pattern id="{letter}" width="26" height="26" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="26" height="26" fill="{fill}"/>"#
        )?;
        for bar in 0..bars {
            writeln!(out, r#"<rect x="{}" width="2" height="26" fill="{line}" fill-opacity="0.7"/>"#, 2 + bar * 5)?;
        }
        writeln!(out, "</pattern>")?;
    }
    writeln!(out, "</defs>")
}

fn heading(out: &mut String, width: f64) -> std::fmt::Result {
    let band = width - 2.0 * MARGIN;
    writeln!(
        out,
        r##"<rect x="{MARGIN}" y="28" width="{band:.0}" height="36" fill="{VIOLET}"/><text x="{:.0}" y="54" font-size="24" fill="#fff" text-anchor="middle" letter-spacing="6">演练 EXERCISE 演练 EXERCISE 演练</text>"##,
        width / 2.0
    )?;
    writeln!(
        out,
        r##"<text x="{MARGIN}" y="104" font-size="30" fill="#111">预警发布图 <tspan font-size="24" fill="#444">Where the warnings went</tspan></text>"##
    )
}

fn draw_county(
    out: &mut String,
    map: &RegionMap,
    county: &Region,
    shade: Option<&Shade>,
    view: &View,
) -> std::fmt::Result {
    let names = format!("{} {}", escape(&county.name), escape(&county.name_en));
    let shape = path(map, county, view);
    match shade {
        None => writeln!(out, r##"<path d="{shape}" fill="#f2f0eb"><title>{names}</title></path>"##),
        Some(shade) => {
            let Look { zh, en, letter, .. } = look(shade.level);
            let told = shade.share_told.clamp(0.0, 1.0);
            let strength = strength(told);
            writeln!(
                out,
                r#"<path d="{shape}" fill="url(#{letter})" fill-opacity="{strength:.2}"><title>{names} · {zh} {en} · 送达 told {:.1} %</title></path>"#,
                told * 100.0
            )
        }
    }
}

/// How strongly a share is painted: nobody told still shows.
fn strength(told: f64) -> f64 {
    0.3 + 0.7 * told
}

/// A region's rings on whole units, in relative steps; rings that shrink to a line are left out.
fn path(map: &RegionMap, region: &Region, view: &View) -> String {
    let mut path = String::new();
    for ring in map.rings(&region.code) {
        let corners = corners(ring, view);
        if let [first, rest @ ..] = corners.as_slice()
            && rest.len() > 2
        {
            step(&mut path, 'M', *first, (0, 0));
            let mut before = *first;
            for (index, corner) in rest.iter().enumerate() {
                step(&mut path, if index == 0 { 'l' } else { ' ' }, *corner, before);
                before = *corner;
            }
            path.push('z');
        }
    }
    path
}

/// One step of a path: the letter where it changes, then the difference.
fn step(path: &mut String, letter: char, to: Corner, from: Corner) {
    let _ = write!(path, "{letter}{},{}", to.0 - from.0, to.1 - from.1);
}

/// A ring's corners on whole units, without repeats.
fn corners(ring: &[Point], view: &View) -> Vec<Corner> {
    #[expect(clippy::cast_possible_truncation, reason = "units of a picture are few")]
    let whole = |(x, y): (f64, f64)| (x.round() as i32, y.round() as i32);
    let mut corners: Vec<Corner> = ring.iter().map(|point| whole(view.place(*point))).collect();
    corners.dedup();
    corners
}

/// The borders of provinces: the sides that only one county of the province has.
fn borders(map: &RegionMap, view: &View) -> String {
    let mut path = String::new();
    for province in map.of_kind(RegionKind::Province) {
        let rings: Vec<Vec<Corner>> = map
            .counties_below(&province.code)
            .into_iter()
            .flat_map(|county| map.rings(&county.code))
            .map(|ring| corners(ring, view))
            .collect();
        let sides = || rings.iter().flat_map(|ring| ring.iter().zip(ring.iter().skip(1)));
        let mut counts: HashMap<(Corner, Corner), u32> = HashMap::new();
        for (a, b) in sides() {
            *counts.entry((*a.min(b), *a.max(b))).or_default() += 1;
        }
        let mut end = None;
        for (a, b) in sides().filter(|(a, b)| counts.get(&(**a.min(b), **a.max(b))) == Some(&1)) {
            if end != Some(*a) {
                step(&mut path, 'M', *a, (0, 0));
            }
            step(&mut path, 'l', *b, *a);
            end = Some(*b);
        }
    }
    path
}

/// Provinces by name, in the middle of their counties.
fn labels(out: &mut String, map: &RegionMap, view: &View) -> std::fmt::Result {
    for province in map.of_kind(RegionKind::Province) {
        let counties = map.counties_below(&province.code);
        let weighed = |of: fn(Point) -> f64| {
            let sums = counties.iter().filter_map(|county| {
                let km2 = map.km2(&county.code);
                Some((of(map.middle(&county.code)?) * km2, km2))
            });
            let (sum, weight) = sums.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
            sum / weight
        };
        let (x, y) = view.place(Point { lat: weighed(|point| point.lat), lon: weighed(|point| point.lon) });
        let (zh, en) = (escape(&province.name), escape(&province.name_en));
        writeln!(
            out,
            r##"<text x="{x:.0}" y="{y:.0}" font-size="26" font-weight="bold" text-anchor="middle" fill="#111" stroke="#fff" stroke-width="5" paint-order="stroke">{zh}<tspan x="{x:.0}" dy="22" font-size="17" font-weight="normal">{en}</tspan></text>"##
        )?;
    }
    Ok(())
}

/// Every level with its hatching and how many counties have it, then the strength of the shares.
fn legend(out: &mut String, view: &View, shade: &BTreeMap<RegionCode, Shade>) -> std::fmt::Result {
    writeln!(
        out,
        r##"<g transform="translate({MARGIN} {:.0})" font-size="18" fill="#111">"##,
        HEADING + view.height + 40.0
    )?;
    for (column, level) in (0u32..).zip(LEVELS) {
        let Look { zh, en, letter, .. } = look(level);
        let counties = shade.values().filter(|shade| shade.level == level).count();
        let x = column * 200;
        writeln!(
            out,
            r##"<rect x="{x}" width="52" height="52" fill="url(#{letter})" stroke="#444"/><text x="{}" y="16">{zh} {en}</text><text x="{0}" y="42" font-size="15" fill="#444">{counties} 县区 counties</text>"##,
            x + 62
        )?;
    }
    for (column, told) in (0u32..).zip([0.0, 0.25, 0.5, 0.75, 1.0]) {
        writeln!(
            out,
            r##"<rect x="{}" y="84" width="60" height="26" fill="{VIOLET}" fill-opacity="{:.2}" stroke="#444"/><text x="{}" y="132" font-size="15" text-anchor="middle">{:.0} %</text>"##,
            column * 60,
            strength(told),
            column * 60 + 30,
            told * 100.0
        )?;
    }
    writeln!(
        out,
        r##"<text x="320" y="104">颜色越深，送达比例越高 <tspan fill="#444">The stronger, the more people were told</tspan></text>"##
    )?;
    writeln!(out, "</g>")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{delta, shades};
    use super::*;

    #[test]
    fn the_picture_is_sound_xml_of_bearable_size_with_every_county() {
        let picture = svg(&delta(), &shades());
        assert!(picture.len() < 700_000, "{} bytes", picture.len());
        let mut reader = quick_xml::Reader::from_str(&picture);
        let mut titles = 0;
        loop {
            match reader.read_event().expect("sound XML") {
                quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "title" => titles += 1,
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(titles, 1 + 305);
    }

    #[test]
    fn it_says_what_it_shows_in_both_languages() {
        let picture = svg(&delta(), &shades());
        for words in [
            "演练 EXERCISE",
            "黄浦区 Huangpu District · 红色 Red · 送达 told 99.0 %",
            ">橙色 Orange</text>",
            ">16 县区 counties</text>",
            "浙江省",
            "The stronger, the more people were told",
        ] {
            assert!(picture.contains(words), "{words}");
        }
    }

    /// Levels differ by their bars, so that they can be told apart without colour.
    #[test]
    fn each_level_has_its_own_number_of_bars() {
        let bars: Vec<u32> = LEVELS.iter().map(|level| look(*level).bars).collect();
        assert_eq!(bars, [4, 3, 2, 1, 0]);
    }
}
