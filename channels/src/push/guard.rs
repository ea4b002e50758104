//! No pushes into private networks: an endpoint is what a stranger typed.

use std::net::IpAddr;

use reqwest::Url;

use super::config::PushError;
use crate::public::{AllowList, is_public};

/// Which addresses may be connected to.
#[derive(Debug, Clone)]
pub(crate) struct Guard(pub(crate) AllowList);

impl Guard {
    pub(crate) fn new(entries: &[String]) -> Result<Self, PushError> {
        AllowList::new(entries).map(Self).map_err(PushError::Allow)
    }

    /// Checks an endpoint before a connection: literal addresses, the scheme, the port.
    pub(crate) fn check(&self, endpoint: &Url) -> Result<(), &'static str> {
        let port = endpoint.port_or_known_default().unwrap_or(0);
        let literal = endpoint.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|ip| self.0.names(ip, port)) {
            return Ok(());
        }
        if endpoint.scheme() != "https" {
            return Err("the endpoint is not https");
        }
        match literal {
            Some(ip) if !is_public(ip) => Err("the endpoint lies in a private network"),
            _ if port != 443 && !self.0.names_port(port) => Err("the endpoint's port is not 443"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::dns::Resolve as _;

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
        let refused = Guard::new(&[]).unwrap().0.resolve("localhost".parse().unwrap()).await;
        assert!(refused.is_err());
        let open =
            Guard::new(&["127.0.0.0/8".into(), "::1".into()]).unwrap().0.resolve("localhost".parse().unwrap()).await;
        assert!(open.is_ok());
    }
}
