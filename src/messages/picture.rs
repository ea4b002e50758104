//! A small picture of an area among its neighbours, for a mail: level by colour and by the number of bars, as on every map here.

use tiny_skia::{
    Color, FillRule, FilterQuality, Paint, Path, PathBuilder, Pattern, Pixmap, SpreadMode, Stroke, Transform,
};
use tocsin_channels::Picture;

use serde::{Deserialize, Serialize};

use crate::cap::{Colour, Point};
use crate::regions::{RegionCode, RegionMap};

const WIDTH: u32 = 360;
/// The tallest that it gets: a strip along the coast stays a picture.
const TALLEST: f64 = 480.0;
/// What is shown around the area, degrees.
const MARGIN: f64 = 0.3;
/// A degree of latitude is so much longer than one of longitude here.
const STRETCH: f64 = 1.17;
/// A tile of hatching, its first bar, the step from bar to bar, and a bar's width, in pixels along a row.
const TILE: u32 = 28;
const BARS: (u32, u32, u32) = (2, 7, 3);
const SEA: [u8; 3] = [0xd7, 0xe9, 0xf3];
const LAND: [u8; 3] = [0xf2, 0xf0, 0xeb];
const BORDER: [u8; 3] = [0x8a, 0x8a, 0x8a];

/// Ground, ink, and how many bars.
fn look(level: Option<Colour>) -> ([u8; 3], [u8; 3], u32) {
    let (black, white) = ([0, 0, 0], [0xff, 0xff, 0xff]);
    match level {
        Some(Colour::Red) => ([0xc8, 0x10, 0x2e], white, 4),
        Some(Colour::Orange) => ([0xe8, 0x73, 0x0c], black, 3),
        Some(Colour::Yellow) => ([0xff, 0xd1, 0x00], black, 2),
        Some(Colour::Blue) => ([0x1f, 0x5f, 0xbf], white, 1),
        None => ([0x66, 0x66, 0x66], white, 0),
    }
}

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

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 480")]
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
        // Corners less than a pixel apart are one.
        let mut before = (i32::MIN, i32::MIN);
        for point in ring {
            let x = ((point.lon - self.west) * self.scale) as f32;
            let y = ((self.north - point.lat) * self.scale * STRETCH) as f32;
            let pixel = (x as i32, y as i32);
            if pixel != before {
                if path.is_empty() {
                    path.move_to(x, y)
                } else {
                    path.line_to(x, y)
                }
                before = pixel;
            }
        }
        path.close();
        path.finish()
    }
}

/// What a mail's picture shows. Drawing it takes longer than all texts of a release together: it is drawn for who is about to be sent
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scene {
    regions: Vec<RegionCode>,
    level: Option<Colour>,
}

impl Scene {
    /// None where there is nothing to draw.
    pub(crate) fn of(map: &RegionMap, regions: Vec<RegionCode>, level: Option<Colour>) -> Option<Self> {
        let drawn = regions.iter().flat_map(|code| map.rings(code)).any(|ring| !ring.is_empty());
        drawn.then_some(Self { regions, level })
    }

    /// The picture as PNG, the same for all readers; None where this map has none of it.
    pub(crate) fn draw(&self, map: &RegionMap) -> Option<Picture> {
        draw(map, &self.regions, self.level)
    }
}

fn draw(map: &RegionMap, regions: &[RegionCode], level: Option<Colour>) -> Option<Picture> {
    let frame = Frame::of(map, regions)?;
    let (wide, tall) = frame.size();
    let mut picture = Pixmap::new(wide, tall)?;
    let [r, g, b] = SEA;
    picture.fill(Color::from_rgba8(r, g, b, 255));
    let tile = tile(level)?;
    let upright = Transform::identity();
    let warned = Pattern::new(tile.as_ref(), SpreadMode::Repeat, FilterQuality::Nearest, 1.0, upright);
    let warned = Paint { shader: warned, anti_alias: false, ..Paint::default() };
    // Neighbours first, so that no border of theirs lies over a warned county.
    let (inside, outside): (Vec<_>, Vec<_>) = map.counties().partition(|county| regions.contains(&county.code));
    for (counties, fill) in [(outside, &paint(LAND)), (inside, &warned)] {
        let rings = counties.iter().flat_map(|county| map.rings(&county.code)).filter(|ring| frame.holds(ring));
        for path in rings.filter_map(|ring| frame.path(ring)) {
            picture.fill_path(&path, fill, FillRule::EvenOdd, Transform::identity(), None);
            picture.stroke_path(&path, &paint(BORDER), &Stroke::default(), Transform::identity(), None);
        }
    }
    pack(&picture).map(Picture)
}

