//! The closed set of checks that profiles choose from.

use chrono::TimeDelta;
use serde::Deserialize;

use super::flag::{Flag, layers};
use crate::cap::alert::{Alert, Area, Certainty, Info, MsgType, NamedValue, ResponseType, Severity, Urgency};
use crate::cap::china::{BEIJING, NationalId};
use crate::cap::finding::{Code, Finding};
use crate::cap::hazard::Colour;

/// A check, with what it measures by.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(super) enum Check {
    /// A finding of the standard's checks counts more here.
    Finding {
        /// Its number.
        number: u16,
    },
    /// Elements that each info, or each area, has.
    Element {
        /// Their names.
        names: Vec<Part>,
    },
    /// One of the alert's `code` elements says the profile's name.
    Code {
        /// Its spellings.
        one_of: Vec<String>,
    },
    /// Each area has a code of one of these lists.
    Geocode(Values),
    /// Each info has a code of one of these lists.
    EventCode(Values),
    /// Texts are no longer than so many characters.
    Longest {
        /// Which text.
        text: Part,
        /// Of a parameter: its name.
        #[serde(default)]
        name: String,
        /// How many characters.
        chars: usize,
    },
    /// Headline, description and instruction say different things.
    DifferentTexts,
    /// Urgency, severity and certainty are known.
    KnownGrades,
    /// Coordinates have no more decimals.
    Decimals {
        /// So many.
        max: usize,
    },
    /// A Cancel has no `effective`.
    NoEffectiveOnCancel,
    /// There is an info in each of these languages.
    Languages {
        /// Primary tags.
        all: Vec<String>,
    },
    /// An all-clear ends within so many hours.
    ShortAllClear {
        /// So many.
        hours: i64,
    },
    /// The identifier begins so.
    Identifier {
        /// With one of these.
        begins: Vec<String>,
    },
    /// Event terms of OASIS are named `OET:v1.2`.
    OasisTerms,
    /// Each info has this parameter.
    Parameter {
        /// Its name.
        name: String,
    },
    /// Elements that the profile's readers pass over.
    Ignored {
        /// Their names.
        names: Vec<Part>,
    },
    /// The identifier is China's 31 characters.
    NationalId,
    /// All times are in Beijing's.
    BeijingTime,
    /// The level's colour is named.
    Colour,
    /// What speaks to people has an info.
    Info,
    /// Each area has a polygon or circle.
    Shape,
    /// A parameter is used as the profile says.
    Flag(Flag),
    /// Values that begin with `layer:` name their layer.
    LayerNames,
    /// Layers are told.
    Layers,
}

/// Elements that checks name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Part {
    Audience,
    ResponseType,
    Effective,
    Onset,
    Expires,
    SenderName,
    Headline,
    Description,
    Instruction,
    Web,
    Contact,
    AreaDesc,
    Parameter,
}

/// Lists of codes, and how their values are written.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Values {
    /// The lists' names; a name that ends in `*` stands for all that begin so.
    names: Vec<String>,
    /// Of these lists any value will do.
    #[serde(default)]
    free: Vec<String>,
    /// Values are digits, so many of them: any of these.
    #[serde(default)]
    digits: Vec<usize>,
    /// Values are letters, so many of them.
    #[serde(default)]
    letters: Vec<usize>,
    /// There is exactly one.
    #[serde(default)]
    once: bool,
}

