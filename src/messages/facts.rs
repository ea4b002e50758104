//! Everything that a template may say, in one language: plain facts, no markup, nothing about the reader.

use chrono::{DateTime, Datelike as _, FixedOffset, Timelike as _};

use super::language::Language;
use crate::cap::{Alert, AlertId, Colour, Hazard, Info, MsgType, Severity, Status};

/// An alert as it is told in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Our id of the alert.
    pub alert: AlertId,
    /// The first alert of its event: messages of one event replace each other.
    pub event_key: String,
    /// The language.
    pub language: Language,
    /// A drill: every message says so first.
    pub exercise: bool,
    /// An Update, not a first warning.
    pub update: bool,
    /// CAP msgType.
    pub msg_type: MsgType,
    /// CAP status.
    pub status: Status,
    /// The issuer's name.
    pub issuer: String,
    /// The danger.
    pub hazard: Hazard,
    /// The level.
    pub colour: Option<Colour>,
    /// CAP severity.
    pub severity: Severity,
    /// In this language, or made of hazard, level and issuer.
    pub headline: String,
    /// In this language, or the alert's own.
    pub description: String,
    /// In this language, or empty.
    pub instruction: String,
    /// The alert's own words for the area.
    pub area: String,
    /// The matched places.
    pub places: Vec<String>,
    /// When it was issued.
    pub sent: DateTime<FixedOffset>,
    /// When the danger begins.
    pub onset: Option<DateTime<FixedOffset>>,
    /// When the warning ends.
    pub expires: Option<DateTime<FixedOffset>>,
    /// A page about it.
    pub web: String,
    /// Whether there is a map of where, for mails that warn.
    pub picture: bool,
}

impl Facts {
    /// What there is to say of an alert. `event_key` is the first alert of its chain.
    pub fn of(alert: &Alert, event_key: &str, places: Vec<String>, language: Language) -> Self {
        let own = alert.infos.iter().filter(|info| Language::of_tag(&info.language) == Some(language));
        let own = own.min_by_key(|info| info.severity);
        let info = own.or_else(|| alert.infos.iter().min_by_key(|info| info.severity));
        let (hazard, colour) = (Hazard::of_alert(alert), Colour::of_alert(alert));
        let text = |get: fn(&Info) -> Option<&String>| info.and_then(get).map(|text| clean(text)).unwrap_or_default();
        let issuer = info.and_then(|info| info.sender_name.clone()).unwrap_or_else(|| alert.sender.clone());
        let issuer = clean(&issuer);
        let mut facts = Self {
            alert: AlertId::of(alert),
            event_key: event_key.to_owned(),
            language,
            exercise: alert.status == Status::Exercise,
            update: alert.msg_type == MsgType::Update,
            msg_type: alert.msg_type,
            status: alert.status,
            issuer,
            hazard,
            colour,
            // The colour is the arbiter: a red title over an unknown severity is Extreme.
            severity: colour.map_or(alert.severity(), Colour::severity),
            headline: text(|info| info.headline.as_ref()),
            description: text(|info| info.description.as_ref()),
            instruction: text(|info| info.instruction.as_ref()),
            area: info
                .map(|info| info.areas.iter().map(|area| clean(&area.description)).collect::<Vec<_>>().join("、"))
                .unwrap_or_default(),
            places,
            sent: local(alert.sent),
            onset: info.and_then(|info| info.onset).map(local),
            expires: alert.expires().map(local),
            web: text(|info| info.web.as_ref()),
            picture: false,
        };
        if own.is_none() {
            // Nobody is told only in a language that they may not read: the headline is ours, the sender's words follow.
            let original = [std::mem::take(&mut facts.headline), std::mem::take(&mut facts.description)];
            let label = match language {
                Language::Chinese => "原文：",
                Language::English => "Original text: ",
            };
            let original: Vec<_> = original.into_iter().filter(|text| !text.is_empty()).collect();
            facts.description =
                if original.is_empty() { String::new() } else { format!("{label}{}", original.join(" ")) };
            facts.instruction.clear();
        }
        if facts.places.is_empty() && !facts.area.is_empty() {
            facts.places.push(super::fit::cut(&facts.area, 60));
        }
        if facts.headline.is_empty() {
            facts.headline = facts.title();
        }
        facts
    }

    /// The danger and its level, as a title: 台风红色预警, Red typhoon warning.
    pub fn title(&self) -> String {
        match (self.language, self.colour) {
            (Language::Chinese, _) if self.hazard == Hazard::Other => match self.colour {
                Some(colour) => format!("{}预警", colour.name_zh()),
                None => "预警".into(),
            },
            (Language::Chinese, Some(colour)) => format!("{}{}预警", self.hazard.name_zh(), colour.name_zh()),
            (Language::Chinese, None) => format!("{}预警", self.hazard.name_zh()),
            (Language::English, colour) => {
                let hazard = if self.hazard == Hazard::Other {
                    String::new()
                } else {
                    self.hazard.name_en().to_lowercase() + " "
                };
                let text = format!("{} {hazard}warning", colour.map_or("", Colour::name_en));
                let text = text.trim();
                let mut letters = text.chars();
                letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
            }
        }
    }

    /// From when to when: 9月14日20时至15日8时, 14 Sep 20:00 to 15 Sep 08:00.
    pub fn when(&self) -> String {
        let from = self.onset.unwrap_or(self.sent);
        match (self.language, self.expires) {
            (Language::Chinese, Some(to)) if from.date_naive() == to.date_naive() => {
                format!("{}至{}", self.time(from), clock_zh(to))
            }
            (Language::Chinese, Some(to)) if (from.year(), from.month()) == (to.year(), to.month()) => {
                format!("{}至{}日{}", self.time(from), to.day(), clock_zh(to))
            }
            (Language::Chinese, Some(to)) => format!("{}至{}", self.time(from), self.time(to)),
            (Language::Chinese, None) => format!("{}起", self.time(from)),
            (Language::English, Some(to)) if from.date_naive() == to.date_naive() => {
                format!("{} to {}", self.time(from), to.format("%H:%M"))
            }
            (Language::English, Some(to)) => format!("{} to {}", self.time(from), self.time(to)),
            (Language::English, None) => format!("from {}", self.time(from)),
        }
    }

    /// A time as people write it, in the sender's offset.
    pub fn time(&self, at: DateTime<FixedOffset>) -> String {
        match self.language {
            Language::Chinese => format!("{}月{}日{}", at.month(), at.day(), clock_zh(at)),
            Language::English => at.format("%-d %b %H:%M").to_string(),
        }
    }
}

/// A time on the clocks of the people who read it: China Standard Time.
fn local(at: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
    FixedOffset::east_opt(8 * 3_600).map_or(at, |beijing| at.with_timezone(&beijing))
}

fn clock_zh(at: DateTime<FixedOffset>) -> String {
    if at.minute() == 0 { format!("{}时", at.hour()) } else { format!("{}时{}分", at.hour(), at.minute()) }
}

/// Text without characters that control devices or turn the direction of writing.
fn clean(text: &str) -> String {
    let kept = |c: &char| {
        matches!(c, '\n')
            || !(c.is_control()
                || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'))
    };
    text.replace("\r\n", "\n").chars().filter(kept).collect::<String>().trim().to_owned()
}
