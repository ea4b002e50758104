//! Which addresses belong to the public internet: what a stranger names must not lead into a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What a name that leads inside is refused with.
pub const LEADS_INSIDE: &str = "the name leads into a private network";

/// Private addresses that may be connected to all the same.
#[derive(Debug, Clone)]
pub struct AllowList(Arc<[Allowed]>);

/// An entry of the list.
#[derive(Debug, Clone, Copy)]
struct Allowed {
    net: IpAddr,
    bits: u8,
    port: Option<u16>,
}

impl AllowList {
    /// A list of `ADDRESS`, `ADDRESS:PORT` and `NETWORK/BITS`.
    ///
    /// # Errors
    /// Gives back the entry that is none of these.
    pub fn new(entries: &[String]) -> Result<Self, String> {
        let parse = |text: &String| Allowed::parse(text).ok_or_else(|| text.clone());
        Ok(Self(entries.iter().map(parse).collect::<Result<_, _>>()?))
    }

    /// Whether an address with a port is on the list.
    pub fn names(&self, ip: IpAddr, port: u16) -> bool {
        self.0.iter().any(|entry| entry.holds(ip) && entry.port.is_none_or(|allowed| allowed == port))
    }

    /// Whether any entry names this port.
    pub fn names_port(&self, port: u16) -> bool {
        self.0.iter().any(|entry| entry.port == Some(port))
    }
}

/// Names are looked up here, so that what a name resolves to is what is checked and connected to.
impl Resolve for AllowList {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> =
                found.filter(|at| is_public(at.ip()) || opens_to_names(&allowed, at.ip())).collect();
            if open.is_empty() {
                return Err(LEADS_INSIDE.into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// The port of a request is not known here: an entry that opens one port opens it to those who name the address itself.
fn opens_to_names(allowed: &[Allowed], ip: IpAddr) -> bool {
    allowed.iter().any(|entry| entry.port.is_none() && entry.holds(ip))
}

impl Allowed {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(at) = text.parse::<SocketAddr>() {
            return Some(Self { net: at.ip(), bits: 128, port: Some(at.port()) });
        }
        let (net, bits) = match text.split_once('/') {
            Some((net, bits)) => (net.parse::<IpAddr>().ok()?, bits.parse().ok()?),
            None => (text.parse::<IpAddr>().ok()?, 128),
        };
        Some(Self { net, bits, port: None })
    }

    fn holds(&self, ip: IpAddr) -> bool {
        match (self.net, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let bits = u32::from(self.bits.min(32));
                (net.to_bits() ^ ip.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let bits = u32::from(self.bits.min(128));
                (net.to_bits() ^ ip.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whether an address belongs to the public internet (IANA's special-purpose registries).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    // An address that carries an IPv4 one is as public as that one: mapped, compatible, NAT64 and 6to4.
    let bits = ip.to_bits();
    let carried = match (a, b) {
        (0, 0) if bits >> 32 == 0xFFFF || bits >> 32 == 0 => Some((bits & 0xFFFF_FFFF) as u32),
        // 64:ff9b:1::/48 is for networks' own use (RFC 8215).
        (0x64, 0xFF9B) if c == 0 => Some((bits & 0xFFFF_FFFF) as u32),
        (0x2002, _) => Some(((bits >> 80) & 0xFFFF_FFFF) as u32),
        _ => None,
    };
    if let Some(v4) = carried {
        return is_public_v4(Ipv4Addr::from_bits(v4));
    }
    // Global unicast is 2000::/3; of it, 2001:db8::/32 is for documents.
    a & 0xE000 == 0x2000 && !(a == 0x2001 && b == 0x0DB8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_port_of_an_address_is_not_open_to_whatever_name_leads_there() {
        let list = |entry: &str| AllowList::new(&[entry.to_owned()]).unwrap_or_else(|e| panic!("{e}"));
        let ip = IpAddr::from([127, 0, 0, 1]);
        let port = list("127.0.0.1:8080");
        assert!(port.names(ip, 8080) && !port.names(ip, 8081) && !opens_to_names(&port.0, ip));
        assert!(opens_to_names(&list("127.0.0.0/8").0, ip) && opens_to_names(&list("127.0.0.1").0, ip));
    }

    #[test]
    fn an_address_that_carries_another_is_as_public_and_local_translation_is_not() {
        let public = |text: &str| text.parse().is_ok_and(is_public);
        assert!(public("64:ff9b::808:808") && !public("64:ff9b::10.0.0.1"));
        assert!(!public("64:ff9b:1::808:808") && !public("64:ff9b:1:a00:0:100::"));
    }
}
