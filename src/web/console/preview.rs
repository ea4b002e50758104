//! What goes out, as people will read it; to whom, how long it takes, and what it costs.

use tocsin_channels::sms::encoding;
use tocsin_channels::{ChannelKind, Content};

use crate::app::App;
use crate::approval::Material;
use crate::cap::Alert;
use crate::messages::Language;
use crate::policy::Policy;
use crate::regions::RegionCode;
use crate::store::NewDispatch;
use crate::web::page::{Fault, span};
use crate::web::words::Words;

/// A message as a phone would show it.
pub(super) struct Text {
    pub(super) channel: String,
    pub(super) language: &'static str,
    pub(super) note: String,
    pub(super) title: String,
    pub(super) body: String,
}

/// One channel of a forecast.
pub(super) struct Forecast {
    pub(super) channel: String,
    pub(super) addresses: String,
    pub(super) time: String,
    /// Empty where no price is set up.
    pub(super) cost: String,
}

/// A language by its own name.
pub(super) const fn language_name(language: Language) -> &'static str {
    match language {
        Language::Chinese => "中文",
        Language::English => "English",
    }
}

/// What each channel would carry.
pub(super) fn rendered(
    policy: &Policy,
    material: &Material,
    alert: &Alert,
    regions: &[RegionCode],
) -> Result<Vec<NewDispatch>, Fault> {
    Ok(crate::approval::preview(policy, material, alert, regions).map_err(crate::approval::DeskError::from)?)
}

/// Whom each channel reaches, how long that takes at the configured rate, and what it costs. Providers count parts of short messages.
pub(super) async fn forecast(
    app: &App,
    material: &Material,
    rendered: &[NewDispatch],
    regions: &[RegionCode],
    words: Words,
) -> Result<Vec<Forecast>, Fault> {
    let sizes = app.store.audience_size(material.decision.reach.lists(), regions).await?;
    let parts = |language: Language| {
        let sms = rendered.iter().filter(|dispatch| dispatch.language == language);
        let parts = sms.filter_map(|dispatch| if let Content::Sms(sms) = &dispatch.content { Some(sms) } else { None });
        parts.map(|sms| encoding::parts(&sms.text)).next().unwrap_or(1)
    };
    let row = |kind: &ChannelKind| {
        let own = || sizes.iter().filter(|((own, _), _)| own == kind);
        let known: u64 = own().map(|(_, n)| n).sum();
        if !app.channels.contains(kind) {
            // It reaches nobody, whoever is known.
            let time = words.f("not set up; known: {}", crate::show::number(known));
            return Forecast {
                channel: channel_name(*kind, words).to_owned(),
                addresses: "0".into(),
                time,
                cost: String::new(),
            };
        }
        let weight = |language| if *kind == ChannelKind::Sms { u64::from(parts(language)) } else { 1 };
        let units: u64 = own().map(|((_, language), n)| n * weight(*language)).sum();
        let time = match app.rates.get(kind) {
            None => words.s("as fast as the provider takes it").to_owned(),
            Some(rate) => span(i64::try_from(units.div_ceil(u64::from((*rate).max(1)))).unwrap_or(i64::MAX), words),
        };
        let cost = app.prices.get(kind).map_or_else(String::new, |price| format!("¥ {:.2}", price.of(units)));
        Forecast { channel: channel_name(*kind, words).to_owned(), addresses: crate::show::number(known), time, cost }
    };
    Ok(material.decision.channels.iter().map(row).collect())
}

/// A channel in words.
pub(super) fn channel_name(kind: ChannelKind, words: Words) -> &'static str {
    match kind {
        ChannelKind::Sms => words.s("short message"),
        ChannelKind::Email => words.s("e-mail"),
        ChannelKind::Push => words.s("browser push"),
        ChannelKind::Mqtt => "MQTT",
    }
}

/// Each channel's text in each language.
pub(super) fn texts(rendered: &[NewDispatch], words: Words) -> Vec<Text> {
    let mut found = Vec::new();
    for dispatch in rendered {
        let (title, body, note) = match &dispatch.content {
            Content::Sms(sms) => {
                let note = words.f("parts: {}", encoding::parts(&sms.text));
                (String::new(), sms.text.clone(), note)
            }
            Content::Email(mail) => (mail.subject.clone(), mail.text.clone(), String::new()),
            Content::Push(push) => {
                let payload: serde_json::Value = serde_json::from_str(&push.payload).unwrap_or_default();
                let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
                (text("title"), text("body"), String::new())
            }
            Content::Mqtt(_) => continue,
        };
        let note = match dispatch.variant {
            crate::messages::Variant::Lifted => {
                [note.as_str(), words.s("to those no longer in the area")].join(" ").trim().to_owned()
            }
            _ => note,
        };
        let channel = channel_name(dispatch.content.kind(), words).to_owned();
        found.push(Text { channel, language: language_name(dispatch.language), note, title, body });
    }
    found
}
