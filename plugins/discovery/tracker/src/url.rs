//! [`Endpoint`]: how a tracker's URL is spoken to, and over which address families.

use std::net::IpAddr;

/// Bytes of a URL that is still believed to be one.
const URL_BYTES_MAX: usize = 4096;

/// An address family: each has a swarm of its own at a tracker (BEP 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// As an [`Addr`](rtor_plugin::Addr) has it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

/// Where a tracker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// By HTTP or HTTPS: the host fetches URLs.
    Http {
        /// A host name or a literal address, without brackets.
        host: String,
    },
    /// By UDP (BEP 15).
    Udp {
        /// As above.
        host: String,
        port: u16,
        /// Path and query, which BEP 41 sends along; empty if the URL has none.
        path: String,
    },
}

impl Endpoint {
    /// Reads an announce URL.
    ///
    /// # Errors
    /// A sentence that says why it cannot be used; the URL itself is said beside it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if url.len() > URL_BYTES_MAX {
            return Err(format!("the URL is longer than {URL_BYTES_MAX} bytes"));
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("the URL has a space or control character in it".to_owned());
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("the URL has no scheme".to_owned());
        };
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https" | "udp") {
            return Err(format!("`{scheme}` trackers are not supported"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        let host = host.to_owned();
        if scheme != "udp" {
            return Ok(Self::Http { host });
        }
        let port = port.ok_or("the URL has no port, which a UDP tracker needs")?;
        match port.parse() {
            Ok(0) | Err(_) => Err(format!("the URL's port `{port}` is none")),
            Ok(port) => Ok(Self::Udp { host, port, path: path.to_owned() }),
        }
    }

    /// The families over which it may be reached: one if its URL names an address.
    pub(crate) fn families(&self) -> &'static [Family] {
        let (Self::Http { host } | Self::Udp { host, .. }) = self;
        match host.parse() {
            Ok(IpAddr::V4(_)) => &[Family::V4],
            Ok(IpAddr::V6(_)) => &[Family::V6],
            Err(_) => &[Family::V4, Family::V6],
        }
    }
}

/// The parts of `[user@]host[:port]`, the host without brackets.
fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the URL's `[` has no `]`")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("the URL has no host".to_owned());
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_kinds_are_read() {
        let http = |host: &str| Ok(Endpoint::Http { host: host.to_owned() });
        let udp = |host: &str, port, path: &str| {
            Ok(Endpoint::Udp { host: host.to_owned(), port, path: path.to_owned() })
        };
        assert_eq!(Endpoint::parse("http://t.example/announce?key=1"), http("t.example"));
        assert_eq!(Endpoint::parse("HTTPS://me:x@[::1]:8080/a"), http("::1"));
        assert_eq!(Endpoint::parse("udp://t.example:80/a?k=1#x"), udp("t.example", 80, "/a?k=1"));
        assert_eq!(Endpoint::parse("udp://10.0.0.1:6969"), udp("10.0.0.1", 6969, ""));
        assert_eq!(Endpoint::parse("udp://[2001:db8::1]:6969/x"), udp("2001:db8::1", 6969, "/x"));
    }

    #[test]
    fn a_name_is_asked_over_both_families_and_an_address_over_its_own() {
        for (url, families) in [
            ("http://t.example/announce", &[Family::V4, Family::V6][..]),
            ("udp://10.0.0.1:80", &[Family::V4]),
            ("https://[2001:db8::1]/announce", &[Family::V6]),
        ] {
            assert_eq!(Endpoint::parse(url).expect("good").families(), families, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_says_why() {
        for (url, why) in [
            ("wss://t.example", "`wss` trackers are not supported"),
            ("t.example/announce", "the URL has no scheme"),
            ("http:///announce", "the URL has no host"),
            ("udp://t.example/announce", "the URL has no port, which a UDP tracker needs"),
            ("udp://[::1]/announce", "the URL has no port, which a UDP tracker needs"),
            ("udp://[::1:80", "the URL's `[` has no `]`"),
            ("udp://:80", "the URL has no host"),
            ("udp://t.example:0", "the URL's port `0` is none"),
            ("udp://t.example:65536", "the URL's port `65536` is none"),
            ("http://t.example/\nHost: x", "the URL has a space or control character in it"),
        ] {
            assert_eq!(Endpoint::parse(url), Err(why.to_owned()), "{url}");
        }
        assert!(Endpoint::parse(&format!("http://{}", "x".repeat(5000))).is_err());
    }
}
