//! Addresses: their compact form (BEP 5, 32), which network they belong to, and which of them
//! can be believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which of the two DHTs: that of IPv4 or that of IPv6 (BEP 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) const fn of(addr: SocketAddr) -> Self {
        if addr.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// Bytes of an address and a port.
    pub(crate) const fn compact_bytes(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }
}

/// An address as it is compared: a mapped one is the IPv4 address that it stands for, and what an
/// IPv6 socket adds to an address is left out.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Reads 6 or 18 bytes.
pub(crate) fn read(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip: IpAddr = match ip.len() {
        4 => Ipv4Addr::from(*ip.first_chunk::<4>()?).into(),
        16 => Ipv6Addr::from(*ip.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Writes 6 or 18 bytes.
pub(crate) fn push(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend(ip.octets()),
        IpAddr::V6(ip) => out.extend(ip.octets()),
    }
    out.extend(addr.port().to_be_bytes());
}

/// Whether it lies in a network of its own, where everybody may have the same address seen from
/// outside. BEP 42 lists those of IPv4; those of IPv6 are their counterparts.
pub(crate) const fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

/// The /24 or /64 that one person may well own whole.
pub(crate) fn network(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

/// Whether two nodes at these addresses are to be taken for one: the same IP address is one
/// household, but on a local network it may be one machine with many nodes.
pub(crate) fn is_same_host(a: SocketAddr, b: SocketAddr) -> bool {
    if is_local(a.ip()) { a == b } else { a.ip() == b.ip() }
}

/// Whether somebody can be there at all, and it is said in the canonical way: an answer from a
/// mapped address would come in the other family.
pub(crate) const fn is_usable(addr: SocketAddr) -> bool {
    let nobody = match addr.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast() || ip.to_ipv4_mapped().is_some(),
    };
    addr.port() != 0 && !nobody
}

/// Whether `teller` may know of `addr`: nobody outside knows the nodes and peers of a local
/// network, and who says so wants us to send there for him.
pub(crate) const fn is_believable(addr: SocketAddr, teller: SocketAddr) -> bool {
    is_usable(addr) && (!is_local(addr.ip()) || is_local(teller.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("a literal address")
    }

    #[test]
    fn compact_addresses_come_back_as_they_went() {
        for text in ["10.1.2.3:6881", "[2001:db8::7]:51413"] {
            let mut bytes = Vec::new();
            push(&mut bytes, addr(text));
            assert_eq!(bytes.len(), Family::of(addr(text)).compact_bytes());
            assert_eq!(read(&bytes), Some(addr(text)));
        }
        assert_eq!(read(&[1; 5]), None);
        assert_eq!(read(&[1; 7]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn nobody_outside_knows_who_is_inside() {
        let (inside, outside) = (addr("192.168.0.2:1"), addr("8.8.8.8:1"));
        assert!(is_believable(inside, inside));
        assert!(is_believable(outside, inside));
        assert!(is_believable(outside, outside));
        for text in ["192.168.0.2:1", "127.0.0.1:1", "[::1]:1", "[fe80::1]:1", "[fd00::1]:1"] {
            assert!(!is_believable(addr(text), outside), "{text}");
        }
        for text in [
            "0.0.0.0:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "1.2.3.4:0",
            "[ff02::1]:1",
            "[::ffff:8.8.8.8]:1",
        ] {
            assert!(!is_believable(addr(text), inside), "{text}");
        }
    }

    #[test]
    fn one_ip_address_is_one_host_but_not_on_a_local_network() {
        assert!(is_same_host(addr("8.8.8.8:1"), addr("8.8.8.8:2")));
        assert!(!is_same_host(addr("127.0.0.1:1"), addr("127.0.0.1:2")));
        assert_eq!(canonical(addr("[::ffff:8.8.8.8]:1")), addr("8.8.8.8:1"));
    }
}
