//! How a text travels: GSM-7 or UCS-2, and in how many parts. 3GPP TS 23.038 and 23.040.

/// How a text is encoded on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The GSM default alphabet: 160 septets, or 153 a part.
    Gsm7,
    /// UTF-16: 70 units, or 67 a part.
    Ucs2,
}

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Characters that cost two septets.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The encoding that a text needs.
pub fn encoding(text: &str) -> Encoding {
    if text.chars().all(|c| BASIC.contains(c) || EXTENDED.contains(c)) { Encoding::Gsm7 } else { Encoding::Ucs2 }
}

/// In how many parts a text travels; 0 for an empty one. A part never ends inside a character.
pub fn parts(text: &str) -> u32 {
    let encoding = encoding(text);
    let cost = |c: char| match encoding {
        Encoding::Gsm7 => 1 + u32::from(EXTENDED.contains(c)),
        Encoding::Ucs2 => u32::try_from(c.len_utf16()).unwrap_or(2),
    };
    let (alone, part) = match encoding {
        Encoding::Gsm7 => (160, 153),
        Encoding::Ucs2 => (70, 67),
    };
    let whole: u32 = text.chars().map(cost).sum();
    if whole <= alone {
        return u32::from(whole > 0);
    }
    let (mut parts, mut used) = (1, 0);
    for cost in text.chars().map(cost) {
        if used + cost > part {
            parts += 1;
            used = 0;
        }
        used += cost;
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_counted_as_operators_count_them() {
        for (text, want) in [
            (String::new(), 0),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("{".repeat(80), 1),
            ("{".repeat(81), 2),
            // 76 braces are 152 septets: the 77th does not fit in a part of 153.
            ("{".repeat(153), 3),
            ("台".repeat(70), 1),
            ("台".repeat(71), 2),
            ("台".repeat(134), 2),
            ("台".repeat(135), 3),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            // 33 pairs are 66 units: the 34th is not cut in two.
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(parts(&text), want, "{} x {}", text.chars().count(), text.chars().next().unwrap_or(' '));
        }
        assert_eq!(encoding("Gale 10 m/s [red] €5"), Encoding::Gsm7);
        assert_eq!(encoding("Gale “red”"), Encoding::Ucs2);
    }

    proptest! {
        #[test]
        fn a_longer_text_never_takes_fewer_parts(text in "[a-z{}台😀]{0,200}", more in "[a-z]{1,50}") {
            let longer = format!("{text}{more}");
            prop_assert!(parts(&longer) >= parts(&text));
        }
    }
}
