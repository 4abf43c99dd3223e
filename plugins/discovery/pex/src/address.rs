//! Which addresses can be a peer's: for what we are told, and for what we tell.

use rtor_plugin::Addr;
use std::net::{IpAddr, SocketAddr};

/// The address in its own family: a socket of both says IPv4 in IPv6's way (RFC 4291, 2.5.5.2).
pub(crate) const fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Whether one side can tell the other that a peer listens at `addr`, which is canonical. `other`
/// is the other side: what loops back is a peer's only for whoever is on the same machine.
pub(crate) fn can_be_peer(addr: SocketAddr, other: IpAddr) -> bool {
    Addr::from(addr).is_dialable() && (!addr.ip().is_loopback() || other.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can_be(addr: &str, other: &str) -> bool {
        let addr = addr.parse().expect("a literal address");
        can_be_peer(canonical(addr), other.parse().expect("a literal address"))
    }

    #[test]
    fn what_loops_back_is_for_those_on_the_same_machine() {
        for addr in ["127.0.0.1:80", "127.8.9.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(!can_be(addr, "192.0.2.1"), "{addr}");
            assert!(can_be(addr, "127.0.0.1") && can_be(addr, "::1"), "{addr}");
        }
        assert!(can_be("10.0.0.1:80", "127.0.0.1") && can_be("10.0.0.1:80", "192.0.2.1"));
        assert!(!can_be("0.0.0.0:80", "127.0.0.1"));
    }
}
