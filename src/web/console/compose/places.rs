//! Lists of places as people paste them, and shapes as they draw them.

use crate::cap::{Circle, Point, Polygon};
use crate::regions::{Region, RegionCode, RegionMap};

/// What a form may hold.
pub(super) struct Limits {
    /// Words of the list of places.
    pub(super) places: usize,
    /// Outlines; as many circles.
    pub(super) outlines: usize,
    /// Corners that are read, of all outlines together.
    pub(super) corners: usize,
    /// Corners that an outline keeps: more says nothing that a county would notice.
    pub(super) thinned: usize,
}

/// What is over a limit is a fault: nothing is left out without a word.
pub(super) const LIMITS: Limits = Limits { places: 2_000, outlines: 50, corners: 100_000, thinned: 500 };

/// Outlines as they were typed.
#[derive(Default)]
pub(super) struct Outlines {
    pub(super) found: Vec<Polygon>,
    /// How many corners there were and are, of those that lost some.
    pub(super) thinned: Vec<(usize, usize)>,
    /// Lines that are none.
    pub(super) bad: Vec<String>,
    /// There are more of them, or more corners, than are read; then none is.
    pub(super) over: bool,
}

/// The regions of a pasted list, and what in it is none.
pub(super) fn regions<'a>(map: &'a RegionMap, text: &str) -> (Vec<&'a Region>, Vec<String>) {
    let (mut found, mut bad): (Vec<&Region>, Vec<String>) = (Vec::new(), Vec::new());
    let apart = |c: char| matches!(c, '\n' | '\t' | ',' | '，' | '、' | ';' | '；');
    let mut words: Vec<&str> = text.split(apart).map(str::trim).filter(|word| !word.is_empty()).collect();
    // A line without commas may hold several codes, or one English name of several words.
    if words.iter().any(|word| word.contains(' ')) {
        let known = |word: &&str| !named(map, word).is_empty();
        words =
            words.into_iter().flat_map(|w| if known(&w) { vec![w] } else { w.split_whitespace().collect() }).collect();
    }
    if words.len() > LIMITS.places {
        bad.push(format!("{} > {}", words.len(), LIMITS.places));
        words.truncate(LIMITS.places);
    }
    for word in words {
        match named(map, word).as_slice() {
            [one] => found.push(one),
            [] => bad.push(word.chars().take(40).collect()),
            several => {
                let codes: Vec<_> = several.iter().map(|region| region.code.to_string()).collect();
                bad.push(format!("{word}（{}）", codes.join(" / ")));
            }
        }
    }
    found.sort_by(|a, b| a.code.cmp(&b.code));
    found.dedup_by(|a, b| a.code == b.code);
    (found, bad)
}

/// The regions that a word names: a code, a name in either language, or a name without what kind of place it is.
pub(in crate::web::console) fn named<'a>(map: &'a RegionMap, word: &str) -> Vec<&'a Region> {
    // Twelve digits are a division with its villages: the county's six count.
    let digits = word.len() == 12 && word.bytes().all(|b| b.is_ascii_digit());
    let code = if digits { word.get(..6).unwrap_or(word) } else { word };
    if let Some(region) = code.parse::<RegionCode>().ok().and_then(|code| map.get(&code)) {
        return vec![region];
    }
    let is = |region: &&Region| region.name == word || region.name_en.eq_ignore_ascii_case(word);
    let named: Vec<_> = map.regions().filter(is).collect();
    if !named.is_empty() || word.chars().count() < 2 {
        return named;
    }
    let short = |region: &&Region| {
        ["省", "市", "区", "县"].iter().any(|end| region.name.strip_suffix(end) == Some(word))
            || region.name_en.rsplit_once(' ').is_some_and(|(name, _)| name.eq_ignore_ascii_case(word))
    };
    map.regions().filter(short).collect()
}

/// Outlines, one a line, thinned.
pub(super) fn polygons(text: &str) -> Outlines {
    let mut read = Outlines::default();
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().count() > LIMITS.outlines || text.split_whitespace().count() > LIMITS.corners {
        return Outlines { over: true, ..read };
    }
    for line in lines() {
        let corners: Option<Vec<Point>> = line.split_whitespace().map(point).collect();
        let Some(mut ring) = corners else {
            read.bad.push(line.chars().take(40).collect());
            continue;
        };
        if ring.first() == ring.last() {
            ring.pop();
        }
        let before = ring.len();
        let mut near = 0.000_5;
        while ring.len() > LIMITS.thinned {
            ring = thin(&ring, near);
            near *= 1.5;
        }
        if ring.len() < 3 {
            read.bad.push(line.chars().take(40).collect());
            continue;
        }
        if ring.len() < before {
            read.thinned.push((before, ring.len()));
        }
        ring.extend(ring.first().copied());
        read.found.push(Polygon { ring });
    }
    read
}

