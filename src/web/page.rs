//! What every page has: its frame, its answers, its times and numbers.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Datelike, Utc};

use super::words::Words;
use crate::approval::DeskError;
use crate::cap::Colour;
use crate::messages::Language;
use crate::staff::{Factors, Session, SignInError, StaffError};
use crate::store::StoreError;
use crate::world::World;

/// What every page shows around its own part.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) t: Words,
    /// A drill: violet, and told so everywhere.
    pub(super) exercise: bool,
    /// Where this world's pages stand.
    pub(super) base: &'static str,
    /// Who is signed in; empty for nobody.
    pub(super) name: String,
    pub(super) csrf: String,
    /// Whether a grave act needs a code.
    pub(super) proved: bool,
    /// What they can prove it with.
    pub(super) factors: Factors,
    /// Milliseconds since 1970 when the session ends if nothing is done.
    pub(super) until: i64,
    pub(super) here: &'static str,
}

impl Frame {
    pub(super) fn of<W: World>(session: &Session, here: &'static str) -> Self {
        Self {
            t: session.officer.language.into(),
            exercise: W::EXERCISE,
            base: W::BASE,
            name: session.officer.name.clone(),
            csrf: session.csrf.clone(),
            proved: session.proved,
            factors: session.factors,
            until: session.until.timestamp_millis(),
            here,
        }
    }

    /// For pages before sign-in.
    pub(super) fn nobody(language: Language) -> Self {
        Self {
            t: language.into(),
            exercise: false,
            base: "/console",
            name: String::new(),
            csrf: String::new(),
            proved: false,
            factors: Factors::default(),
            until: 0,
            here: "",
        }
    }
}

/// A page, whole.
pub(super) fn page(template: &impl Template) -> Response {
    page_with(StatusCode::OK, template)
}

pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(header::CONTENT_TYPE, kind)], html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    frame: &'a Frame,
    code: &'a str,
    text: &'a str,
}

/// A page that says why not. The text holds both languages, apart by ` / `.
pub(super) fn notice(status: StatusCode, frame: &Frame, (code, text): (&str, &str)) -> Response {
    let text = frame.t.both(text);
    page_with(status, &Notice { frame, code, text })
}

/// Why a page is not shown, or an act not done.
#[derive(Debug)]
pub(super) enum Fault {
    Desk(DeskError),
    Staff(StaffError),
    SignIn(SignInError),
    Unknown,
    NotYours,
    /// The typed word is not the one that was asked for.
    NotConfirmed,
    Bad(String),
}

impl From<DeskError> for Fault {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Desk(error.into())
    }
}

impl From<StaffError> for Fault {
    fn from(error: StaffError) -> Self {
        Self::Staff(error)
    }
}

impl From<SignInError> for Fault {
    fn from(error: SignInError) -> Self {
        Self::SignIn(error)
    }
}

impl Fault {
    /// Status, stable code, and what to tell in both languages.
    pub(super) fn told(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Unknown | Self::Desk(DeskError::Unknown) => {
                (StatusCode::NOT_FOUND, "T6001", "没有此项 / there is no such thing here".into())
            }
            Self::NotYours => (StatusCode::FORBIDDEN, "T6009", "您没有这项权限 / you may not do this".into()),
            Self::NotConfirmed => {
                let text = "确认词不符，未执行 / the typed word is not the one asked for; nothing was done";
                (StatusCode::CONFLICT, "T6014", text.into())
            }
            Self::Bad(what) => (StatusCode::BAD_REQUEST, "T5003", what.clone()),
            Self::Desk(DeskError::Store(error)) | Self::Staff(StaffError::Store(error)) => {
                tracing::error!(%error, "a page could not be answered");
                let text = "存储暂不可用，请稍后再试 / the store does not answer; try again later";
                (StatusCode::SERVICE_UNAVAILABLE, "T5005", text.into())
            }
            Self::Desk(error) => {
                let status = match error.code() {
                    "T6009" => StatusCode::FORBIDDEN,
                    "T6010" | "T6011" | "T6012" => StatusCode::UNPROCESSABLE_ENTITY,
                    _ => StatusCode::CONFLICT,
                };
                (status, error.code(), error.to_string())
            }
            Self::Staff(StaffError::NotYours) => (StatusCode::FORBIDDEN, "T6104", StaffError::NotYours.to_string()),
            Self::Staff(error @ (StaffError::Unknown | StaffError::Invitation)) => {
                (StatusCode::NOT_FOUND, "T6105", error.to_string())
            }
            Self::Staff(StaffError::Own) => (StatusCode::CONFLICT, "T6106", StaffError::Own.to_string()),
            Self::Staff(error) => (StatusCode::UNPROCESSABLE_ENTITY, "T6107", error.to_string()),
            Self::SignIn(SignInError::Staff(StaffError::Totp(error))) => {
                (StatusCode::FORBIDDEN, "T6108", error.to_string())
            }
            Self::SignIn(error @ SignInError::Over) => (StatusCode::UNAUTHORIZED, "T6101", error.to_string()),
            Self::SignIn(error) => (StatusCode::FORBIDDEN, "T6108", error.to_string()),
        }
    }

    pub(super) fn show(&self, frame: &Frame) -> Response {
        let (status, code, text) = self.told();
        let nobody = matches!(self, Self::SignIn(SignInError::Over)).then(|| Frame::nobody(frame.t.language));
        notice(status, nobody.as_ref().unwrap_or(frame), (code, &text))
    }
}

