//! How much may be asked for: against those who would make us send codes to thousands of numbers at somebody's cost, or to one
//! number until its owner despairs.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tocsin_channels::ChannelKind;

use crate::delivery::Address;
use crate::store::{Store, StoreError, Tx};

/// Limits of sign-up, for an hour each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignUpLimits {
    /// Countries, by their calling codes, whose numbers can be signed up: codes to the others cost most, and nobody's warned places lie there.
    pub countries: Vec<String>,
    /// Codes by SMS, of all numbers together.
    pub sms: u32,
    /// Links by e-mail, of all addresses together.
    pub mails: u32,
    /// Links by web push, of all browsers together.
    pub pushes: u32,
    /// From one network (/24, /48).
    pub network: u32,
    /// To numbers that differ in the last four digits only, and to browsers of one push service that is none of the large ones; to
    /// mailboxes of one domain a hundred times as many.
    pub prefix: u32,
    /// With more sign-ups than this, each must bring a proof of work.
    pub work_above: u32,
    /// Then so many are let through without, for browsers without scripts.
    pub without_work: u32,
}

impl Default for SignUpLimits {
    fn default() -> Self {
        let countries = vec!["86".to_owned()];
        Self {
            countries,
            sms: 600,
            mails: 6_000,
            pushes: 6_000,
            network: 20,
            prefix: 20,
            work_above: 100,
            without_work: 20,
        }
    }
}

/// Messages that an address gets without its owner having confirmed one. Then each comes twice as long after the one before, [`FOR`] at
/// first.
pub(crate) const UNASKED: i64 = 3;
/// Messages in a day that somebody is sent on asking from a browser that has proved their address before. Strangers cannot use them up.
const OWN: i64 = 5;
/// See [`UNASKED`]; in so long a number may ask for its settings as often.
pub(crate) const FOR: TimeDelta = TimeDelta::days(7);
const HOUR: TimeDelta = TimeDelta::hours(1);

impl SignUpLimits {
    /// Whether codes may go to an address at all, known or not.
    pub(crate) fn serve(&self, address: &Address) -> bool {
        let number = address.value.strip_prefix('+').unwrap_or_default();
        address.channel != ChannelKind::Sms || self.countries.iter().any(|code| number.starts_with(code.as_str()))
    }
}

/// What may be sent to somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// A message.
    Yes,
    /// Nothing, and they are told what everybody is told: the address has had its share.
    Silently,
    /// Nothing, and they are told to come back later.
    No,
}

/// The name of everyone's count together.
pub(crate) const EVERYONE: &str = "everyone";

/// Counts one more message to an address on asking from a browser that has proved it before. A mailbox has one share, however its owner
/// writes it; one whose name differs by a dot may be somebody else's.
pub(crate) async fn allow_own(
    store: &Store,
    tx: &mut Tx,
    address: &Address,
    now: DateTime<Utc>,
) -> Result<Allowed, StoreError> {
    let name = store.vault.digest("own", &store.refused_name(address));
    let allowed = store.count_use(tx, &name, (OWN, TimeDelta::days(1)), now).await?;
    Ok(if allowed { Allowed::Yes } else { Allowed::Silently })
}

/// Counts one more sign-up of an address from a network.
pub(crate) async fn allow(
    store: &Store,
    tx: &mut Tx,
    limits: &SignUpLimits,
    address: &Address,
    from: IpAddr,
    now: DateTime<Utc>,
) -> Result<Allowed, StoreError> {
    let all = match address.channel {
        ChannelKind::Push => limits.pushes,
        ChannelKind::Email => limits.mails,
        _ => limits.sms,
    };
    let prefix = prefix(address);
    let alike = match address.channel {
        ChannelKind::Email => limits.prefix.saturating_mul(100),
        // Nearly everybody's browser is with one of these; whoever names another host has us knock there.
        ChannelKind::Push if SERVICES.iter().any(|service| prefix.ends_with(service)) => u32::MAX,
        _ => limits.prefix,
    };
    let shared = [
        (store.vault.digest("network", &network(from)), limits.network),
        (store.vault.digest("prefix", &prefix), alike),
        // What was refused above is no load: one network cannot make everybody else work.
        (EVERYONE.to_owned(), u32::MAX),
        (format!("all-{}", address.channel), all),
    ];
    for (name, most) in shared {
        if !store.count_use(tx, &name, (i64::from(most), HOUR), now).await? {
            return Ok(Allowed::No);
        }
    }
    if store.has_refused(&store.refused_name(address)).await? == Some(true) {
        return Ok(Allowed::Silently);
    }
    let own = store.count_unasked(tx, address, (UNASKED, FOR), now).await?;
    Ok(if own { Allowed::Yes } else { Allowed::Silently })
}

/// The network that an address stands for: a household or company has that much of IPv6.
fn network(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}")
        }
    }
}

/// The push services of the browsers that people have.
const SERVICES: [&str; 4] =
    ["fcm.googleapis.com", ".push.services.mozilla.com", "web.push.apple.com", ".notify.windows.com"];

/// What numbers that were made up in a row have in common: all but four digits; of a mailbox its domain, of a browser its push
/// service.
fn prefix(address: &Address) -> String {
    if let Some(service) = address.service() {
        return service;
    }
    match address.value.rsplit_once('@') {
        Some((_, domain)) => domain.to_owned(),
        None => address.value.get(..address.value.len().saturating_sub(4)).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_network_and_numbers_in_a_row_a_prefix() {
        let net = |text: &str| network(text.parse().unwrap());
        assert_eq!(net("203.0.113.7"), net("203.0.113.200"));
        assert_eq!(net("::ffff:203.0.113.7"), net("203.0.113.200"), "IPv4 in IPv6's clothes");
        assert_ne!(net("203.0.113.7"), net("203.0.114.7"));
        assert_eq!(net("2001:db8:1:2::3"), net("2001:db8:1:ffff::9"));
        assert_ne!(net("2001:db8:1::3"), net("2001:db8:2::3"));
        let of = |value: &str| prefix(&Address { channel: ChannelKind::Sms, value: value.into() });
        assert_eq!(of("+8613812340000"), of("+8613812349999"));
        assert_ne!(of("+8613812340000"), of("+8613812350000"));
        assert_eq!(of("a@example.org"), of("b@example.org"));
        let keys = r#""keys":{"auth":"BTBZMqHH6r4Tts7J_aSIgg","p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"}"#;
        let value = format!(r#"{{"endpoint":"https://push.example/u@x",{keys}}}"#);
        assert_eq!(prefix(&Address { channel: ChannelKind::Push, value }), "push.example");
    }
}
