//! A text as a picture that a phone's camera reads, made here: an authenticator's secret is told to nobody else.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// White around it, in squares, as the standard asks.
const MARGIN: i32 = 4;

/// The path of the dark squares, as SVG writes it, and the side of the whole. None for a text that is too long.
pub(super) fn picture(text: &str) -> Option<(String, i32)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for (x, y) in (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y))) {
        if code.get_module(x, y) {
            write!(path, "M{},{}h1v1h-1z", x + MARGIN, y + MARGIN).ok()?;
        }
    }
    Some((path, code.size() + 2 * MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_three_marks_by_which_a_camera_finds_it_and_white_around_it() {
        let (path, side) =
            picture("otpauth://totp/Tocsin:li?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Tocsin").unwrap();
        let dark = |x: i32, y: i32| path.contains(&format!("M{x},{y}h1v1h-1z"));
        let far = side - MARGIN - 7;
        for (left, top) in [(MARGIN, MARGIN), (far, MARGIN), (MARGIN, far)] {
            for (x, y) in (0..7).flat_map(|y| (0..7).map(move |x| (x, y))) {
                let ring = [x, y].iter().any(|n| *n == 0 || *n == 6);
                let heart = [x, y].iter().all(|n| (2..=4).contains(n));
                assert_eq!(dark(left + x, top + y), ring || heart, "{left} {top}: {x} {y}");
            }
        }
        assert!((0..side).all(|n| !dark(n, MARGIN - 1) && !dark(MARGIN - 1, n) && !dark(n, side - MARGIN)));
        assert!(picture(&"x".repeat(5_000)).is_none());
    }
}