pub(super) use crate::show::beijing;

/// A time as pages show it: the day only where it is not today, the year where it is not this one.
pub(super) fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let (at, now) = (beijing(at), beijing(now));
    let shape = match () {
        () if at.date_naive() == now.date_naive() => "%H:%M:%S",
        () if at.year() == now.year() => "%m-%d %H:%M",
        () => "%Y-%m-%d %H:%M",
    };
    at.format(shape).to_string()
}

/// A time as pages show it: the clock, and how long ago or from now beside it.
pub(super) struct Moment {
    pub(super) clock: String,
    /// For the script, which keeps `relative` true: milliseconds since 1970.
    pub(super) at: i64,
    pub(super) relative: String,
    words: Words,
}

impl Moment {
    pub(super) fn new(at: DateTime<Utc>, now: DateTime<Utc>, words: Words) -> Self {
        let seconds = (now - at).num_seconds();
        let far = span(seconds.abs(), words);
        let relative = if seconds < 0 { words.f("in {}", far) } else { words.f("{} ago", far) };
        Self { clock: clock(at, now), at: at.timestamp_millis(), relative, words }
    }

    /// How the script writes what is over, and what is to come.
    pub(super) fn past(&self) -> &'static str {
        self.words.s("{} ago")
    }

    pub(super) fn future(&self) -> &'static str {
        self.words.s("in {}")
    }
}

/// A span of time in words: 3 min 20 s.
pub(super) fn span(seconds: i64, words: Words) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..=119 => words.f("{} s", seconds),
        120..=7_199 => words.f("{} min", seconds / 60),
        7_200..=172_799 => words.f("{} h", seconds / 3_600),
        _ => words.f("{} days", seconds / 86_400),
    }
}

/// A level as pages mark it: a word, a shape, and a class for the colour; never the colour alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) class: &'static str,
    pub(super) shape: &'static str,
    /// In English; pages say it in their language.
    pub(super) name: &'static str,
}

impl Mark {
    pub(super) fn of(colour: Option<Colour>) -> Self {
        match colour {
            Some(Colour::Red) => Self { class: "red", shape: "⬢", name: "Red" },
            Some(Colour::Orange) => Self { class: "orange", shape: "◆", name: "Orange" },
            Some(Colour::Yellow) => Self { class: "yellow", shape: "▲", name: "Yellow" },
            Some(Colour::Blue) => Self { class: "blue", shape: "●", name: "Blue" },
            None => Self { class: "plain", shape: "■", name: "No level" },
        }
    }

    pub(super) fn of_severity(severity: &str) -> Self {
        Self::of(crate::cap::Severity::parse(severity).and_then(Colour::of_severity))
    }

    pub(super) fn ended() -> Self {
        Self { class: "ended", shape: "✓", name: "All clear" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_names_its_day_and_year_where_these_are_not_todays_in_beijing() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-29T11:00:00Z");
        for (time, said) in [
            ("2026-11-29T11:30:05Z", "19:30:05"),
            ("2026-11-30T11:00:00Z", "11-30 19:00"),
            ("2027-11-30T11:00:00Z", "2027-11-30 19:00"),
            ("2026-12-31T16:00:00Z", "2027-01-01 00:00"),
            ("2025-12-31T16:00:00Z", "01-01 00:00"),
        ] {
            assert_eq!(clock(at(time), now), said, "{time}");
        }
    }
}
