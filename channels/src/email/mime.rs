//! The mail itself: what everyone of a window shares, built once, and the personal headers before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};

use super::config::{EmailConfig, EmailError};
use crate::{EmailContent, Message, Picture};

/// Contents kept built: a few languages and variants of the alerts of the moment.
const KEPT: usize = 16;

pub(super) struct Mime {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    domain: String,
    list_id: Option<String>,
    built: Mutex<VecDeque<Built>>,
}

struct Built {
    content: EmailContent,
    language: String,
    mail: Shared,
}

/// What everyone of a window shares.
#[derive(Clone)]
pub(super) struct Shared {
    /// Headers and both bodies.
    plain: Arc<[u8]>,
    /// The same inside a multipart that a personal part may be put behind.
    open: Arc<[u8]>,
}

/// Stands between the parts of a mail with a personal part. A body in transfer encoding has no line that begins so.
const BOUNDARY: &str = "=_personal_7f3a1c52e8";

impl Mime {
    pub(super) fn new(config: &EmailConfig, from: &Mailbox) -> Result<Self, EmailError> {
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'@'))
        };
        if !plain(&config.domain) {
            return Err(EmailError::Header("domain"));
        }
        if config.list_id.as_deref().is_some_and(|id| !plain(id)) {
            return Err(EmailError::Header("list_id"));
        }
        let reply_to = config.reply_to.as_deref();
        let reply_to = reply_to.map(|text| text.parse().map_err(|e| EmailError::address("reply_to", text, e)));
        Ok(Self {
            from: from.clone(),
            reply_to: reply_to.transpose()?,
            domain: config.domain.clone(),
            list_id: config.list_id.clone(),
            built: Mutex::default(),
        })
    }

    /// Headers and body that all readers of a content share.
    pub(super) fn shared(&self, content: &EmailContent, language: &str) -> Result<Shared, EmailError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = built.iter().find(|built| built.content == *content && built.language == language) {
            return Ok(found.mail.clone());
        }
        let plain = self.build(content, language)?;
        let mail = Shared { open: open(&plain).into(), plain: plain.into() };
        if built.len() >= KEPT {
            built.pop_front();
        }
        built.push_back(Built { content: content.clone(), language: language.to_owned(), mail: mail.clone() });
        Ok(mail)
    }

    fn build(&self, content: &EmailContent, language: &str) -> Result<Vec<u8>, EmailError> {
        let failed = |error: &dyn std::fmt::Display| EmailError::Mail(error.to_string());
        // Nobody is named here: the recipient's own headers come before these.
        let envelope =
            Envelope::new(Some(self.from.email.clone()), vec![self.from.email.clone()]).map_err(|e| failed(&e))?;
        let subject: String = content.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut mail = lettre::Message::builder()
            .envelope(envelope)
            .from(self.from.clone())
            .subject(subject)
            .header(Plain::<AutoSubmitted>::new("auto-generated"))
            .header(Plain::<ContentLanguage>::new(language));
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(reply_to.clone());
        }
        if let Some(list_id) = &self.list_id {
            mail = mail.header(Plain::<ListId>::new(&format!("<{list_id}>")));
        }
        let part = |kind, text: &str| SinglePart::builder().header(kind).body(text.to_owned());
        let body = MultiPart::alternative().singlepart(part(ContentType::TEXT_PLAIN, &content.text));
        let html = part(ContentType::TEXT_HTML, &content.html);
        let body = match &content.picture {
            None => body.singlepart(html),
            Some(picture) => {
                let png = ContentType::parse("image/png").map_err(|e| failed(&e))?;
                let inline = Attachment::new_inline(Picture::NAME.to_owned()).body(picture.0.clone(), png);
                body.multipart(MultiPart::related().singlepart(html).singlepart(inline))
            }
        };
        Ok(mail.multipart(body).map_err(|e| failed(&e))?.formatted())
    }

    /// A person's whole mail.
    pub(super) fn personal(&self, shared: &Shared, message: &Message) -> Vec<u8> {
        let mut mail = Vec::with_capacity(shared.open.len() + 800);
        let mut line = |parts: &[&str]| {
            parts.iter().for_each(|part| mail.extend_from_slice(part.as_bytes()));
            mail.extend_from_slice(b"\r\n");
        };
        // The address was parsed as one: it holds neither line breaks nor brackets.
        line(&["To: <", &message.to, ">"]);
        line(&["Message-ID: <", &message.key.to_base32(), "@", &self.domain, ">"]);
        let safe = |url: &&String| url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
        if let Some(url) = message.leave.as_ref().filter(safe) {
            line(&["List-Unsubscribe: <", url, ">"]);
            line(&["List-Unsubscribe-Post: List-Unsubscribe=One-Click"]);
        }
        match &message.why {
            None => mail.extend_from_slice(&shared.plain),
            Some(why) => {
                mail.extend_from_slice(&shared.open);
                mail.extend_from_slice(part(why).as_bytes());
            }
        }
        mail
    }
}

