//! One gateway: requests from the config's patterns.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use serde_json::Value;

use super::config::{Auth, Body, GatewayConfig, Method, SmsError};
use super::encoding::{Encoding, encoding, parts};
use super::meaning::{self, AnswerRule};
use crate::{Answer, Class, Message, SmsContent, http};

pub(super) struct Gateway {
    client: Client,
    method: Method,
    url: Target,
    query: Vec<(String, String)>,
    headers: Vec<(HeaderName, Pattern)>,
    body: Filling,
    auth: Option<HeaderValue>,
    sender: String,
    plus: bool,
    answers: Vec<AnswerRule>,
}

/// A text with places to fill in.
#[derive(Debug, Clone)]
struct Pattern(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Slot(Slot),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Slot {
    To,
    Text,
    Key,
    Sender,
    Coding,
    Parts,
    ExpiresMinutes,
}

/// Where requests go: read once where nothing is filled in.
enum Target {
    Fixed(Url),
    Filled(Pattern),
}

/// What a request carries. In JSON, texts are filled in escaped, between quotes that are ours: a value stays a value.
enum Filling {
    None,
    Form(Vec<(String, Pattern)>),
    Json(Pattern),
}

/// What a window's messages share.
pub(super) struct Prepared<'a> {
    text: &'a str,
    coding: &'static str,
    parts: String,
    expires_minutes: String,
}

impl<'a> Prepared<'a> {
    /// The text with what is said to this person alone behind it, as far as that costs no part more.
    fn personal(&self, message: &Message) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(self.text);
        for line in [&message.why, &message.leave].into_iter().flatten() {
            let longer = format!("{text} {line}");
            if (encoding(&longer), parts(&longer)) == (encoding(self.text), parts(self.text)) {
                text = Cow::Owned(longer);
            }
        }
        text
    }
}

/// A message's own values.
struct Values<'a> {
    shared: &'a Prepared<'a>,
    text: Cow<'a, str>,
    to: &'a str,
    key: String,
    sender: &'a str,
}

impl Gateway {
    pub(super) fn new(config: &GatewayConfig) -> Result<Self, SmsError> {
        let whole = Duration::from_millis(config.send_timeout_ms);
        let connect = Duration::from_millis(config.connect_timeout_ms);
        let client = http::builder(connect, whole, config.ca_file.as_deref()).map_err(SmsError::Client)?;
        // The address must be one whatever is filled in.
        let plain = config.url.replace(['{', '}'], "");
        Url::parse(&plain).map_err(|e| SmsError::Url(e.to_string()))?;
        let (auth, query) = account(config.auth.as_ref())?;
        let header = |(name, value): (&String, &String)| {
            let bad = |_| SmsError::Header(name.clone());
            Ok((HeaderName::from_bytes(name.as_bytes()).map_err(bad)?, Pattern::parse(value)?))
        };
        Ok(Self {
            client: client.build().map_err(|e| SmsError::Client(e.to_string()))?,
            method: config.method,
            url: match Pattern::parse(&config.url)? {
                pattern if pattern.is_fixed() => {
                    Target::Fixed(Url::parse(&config.url).map_err(|e| SmsError::Url(e.to_string()))?)
                }
                pattern => Target::Filled(pattern),
            },
            query,
            headers: config.headers.iter().map(header).collect::<Result<_, SmsError>>()?,
            body: filling(&config.body)?,
            auth,
            sender: config.sender.clone(),
            plus: config.plus,
            answers: config.answers.clone(),
        })
    }

