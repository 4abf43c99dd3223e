//! What a user may name as a tracker, a web seed or a node of the DHT.
//!
//! Only what shows at a glance is refused: that nobody could ask there. Whether somebody answers is
//! not asked.

/// Schemes of trackers (BEP 3, BEP 15, and WebTorrent's).
const TRACKER_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];
/// Schemes of web seeds (BEP 19).
const WEB_SEED_SCHEMES: &[&str] = &["http", "https", "ftp"];

/// A tier: trackers with `,` between them. Empty ones say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tier(pub(super) Vec<String>);

/// A tier of trackers.
///
/// # Errors
/// A sentence for clap.
pub(super) fn tier(text: &str) -> Result<Tier, String> {
    let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
    let checked = urls.map(|url| checked(url, TRACKER_SCHEMES)).collect::<Result<Vec<_>, _>>()?;
    if checked.is_empty() { Err("there is no tracker in it".to_owned()) } else { Ok(Tier(checked)) }
}

/// A web seed.
///
/// # Errors
/// A sentence for clap.
pub(super) fn web_seed(text: &str) -> Result<String, String> {
    checked(text.trim(), WEB_SEED_SCHEMES)
}

/// A node, as a host and a port; an IPv6 address stands in brackets.
///
/// # Errors
/// A sentence for clap.
pub(super) fn node(text: &str) -> Result<(String, u16), String> {
    let parsed = || {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let plain = |host: &str| !host.is_empty() && !host.contains(is_odd);
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => plain(host) && !host.contains([':', '/', '[', ']', '@']),
        };
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_host.then(|| (bare.unwrap_or(host).to_owned(), port))
    };
    parsed().ok_or_else(|| "it is no host with a port like `node.example:6881`".to_owned())
}

/// `scheme://host..` with one of these schemes.
fn checked(url: &str, schemes: &[&str]) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let is_known = schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let has_host = !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']);
    if is_known && has_host && !url.contains(is_odd) {
        return Ok(url.to_owned());
    }
    Err(format!("`{url}` is no URL with one of {}", schemes.join(", ")))
}

fn is_odd(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_urls_with_commas_between_them() {
        let due = Tier(vec!["http://a/announce".to_owned(), "UDP://b:1".to_owned()]);
        assert_eq!(tier(" http://a/announce,, UDP://b:1 "), Ok(due));
        for bad in ["", " , ", "a", "http:/a", "http://", "http:///x", "ftp://a", "udp://a b:1"] {
            assert!(tier(bad).is_err(), "{bad}");
        }
        assert_eq!(web_seed("https://a/x,y"), Ok("https://a/x,y".to_owned()));
        assert!(web_seed("udp://a:1").is_err());
    }

    #[test]
    fn a_node_is_a_host_and_a_port() {
        assert_eq!(node("router.example:6881"), Ok(("router.example".to_owned(), 6881)));
        assert_eq!(node("[2001:db8::1]:80"), Ok(("2001:db8::1".to_owned(), 80)));
        for bad in ["", "a", ":1", "a:", "a:0", "a:65536", "::1:80", "[x]:1", "a b:1", "http://a:1"]
        {
            assert!(node(bad).is_err(), "{bad}");
        }
    }
}