fn thin(ring: &[Point], near: f64) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for point in ring {
        let far = |last: &Point| (point.lat - last.lat).abs() + (point.lon - last.lon).abs() > near;
        if kept.last().is_none_or(far) {
            kept.push(*point);
        }
    }
    kept
}

/// Circles, one a line: `lat,lon radius`, the radius in kilometres; and the lines that are none, or one too many.
pub(super) fn circles(text: &str) -> (Vec<Circle>, Vec<String>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        if n == LIMITS.outlines {
            bad.push(format!("> {n}"));
            break;
        }
        let circle = line.split_once(char::is_whitespace).and_then(|(center, radius)| {
            let radius_km = radius.trim().parse::<f64>().ok().filter(|km| (0.1..=1_000.0).contains(km))?;
            Some(Circle { center: point(center)?, radius_km })
        });
        match circle {
            Some(circle) => found.push(circle),
            None => bad.push(line.chars().take(40).collect()),
        }
    }
    (found, bad)
}

fn point(text: &str) -> Option<Point> {
    let (lat, lon) = text.split_once(',')?;
    let (lat, lon) = (lat.trim().parse::<f64>().ok()?, lon.trim().parse::<f64>().ok()?);
    let good = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
    // Five places are a metre.
    let round = |degrees: f64| (degrees * 100_000.0).round() / 100_000.0;
    good.then(|| Point { lat: round(lat), lon: round(lon) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_list_names_the_bad_ones() {
        let map = RegionMap::delta().unwrap();
        let (found, bad) = regions(&map, "青浦区、320509000000\njiashan，Hangzhou Bay\n330000 鼓楼区; 亚特兰蒂斯");
        let codes: Vec<_> = found.iter().map(|r| r.code.as_str()).collect();
        assert_eq!(codes, ["310118", "320509", "330000", "330421", "HZB"]);
        assert_eq!(bad.len(), 2, "{bad:?}");
        assert!(bad[0].starts_with("鼓楼区（3201"), "named with the codes it could be: {bad:?}");
    }

    #[test]
    fn a_scribble_is_thinned_and_nonsense_is_named() {
        let ring: Vec<String> = (0..5_000)
            .map(|n| {
                let angle = f64::from(n) / 5_000.0 * std::f64::consts::TAU;
                format!("{},{}", 31.0 + angle.sin(), 121.0 + angle.cos())
            })
            .collect();
        let read = polygons(&format!("{}\nnonsense\n1,2 3,4\n91,0 1,1 2,2", ring.join(" ")));
        assert_eq!((read.found.len(), read.bad.len()), (1, 3));
        let kept = &read.found[0].ring;
        assert!(kept.len() <= LIMITS.thinned + 1 && kept.first() == kept.last());
        assert_eq!(read.thinned[0].0, 5_000);
        let (found, bad) = circles("31.2,121.5 20\n31.2,121.5 0\n31.2,121.5 x");
        assert_eq!((found.len(), bad.len()), (1, 2));
    }

    #[test]
    fn what_is_over_a_limit_is_said_and_never_left_out_in_silence() {
        let triangles = |n: usize| vec!["31,121 31,122 32,121"; n].join("\n");
        let most = polygons(&triangles(LIMITS.outlines));
        assert_eq!((most.found.len(), most.over), (LIMITS.outlines, false));
        let more = polygons(&triangles(LIMITS.outlines + 1));
        assert_eq!((more.found.len(), more.over), (0, true), "half an area is another area");
        let corners = |n: usize| vec!["31,121"; n].join(" ");
        assert!(!polygons(&corners(LIMITS.corners)).over && polygons(&corners(LIMITS.corners + 1)).over);
        let (found, bad) = circles(&vec!["31.2,121.5 20"; LIMITS.outlines + 1].join("\n"));
        assert_eq!((found.len(), bad.len()), (LIMITS.outlines, 1));
        let map = RegionMap::delta().unwrap();
        assert_eq!(regions(&map, &vec!["310118"; LIMITS.places + 1].join("\n")).1.len(), 1);
    }
}
