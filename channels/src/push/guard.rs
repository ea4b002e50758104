//! No pushes into private networks: an endpoint is what a stranger typed.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::config::PushError;
use crate::public::is_public;

/// Which addresses may be connected to.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    allowed: std::sync::Arc<[Allowed]>,
}

/// An entry of the allow list.
#[derive(Debug, Clone, Copy)]
struct Allowed {
    net: IpAddr,
    bits: u8,
    port: Option<u16>,
}

impl Guard {
    pub(super) fn new(entries: &[String]) -> Result<Self, PushError> {
        let parse = |text: &String| Allowed::parse(text).ok_or_else(|| PushError::Allow(text.clone()));
        Ok(Self { allowed: entries.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// Checks an endpoint before a connection: literal addresses, the scheme, the port.
    pub(super) fn check(&self, endpoint: &Url) -> Result<(), &'static str> {
        let port = endpoint.port_or_known_default().unwrap_or(0);
        let literal = endpoint.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|ip| self.allows(ip, port)) {
            return Ok(());
        }
        if endpoint.scheme() != "https" {
            return Err("the endpoint is not https");
        }
        match literal {
            Some(ip) if !is_public(ip) => Err("the endpoint lies in a private network"),
            _ if port != 443 && !self.allowed.iter().any(|entry| entry.port == Some(port)) => {
                Err("the endpoint's port is not 443")
            }
            _ => Ok(()),
        }
    }

    fn allows(&self, ip: IpAddr, port: u16) -> bool {
        self.allowed.iter().any(|entry| entry.holds(ip) && entry.port.is_none_or(|allowed| allowed == port))
    }
}

/// Names are looked up here, so that what a name resolves to is what is checked and connected to.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = std::sync::Arc::clone(&self.allowed);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> =
                found.filter(|at| is_public(at.ip()) || allowed.iter().any(|entry| entry.holds(at.ip()))).collect();
            if open.is_empty() {
                return Err("the endpoint's name leads into a private network".into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_closed_however_they_are_written() {
        let guard = Guard::new(&[]).unwrap();
        for endpoint in [
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.16.9.9/",
            "https://169.254.169.254/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fc00::1]/",
            "https://[fe80::1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://224.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "http://push.example/",
            "https://push.example:8443/",
            "https://[::]/",
        ] {
            assert!(guard.check(&endpoint.parse().unwrap()).is_err(), "{endpoint}");
        }
        for endpoint in ["https://push.example/", "https://8.8.8.8/", "https://[2a00:1450::1]/"] {
            assert!(guard.check(&endpoint.parse().unwrap()).is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn the_allow_list_opens_exactly_what_it_names() {
        let guard = Guard::new(&["127.0.0.1:9000".into(), "10.0.0.0/8".into(), "fd00::/8".into()]).unwrap();
        for (endpoint, open) in [
            ("http://127.0.0.1:9000/a", true),
            ("http://127.0.0.1:9001/a", false),
            ("https://10.200.0.1/", true),
            ("https://11.0.0.1/", true),
            ("https://192.168.1.1/", false),
            ("https://[fd12::1]/", true),
            ("https://[fe80::1]/", false),
        ] {
            assert_eq!(guard.check(&endpoint.parse().unwrap()).is_ok(), open, "{endpoint}");
        }
        assert!(matches!(Guard::new(&["localhost".into()]), Err(PushError::Allow(_))));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let refused = Guard::new(&[]).unwrap().resolve("localhost".parse().unwrap()).await;
        assert!(refused.is_err());
        let open =
            Guard::new(&["127.0.0.0/8".into(), "::1".into()]).unwrap().resolve("localhost".parse().unwrap()).await;
        assert!(open.is_ok());
    }
}
