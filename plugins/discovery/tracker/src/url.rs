//! [`Endpoint`]: how a tracker's URL is spoken to.

/// Bytes of a URL that is still believed to be one.
const URL_BYTES_MAX: usize = 4096;

/// Where a tracker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// By HTTP or HTTPS: the host fetches URLs.
    Http,
    /// By UDP (BEP 15). The path means nothing (until BEP 41).
    Udp {
        /// A host name or a literal address, without brackets.
        host: String,
        port: u16,
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
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" if authority.is_empty() => Err("the URL has no host".to_owned()),
            "http" | "https" => Ok(Self::Http),
            "udp" => Self::udp(authority),
            other => Err(format!("`{other}` trackers are not supported")),
        }
    }

    fn udp(authority: &str) -> Result<Self, String> {
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
        let port = port.ok_or("the URL has no port, which a UDP tracker needs")?;
        match port.parse() {
            Ok(0) | Err(_) => Err(format!("the URL's port `{port}` is none")),
            Ok(port) => Ok(Self::Udp { host: host.to_owned(), port }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_kinds_are_read() {
        let udp = |host: &str, port| Ok(Endpoint::Udp { host: host.to_owned(), port });
        assert_eq!(Endpoint::parse("http://t.example/announce?key=1"), Ok(Endpoint::Http));
        assert_eq!(Endpoint::parse("HTTPS://[::1]:8080/a"), Ok(Endpoint::Http));
        assert_eq!(Endpoint::parse("udp://t.example:80/announce"), udp("t.example", 80));
        assert_eq!(Endpoint::parse("udp://10.0.0.1:6969"), udp("10.0.0.1", 6969));
        assert_eq!(Endpoint::parse("udp://[2001:db8::1]:6969/x"), udp("2001:db8::1", 6969));
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
