//! Short messages that people write to us: one word ends everything for their number.

use chrono::Utc;
use tocsin_channels::ChannelKind;

use crate::clock::Clock;
use crate::delivery::{Address, mask};
use crate::store::{Entry, Store, StoreError};

/// Words that end it, in any case, with blanks and full stops around them.
const STOP: [&str; 10] = ["stop", "td", "t", "退订", "取消", "unsubscribe", "quit", "end", "cancel", "stopall"];

/// What to answer somebody who has just left.
pub const LEFT: &str = "已退订，此号码不会再收到预警。Done: no more warnings to this number.";

/// Reads a short message from a number; gives the one answer to send back: a confirmation to whoever leaves, and nothing to anybody
/// else, a second time too.
///
/// # Errors
/// When the store cannot be written: the gateway must try again then.
pub async fn inbound(
    store: &Store,
    clock: &dyn Clock,
    from: &str,
    text: &str,
) -> Result<Option<&'static str>, StoreError> {
    let Ok(address) = Address::parse(ChannelKind::Sms, from) else { return Ok(None) };
    if !stops(text) {
        return Ok(None);
    }
    let now: chrono::DateTime<Utc> = clock.now();
    if !store.leave_by(&address, now).await? {
        return Ok(None);
    }
    let detail = serde_json::json!({"channel": "sms"});
    store.record_one(now, &Entry::new("resident", "resident.stop", mask(&address.value), detail)).await?;
    Ok(Some(LEFT))
}

fn stops(text: &str) -> bool {
    let word = text.trim_matches(|c: char| c.is_whitespace() || ".。!！,，\"“”'".contains(c)).to_lowercase();
    STOP.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_means_stop_stops_and_a_sentence_does_not() {
        for text in ["STOP", " stop. ", "TD", "td。", "退订", "“退订”！", "T"] {
            assert!(stops(text), "{text}");
        }
        for text in ["", "别停", "stop the flood please", "谢谢", "TDX"] {
            assert!(!stops(text), "{text}");
        }
    }
}
