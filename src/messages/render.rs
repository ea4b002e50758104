//! From facts and templates to what each channel carries.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minijinja::context;
use serde::Deserialize;
use serde_json::json;
use tocsin_channels::{ChannelKind, Content, EmailContent, MqttContent, PushContent, SmsContent, Urgency, push};

use super::facts::Facts;
use super::fit;
use super::language::{Language, Variant};
use super::templates::{TemplateError, Templates};
use crate::cap::{Colour, Severity};

/// What an operator may choose about messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageOptions {
    /// The name that short messages are signed with, in place of the issuer's own: `【…】`.
    pub signature: Option<String>,
    /// Where people read more: the alert's id is put behind it. Empty for no link.
    pub link_base: String,
    /// The most parts of a short message.
    pub sms_parts: u32,
    /// How people reach this server: links lead to the event's own page here where `link_base` leads nowhere.
    #[serde(skip)]
    pub own_base: String,
}

impl Default for MessageOptions {
    fn default() -> Self {
        Self { signature: None, link_base: String::new(), sms_parts: 2, own_base: String::new() }
    }
}

impl MessageOptions {
    /// Where people read more of an alert; empty where nowhere. Drills have no page for everybody.
    fn link(&self, facts: &Facts) -> String {
        match (self.link_base.as_str(), self.own_base.as_str()) {
            ("", "") => String::new(),
            ("", _) if facts.exercise => String::new(),
            ("", own) => format!("{}/a/{}", own.trim_end_matches('/'), facts.alert.short()),
            (base, _) => format!("{base}{}", facts.alert),
        }
    }
}

impl Templates {
    /// What a channel carries of an alert.
    ///
    /// # Errors
    /// When a template fails, or the message cannot be made to fit.
    pub fn render(
        &self,
        channel: ChannelKind,
        facts: &Facts,
        variant: Variant,
        name: Option<&str>,
        options: &MessageOptions,
    ) -> Result<Content, TemplateError> {
        let page = Page { templates: self, facts, variant, name, options };
        Ok(match channel {
            ChannelKind::Sms => Content::Sms(page.sms()?),
            ChannelKind::Email => Content::Email(page.email()?),
            ChannelKind::Mqtt => Content::Mqtt(page.mqtt()?),
            ChannelKind::Push => Content::Push(page.push()?),
        })
    }

    pub(super) fn render_all(
        &self,
        facts: &Facts,
        variant: Variant,
        name: Option<&str>,
        options: &MessageOptions,
    ) -> Result<(), TemplateError> {
        ChannelKind::ALL
            .into_iter()
            .try_for_each(|channel| self.render(channel, facts, variant, name, options).map(drop))
    }
}

struct Page<'a> {
    templates: &'a Templates,
    facts: &'a Facts,
    variant: Variant,
    name: Option<&'a str>,
    options: &'a MessageOptions,
}

/// Room in a push for its reader's own receipt.
const RECEIPT: usize = 120;

/// The ladder of shortening: how many places, how many characters of detail.
const SHORTER: [(usize, usize); 8] = [(6, 200), (4, 120), (3, 80), (3, 40), (2, 20), (2, 0), (1, 0), (1, 0)];