    pub(super) fn prepare<'a>(&self, content: &'a SmsContent, expires: SystemTime) -> Prepared<'a> {
        Prepared {
            text: &content.text,
            coding: if encoding(&content.text) == Encoding::Gsm7 { "0" } else { "2" },
            parts: parts(&content.text).to_string(),
            expires_minutes: http::seconds_until(expires).div_ceil(60).to_string(),
        }
    }

    pub(super) async fn send(&self, shared: &Prepared<'_>, message: &Message) -> Answer {
        let to = if self.plus { message.to.as_str() } else { message.to.trim_start_matches('+') };
        let values =
            Values { shared, text: shared.personal(message), to, key: message.key.to_base32(), sender: &self.sender };
        let request = match self.request(&values) {
            Ok(request) => request,
            Err(what) => return Answer::new(Class::Content, what),
        };
        let mut response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return http::failure(&error.without_url()),
        };
        let wait = http::retry_after(&response);
        let status = response.status().as_u16();
        let body = match http::body(&mut response).await {
            Ok(body) => body,
            Err(error) => return http::failure(&error.without_url()),
        };
        match meaning::class(&self.answers, status, &body) {
            Class::Accepted => Answer::ACCEPTED,
            class => Answer::new(class, format!("{status} {}", String::from_utf8_lossy(&body))).retry_after(wait),
        }
    }

    fn request(&self, values: &Values<'_>) -> Result<reqwest::Request, String> {
        let mut url = match &self.url {
            Target::Fixed(url) => url.clone(),
            Target::Filled(pattern) => Url::parse(&pattern.fill(values, percent)).map_err(|e| e.to_string())?,
        };
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = HeaderMap::new();
        for (name, pattern) in &self.headers {
            let value = HeaderValue::from_str(&pattern.fill(values, percent)).map_err(|e| e.to_string())?;
            headers.insert(name, value);
        }
        headers.extend(self.auth.clone().map(|auth| (reqwest::header::AUTHORIZATION, auth)));
        let (kind, body) = match &self.body {
            Filling::None => (None, Vec::new()),
            Filling::Form(fields) => {
                let field =
                    |(name, value): &(String, Pattern)| format!("{}={}", percent(name), value.fill(values, percent));
                let form: Vec<_> = fields.iter().map(field).collect();
                (Some("application/x-www-form-urlencoded"), form.join("&").into_bytes())
            }
            Filling::Json(pattern) => (Some("application/json"), pattern.fill(values, escape).into_bytes()),
        };
        if let Some(kind) = kind {
            headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let method = match self.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        self.client.request(method, url).headers(headers).body(body).build().map_err(|e| e.to_string())
    }
}

/// An account as a header, or as parameters of the address.
type Account = (Option<HeaderValue>, Vec<(String, String)>);

fn account(auth: Option<&Auth>) -> Result<Account, SmsError> {
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|e| SmsError::File { path: path.clone(), why: e.to_string() });
        text.map(|text| text.trim_end().to_owned())
    };
    let header = |text: String| {
        let mut value = HeaderValue::from_str(&text).map_err(|_| SmsError::Header("Authorization".into()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    };
    match auth {
        None => Ok((None, Vec::new())),
        Some(Auth::Basic { username, password_file }) => {
            use base64::Engine as _;
            let pair = format!("{username}:{}", read(password_file)?);
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            Ok((header(format!("Basic {pair}"))?, Vec::new()))
        }
        Some(Auth::Bearer { token_file }) => Ok((header(format!("Bearer {}", read(token_file)?))?, Vec::new())),
        Some(Auth::Query { username_key, username, password_key, password_file }) => {
            let password = read(password_file)?;
            Ok((None, vec![(username_key.clone(), username.clone()), (password_key.clone(), password)]))
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, SmsError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, next) = after.split_once('}').ok_or_else(|| SmsError::Placeholder(after.to_owned()))?;
            let slot = match name {
                "to" => Slot::To,
                "text" => Slot::Text,
                "key" => Slot::Key,
                "sender" => Slot::Sender,
                "coding" => Slot::Coding,
                "parts" => Slot::Parts,
                "expires_minutes" => Slot::ExpiresMinutes,
                other => return Err(SmsError::Placeholder(other.to_owned())),
            };
            pieces.extend([Piece::Text(before.to_owned()), Piece::Slot(slot)]);
            rest = next;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    fn is_fixed(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    fn fill(&self, values: &Values<'_>, encode: fn(&str) -> Cow<'_, str>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Slot(slot) => text.push_str(&encode(values.get(*slot))),
            }
        }
        text
    }
}

impl Values<'_> {
    fn get(&self, slot: Slot) -> &str {
        match slot {
            Slot::To => self.to,
            Slot::Text => &self.text,
            Slot::Key => &self.key,
            Slot::Sender => self.sender,
            Slot::Coding => self.shared.coding,
            Slot::Parts => &self.shared.parts,
            Slot::ExpiresMinutes => &self.shared.expires_minutes,
        }
    }
}