/// As PNG with a palette: a third of what true colour takes.
fn pack(picture: &Pixmap) -> Option<Vec<u8>> {
    let mut colours: Vec<[u8; 3]> = Vec::new();
    let mut rows = Vec::with_capacity(picture.pixels().len() / 2 + 1);
    for row in picture.pixels().chunks(usize::try_from(picture.width()).ok()?) {
        for pair in row.chunks(2) {
            let mut byte = 0;
            for (pixel, shift) in pair.iter().zip([4, 0]) {
                let colour = [pixel.red(), pixel.green(), pixel.blue()];
                let at = colours.iter().position(|known| *known == colour).unwrap_or_else(|| {
                    colours.push(colour);
                    colours.len() - 1
                });
                // Nothing is drawn in more than a handful of flat colours.
                byte |= u8::try_from(at).ok().filter(|at| *at < 16)? << shift;
            }
            rows.push(byte);
        }
    }
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_palette(colours.concat());
    encoder.write_header().ok()?.write_image_data(&rows).ok()?;
    Some(out)
}

/// As many bars as the level's mark has, then a gap. They lean exactly, pixel by pixel, so that they pack well.
fn tile(level: Option<Colour>) -> Option<Pixmap> {
    let ([r, g, b], ink, bars) = look(level);
    let (first, step, wide) = BARS;
    let mut tile = Pixmap::new(TILE, TILE)?;
    tile.fill(Color::from_rgba8(r, g, b, 255));
    let [r, g, b] = ink;
    let ink = Color::from_rgba8(r, g, b, 255).premultiply().to_color_u8();
    for (at, pixel) in (0..TILE * TILE).zip(tile.pixels_mut()) {
        let across = (at % TILE + at / TILE) % TILE;
        if (0..bars).any(|bar| (first + bar * step..first + bar * step + wide).contains(&across)) {
            *pixel = ink;
        }
    }
    Some(tile)
}

/// Flat colours without smooth edges: a picture goes to a million mailboxes, and few colours pack well.
fn paint([r, g, b]: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint { anti_alias: false, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(drawn: &Pixmap, [r, g, b]: [u8; 3]) -> f64 {
        let same = drawn.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) == (r, g, b)).count();
        same as f64 / drawn.pixels().len() as f64
    }

    #[test]
    fn an_area_is_marked_among_its_neighbours_and_nothing_has_no_picture() {
        let map = RegionMap::delta().unwrap();
        let qingpu = ["310118".parse().unwrap()];
        let mut bars = Vec::new();
        for level in Colour::ALL.map(Some) {
            let Picture(png) = draw(&map, &qingpu, level).unwrap();
            let drawn = Pixmap::decode_png(&png).unwrap();
            let (ground, ink, _) = look(level);
            assert_eq!(drawn.width(), WIDTH);
            assert!(share(&drawn, ground) > 0.02 && share(&drawn, LAND) > 0.4, "{level:?}");
            bars.push((share(&drawn, ink) * 100.0 / (share(&drawn, ink) + share(&drawn, ground))).round());
        }
        assert!(bars.is_sorted_by(|grave, less| grave > less), "the graver, the more bars: {bars:?}");
        assert_eq!(draw(&map, &[], None), None);
        assert_eq!(Scene::of(&map, Vec::new(), None), None);
    }

    #[test]
    fn a_picture_is_light_however_large_the_area() {
        let map = RegionMap::delta().unwrap();
        let all: Vec<RegionCode> = map.counties().map(|county| county.code.clone()).collect();
        let east: Vec<RegionCode> = all.iter().filter(|code| code.as_str().starts_with("33")).cloned().collect();
        for (name, regions) in [("county", vec!["310118".parse().unwrap()]), ("province", east), ("all", all)] {
            let Picture(png) = draw(&map, &regions, Some(Colour::Red)).unwrap();
            assert!(png.len() < 12_000, "{name}: {} bytes", png.len());
        }
    }
}
