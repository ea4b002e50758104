//! China's dialect: identifiers, the three systems of event codes, and the one that is written.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};

use super::alert::{Alert, Info, NamedValue, Severity};
use super::finding::{Code, Finding};
use super::hazard::{Colour, Hazard};

/// Beijing time, east of Greenwich in seconds.
pub(super) const BEIJING: i32 = 8 * 3600;
/// The name under which a level's colour is written as a field of its own.
const COLOUR: &str = "colour";
/// The name under which a danger's national code is written.
const EVENT: &str = "GB/T 35965";

/// A danger's national event code, as it is written.
pub(crate) fn event_code(hazard: Hazard) -> Option<NamedValue> {
    hazard.national_code().map(|code| NamedValue { name: EVENT.into(), value: code.into() })
}

/// A level's colour as a field of its own, as it is written.
pub(crate) fn colour_field(colour: Colour) -> NamedValue {
    NamedValue { name: COLOUR.into(), value: colour.as_str().into() }
}

/// Whether a code is of one of China's three systems.
pub(super) fn is_code(code: &str) -> bool {
    EventCode::read(code).is_some()
}

/// An identifier of GB/T 35965: `ZZZZZZDDDUUUXX_YYYYMMDDhhmmss_N`; the last part is often left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NationalId {
    /// The issuer's division, six digits of GB/T 2260.
    pub area: String,
    /// The class of agency: 416 is the weather service.
    pub agency: String,
    /// The unit in that class, and two digits more.
    pub unit: String,
    /// When it was made, Beijing time.
    pub made: DateTime<FixedOffset>,
    /// Which of that second's.
    pub serial: Option<u8>,
}

impl NationalId {
    /// An identifier of an issuer's division and its class, unit and extension, eight digits; `nth` is which of that second's, by its
    /// last digit. None for a place that is no division.
    pub(crate) fn write(area: &str, issuer: &str, at: DateTime<Utc>, nth: i64) -> Option<String> {
        let at = at.with_timezone(&FixedOffset::east_opt(BEIJING)?);
        let identifier = format!("{area}{issuer}_{}_{}", at.format("%Y%m%d%H%M%S"), nth.rem_euclid(10));
        Self::read(&identifier).map(|_| identifier)
    }

