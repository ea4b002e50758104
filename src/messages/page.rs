//! What officers read when they are called.

use minijinja::context;
use serde_json::json;
use tocsin_channels::{ChannelKind, Content, EmailContent, PushContent, SmsContent, Urgency};

use super::language::Language;
use super::templates::{TemplateError, Templates};

/// What a call says.
#[derive(Debug, Clone, Default)]
pub struct PageFacts {
    /// A drill.
    pub exercise: bool,
    /// The alert.
    pub headline: String,
    /// Whose people.
    pub jurisdiction: String,
    /// How many counties.
    pub counties: usize,
    /// What is asked.
    pub asked: String,
    /// Until when, on Beijing's clocks.
    pub until: String,
    /// What happens then.
    pub then: String,
    /// Who is called.
    pub called: String,
    /// Where to decide; empty where the server has no public address.
    pub link: String,
    /// Where to say that one looks at it; empty where there is nothing to take.
    pub take: String,
    /// One per escalation: a later call replaces an earlier one on the screen.
    pub topic: String,
}

impl Templates {
    /// A call by one channel; None for a channel that officers are not called by.
    ///
    /// # Errors
    /// When a template fails.
    pub fn page(
        &self,
        channel: ChannelKind,
        language: Language,
        facts: &PageFacts,
    ) -> Result<Option<Content>, TemplateError> {
        let fill = |part: &str| {
            let context = context! {
                exercise => facts.exercise,
                headline => facts.headline.as_str(),
                jurisdiction => facts.jurisdiction.as_str(),
                counties => facts.counties,
                asked => facts.asked.as_str(),
                until => facts.until.as_str(),
                then => facts.then.as_str(),
                called => facts.called.as_str(),
                link => facts.link.as_str(),
                take => facts.take.as_str(),
            };
            self.fill(part, language, &[], &context)
        };
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(match channel {
            ChannelKind::Sms => Some(Content::Sms(SmsContent { text: one_line(fill("page/message.txt")?) })),
            ChannelKind::Email => {
                let (subject, text) = (one_line(fill("page/subject.txt")?), fill("page/body.txt")? + "\n");
                let body = quick_xml::escape::escape(text.as_str()).into_owned();
                let html = format!(
                    "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"></head>\
                     <body style=\"font:17px/1.6 system-ui,sans-serif;white-space:pre-line\">{body}</body></html>",
                    language.tag()
                );
                Some(Content::Email(EmailContent { subject, text, html, picture: None }))
            }
            ChannelKind::Push => {
                let payload = json!({
                    "title": one_line(fill("page/subject.txt")?),
                    "body": one_line(fill("page/message.txt")?),
                    "tag": facts.topic,
                    "url": (!facts.link.is_empty()).then_some(&facts.link),
                    "lang": language.tag(),
                    "exercise": facts.exercise,
                    "variant": "page",
                });
                let (payload, topic) = (payload.to_string(), facts.topic.clone());
                Some(Content::Push(PushContent { payload, topic, urgency: Urgency::High }))
            }
            ChannelKind::Mqtt => None,
        })
    }
}
