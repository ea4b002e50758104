//! A small picture of an area among its neighbours, for a mail.

use tiny_skia::{Color, FillRule, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};
use tocsin_channels::Picture;

use crate::cap::Point;
use crate::regions::{RegionCode, RegionMap};

const WIDTH: u32 = 480;
/// The tallest that it gets: a strip along the coast stays a picture.
const TALLEST: f64 = 960.0;
/// What is shown around the area, degrees.
const MARGIN: f64 = 0.3;
/// A degree of latitude is so much longer than one of longitude here.
const STRETCH: f64 = 1.17;
const SEA: [u8; 3] = [0xd7, 0xe9, 0xf3];
const LAND: [u8; 3] = [0xf2, 0xf0, 0xeb];
const WARNED: [u8; 3] = [0xc8, 0x10, 0x2e];
const BORDER: [u8; 3] = [0x8a, 0x8a, 0x8a];

/// Where a place of the map stands on the picture.
struct Frame {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
    scale: f64,
}

impl Frame {
    /// None for an area without an outline.
    fn of(map: &RegionMap, regions: &[RegionCode]) -> Option<Self> {
        let mut points = regions.iter().flat_map(|code| map.rings(code)).flatten().peekable();
        points.peek()?;
        let whole = (f64::MAX, f64::MIN, f64::MAX, f64::MIN);
        let (west, east, south, north) = points.fold(whole, |(west, east, south, north), p| {
            (west.min(p.lon), east.max(p.lon), south.min(p.lat), north.max(p.lat))
        });
        let (west, east, south, north) = (west - MARGIN, east + MARGIN, south - MARGIN, north + MARGIN);
        let scale = (f64::from(WIDTH) / (east - west)).min(TALLEST / ((north - south) * STRETCH));
        Some(Self { west, east, south, north, scale })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 960")]
    fn size(&self) -> (u32, u32) {
        let whole = |length: f64| length.round().clamp(1.0, TALLEST) as u32;
        (whole((self.east - self.west) * self.scale), whole((self.north - self.south) * self.scale * STRETCH))
    }

    fn holds(&self, ring: &[Point]) -> bool {
        ring.iter().any(|p| (self.west..self.east).contains(&p.lon) && (self.south..self.north).contains(&p.lat))
    }

    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    fn path(&self, ring: &[Point]) -> Option<Path> {
        let mut path = PathBuilder::new();
        for (n, point) in ring.iter().enumerate() {
            let x = ((point.lon - self.west) * self.scale) as f32;
            let y = ((self.north - point.lat) * self.scale * STRETCH) as f32;
            if n == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        path.close();
        path.finish()
    }
}

/// The picture as PNG; None where there is nothing to draw.
pub(super) fn of(map: &RegionMap, regions: &[RegionCode]) -> Option<Picture> {
    let frame = Frame::of(map, regions)?;
    let (wide, tall) = frame.size();
    let mut picture = Pixmap::new(wide, tall)?;
    let [r, g, b] = SEA;
    picture.fill(Color::from_rgba8(r, g, b, 255));
    for county in map.counties() {
        let fill = if regions.contains(&county.code) { WARNED } else { LAND };
        for path in map.rings(&county.code).iter().filter(|ring| frame.holds(ring)).filter_map(|ring| frame.path(ring))
        {
            picture.fill_path(&path, &paint(fill), FillRule::EvenOdd, Transform::identity(), None);
            picture.stroke_path(&path, &paint(BORDER), &Stroke::default(), Transform::identity(), None);
        }
    }
    picture.encode_png().ok().map(Picture)
}

fn paint([r, g, b]: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_red_among_its_neighbours_and_nothing_has_no_picture() {
        let map = RegionMap::delta().unwrap();
        let Picture(png) = of(&map, &["310118".parse().unwrap()]).unwrap();
        let drawn = Pixmap::decode_png(&png).unwrap();
        assert_eq!(drawn.width(), WIDTH);
        let share = |[r, g, b]: [u8; 3]| {
            let same = drawn.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) == (r, g, b)).count();
            same as f64 / drawn.pixels().len() as f64
        };
        assert!(share(WARNED) > 0.03 && share(LAND) > 0.5, "{} {}", share(WARNED), share(LAND));
        assert_eq!(of(&map, &[]), None);
    }
}