impl Values {
    /// Whether the pairs hold what is wanted.
    fn hold(&self, pairs: &[NamedValue]) -> bool {
        let listed = |pair: &&NamedValue| {
            self.names.iter().any(|name| match name.strip_suffix('*') {
                Some(head) => pair.name.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head)),
                None => pair.name.eq_ignore_ascii_case(name),
            })
        };
        let plain = self.digits.is_empty() && self.letters.is_empty();
        let written = |pair: &&NamedValue| {
            let (length, value) = (pair.value.len(), pair.value.as_bytes());
            let free = plain || self.free.iter().any(|name| pair.name.eq_ignore_ascii_case(name));
            free || (self.digits.contains(&length) && value.iter().all(u8::is_ascii_digit))
                || (self.letters.contains(&length) && value.iter().all(u8::is_ascii_uppercase))
        };
        let found: Vec<_> = pairs.iter().filter(listed).collect();
        let enough = if self.once { found.len() == 1 } else { !found.is_empty() };
        enough && found.iter().all(written)
    }

    fn wanted(&self) -> String {
        let count = |what: &str, lengths: &[usize]| match lengths {
            [] => String::new(),
            some => format!(" ({} {what})", some.iter().map(usize::to_string).collect::<Vec<_>>().join("/")),
        };
        format!("{}{}{}", self.names.join(" | "), count("digits", &self.digits), count("letters", &self.letters))
    }
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Audience => "audience",
            Self::ResponseType => "responseType",
            Self::Effective => "effective",
            Self::Onset => "onset",
            Self::Expires => "expires",
            Self::SenderName => "senderName",
            Self::Headline => "headline",
            Self::Description => "description",
            Self::Instruction => "instruction",
            Self::Web => "web",
            Self::Contact => "contact",
            Self::AreaDesc => "areaDesc",
            Self::Parameter => "parameter",
        }
    }

    fn is_in(self, info: &Info) -> bool {
        match self {
            Self::ResponseType => !info.response_types.is_empty(),
            Self::Effective => info.effective.is_some(),
            Self::Onset => info.onset.is_some(),
            Self::Expires => info.expires.is_some(),
            Self::AreaDesc => !info.areas.is_empty() && info.areas.iter().all(|area| !area.description.is_empty()),
            Self::Parameter => !info.parameters.is_empty(),
            text => !text.texts(info, "").is_empty(),
        }
    }

    /// The texts of the element; of parameters, those of a name.
    fn texts<'a>(self, info: &'a Info, name: &str) -> Vec<&'a str> {
        match self {
            Self::Audience => info.audience.as_deref().into_iter().collect(),
            Self::SenderName => info.sender_name.as_deref().into_iter().collect(),
            Self::Headline => info.headline.as_deref().into_iter().collect(),
            Self::Description => info.description.as_deref().into_iter().collect(),
            Self::Instruction => info.instruction.as_deref().into_iter().collect(),
            Self::Web => info.web.as_deref().into_iter().collect(),
            Self::Contact => info.contact.as_deref().into_iter().collect(),
            Self::AreaDesc => info.areas.iter().map(|area| area.description.as_str()).collect(),
            Self::Parameter => info.parameters.iter().filter(|p| p.name == name).map(|p| p.value.as_str()).collect(),
            Self::ResponseType | Self::Effective | Self::Onset | Self::Expires => Vec::new(),
        }
    }
}

impl Check {
    /// Says what it finds.
    pub(super) fn run(&self, alert: &Alert, mut add: impl FnMut(Finding)) {
        match self {
            Self::Code { one_of } if !alert.codes.iter().any(|code| one_of.contains(code)) => {
                add(Finding::new(Code::ProfileCode, "alert/code", one_of.join(" | ")));
            }
            Self::Languages { all } => {
                for tag in all.iter().filter(|tag| !alert.infos.iter().any(|info| speaks(info, tag))) {
                    add(Finding::new(Code::ProfileLanguage, "alert", tag));
                }
            }
            Self::Identifier { begins } if !begins.iter().any(|start| alert.identifier.starts_with(start)) => {
                add(Finding::new(Code::ProfileIdentifier, "alert/identifier", &alert.identifier));
            }
            Self::NationalId if NationalId::read(&alert.identifier).is_none() => {
                add(Finding::new(Code::NotNationalId, "alert/identifier", &alert.identifier));
            }
            Self::BeijingTime if alert.sent.offset().local_minus_utc() != BEIJING => {
                add(Finding::new(Code::NotBeijing, "alert/sent", alert.sent.to_rfc3339()));
            }
            Self::Info if alert.infos.is_empty() && !matches!(alert.msg_type, MsgType::Ack | MsgType::Error) => {
                add(Finding::new(Code::ProfileElement, "alert", "info"));
            }
            Self::Flag(flag) => flag.run(alert, &mut add),
            _ => {}
        }
        for (n, info) in (1..).zip(&alert.infos) {
            self.run_info(alert, info, &mut |code, part, detail| {
                add(Finding::new(code, format!("alert/info[{n}]{part}"), detail));
            });
        }
    }

