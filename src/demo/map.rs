//! The delta drawn: in the terminal, and as SVG. Levels are told by colour, letter and hatching.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use geo::{BoundingRect as _, Simplify as _};

use crate::cap::{Colour, Point};
use crate::regions::{RegionCode, RegionKind, RegionMap};

/// How a county is shown: the gravest level that it was told of.
pub type Shade = BTreeMap<RegionCode, Colour>;

/// West, south, east, north.
fn bounds(map: &RegionMap) -> [f64; 4] {
    let mut all = [180.0_f64, 90.0, -180.0, -90.0];
    for region in map.of_kind(RegionKind::County) {
        if let Some(rect) = map.shape(&region.code).and_then(|shape| shape.bounding_rect()) {
            all = [
                all[0].min(rect.min().x),
                all[1].min(rect.min().y),
                all[2].max(rect.max().x),
                all[3].max(rect.max().y),
            ];
        }
    }
    all
}

/// The map in so many columns: R, O, Y, B for the levels, a dot for land that was told nothing; on a terminal in colour too.
pub fn terminal(map: &RegionMap, shade: &Shade, columns: usize, colour: bool) -> String {
    let [west, south, east, north] = bounds(map);
    let squeeze = ((south + north) / 2.0).to_radians().cos();
    let step = (east - west) / columns.max(1) as f64;
    // A character is twice as high as it is wide.
    let wanted = ((north - south) / (step * squeeze * 2.0)).ceil();
    let rows = (1..=200_u32).find(|n| f64::from(*n) >= wanted).unwrap_or(200);
    let mut text = String::new();
    for row in 0..rows {
        let lat = north - (f64::from(row) + 0.5) * (north - south) / f64::from(rows);
        let mut line = String::new();
        for column in 0..columns {
            let lon = west + (column as f64 + 0.5) * step;
            let county = map.county_at(Point { lat, lon });
            match county.map(|region| shade.get(&region.code)) {
                None => line.push(' '),
                Some(None) => line.push('·'),
                Some(Some(level)) => line.push_str(&cell(*level, colour)),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cell(level: Colour, colour: bool) -> String {
    let (letter, code) = match level {
        Colour::Red => ('R', "97;48;5;160"),
        Colour::Orange => ('O', "30;48;5;208"),
        Colour::Yellow => ('Y', "30;48;5;220"),
        Colour::Blue => ('B', "97;48;5;26"),
    };
    if colour { format!("\x1b[{code}m{letter}\x1b[0m") } else { letter.to_string() }
}

/// Pixels of the SVG's width.
const WIDTH: f64 = 900.0;
/// A county's outline is drawn to within so many degrees.
const TOLERANCE: f64 = 0.004;

/// The map as SVG, with a legend in both languages.
pub fn svg(map: &RegionMap, shade: &Shade, title: &str) -> String {
    let [west, south, east, north] = bounds(map);
    let squeeze = ((south + north) / 2.0).to_radians().cos();
    let scale = WIDTH / ((east - west) * squeeze);
    let height = (north - south) * scale;
    let at = |c: &geo::Coord| ((c.x - west) * squeeze * scale, (north - c.y) * scale);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {:.0}\" role=\"img\" aria-label=\"{}\" \
         font-family=\"system-ui,'Noto Sans CJK SC',sans-serif\">\n<title>{}</title>\n<defs>{}</defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#eef3f7\"/>\n",
        height + 90.0,
        escape(title),
        escape(title),
        Colour::ALL.map(pattern).concat(),
    );
    for region in map.of_kind(RegionKind::County) {
        let Some(shape) = map.shape(&region.code) else { continue };
        let mut path = String::new();
        for polygon in shape.simplify(TOLERANCE) {
            for (n, coord) in polygon.exterior().coords().enumerate() {
                let (x, y) = at(coord);
                let _ = write!(path, "{}{x:.1} {y:.1}", if n == 0 { 'M' } else { 'L' });
            }
            path.push('Z');
        }
        let level = shade.get(&region.code);
        let fill = level.map_or("#ffffff".to_owned(), |level| format!("url(#{})", level.as_str()));
        let told = level.map_or("", |level| level.name_zh());
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"{fill}\" stroke=\"#5b6b78\" stroke-width=\".6\"><title>{} {} {told}</title></path>",
            escape(&region.name),
            escape(&region.name_en),
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"16\" y=\"{:.0}\" font-size=\"20\" font-weight=\"bold\">{}</text>",
        height + 30.0,
        escape(title)
    );
    for (n, level) in Colour::ALL.into_iter().enumerate() {
        let x = 16.0 + 200.0 * n as f64;
        let _ = writeln!(
            out,
            "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"28\" height=\"20\" fill=\"url(#{})\" stroke=\"#333\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\" font-size=\"16\">{} {}</text>",
            height + 50.0,
            level.as_str(),
            x + 36.0,
            height + 66.0,
            level.name_zh(),
            level.name_en(),
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A level's ground, with as many bars as print and colour-blind eyes need to tell it: red four, blue one.
fn pattern(level: Colour) -> String {
    let (ground, bars) = match level {
        Colour::Red => ("#c8102e", 4),
        Colour::Orange => ("#e8730c", 3),
        Colour::Yellow => ("#ffd100", 2),
        Colour::Blue => ("#1f5fbf", 1),
    };
    let lines: String = (0..bars)
        .map(|n| format!("<path d=\"M{} 0V16\" stroke=\"#00000055\" stroke-width=\"1\"/>", 2 + n * 3))
        .collect();
    format!(
        "<pattern id=\"{}\" width=\"16\" height=\"16\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(30)\">\
         <rect width=\"16\" height=\"16\" fill=\"{ground}\"/>{lines}</pattern>",
        level.as_str()
    )
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shade(map: &RegionMap) -> Shade {
        let mut shade = Shade::new();
        for (region, level) in
            [("330000", Colour::Orange), ("310000", Colour::Red), ("320600", Colour::Yellow), ("341800", Colour::Blue)]
        {
            shade.extend(map.counties_in(&region.parse().unwrap()).into_iter().map(|county| (county, level)));
        }
        shade
    }

    #[test]
    fn the_delta_is_drawn_in_the_terminal() {
        let map = RegionMap::delta().unwrap();
        insta::assert_snapshot!(terminal(&map, &shade(&map), 60, false));
        assert!(terminal(&map, &shade(&map), 60, true).contains("\x1b["));
    }

    #[test]
    fn the_delta_is_drawn_as_svg() {
        let map = RegionMap::delta().unwrap();
        let text = svg(&map, &shade(&map), "Muifa <2022>");
        assert_eq!(
            text.matches("<path d=\"M").count() - 10,
            305,
            "a path a county, beside the ten bars of the patterns"
        );
        assert!(text.contains("Muifa &lt;2022&gt;") && !text.contains("Muifa <2022>"));
        assert!(text.len() < 1_500_000, "{} bytes", text.len());
    }
}
