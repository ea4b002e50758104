//! What a device says, read strictly: it is a small computer on a pole that anybody may have opened. Pure.

use serde::Deserialize;
use serde_json::Value;

/// Bytes of one message.
const LONGEST: usize = 1_024;

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It has connected.
    Online,
    /// It is gone: the broker says so in its stead, or it says good-bye.
    Offline,
    /// It lives.
    Heartbeat { battery: Option<i64>, firmware: Option<String> },
    /// It has played an alert, by the alert's id.
    Played { alert: String },
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// A topic that is no device's.
    Topic,
    /// Larger than any honest one.
    TooLarge,
    /// Not what the topic carries.
    Content,
    /// More than one a second, for long.
    Flood,
    /// No such device.
    Stranger,
}

impl Refusal {
    pub(crate) const ALL: [Self; 5] = [Self::Topic, Self::TooLarge, Self::Content, Self::Flood, Self::Stranger];

    /// The word in metrics and tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::TooLarge => "too_large",
            Self::Content => "content",
            Self::Flood => "flood",
            Self::Stranger => "stranger",
        }
    }
}

/// The device that a topic below `PREFIX/device/` is of, with the topic's last word.
pub(crate) fn whose<'a>(topic: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (id, word) = topic.strip_prefix(prefix)?.strip_prefix("/device/")?.split_once('/')?;
    (!word.contains('/')).then_some((id, word))
}

/// Reads a message.
pub(crate) fn read(word: &str, payload: &[u8]) -> Result<Said, Refusal> {
    if payload.len() > LONGEST {
        return Err(Refusal::TooLarge);
    }
    match (word, payload) {
        ("state", b"online") => Ok(Said::Online),
        ("state", b"offline") => Ok(Said::Offline),
        ("heartbeat", b"") => Ok(Said::Heartbeat { battery: None, firmware: None }),
        ("heartbeat", _) => heartbeat(payload).ok_or(Refusal::Content),
        ("played", _) => played(payload).ok_or(Refusal::Content),
        ("state", _) => Err(Refusal::Content),
        _ => Err(Refusal::Topic),
    }
}

fn heartbeat(payload: &[u8]) -> Option<Said> {
    /// What else it says is let pass: a newer firmware may say more.
    #[derive(Deserialize)]
    struct Beat {
        battery: Option<Value>,
        firmware: Option<String>,
    }
    let beat: Beat = serde_json::from_slice(payload).ok()?;
    let percent = |value: Value| value.as_f64().filter(|n| (0.0..=100.0).contains(n)).map(whole);
    let battery = match beat.battery {
        Some(value) => Some(percent(value)?),
        None => None,
    };
    let version = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    let plain = |text: &String| text.len() <= 40 && text.chars().all(version);
    if beat.firmware.as_ref().is_some_and(|text| !plain(text)) {
        return None;
    }
    Some(Said::Heartbeat { battery, firmware: beat.firmware })
}

#[expect(clippy::cast_possible_truncation, reason = "between 0 and 100")]
fn whole(percent: f64) -> i64 {
    percent.round() as i64
}

fn played(payload: &[u8]) -> Option<Said> {
    #[derive(Deserialize)]
    struct Played {
        id: String,
    }
    let Played { id } = serde_json::from_slice(payload).ok()?;
    let plain = (1..=80).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then_some(Said::Played { alert: id })
}
