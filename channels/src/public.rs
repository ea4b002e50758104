//! Which addresses belong to the public internet: what a stranger names must not lead into a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    let [a, b, ..] = ip.segments();
    // An address that carries an IPv4 one is as public as that one: mapped, compatible, NAT64 and 6to4.
    let bits = ip.to_bits();
    let carried = match (a, b) {
        (0, 0) if bits >> 32 == 0xFFFF || bits >> 32 == 0 => Some((bits & 0xFFFF_FFFF) as u32),
        (0x64, 0xFF9B) => Some((bits & 0xFFFF_FFFF) as u32),
        (0x2002, _) => Some(((bits >> 80) & 0xFFFF_FFFF) as u32),
        _ => None,
    };
    if let Some(v4) = carried {
        return is_public_v4(Ipv4Addr::from_bits(v4));
    }
    // Global unicast is 2000::/3; of it, 2001:db8::/32 is for documents.
    a & 0xE000 == 0x2000 && !(a == 0x2001 && b == 0x0DB8)
}
