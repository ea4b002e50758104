//! What somebody reads who signs up, opens their settings, or tests their channels.

use serde_json::json;
use tocsin_channels::{ChannelKind, Content, EmailContent, MqttContent, PushContent, SmsContent, Urgency};

use super::language::Language;
use crate::tongues::{self, Direction, Tongue};

/// In which language one person is written to: that of their pages, also where alerts come in none of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) language: Language,
    /// The tag of their pages' language.
    pub(crate) tongue: &'a str,
}

impl Reader<'_> {
    fn own(&self) -> Option<&'static Tongue> {
        if Language::of_tag(self.tongue).is_some() { None } else { tongues::other(self.tongue) }
    }

    /// A text that comes in both languages, apart by ` / `.
    fn say<'a>(&self, both: &'a str) -> &'a str {
        let (chinese, english) = both.split_once(" / ").unwrap_or((both, both));
        match (self.own(), self.language) {
            (Some(own), _) => own.texts.get(english).map_or(english, String::as_str),
            (None, Language::Chinese) => chinese,
            (None, Language::English) => english,
        }
    }

    fn tag(&self) -> &'static str {
        self.own().map_or(self.language.tag(), |own| &own.tag)
    }

    fn dir(&self) -> &'static str {
        match self.own().map(|own| own.direction) {
            Some(Direction::RightToLeft) => "rtl",
            _ => "ltr",
        }
    }
}

/// A message to one person.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Personal<'a> {
    /// Proves whose a number is. `known`: it is signed up already, and the code opens its settings.
    Code {
        /// Six digits.
        code: &'a str,
        /// Signed up already.
        known: bool,
        /// Whether an answer comes to us: only then it says that one ends it.
        answers: bool,
    },
    /// Proves whose a mailbox is.
    Link {
        /// Where to confirm.
        link: &'a str,
        /// Signed up already.
        known: bool,
        /// Where its owner says that they want no such mails.
        never: &'a str,
    },
    /// Proves whose a browser is: what it gets leads to where that is confirmed.
    Browser {
        /// Where to confirm.
        link: &'a str,
        /// Signed up already.
        known: bool,
    },
    /// One of their browsers gets no warnings any more; told at their other addresses.
    BrowserGone,
    /// A test that they asked for.
    Test,
}