    fn run_info(&self, alert: &Alert, info: &Info, find: &mut dyn FnMut(Code, &str, &str)) {
        match self {
            Self::Element { names } => {
                for part in names.iter().filter(|part| !part.is_in(info)) {
                    find(Code::ProfileElement, "", part.as_str());
                }
            }
            Self::Ignored { names } => {
                for part in names.iter().filter(|part| part.is_in(info)) {
                    find(Code::Ignored, "", part.as_str());
                }
            }
            Self::Geocode(values) => {
                for (n, _) in (1..).zip(&info.areas).filter(|(_, area)| !values.hold(&area.geocodes)) {
                    find(Code::ProfileGeocode, &format!("/area[{n}]"), &values.wanted());
                }
            }
            Self::EventCode(values) if !values.hold(&info.event_codes) => {
                find(Code::ProfileEventCode, "/eventCode", &values.wanted());
            }
            Self::Longest { text, name, chars } => {
                for long in text.texts(info, name).iter().map(|text| text.chars().count()).filter(|n| n > chars) {
                    find(Code::TooLong, &format!("/{}", text.as_str()), &format!("{name} {long} > {chars}"));
                }
            }
            Self::DifferentTexts => different(info, find),
            Self::KnownGrades => unknown(info, find),
            Self::Decimals { max } => decimals(info, *max, find),
            Self::NoEffectiveOnCancel if alert.msg_type == MsgType::Cancel && info.effective.is_some() => {
                find(Code::EffectiveOnCancel, "/effective", "");
            }
            Self::ShortAllClear { hours } if info.response_types.contains(&ResponseType::AllClear) => {
                let long = info.expires.is_none_or(|end| end - alert.sent > TimeDelta::hours(*hours));
                if long {
                    find(Code::LongAllClear, "/expires", &hours.to_string());
                }
            }
            Self::OasisTerms => {
                let meant = |name: &str| {
                    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                    let plain = plain.to_ascii_lowercase();
                    plain.starts_with("oet") || plain.contains("oasisevent")
                };
                for code in info.event_codes.iter().filter(|code| meant(&code.name) && code.name != "OET:v1.2") {
                    find(Code::OasisTerms, "/eventCode", &code.name);
                }
            }
            Self::Parameter { name } if !info.parameters.iter().any(|parameter| parameter.name == *name) => {
                find(Code::ProfileParameter, "/parameter", name);
            }
            Self::BeijingTime => {
                let times = [("/effective", info.effective), ("/onset", info.onset), ("/expires", info.expires)];
                for (part, time) in times.into_iter().filter_map(|(part, time)| Some((part, time?))) {
                    if time.offset().local_minus_utc() != BEIJING {
                        find(Code::NotBeijing, part, &time.to_rfc3339());
                    }
                }
            }
            Self::Colour if Colour::of(info).is_none() => find(Code::NoColour, "", ""),
            Self::Shape => {
                let bare = |area: &Area| area.polygons.is_empty() && area.circles.is_empty();
                for (n, _) in (1..).zip(&info.areas).filter(|(_, area)| bare(area)) {
                    find(Code::ProfileElement, &format!("/area[{n}]"), "polygon | circle");
                }
            }
            Self::LayerNames => {
                for name in layers(info).1 {
                    find(Code::ProfileFlag, "/parameter", &format!("{name}, layer:OWNER:VERSION:NAME"));
                }
            }
            Self::Layers => {
                let named: Vec<&str> = layers(info).0.into_iter().collect();
                if !named.is_empty() {
                    find(Code::Layers, "", &named.join(", "));
                }
            }
            _ => {}
        }
    }
}

fn speaks(info: &Info, tag: &str) -> bool {
    info.language.split(['-', '_']).next().is_some_and(|primary| primary.eq_ignore_ascii_case(tag))
}

fn different(info: &Info, find: &mut dyn FnMut(Code, &str, &str)) {
    let texts = [("headline", &info.headline), ("description", &info.description), ("instruction", &info.instruction)];
    for (n, (name, text)) in texts.iter().enumerate() {
        for (other, same) in texts.iter().take(n) {
            if text.is_some() && text == same {
                find(Code::SameText, &format!("/{name}"), other);
            }
        }
    }
}

fn unknown(info: &Info, find: &mut dyn FnMut(Code, &str, &str)) {
    let grades = [
        ("/urgency", info.urgency == Urgency::Unknown),
        ("/severity", info.severity == Severity::Unknown),
        ("/certainty", info.certainty == Certainty::Unknown),
    ];
    for (part, _) in grades.iter().filter(|(_, unknown)| *unknown) {
        find(Code::UnknownGrade, part, "");
    }
}

fn decimals(info: &Info, max: usize, find: &mut dyn FnMut(Code, &str, &str)) {
    let fine = |degrees: f64| degrees.to_string().split_once('.').is_some_and(|(_, tail)| tail.len() > max);
    for (n, area) in (1..).zip(&info.areas) {
        let points = area.polygons.iter().flat_map(|polygon| &polygon.ring);
        let points = points.chain(area.circles.iter().map(|circle| &circle.center));
        if let Some(point) = points.into_iter().find(|point| fine(point.lat) || fine(point.lon)) {
            find(Code::FineCoordinates, &format!("/area[{n}]"), &format!("{},{}", point.lat, point.lon));
        }
    }
}
