//! Short messages that people write to us: one word ends everything for their number, another one opens their settings.

use tocsin_channels::ChannelKind;

use super::limits::{FOR, UNASKED};
use super::sign_up::{ResidentError, Residents};
use crate::delivery::{Address, mask};
use crate::messages::{Reader, opens_by_link};
use crate::store::{Entry, allow_again, refuse};

/// Words that end it, in any case, with blanks and full stops around them.
const STOP: [&str; 10] = ["stop", "td", "t", "退订", "取消", "unsubscribe", "quit", "end", "cancel", "stopall"];

/// Words that ask for one's settings, whoever has used up the codes that a number gets on asking at the page.
const OPEN: [&str; 5] = ["open", "dl", "登录", "登陆", "设置"];

/// What to answer somebody who has just left.
pub const LEFT: &str = "已退订，此号码不会再收到预警和验证码。要恢复请回复“登录”。Done: no more warnings or codes to this number. To come back answer OPEN.";

/// What to answer somebody who has come back to sign up again.
const AGAIN: &str = "此号码可以重新登记了。This number can be signed up again.";

impl Residents {
    /// Reads a short message from a number; gives the one answer to send back: a confirmation to whoever leaves, the way to their settings
    /// to whoever asks for it, and nothing to anybody else.
    ///
    /// # Errors
    /// When the store cannot be written: the gateway must try again then.
    pub async fn hear(&self, from: &str, text: &str) -> Result<Option<String>, ResidentError> {
        let Ok(address) = Address::parse(ChannelKind::Sms, from) else { return Ok(None) };
        let word = word(text);
        if STOP.contains(&word.as_str()) {
            return self.stop(&address).await;
        }
        if OPEN.contains(&word.as_str()) { self.open(&address).await } else { Ok(None) }
    }

    /// No more warnings, and no codes that somebody else asks for. A second time is answered with nothing; so is a number that never got
    /// anything.
    async fn stop(&self, address: &Address) -> Result<Option<String>, ResidentError> {
        let (now, name) = (self.clock.now(), self.store.refused_name(address));
        let left = self.store.leave_by(address, now).await?;
        let was_sent = self.store.has_refused(&name).await? == Some(false);
        if !left && !was_sent {
            return Ok(None);
        }
        let mut tx = self.store.begin().await?;
        refuse(&mut tx, &name, now).await?;
        tx.commit().await?;
        let detail = serde_json::json!({"channel": "sms"});
        self.store.record_one(now, Entry::new("resident", "resident.stop", mask(&address.value), detail)).await?;
        Ok(Some(LEFT.to_owned()))
    }

    /// Who can write from a number has it, whatever strangers asked for in its name: it has its whole share again. Some gateways let a
    /// sender be forged: so no more than anybody gets unasked.
    async fn open(&self, address: &Address) -> Result<Option<String>, ResidentError> {
        let (now, name) = (self.clock.now(), self.store.refused_name(address));
        let was_sent = self.store.has_refused(&name).await?.is_some();
        let resident = match self.store.resident_by(address).await?.filter(|_| !self.base.is_empty()) {
            Some(subscriber) => self.store.resident(subscriber).await?,
            None => None,
        };
        if resident.is_none() && !was_sent {
            return Ok(None);
        }
        let mut tx = self.store.begin().await?;
        let opens = self.store.vault.digest("open", &self.store.digest(address));
        let mut answer = None;
        if self.store.count_use(&mut tx, &opens, (UNASKED, FOR), now).await? {
            allow_again(&mut tx, &name).await?;
            answer = Some(match &resident {
                Some(resident) => {
                    let reader = Reader { language: resident.language, tongue: &resident.tongue };
                    opens_by_link(reader, &self.link_for(&mut tx, address, reader, now).await?)
                }
                None => AGAIN.to_owned(),
            });
        }
        tx.commit().await?;
        Ok(answer)
    }
}

fn word(text: &str) -> String {
    text.trim_matches(|c: char| c.is_whitespace() || ".。!！,，\"“”'".contains(c)).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_means_stop_stops_and_a_sentence_does_not() {
        for text in ["STOP", " stop. ", "TD", "td。", "退订", "“退订”！", "T"] {
            assert!(STOP.contains(&word(text).as_str()), "{text}");
        }
        for text in ["", "别停", "stop the flood please", "谢谢", "TDX"] {
            assert!(!STOP.contains(&word(text).as_str()), "{text}");
        }
    }
}