fn filling(body: &Body) -> Result<Filling, SmsError> {
    Ok(match body {
        Body::None => Filling::None,
        Body::Form(fields) => {
            let field = |(name, value): (&String, &String)| Ok((name.clone(), Pattern::parse(value)?));
            Filling::Form(fields.iter().map(field).collect::<Result<_, SmsError>>()?)
        }
        Body::Json(json) => {
            let mut pieces = Vec::new();
            json_pieces(json, &mut pieces)?;
            Filling::Json(Pattern(pieces))
        }
    })
}

/// Writes a JSON value once, with the places to fill in left open inside its texts.
fn json_pieces(json: &Value, pieces: &mut Vec<Piece>) -> Result<(), SmsError> {
    let mut text = |text: &str| pieces.push(Piece::Text(text.to_owned()));
    match json {
        Value::String(pattern) => {
            text("\"");
            for piece in Pattern::parse(pattern)?.0 {
                pieces.push(match piece {
                    Piece::Text(text) => Piece::Text(escape(&text).into_owned()),
                    slot => slot,
                });
            }
            pieces.push(Piece::Text("\"".into()));
        }
        Value::Array(items) => {
            text("[");
            for (n, item) in items.iter().enumerate() {
                pieces.extend((n > 0).then(|| Piece::Text(",".into())));
                json_pieces(item, pieces)?;
            }
            pieces.push(Piece::Text("]".into()));
        }
        Value::Object(members) => {
            text("{");
            for (n, (name, value)) in members.iter().enumerate() {
                let comma = if n > 0 { "," } else { "" };
                pieces.push(Piece::Text(format!("{comma}\"{}\":", escape(name))));
                json_pieces(value, pieces)?;
            }
            pieces.push(Piece::Text("}".into()));
        }
        other => text(&other.to_string()),
    }
    Ok(())
}