    /// The parts of an identifier; None if it is not written so.
    pub fn read(identifier: &str) -> Option<Self> {
        let mut parts = identifier.split('_');
        let (issuer, time, serial) = (parts.next()?, parts.next()?, parts.next());
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !digits(issuer, 14) || !digits(time, 14) {
            return None;
        }
        let serial = match serial {
            Some(one) if digits(one, 1) => Some(one.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        let made = NaiveDateTime::parse_from_str(time, "%Y%m%d%H%M%S").ok()?;
        Some(Self {
            area: issuer.get(..6)?.to_owned(),
            agency: issuer.get(6..9)?.to_owned(),
            unit: issuer.get(9..)?.to_owned(),
            made: made.and_local_timezone(FixedOffset::east_opt(BEIJING)?).single()?,
            serial,
        })
    }
}

/// What an event code says, in whichever of the three systems it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventCode {
    /// Read as the national list or as a picture's name.
    pub(super) meant: Option<Hazard>,
    /// Read as a news service's list of fourteen, which is written like the national one.
    pub(super) listed: Option<Hazard>,
    /// The level in it.
    pub(super) colour: Option<Colour>,
}

/// The news service's list, 1 to 14.
const LIST: [Hazard; 14] = [
    Hazard::Typhoon,
    Hazard::Rainstorm,
    Hazard::Snowstorm,
    Hazard::ColdWave,
    Hazard::Gale,
    Hazard::Sandstorm,
    Hazard::Heat,
    Hazard::Drought,
    Hazard::Lightning,
    Hazard::Hail,
    Hazard::Frost,
    Hazard::Fog,
    Hazard::Haze,
    Hazard::RoadIcing,
];

/// The weather service's map: the first eleven in the order of its regulation of 2004, then those that were seen.
const PICTURES: [(&str, Hazard); 17] = [
    ("0001", Hazard::Typhoon),
    ("0002", Hazard::Rainstorm),
    ("0003", Hazard::Heat),
    ("0004", Hazard::ColdWave),
    ("0005", Hazard::Fog),
    ("0006", Hazard::ThunderGale),
    ("0007", Hazard::Gale),
    ("0008", Hazard::Sandstorm),
    ("0009", Hazard::Hail),
    ("0010", Hazard::Snowstorm),
    ("0011", Hazard::RoadIcing),
    ("0012", Hazard::Lightning),
    ("0013", Hazard::Frost),
    ("0015", Hazard::ThunderGale),
    ("0021", Hazard::Geological),
    ("0024", Hazard::MountainFlood),
    ("0042", Hazard::ThunderGale),
];

/// National codes of kinds that have another code too.
const ALSO: [(&str, Hazard); 2] = [("11B24", Hazard::Heat), ("11B52", Hazard::ThunderGale)];

impl EventCode {
    /// Reads a code; None if it is of none of the three systems.
    pub(super) fn read(code: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if let Some(picture) = code.strip_prefix('p').filter(|rest| rest.len() == 7 && digits(rest)) {
            // One red to four blue; `p0000001` names no kind.
            let colour = match picture.as_bytes().last()? {
                b'1' => Some(Colour::Red),
                b'2' => Some(Colour::Orange),
                b'3' => Some(Colour::Yellow),
                b'4' => Some(Colour::Blue),
                _ => None,
            };
            let kind = picture.get(..4)?;
            let meant = PICTURES.iter().find(|(known, _)| *known == kind).map(|(_, hazard)| *hazard);
            return Some(Self { meant, listed: None, colour });
        }
        let number = code.strip_prefix("11B").or_else(|| code.strip_prefix("11E"))?;
        if !matches!(number.len(), 2 | 4) || !digits(number) {
            return None;
        }
        // One blue to four red: the other way round.
        let colour = match number.get(2..)? {
            "01" => Some(Colour::Blue),
            "02" => Some(Colour::Yellow),
            "03" => Some(Colour::Orange),
            "04" => Some(Colour::Red),
            _ => None,
        };
        let kind = code.get(..5)?;
        let also = || ALSO.iter().find(|(known, _)| *known == kind).map(|(_, hazard)| *hazard);
        let place: usize = number.get(..2)?.parse().ok()?;
        let listed = code.starts_with("11B").then(|| LIST.get(place.checked_sub(1)?).copied()).flatten();
        Some(Self { meant: Hazard::of_national_code(kind).or_else(also), listed, colour })
    }
}

/// What a title and a code that disagree have to be told about. The title counts.
pub(super) fn check(alert: &Alert, findings: &mut Vec<Finding>) {
    for (n, info) in (1..).zip(&alert.infos) {
        let path = |part: &str| format!("alert/info[{n}]/{part}");
        let titled = Colour::of_words(info);
        if let Some(colour) = titled
            && info.severity != Severity::Unknown
            && info.severity != colour.severity()
            && !alert.is_the_end()
        {
            let detail = format!("{} / {}", colour.as_str(), info.severity);
            findings.push(Finding::new(Code::ColourDisagrees, path("severity"), detail));
        }
        let Some(said) = Hazard::of_words(info) else { continue };
        for (code, read) in
            info.event_codes.iter().filter_map(|pair| Some((&pair.value, EventCode::read(&pair.value)?)))
        {
            let found = match (read.meant, read.listed) {
                (Some(meant), _) if meant == said => continue,
                (_, Some(listed)) if listed == said => Code::ListNumbering,
                (Some(_), _) => Code::EventDisagrees,
                (None, _) => continue,
            };
            findings.push(Finding::new(found, path("eventCode"), format!("{code} / {}", said.name_zh())));
        }
    }
}

/// The info as it is written: one code of one system, the colour a field of its own. Infos of other dialects stay as they are.
pub(super) fn written(info: &Info) -> Info {
    let mut info = info.clone();
    let hazard = Hazard::of(&info);
    let speaks = info.event_codes.iter().any(|pair| EventCode::read(&pair.value).is_some());
    if !speaks {
        return info;
    }
    let colour = Colour::of(&info);
    let mut seen = BTreeSet::new();
    let codes = std::mem::take(&mut info.event_codes);
    info.event_codes = codes
        .into_iter()
        .filter_map(|pair| match EventCode::read(&pair.value) {
            None => Some(pair),
            // A private number, or a picture without a kind, is nobody's code.
            Some(_) => hazard.national_code().map(|code| NamedValue { name: pair.name, value: code.to_owned() }),
        })
        .filter(|pair| seen.insert((pair.name.clone(), pair.value.clone())))
        .collect();
    let named = |pair: &NamedValue| Colour::is_parameter(&pair.name);
    if let Some(colour) = colour.filter(|_| !info.parameters.iter().any(named)) {
        info.parameters.push(colour_field(colour));
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fall_into_their_parts() {
        let whole = NationalId::read("31010141600000_20220914194500_2").unwrap();
        assert_eq!((whole.area.as_str(), whole.agency.as_str(), whole.unit.as_str()), ("310101", "416", "00000"));
        assert_eq!((whole.made.to_rfc3339().as_str(), whole.serial), ("2022-09-14T19:45:00+08:00", Some(2)));
        assert_eq!(NationalId::read("31000041600000_20250811152835").unwrap().serial, None);
        for bad in [
            "",
            "31000041600000",
            "3100004160000_20250811152835",
            "31000041600000_20251311152835",
            "31000041600000_20250811152835_12",
            "31000041600000_20250811152835_1_1",
            "3100004160000x_20250811152835",
            "三一000041600_20250811152835",
        ] {
            assert_eq!(NationalId::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn identifiers_are_written_as_they_are_read() {
        let at = "2022-09-14T11:45:00.730Z".parse().unwrap();
        let written = NationalId::write("310000", "41600000", at, 1_427).unwrap();
        assert_eq!((written.as_str(), written.len()), ("31000041600000_20220914194500_7", 31));
        for (area, issuer) in [("HZB", "41600000"), ("310000", "416"), ("310000", "x1600000")] {
            assert_eq!(NationalId::write(area, issuer, at, 0), None, "{area} {issuer}");
        }
    }

    #[test]
    fn one_system_is_written_and_the_colour_beside_it() {
        let text = include_str!("../../tests/cases/cap/qingpu-typhoon-red.xml");
        for (code, wanted) in [("11B01", "11B01"), ("p0001001", "11B01"), ("11B0104", "11B01"), ("11B77", "11B01")] {
            let alert = crate::cap::read(text.replace("11B01", code).as_bytes()).alert.unwrap();
            let written = crate::cap::write(&alert).unwrap();
            let back = crate::cap::read(written.as_bytes()).alert.unwrap();
            for info in &back.infos {
                assert_eq!(info.event_codes.iter().map(|pair| pair.value.as_str()).collect::<Vec<_>>(), [wanted]);
                let colour = NamedValue { name: "colour".into(), value: "red".into() };
                assert_eq!(info.parameters, [colour], "once, however often it is written");
            }
            assert_eq!(crate::cap::write(&back).unwrap(), written);
        }
        let other = crate::cap::read(text.replace("11B01", "TOR").as_bytes()).alert.unwrap();
        assert_eq!(written(&other.infos[0]), other.infos[0], "other dialects stay as they are");
    }

    #[test]
    fn three_systems_are_read_and_their_colours_run_opposite_ways() {
        let read = |code| EventCode::read(code).map(|code| (code.meant, code.listed, code.colour));
        assert_eq!(read("11B0304"), Some((Some(Hazard::Rainstorm), Some(Hazard::Snowstorm), Some(Colour::Red))));
        assert_eq!(read("11B03"), Some((Some(Hazard::Rainstorm), Some(Hazard::Snowstorm), None)));
        assert_eq!(read("p0002001"), Some((Some(Hazard::Rainstorm), None, Some(Colour::Red))));
        assert_eq!(read("p0007003"), Some((Some(Hazard::Gale), None, Some(Colour::Yellow))));
        assert_eq!(read("p0000003"), Some((None, None, Some(Colour::Yellow))), "a level without a kind");
        assert_eq!(read("11B02"), Some((None, Some(Hazard::Rainstorm), None)), "the list alone has this number");
        assert_eq!(read("11E02"), Some((Some(Hazard::StormSurge), None, None)), "marine numbers are national only");
        assert_eq!(read("11B52"), Some((Some(Hazard::ThunderGale), None, None)));
        assert_eq!(read("11B99"), Some((None, None, None)), "a private number");
        for other in ["TOR", "11B", "11B3", "p000", "p00020031", "OET-013", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
