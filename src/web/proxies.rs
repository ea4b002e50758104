//! Whom the door believes about where a request comes from: without this, all who come through one proxy would share one address's
//! limits, and with too much of it, anybody could claim another's.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use tocsin_channels::public::AllowList;

/// Proxies in front of this server, whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone)]
pub(super) struct Proxies(AllowList);

impl Proxies {
    /// Of addresses and networks; gives back the entry that is neither.
    pub(super) fn new(entries: &[String]) -> Result<Self, String> {
        match entries.iter().find(|entry| entry.parse::<SocketAddr>().is_ok()) {
            Some(with_port) => Err(with_port.clone()),
            None => AllowList::new(entries).map(Self),
        }
    }

    /// Whether a connection comes from one of them.
    pub(super) fn hold(&self, from: IpAddr) -> bool {
        self.0.names(from.to_canonical(), 0)
    }

    /// Where a request comes from: each proxy appends whom it was asked by, so the last entry that is no proxy of ours is the one to
    /// believe. What stands before it anybody may have written.
    pub(super) fn origin(&self, from: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.hold(from.ip()) {
            return from;
        }
        let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
        let entries: Vec<_> = lines.flat_map(|line| line.split(',')).map(address).collect();
        let mut last = from;
        for entry in entries.into_iter().rev() {
            // An entry that is no address ends what can be believed.
            let Some(entry) = entry else { break };
            last = SocketAddr::new(entry, 0);
            if !self.hold(entry) {
                break;
            }
        }
        last
    }
}

/// An entry as proxies write it: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let found = bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|at| at.ip()));
    found.map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_proxy_of_ours_says_is_believed() {
        let proxies = Proxies::new(&["127.0.0.1".into(), "10.0.0.0/8".into()]).unwrap();
        let cases = [
            // (connection from, header lines, origin)
            ("192.0.2.9", vec!["198.51.100.1"], "192.0.2.9"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            // What the client itself wrote stands before what the proxy appended.
            ("127.0.0.1", vec!["203.0.113.7, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", vec!["203.0.113.7", "198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", vec!["203.0.113.7, nonsense, 10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", vec!["[2001:db8::1]:99"], "2001:db8::1"),
            ("127.0.0.1", vec!["2001:db8::1"], "2001:db8::1"),
        ];
        for (from, lines, origin) in cases {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| _ = headers.append("x-forwarded-for", line.parse().unwrap()));
            let found = proxies.origin(SocketAddr::new(from.parse().unwrap(), 5), &headers).ip().to_canonical();
            assert_eq!(found, origin.parse::<IpAddr>().unwrap(), "{from} {lines:?}");
        }
        assert_eq!(Proxies::new(&["proxy".into()]).unwrap_err(), "proxy");
        assert_eq!(Proxies::new(&["10.0.0.1:80".into()]).unwrap_err(), "10.0.0.1:80");
    }
}