/// A text as it stands between the quotes of a JSON string.
fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b >= b' ' && !matches!(b, b'"' | b'\\')) {
        return Cow::Borrowed(text);
    }
    let quoted = Value::from(text).to_string();
    Cow::Owned(quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned())
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn percent(text: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Key;

    fn gateway(text: &str) -> Result<Gateway, SmsError> {
        let mut config: GatewayConfig = toml::from_str(text).expect("a config");
        config.auth = None;
        Gateway::new(&config)
    }

    #[test]
    fn the_shipped_gateways_make_the_requests_their_makers_want() {
        let content = SmsContent { text: "【上海气象】台风红色预警 & 避险".into() };
        let message =
            Message { key: Key::new([7; 16]), to: "+8613800000000".into(), leave: None, why: None, receipt: None };
        for (name, text) in
            [("kannel", include_str!("gateways/kannel.toml")), ("json", include_str!("gateways/json.toml"))]
        {
            let gateway = gateway(text).unwrap();
            let shared = gateway.prepare(&content, SystemTime::now() + Duration::from_secs(3_570));
            let values = Values {
                shared: &shared,
                text: shared.personal(&message),
                to: &message.to,
                key: message.key.to_base32(),
                sender: "12379",
            };
            let request = gateway.request(&values).unwrap();
            let body = String::from_utf8_lossy(request.body().and_then(|body| body.as_bytes()).unwrap_or_default())
                .into_owned();
            let key = request.headers().get("idempotency-key").map(|value| value.to_str().unwrap());
            insta::assert_snapshot!(
                name,
                format!("{} {}\nidempotency-key: {key:?}\n{body}", request.method(), request.url())
            );
        }
    }

    #[test]
    fn what_is_said_to_one_alone_costs_no_part_more() {
        let gateway = gateway(include_str!("gateways/json.toml")).unwrap();
        let personal = |text: &str, why: &str, leave: &str| {
            let content = SmsContent { text: text.into() };
            let message = Message {
                key: Key::new([7; 16]),
                to: "+86".into(),
                leave: Some(leave.into()),
                why: Some(why.into()),
                receipt: None,
            };
            gateway.prepare(&content, SystemTime::now()).personal(&message).into_owned()
        };
        assert_eq!(personal("【上】台风", "因“家”", "退订回TD"), "【上】台风 因“家” 退订回TD");
        assert_eq!(personal(&"长".repeat(66), "因“家”", "退订回TD"), "长".repeat(66), "no room");
        assert_eq!(
            personal(&"长".repeat(64), "因“外婆家”", "退TD"),
            format!("{} 退TD", "长".repeat(64)),
            "room for one"
        );
        let two = "长".repeat(100);
        assert!(personal(&two, "因“家”", "退订回TD").ends_with("因“家” 退订回TD"), "a second part is there anyhow");
        assert_eq!(personal("[Obs] Typhoon", "For \"家\"", "STOP to end"), "[Obs] Typhoon STOP to end", "still GSM-7");
    }

    #[test]
    fn answers_mean_what_the_shipped_tables_say() {
        let class =
            |text: &str, status, body: &str| meaning::class(&gateway(text).unwrap().answers, status, body.as_bytes());
        let (kannel, json) = (include_str!("gateways/kannel.toml"), include_str!("gateways/json.toml"));
        assert_eq!(class(kannel, 202, "0: Accepted for delivery"), Class::Accepted);
        assert_eq!(class(kannel, 202, "3: Queued for later delivery"), Class::Accepted);
        assert_eq!(class(kannel, 503, "Temporal failure, try again later."), Class::Transient);
        assert_eq!(class(kannel, 403, "Authorization failed for sendsms"), Class::Policy);
        assert_eq!(class(kannel, 403, "Not routable. Do not try again."), Class::Policy);
        assert_eq!(class(json, 200, r#"{"status":"accepted","id":"1"}"#), Class::Accepted);
        assert_eq!(class(json, 200, r#"{"status":"error","error":"invalid_number"}"#), Class::BadAddress);
        assert_eq!(class(json, 200, "<html>"), Class::Transient, "a 200 that says nothing is no acceptance");
        assert_eq!(class(json, 429, ""), Class::Throttled);
    }

    #[test]
    fn a_placeholder_that_stands_for_nothing_is_refused() {
        let text = include_str!("gateways/json.toml").replace("{text}", "{txt}");
        assert!(matches!(gateway(&text), Err(SmsError::Placeholder(name)) if name == "txt"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_place(text in "\\PC{0,60}[&=\"#{}\\\\ \n]{0,5}") {
            let content = SmsContent { text: text.clone() };
            let gateway = gateway(include_str!("gateways/json.toml")).unwrap();
            let shared = gateway.prepare(&content, SystemTime::now());
            let values = Values { shared: &shared, text: shared.text.into(), to: "+86138", key: String::new(), sender: "" };
            let request = gateway.request(&values).unwrap();
            let json: Value = serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
            prop_assert_eq!(json["text"].as_str(), Some(text.as_str()));
            let kannel = super::tests::gateway(include_str!("gateways/kannel.toml")).unwrap();
            let url = kannel.request(&values).unwrap().url().clone();
            let pairs: Vec<_> = url.query_pairs().filter(|(name, _)| name == "text").collect();
            prop_assert_eq!(pairs.len(), 1);
            prop_assert_eq!(&pairs[0].1, text.as_str());
        }
    }
}
