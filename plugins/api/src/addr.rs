//! [`Addr`]: a socket address as it crosses the boundary.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP address and a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    /// The address in network order; the first four bytes if `family` is 4.
    pub ip: [u8; 16],
    /// The port, in the host's byte order.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// Zero.
    pub reserved: u8,
}

impl Addr {
    /// The address, or `None` if the other side wrote an unknown family.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        let ip = match self.family {
            4 => {
                let [a, b, c, d, ..] = self.ip;
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            6 => IpAddr::V6(Ipv6Addr::from(self.ip)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

impl From<SocketAddr> for Addr {
    fn from(from: SocketAddr) -> Self {
        let mut ip = [0; 16];
        let family = match from.ip() {
            IpAddr::V4(v4) => {
                ip[..4].copy_from_slice(&v4.octets());
                4
            }
            IpAddr::V6(v6) => {
                ip = v6.octets();
                6
            }
        };
        Self { ip, port: from.port(), family, reserved: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_went() {
        for text in ["10.1.2.3:6881", "[2001:db8::7]:51413"] {
            let socket: SocketAddr = text.parse().expect("a literal address");
            assert_eq!(Addr::from(socket).socket(), Some(socket));
        }
    }

    #[test]
    fn an_unknown_family_is_no_address() {
        let mut addr = Addr::from(SocketAddr::from(([10, 0, 0, 1], 1)));
        addr.family = 5;
        assert_eq!(addr.socket(), None);
    }
}
