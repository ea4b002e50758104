//! Addresses, normalised: what two people write differently is one address.

use tocsin_channels::ChannelKind;
use tocsin_channels::push::Subscription;

/// A way to reach somebody, checked and in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The channel it is for.
    pub channel: ChannelKind,
    /// As the channel wants it: `+8613…`, `a@example.org`, `device/NAME`, or a push subscription's JSON.
    pub value: String,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a phone number.
    #[error("不是电话号码 / not a phone number: {0}")]
    Phone(String),
    /// Not an e-mail address.
    #[error("不是电子邮件地址 / not an e-mail address: {0}")]
    Email(String),
    /// Not a device's name.
    #[error("不是设备名 / not a device name (1 to 64 letters, digits, - or _): {0}")]
    Device(String),
    /// Not a browser's push subscription.
    #[error("不是浏览器推送订阅 / not a browser's push subscription: {0}")]
    Push(String),
}

impl Address {
    /// An address from what somebody wrote. A phone number without a country's code is Chinese.
    ///
    /// # Errors
    /// When it is none; the message shows it masked.
    pub fn parse(channel: ChannelKind, text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let value = match channel {
            ChannelKind::Sms => phone(text).ok_or_else(|| AddressError::Phone(mask(text)))?,
            ChannelKind::Email => email(text).ok_or_else(|| AddressError::Email(mask(text)))?,
            ChannelKind::Mqtt => device(text).ok_or_else(|| AddressError::Device(mask(text)))?,
            ChannelKind::Push => push(text).map_err(AddressError::Push)?,
        };
        Ok(Self { channel, value })
    }
}

impl Address {
    /// Under what it is counted how much was sent unasked. Nearly every provider puts `A@`, `a@` and `a+b@` into one mailbox, and some
    /// leave the dots of it out: whoever spells it in fifty ways is to annoy its owner no more than with one.
    pub(crate) fn folded(&self) -> Self {
        let Some((user, domain)) = self.value.rsplit_once('@').filter(|_| self.channel == ChannelKind::Email) else {
            return self.clone();
        };
        let user = user.split('+').next().unwrap_or(user).to_ascii_lowercase().replace('.', "");
        Self { channel: self.channel, value: format!("{user}@{domain}") }
    }

    /// The host of a browser's push service: as much as tells one browser from another.
    pub fn service(&self) -> Option<String> {
        (self.channel == ChannelKind::Push).then(|| service(&self.value)).flatten()
    }
}

fn service(value: &str) -> Option<String> {
    let found = Subscription::parse(value).ok()?;
    Some(found.endpoint.host_str()?.to_owned())
}

/// An address as logs and reports show it: enough to recognise one's own, not to reach another's.
pub fn mask(address: &str) -> String {
    // A browser is known by its push service alone: the rest of its endpoint is what reaches it.
    if address.starts_with('{') {
        return service(address).unwrap_or_default();
    }
    let characters: Vec<char> = address.chars().filter(|c| !c.is_control()).take(64).collect();
    let (user, rest) = match characters.iter().position(|c| *c == '@') {
        Some(at) => characters.split_at(at),
        None => (characters.as_slice(), [].as_slice()),
    };
    let shown = user.len() / 3;
    let (head, tail) = if rest.is_empty() { (shown, shown / 2) } else { (shown.min(2), 0) };
    let stars = user.len() - head - tail;
    let user = user.iter().enumerate().map(|(n, c)| if (head..head + stars).contains(&n) { '*' } else { *c });
    user.chain(rest.iter().copied()).collect()
}

/// E.164: `+`, the country's code, 7 to 15 digits in all.
fn phone(text: &str) -> Option<String> {
    let mut digits = String::new();
    let mut plus = false;
    for (n, c) in text.chars().enumerate() {
        // Full-width digits are what a Chinese keyboard gives.
        let c = if ('０'..='９').contains(&c) { char::from_u32(u32::from(c) - 0xFEE0)? } else { c };
        match c {
            '0'..='9' => digits.push(c),
            '+' | '＋' if n == 0 => plus = true,
            ' ' | '-' | '(' | ')' | '（' | '）' | '\u{a0}' | '.' => {}
            _ => return None,
        }
    }
    if !plus {
        digits = match digits.strip_prefix("00") {
            Some(international) => international.to_owned(),
            None if digits.len() == 13 && digits.starts_with("861") => digits,
            None => format!("86{}", digits.strip_prefix('0').unwrap_or(&digits)),
        };
    }
    let chinese = digits.strip_prefix("86");
    // Chinese mobile numbers: 1, 3 to 9, nine more; short messages reach no others there.
    if chinese.is_some_and(|rest| {
        rest.len() != 11 || !rest.starts_with('1') || matches!(rest.as_bytes().get(1), Some(b'0'..=b'2'))
    }) {
        return None;
    }
    ((7..=15).contains(&digits.len()) && !digits.starts_with('0')).then(|| format!("+{digits}"))
}