impl Personal<'_> {
    /// What a channel carries. `signature` stands before short messages.
    pub(crate) fn content(self, channel: ChannelKind, reader: Reader<'_>, signature: &str) -> Content {
        let (subject, text) = self.words(reader);
        match channel {
            ChannelKind::Sms => Content::Sms(SmsContent { text: format!("【{signature}】{text}") }),
            ChannelKind::Email => {
                let body = quick_xml::escape::escape(text.as_str());
                let html = match self {
                    Self::Link { link, never, .. } => {
                        [link, never].into_iter().fold(body.into_owned(), |body, link| {
                            let link = quick_xml::escape::escape(link);
                            body.replace(&*link, &format!("<a href=\"{link}\">{link}</a>"))
                        })
                    }
                    _ => body.into_owned(),
                };
                let html = format!(
                    "<!DOCTYPE html><html lang=\"{}\" dir=\"{}\"><head><meta charset=\"utf-8\"></head>\
                     <body style=\"font:17px/1.6 system-ui,sans-serif;white-space:pre-line\">{html}</body></html>",
                    reader.tag(),
                    reader.dir(),
                );
                Content::Email(EmailContent { subject, text: text + "\n", html, picture: None })
            }
            ChannelKind::Push => {
                let (kind, url) = match self {
                    Self::Browser { link, .. } => ("confirm", link),
                    Self::BrowserGone => ("notice", "/app"),
                    _ => ("test", "/me#test"),
                };
                let payload = json!({"title": subject, "body": text, "tag": kind, "lang": reader.tag(), "variant": kind, "url": url});
                Content::Push(PushContent { payload: payload.to_string(), topic: kind.into(), urgency: Urgency::High })
            }
            ChannelKind::Mqtt => Content::Mqtt(MqttContent {
                hazard: "test".into(),
                event: json!({"variant": "test", "title": subject}).to_string(),
                chain: "test".into(),
                rank: 3,
                state: None,
                device: None,
                exercise: false,
            }),
        }
    }

    fn words(self, reader: Reader<'_>) -> (String, String) {
        let say = |both: &str| reader.say(both).to_owned();
        match self {
            Self::Code { code, known, answers } => {
                let what = match known {
                    true => {
                        say("您已登记，此码用于打开您的设置 / You are signed up already; this code opens your settings")
                    }
                    false => say("用于登记接收预警 / It signs you up for warnings"),
                };
                let text = match answers {
                    true => {
                        "验证码{}，10分钟内有效。{}。非本人操作请忽略。回复TD不再打扰。 / Code {}, valid for 10 minutes. {}. Not you? Ignore it. Reply STOP for no more."
                    }
                    false => {
                        "验证码{}，10分钟内有效。{}。非本人操作请忽略。 / Code {}, valid for 10 minutes. {}. Not you? Ignore it."
                    }
                };
                (say("验证码 / Code"), tongues::fill(reader.say(text), &[&code, &what]))
            }
            Self::Link { link, known, never } => {
                let (subject, what) = match known {
                    true => (
                        say("您已登记：打开您的预警设置 / You are signed up already: open your settings"),
                        say(
                            "此邮箱已登记接收预警。点此链接打开您的设置： / This mailbox is signed up for warnings already. The link opens your settings:",
                        ),
                    ),
                    false => (
                        say("请确认：接收预警 / Please confirm: warnings to this mailbox"),
                        say(
                            "有人用此邮箱登记接收预警。如果是您，请打开链接并确认： / Somebody signed this mailbox up for warnings. If it was you, open the link and confirm:",
                        ),
                    ),
                };
                let end = say(
                    "链接24小时内有效，只能用一次。非本人操作请忽略，您不会收到任何预警。 / The link works once, within 24 hours. Not you? Ignore this mail, and you will get nothing.",
                );
                let never = tongues::fill(reader.say("不想再收到这样的邮件：{} / No more such mails: {}"), &[&never]);
                (subject, format!("{what}\n\n{link}\n\n{end}\n{never}"))
            }
            Self::Browser { known: true, .. } => (
                say("打开您的预警设置 / Open your settings"),
                say(
                    "此浏览器已登记接收预警。点开即可打开设置。非本人操作请忽略。 / This browser is signed up for warnings already. Open this to see your settings. Not you? Ignore it.",
                ),
            ),
            Self::Browser { known: false, .. } => (
                say("请确认：用此浏览器接收预警 / Please confirm: warnings to this browser"),
                say(
                    "点开并确认，危险来时这里会通知您。非本人操作请忽略。 / Open this and confirm, and you are told here when danger comes. Not you? Ignore it.",
                ),
            ),
            Self::BrowserGone => (
                say("您的一个浏览器收不到预警了 / One of your browsers no longer gets warnings"),
                say(
                    "您的一个浏览器收不到预警了：可能关闭了通知、清除了数据或卸载了应用。此处仍会收到预警。要恢复，请用那个浏览器重新登记。 / One of your browsers no longer gets warnings: notifications were turned off, or its data or the app removed. You still get them here. To have them there again, sign that browser up anew.",
                ),
            ),
            Self::Test => (
                say("测试：预警能送达您 / Test: warnings reach you"),
                say(
                    "这是您自己要求的测试，不是预警，无需行动。 / This is the test that you asked for. It is no warning; do nothing.",
                ),
            ),
        }
    }
}

/// The answer to somebody who asks for their settings by short message.
pub(crate) fn opens_by_link(reader: Reader<'_>, link: &str) -> String {
    let text = "打开您的预警设置（10分钟内有效，用一次）：{} / Your settings (once, within 10 minutes): {}";
    tongues::fill(reader.say(text), &[&link])
}
