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

    /// Whether a peer can be dialled there, as far as the address tells: it has a port, and is no
    /// group's, nothing reserved, and not link-local, which means nothing without the link.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// let is_dialable = |text: &str| {
    ///     let socket: SocketAddr = text.parse().expect("a literal address");
    ///     rtor_plugin::Addr::from(socket).is_dialable()
    /// };
    /// assert!(is_dialable("10.0.0.1:6881") && is_dialable("[2001:db8::1]:80"));
    /// assert!(!is_dialable("0.0.0.0:80") && !is_dialable("[ff15::1]:80"));
    /// ```
    #[must_use]
    pub fn is_dialable(&self) -> bool {
        self.socket().is_some_and(|socket| {
            let usable = match socket.ip().to_canonical() {
                // 0.0.0.0/8 is nowhere; from 224 on there are groups and what is reserved.
                IpAddr::V4(ip) => matches!(ip.octets(), [1..=223, ..]),
                IpAddr::V6(ip) => {
                    !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local()
                }
            };
            usable && socket.port() != 0
        })
    }

    /// Reads the compact form: address and port in network order, 6 bytes of IPv4 (BEP 23) or 18
    /// of IPv6 (BEP 7). `None` if there are more or fewer.
    #[must_use]
    pub fn from_compact(bytes: &[u8]) -> Option<Self> {
        let (ip, port) = bytes.split_last_chunk()?;
        let port = u16::from_be_bytes(*port);
        let ip = match ip.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
            16 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port).into())
    }

    /// Appends the compact form; nothing, if the other side wrote an unknown family.
    pub fn push_compact(&self, out: &mut Vec<u8>) {
        let ip_bytes = match self.family {
            4 => 4,
            6 => 16,
            _ => return,
        };
        out.extend_from_slice(&self.ip[..ip_bytes]);
        out.extend_from_slice(&self.port.to_be_bytes());
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
        let mut out = Vec::new();
        addr.push_compact(&mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn what_nobody_can_have_is_not_dialable() {
        let is_dialable =
            |text: &str| Addr::from(text.parse::<SocketAddr>().expect("literal")).is_dialable();
        for addr in [
            "10.0.0.1:0",
            "0.0.0.0:80",
            "0.1.2.3:80",
            "224.0.0.1:80",
            "239.192.152.143:6771",
            "255.255.255.255:80",
            "[::]:80",
            "[ff02::1]:80",
            "[fe80::1]:80",
            "[::ffff:0.0.0.0]:80",
        ] {
            assert!(!is_dialable(addr), "{addr}");
        }
        for addr in ["10.0.0.1:1", "127.0.0.1:80", "223.9.9.9:65535", "[::1]:80", "[fc00::1]:80"] {
            assert!(is_dialable(addr), "{addr}");
        }
    }

    #[test]
    fn a_compact_address_comes_back_as_it_went() {
        let four = [10, 1, 2, 3, 0x1a, 0xe1];
        let mut six = [0; 18];
        (six[0], six[1], six[15], six[17]) = (0x20, 0x01, 7, 80);
        for (bytes, text) in [(&four[..], "10.1.2.3:6881"), (&six, "[2001::7]:80")] {
            let addr = Addr::from_compact(bytes).expect("an address");
            assert_eq!(addr.socket().expect("a family").to_string(), text);
            let mut out = Vec::new();
            addr.push_compact(&mut out);
            assert_eq!(out, bytes);
        }
        for size in [0, 1, 2, 5, 7, 17, 19] {
            assert_eq!(Addr::from_compact(&vec![1; size]), None, "{size} bytes");
        }
    }
}