/// The mail as the first part of a mixed one, whose headers stay in front. Ours all have one `Content-Type`, in the header block.
fn open(plain: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(plain);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    // The type's own parameters stand on the lines after it.
    let (mut kind, mut rest, mut inside) = (String::new(), String::new(), false);
    for line in head.split("\r\n") {
        inside =
            if line.starts_with([' ', '\t']) { inside } else { line.to_ascii_lowercase().starts_with("content-type:") };
        let to = if inside { &mut kind } else { &mut rest };
        to.push_str(line);
        to.push_str("\r\n");
    }
    format!("{rest}Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n\r\n--{BOUNDARY}\r\n{kind}\r\n{body}\r\n--{BOUNDARY}\r\n")
        .into_bytes()
}

/// The personal part, and the end of the mail.
fn part(why: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(why);
    let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\r\n");
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {lines}\r\n--{BOUNDARY}--\r\n"
    )
}

/// The name of a header of ours.
trait Named: Clone {
    const NAME: &'static str;
}

/// A header whose value is plain ASCII.
#[derive(Clone)]
struct Plain<N>(String, std::marker::PhantomData<N>);

impl<N> Plain<N> {
    fn new(value: &str) -> Self {
        Self(value.to_owned(), std::marker::PhantomData)
    }
}

impl<N: Named> Header for Plain<N> {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str(N::NAME)
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self::new(text))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

macro_rules! named {
    ($($name:ident $text:literal),+) => { $(
        #[derive(Clone)]
        struct $name;
        impl Named for $name {
            const NAME: &'static str = $text;
        }
    )+ };
}

named!(AutoSubmitted "Auto-Submitted", ContentLanguage "Content-Language", ListId "List-Id");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Key;

    fn mime() -> Mime {
        let config: EmailConfig = toml::from_str(
            "relays = []\nfrom = '上海预警 <warn@example.org>'\nreply_to = 'desk@example.org'\ndomain = 'warn.example.org'\nlist_id = 'warnings.example.org'",
        )
        .unwrap();
        Mime::new(&config, &config.from.parse().unwrap()).unwrap()
    }

    fn mail(content: &EmailContent, leave: Option<&str>) -> String {
        mail_because(content, leave, None)
    }

    fn mail_because(content: &EmailContent, leave: Option<&str>, why: Option<&str>) -> String {
        let mime = mime();
        let shared = mime.shared(content, "zh-CN").unwrap();
        let (leave, why) = (leave.map(str::to_owned), why.map(str::to_owned));
        let message = Message { key: Key::new([7; 16]), to: "a@example.org".into(), leave, why, receipt: None };
        String::from_utf8(mime.personal(&shared, &message)).unwrap()
    }

    #[test]
    fn a_mail_is_whole() {
        let content = EmailContent {
            subject: "【红】台风 青浦区".into(),
            text: "今晚20时起阵风13级。\n请立即避险。".into(),
            html: "<p>今晚20时起阵风13级。</p>".into(),
            picture: None,
        };
        let text = mail(&content, Some("https://warn.example.org/leave/abc"));
        let boundary = text.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let date = text.lines().find(|line| line.starts_with("Date: ")).unwrap().to_owned();
        let text = text.replace(&boundary, "BOUNDARY").replace(&date, "Date: DATE").replace('\r', "");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_picture_stands_inside_the_mail_that_shows_it() {
        let html = "<img src=\"cid:picture\" alt=\"\">".to_owned();
        let content =
            EmailContent { subject: "s".into(), text: "t".into(), html, picture: Some(Picture(b"\x89PNG".to_vec())) };
        let stored = serde_json::to_string(&content).unwrap();
        assert_eq!(serde_json::from_str::<EmailContent>(&stored).unwrap(), content, "kept with the release");
        let text = mail(&content, None);
        let (before, related) = text.split_once("multipart/related").unwrap();
        assert!(before.contains("multipart/alternative"), "who reads text alone gets text alone");
        assert!(related.contains("Content-ID: <picture>") && related.contains("Content-Disposition: inline"), "{text}");
        assert!(related.contains("Content-Type: image/png") && related.contains("iVBORw"), "{text}");
    }

    #[test]
    fn a_personal_line_is_a_part_of_its_own_behind_what_all_share() {
        let content =
            EmailContent { subject: "s".into(), text: "今晚".into(), html: "<p>今晚</p>".into(), picture: None };
        let text = mail_because(&content, None, Some("因为您登记了：家、学校"));
        let boundary = text.split("multipart/alternative;").nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
        let date = text.lines().find(|line| line.starts_with("Date: ")).unwrap().to_owned();
        let text = text.replace(&boundary, "BOUNDARY").replace(&date, "Date: DATE").replace('\r', "");
        insta::assert_snapshot!(text);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_header_of_its_own(subject in "\\PC{0,40}(\r\n|\n|\r|\u{0}|)X-Evil: 1.{0,20}", leave in ".{0,60}") {
            let content = EmailContent { subject, text: "t".into(), html: "h".into(), picture: None };
            let text = mail(&content, Some(&leave));
            let head = text.split("\r\n\r\n").next().unwrap();
            prop_assert!(!head.lines().any(|line| line.starts_with("X-Evil")));
            prop_assert!(head.is_ascii());
            prop_assert_eq!(head.matches("Subject:").count(), 1);
        }
    }
}