impl Page<'_> {
    fn fill(&self, part: &str, places: usize, detail: usize) -> Result<String, TemplateError> {
        let facts = self.facts;
        let language = facts.language;
        let advice_of = context! { hazard => facts.hazard.slug() };
        let names: Vec<&str> = self.name.into_iter().chain([facts.hazard.slug()]).collect();
        let advice = self.templates.fill("common/advice.txt", language, &names, &advice_of)?;
        // An alert written here carries the advice as its instruction: it is said once.
        let instruction = if facts.instruction.trim() == advice.trim() { "" } else { facts.instruction.as_str() };
        let signature = self.options.signature.as_ref().unwrap_or(&facts.issuer);
        let (ground, ink) = colours(facts.colour);
        let context = context! {
            exercise => facts.exercise,
            update => facts.update,
            variant => self.variant.as_str(),
            issuer => facts.issuer.as_str(),
            signature => fit::cut(signature, if language == Language::Chinese { 12 } else { 32 }),
            hazard => facts.hazard.slug(),
            hazard_name => match language { Language::Chinese => facts.hazard.name_zh(), Language::English => facts.hazard.name_en() },
            colour => facts.colour.map(Colour::as_str),
            colour_name => facts.colour.map(|c| match language { Language::Chinese => c.name_zh(), Language::English => c.name_en() }),
            level_mark => mark(facts.colour),
            ground => ground,
            ink => ink,
            title => facts.title(),
            headline => facts.headline.as_str(),
            description => facts.description.as_str(),
            instruction => instruction,
            area => facts.area.as_str(),
            places => facts.places.clone(),
            place => fit::cut(&fit::places(&facts.places, places, language), 120),
            when => facts.when(),
            until => facts.expires.map(|at| facts.time(at)).unwrap_or_default(),
            sent => facts.time(facts.sent),
            web => facts.web.as_str(),
            link => self.options.link(facts),
            picture => facts.picture && self.variant == Variant::Warn,
            advice => advice,
            detail => fit::ended(fit::cut(if instruction.is_empty() { &facts.description } else { instruction }, detail), language),
        };
        self.templates.fill(part, language, &names, &context)
    }

    fn sms(&self) -> Result<SmsContent, TemplateError> {
        let mut text = String::new();
        for (places, detail) in SHORTER {
            text = self.fill("sms/message.txt", places, detail)?.split('\n').map(str::trim).collect::<String>();
            if fit::sms_parts(&text) <= self.options.sms_parts.max(1) {
                return Ok(SmsContent { text });
            }
        }
        // The vital words come first: a text that cannot be shortened any more goes out long, up to a limit that no gateway takes.
        if fit::sms_parts(&text) <= 10 {
            return Ok(SmsContent { text });
        }
        let why = format!("{} parts", fit::sms_parts(&text));
        Err(TemplateError::TooLong { what: "short message", language: self.facts.language.tag(), why })
    }

    fn email(&self) -> Result<EmailContent, TemplateError> {
        Ok(EmailContent {
            subject: self.fill("email/subject.txt", 3, 0)?.split_whitespace().collect::<Vec<_>>().join(" "),
            text: self.fill("email/body.txt", 6, 200)? + "\n",
            html: self.fill("email/body.html", 6, 200)?,
            picture: None,
        })
    }

    fn push(&self) -> Result<PushContent, TemplateError> {
        let facts = self.facts;
        // One for each language: whoever reads two keeps both.
        let topic = format!("{}\n{}", facts.event_key, facts.language.tag());
        let topic = ring::digest::digest(&ring::digest::SHA256, topic.as_bytes());
        let topic: String = URL_SAFE_NO_PAD.encode(topic.as_ref()).chars().take(32).collect();
        let url = match self.options.link(facts) {
            // Whoever takes part comes to a page that says what it is; the app knows its own host.
            link if link.is_empty() => facts.exercise.then(|| format!("/drills/{}", facts.alert)),
            link => Some(link),
        };
        for (places, detail) in SHORTER {
            let payload = json!({
                "title": self.fill("push/title.txt", places.min(3), detail)?,
                "body": self.fill("push/body.txt", places, detail)?,
                "tag": topic,
                "url": url,
                "event": facts.event_key,
                "level": facts.colour.map(Colour::as_str),
                "rank": rank(facts.severity),
                "lang": facts.language.tag(),
                "exercise": facts.exercise,
                "variant": self.variant.as_str(),
                "expires": facts.expires.map(|at| at.to_rfc3339()),
            })
            .to_string();
            if payload.len() + RECEIPT <= push::MAX_PLAIN {
                return Ok(PushContent { payload, topic, urgency: urgency(facts.severity) });
            }
        }
        let why = format!("more than {} bytes", push::MAX_PLAIN);
        Err(TemplateError::TooLong { what: "push message", language: facts.language.tag(), why })
    }

    fn mqtt(&self) -> Result<MqttContent, TemplateError> {
        let facts = self.facts;
        let time = |at: Option<chrono::DateTime<chrono::FixedOffset>>| at.map(|at| at.to_rfc3339());
        let event = json!({
            "alert": facts.alert,
            "event": facts.event_key,
            "variant": self.variant.as_str(),
            "status": facts.status,
            "exercise": facts.exercise,
            "msgType": facts.msg_type,
            "hazard": facts.hazard.slug(),
            "level": facts.colour.map(Colour::as_str),
            "severity": facts.severity,
            "title": facts.title(),
            "headline": facts.headline,
            "description": facts.description,
            "instruction": facts.instruction,
            "places": facts.places,
            "issuer": facts.issuer,
            "language": facts.language.tag(),
            "sent": time(Some(facts.sent)),
            "onset": time(facts.onset),
            "expires": time(facts.expires),
        })
        .to_string();
        let state = (self.variant == Variant::Warn).then(|| event.clone());
        let speech = self.fill("device/speech.txt", 6, 0)?;
        Ok(MqttContent {
            hazard: facts.hazard.slug().to_owned(),
            event,
            chain: facts.event_key.clone(),
            rank: rank(facts.severity),
            state,
            device: Some(super::device::play(facts, self.variant, &speech)),
            exercise: facts.exercise,
        })
    }
}

/// A shape for each level, beside its word: never colour alone.
fn mark(colour: Option<Colour>) -> &'static str {
    match colour {
        Some(Colour::Red) => "⬢",
        Some(Colour::Orange) => "◆",
        Some(Colour::Yellow) => "▲",
        Some(Colour::Blue) => "●",
        None => "■",
    }
}

/// Ground and ink of a level, apart by 4.5 to 1 at least.
fn colours(colour: Option<Colour>) -> (&'static str, &'static str) {
    match colour {
        Some(Colour::Red) => ("#c8102e", "#ffffff"),
        Some(Colour::Orange) => ("#e8730c", "#000000"),
        Some(Colour::Yellow) => ("#ffd100", "#000000"),
        Some(Colour::Blue) => ("#1f5fbf", "#ffffff"),
        None => ("#444444", "#ffffff"),
    }
}

/// How grave, 0 the gravest, as CAP lists severities.
fn rank(severity: Severity) -> u8 {
    Severity::ALL.iter().position(|one| *one == severity).and_then(|at| u8::try_from(at).ok()).unwrap_or(4)
}

fn urgency(severity: Severity) -> Urgency {
    match severity {
        Severity::Extreme | Severity::Severe => Urgency::High,
        Severity::Moderate => Urgency::Normal,
        Severity::Minor | Severity::Unknown => Urgency::Low,
    }
}
