//! [`LocalAddrs`]: the addresses of ours that sockets are bound to, one a family.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where everything leaves from and arrives: an address of each family, perhaps any; `None`: that
/// family is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddrs {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

/// Why an interface can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalAddrsError {
    /// There is none of that name, and no such address.
    #[error("`{0}` is neither an interface nor an address of this machine")]
    Unknown(String),
    /// It has no address that could be used.
    #[error("the interface `{0}` has no address")]
    Bare(String),
    /// The system does not tell which there are.
    #[error("the interfaces of this machine can't be listed: {0}")]
    System(String),
}

impl LocalAddrs {
    /// Any of both families.
    pub const ANY: Self = Self { v4: Some(Ipv4Addr::UNSPECIFIED), v6: Some(Ipv6Addr::UNSPECIFIED) };

    /// `ip` alone, and nothing of the other family; any of both if it is unspecified.
    #[must_use]
    pub const fn only(ip: IpAddr) -> Self {
        match ip {
            _ if ip.is_unspecified() => Self::ANY,
            IpAddr::V4(ip) => Self { v4: Some(ip), v6: None },
            IpAddr::V6(ip) => Self { v4: None, v6: Some(ip) },
        }
    }

    /// `ip`, and any of the other family.
    #[must_use]
    pub const fn preferring(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self { v4: Some(ip), ..Self::ANY },
            IpAddr::V6(ip) => Self { v6: Some(ip), ..Self::ANY },
        }
    }

    /// Those of the interface `name`, or the address that it is. Of an interface's IPv6 addresses the
    /// lowest is taken that is known beyond its link.
    ///
    /// # Errors
    /// If there is none.
    pub fn of_interface(name: &str) -> Result<Self, LocalAddrsError> {
        if let Ok(ip) = name.parse::<IpAddr>() {
            // Nothing is sent; only our own addresses can be bound to.
            let ours = !ip.is_unspecified() && UdpSocket::bind((ip, 0)).is_ok();
            let unknown = || LocalAddrsError::Unknown(name.to_owned());
            return ours.then(|| Self::only(ip)).ok_or_else(unknown);
        }
        let all =
            if_addrs::get_if_addrs().map_err(|why| LocalAddrsError::System(super::reason(&why)))?;
        let ips: Vec<IpAddr> = all.iter().filter(|i| i.name == name).map(|i| i.ip()).collect();
        if ips.is_empty() {
            return Err(LocalAddrsError::Unknown(name.to_owned()));
        }
        let v4 = ips.iter().find_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        });
        let v6 = ips.iter().filter_map(|ip| match ip {
            IpAddr::V6(ip) if !ip.is_unicast_link_local() => Some(*ip),
            _ => None,
        });
        // The system tells the newest first.
        let v6 = v6.min();
        match (v4, v6) {
            (None, None) => Err(LocalAddrsError::Bare(name.to_owned())),
            (v4, v6) => Ok(Self { v4, v6 }),
        }
    }

    /// The address of one family.
    #[must_use]
    pub fn of_family(&self, v6: bool) -> Option<IpAddr> {
        if v6 { self.v6.map(IpAddr::from) } else { self.v4.map(IpAddr::from) }
    }

    /// The address from which `to` is reached.
    ///
    /// # Errors
    /// If there is none of its family.
    pub fn towards(&self, to: IpAddr) -> io::Result<IpAddr> {
        let ip = self.of_family(to.is_ipv6());
        let family = if to.is_ipv6() { 6 } else { 4 };
        ip.ok_or_else(|| io::Error::other(format!("no IPv{family} address to leave from")))
    }

    /// The addresses, IPv4 first.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        [false, true].map(|v6| self.of_family(v6)).into_iter().flatten()
    }

    /// Whether it may be listened on at `addr`.
    #[must_use]
    pub fn include(&self, addr: SocketAddr) -> bool {
        let of_family = self.of_family(addr.is_ipv6());
        of_family.is_some_and(|ip| addr.ip().is_unspecified() || ip == addr.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_of_ours_is_all_that_is_used() {
        let local = LocalAddrs::of_interface("127.0.0.1").expect("it is ours");
        assert_eq!(local, LocalAddrs::only(ip("127.0.0.1")));
        assert_eq!(local.towards(ip("10.0.0.1")).ok(), Some(ip("127.0.0.1")));
        let why = local.towards(ip("::1")).expect_err("no IPv6");
        assert_eq!(why.to_string(), "no IPv6 address to leave from");
        assert!(local.include("127.0.0.1:1".parse().expect("an address")));
        assert!(local.include("0.0.0.0:1".parse().expect("an address")));
        assert!(!local.include("127.0.0.2:1".parse().expect("an address")));
        assert!(!local.include("[::]:1".parse().expect("an address")));
    }

    #[test]
    fn the_loopback_has_its_addresses() {
        let local = LocalAddrs::of_interface("lo").expect("every machine has it");
        assert_eq!(local.of_family(false), Some(ip("127.0.0.1")));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for name in ["nothing0", "192.0.2.1", "0.0.0.0", "", "2001:db8::1"] {
            let why = LocalAddrs::of_interface(name).expect_err("it is not there");
            assert_eq!(why, LocalAddrsError::Unknown(name.to_owned()));
        }
    }
}