fn email(text: &str) -> Option<String> {
    let (user, domain) = text.rsplit_once('@')?;
    let user_like = (1..=64).contains(&user.len())
        && user.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
        && !user.starts_with('.')
        && !user.ends_with('.')
        && !user.contains("..");
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let domain_like = domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label);
    (user_like && domain_like && text.len() <= 254).then(|| format!("{user}@{}", domain.to_ascii_lowercase()))
}

fn device(text: &str) -> Option<String> {
    let name = text.strip_prefix("device/").unwrap_or(text);
    let legal =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    legal.then(|| format!("device/{name}"))
}

fn push(text: &str) -> Result<String, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let subscription = Subscription::parse(text).map_err(|e| e.to_string())?;
    // A push service of one's own on this machine needs no certificate; config must still allow it before anything is sent there.
    let here = matches!(subscription.endpoint.host_str(), Some("127.0.0.1" | "[::1]"));
    if subscription.endpoint.scheme() != "https" && !here {
        return Err("the endpoint is not https".into());
    }
    Ok(push_value(
        subscription.endpoint.as_str(),
        &URL_SAFE_NO_PAD.encode(subscription.p256dh),
        &URL_SAFE_NO_PAD.encode(subscription.auth),
    ))
}

/// A push subscription in its one spelling.
pub(crate) fn push_value(endpoint: &str, p256dh: &str, auth: &str) -> String {
    serde_json::json!({"endpoint": endpoint, "keys": {"auth": auth, "p256dh": p256dh}}).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_person_written_in_many_ways_is_one_address() {
        for text in [
            "13812345678",
            "+86 138 1234 5678",
            "008613812345678",
            "86-138-1234-5678",
            "１３８１２３４５６７８",
            "013812345678",
        ] {
            assert_eq!(Address::parse(ChannelKind::Sms, text).unwrap().value, "+8613812345678", "{text}");
        }
        assert_eq!(Address::parse(ChannelKind::Sms, "+44 20 7946 0000").unwrap().value, "+442079460000");
        assert_eq!(Address::parse(ChannelKind::Email, " Li.Ming@Example.ORG ").unwrap().value, "Li.Ming@example.org");
        assert_eq!(Address::parse(ChannelKind::Mqtt, "siren-17").unwrap().value, "device/siren-17");
    }

    #[test]
    fn what_is_no_address_is_refused_and_shown_masked() {
        for text in ["12345", "021 6123 4567", "+8612345678901", "138123456789", "call me", "+0123456789", ""] {
            assert!(Address::parse(ChannelKind::Sms, text).is_err(), "{text}");
        }
        for text in
            ["a", "a@b", "a@b..c", "a b@c.org", "a@c.org\r\nBcc: x@y.org", "<a@c.org>", "\"a\"@c.org", "名@例.cn"]
        {
            assert!(Address::parse(ChannelKind::Email, text).is_err(), "{text}");
        }
        for text in ["a/b", "#", "", "a b"] {
            assert!(Address::parse(ChannelKind::Mqtt, text).is_err(), "{text}");
        }
        assert_eq!(mask("+8613812345678"), "+861********78");
        assert_eq!(mask("li.ming@example.org"), "li*****@example.org");
    }

    proptest! {
        #[test]
        fn a_second_reading_changes_nothing_and_a_mask_hides(text in "\\PC{0,40}", digits in "1[3-9][0-9]{9}") {
            for channel in ChannelKind::ALL {
                if let Ok(address) = Address::parse(channel, &text) {
                    prop_assert_eq!(Address::parse(channel, &address.value), Ok(address));
                }
            }
            let phone = Address::parse(ChannelKind::Sms, &digits).unwrap().value;
            prop_assert!(!mask(&phone).contains(&phone[6..11]));
        }
    }
}
