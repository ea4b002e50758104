use std::collections::BTreeMap;
use std::fmt::Write;

use super::{LEVELS, Look, Shade, View, look};
use crate::regions::{RegionCode, RegionMap};

/// What one small square of the picture shows.
#[derive(Clone, Copy, PartialEq)]
enum Square {
    Sea,
    Land,
    Told(Shade),
}

/// Land without a warning in the terminal's palette.
const LAND: u8 = 250;

/// Draws the counties `width` columns wide (10 to 300), with a heading before and a legend after, each line ended by a
/// line feed. With `colour` two squares share a character cell, by half blocks in ANSI colours (palette of 256); without, a
/// letter stands for each level, in lower case where fewer than half were told. What is smaller than a cell shows if it is
/// the gravest there.
pub fn terminal(map: &RegionMap, shade: &BTreeMap<RegionCode, Shade>, width: usize, colour: bool) -> String {
    let columns = u32::try_from(width.clamp(10, 300)).unwrap_or(300);
    let mut text = String::from("演练 EXERCISE  预警发布图 Where the warnings went\n\n");
    let Some(view) = View::of(map, f64::from(columns)) else { return text };
    let square = |column: u32, row: u32, height: f64| {
        square(map, shade, &view, (f64::from(column), f64::from(row) * height), height)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a map's height over its width is small"
    )]
    let rows = (view.height / 2.0).ceil() as u32;
    for row in 0..rows {
        let mut line = String::new();
        for column in 0..columns {
            if colour {
                cell(&mut line, square(column, row * 2, 1.0), square(column, row * 2 + 1, 1.0));
            } else {
                line.push(letter(square(column, row, 2.0)));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    legend(&mut text, map, shade, colour);
    text
}

/// The gravest of four samples in the square whose upper left corner is at `corner`, one unit wide.
fn square(
    map: &RegionMap,
    shade: &BTreeMap<RegionCode, Shade>,
    view: &View,
    corner: (f64, f64),
    height: f64,
) -> Square {
    let samples = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)].map(|(x, y)| {
        let county = map.county_at(view.point(corner.0 + x, corner.1 + y * height));
        county.map(|county| shade.get(&county.code).map_or(Square::Land, |shade| Square::Told(*shade)))
    });
    let told = samples.iter().flatten().filter_map(|square| match square {
        Square::Told(shade) => Some(*shade),
        Square::Sea | Square::Land => None,
    });
    let gravest = told.min_by_key(|shade| (shade.level.is_none(), shade.level));
    match gravest {
        Some(shade) => Square::Told(shade),
        None if samples.iter().flatten().count() >= 2 => Square::Land,
        None => Square::Sea,
    }
}

fn letter(square: Square) -> char {
    match square {
        Square::Sea => ' ',
        Square::Land => '.',
        Square::Told(shade) if shade.is_faint() => look(shade.level).letter.to_ascii_lowercase(),
        Square::Told(shade) => look(shade.level).letter,
    }
}

/// The square's number in the terminal's palette; None where the ground shows through.
fn ansi(square: Square) -> Option<u8> {
    match square {
        Square::Sea => None,
        Square::Land => Some(LAND),
        Square::Told(shade) => {
            let [full, faint] = look(shade.level).ansi;
            Some(if shade.is_faint() { faint } else { full })
        }
    }
}

fn cell(line: &mut String, upper: Square, lower: Square) {
    match (ansi(upper), ansi(lower)) {
        (None, None) => line.push(' '),
        (Some(one), None) => paint(line, &format!("38;5;{one}"), '▀'),
        (None, Some(one)) => paint(line, &format!("38;5;{one}"), '▄'),
        (Some(one), Some(two)) => paint(line, &format!("38;5;{one};48;5;{two}"), '▀'),
    }
}

fn paint(line: &mut String, codes: &str, mark: char) {
    line.push_str("\u{1b}[");
    line.push_str(codes);
    line.push('m');
    line.push(mark);
    line.push_str("\u{1b}[0m");
}

/// One line a level that occurs, with its counties and the one where the fewest were told.
fn legend(text: &mut String, map: &RegionMap, shade: &BTreeMap<RegionCode, Shade>, colour: bool) {
    for level in LEVELS {
        let counties = shade.iter().filter(|(_, shade)| shade.level == level);
        let Some((least, fewest)) = counties.clone().min_by(|a, b| a.1.share_told.total_cmp(&b.1.share_told)) else {
            continue;
        };
        let Look { zh, en, letter, ansi: [full, _], .. } = look(level);
        let mut mark = String::new();
        if colour {
            paint(&mut mark, &format!("38;5;{full}"), '█');
        }
        let name = map.get(least).map_or("", |region| &region.name);
        let (count, percent) = (counties.count(), fewest.share_told * 100.0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{mark}{letter} {zh} {en}: {count} 县区 counties; 送达最少 least told {percent:.1} % ({name})"
        );
    }
    let faint = if colour { "浅色 pale" } else { "小写 lower case" };
    let _ = writeln!(text, "{faint}: 不足半数 fewer than half told");
}

#[cfg(test)]
mod tests {
    use super::super::tests::{delta, shades};
    use super::*;

    #[test]
    fn letters_show_the_levels_without_colour() {
        let text = terminal(&delta(), &shades(), 60, false);
        assert!(!text.contains('\u{1b}'));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn colours_come_with_letters_and_are_ended() {
        let text = terminal(&delta(), &shades(), 60, true);
        assert_eq!(text.matches("\u{1b}[0m").count() * 2, text.matches('\u{1b}').count());
        for words in ["R 红色 Red: 16", "O 橙色 Orange", "B 蓝色 Blue", "A 解除 All clear"] {
            assert!(text.contains(words), "{words}");
        }
    }

    #[test]
    fn a_width_that_makes_no_sense_is_brought_into_bounds() {
        for width in [0, usize::MAX] {
            let text = terminal(&delta(), &BTreeMap::new(), width, false);
            assert!(text.lines().all(|line| line.chars().count() <= 300));
        }
    }
}
