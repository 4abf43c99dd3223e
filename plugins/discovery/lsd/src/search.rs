//! [`Search`]: the one message of BEP 14, in the manner of HTTP.
//!
//! Read leniently, as clients write it in several ways: names in any case, lines with CR or
//! without, headers of their own, an `Infohash` line for each torrent.

use std::net::SocketAddr;

/// Bytes of a message that is still read: BEP 14 says 1400, and a little is forgiven.
const BYTES_MAX: usize = 1500;
/// The first word of every message.
const METHOD: &[u8] = b"BT-SEARCH";

/// What somebody announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Search<'a> {
    /// Where it accepts TCP; not 0.
    pub(crate) port: u16,
    /// Its torrents, in hexadecimal digits, if they are that.
    info_hashes: Vec<&'a [u8]>,
    /// What it knows its own messages by.
    pub(crate) cookie: Option<&'a [u8]>,
}

/// The message to `group` that we have a torrent.
pub(crate) fn announce(group: SocketAddr, port: u16, info_hash: &str, cookie: &str) -> String {
    format!(
        "BT-SEARCH * HTTP/1.1\r\n\
        Host: {group}\r\n\
        Port: {port}\r\n\
        Infohash: {info_hash}\r\n\
        cookie: {cookie}\r\n\
        \r\n\
        \r\n"
    )
}

impl<'a> Search<'a> {
    /// Whether a datagram is of this protocol.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        bytes.get(..METHOD.len()).is_some_and(|word| word.eq_ignore_ascii_case(METHOD))
    }

    /// Reads a message. `None` if it is too long, or has no port.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > BYTES_MAX || !Self::is_one(bytes) {
            return None;
        }
        let (mut port, mut info_hashes, mut cookie) = (None, Vec::new(), None);
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.skip(1).take_while(|line| !line.is_empty()) {
            // A line without a colon is no header, and says nothing.
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let value = value[1..].trim_ascii();
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"port" => port = number(value),
                b"infohash" => info_hashes.push(value),
                b"cookie" => cookie = Some(value),
                _ => {}
            }
        }
        Some(Self { port: port?, info_hashes, cookie })
    }

    /// Whether one of its torrents is this one.
    pub(crate) fn is_for(&self, info_hash: &str) -> bool {
        self.info_hashes.iter().any(|other| other.eq_ignore_ascii_case(info_hash.as_bytes()))
    }
}

/// A port that somebody can listen on.
fn number(text: &[u8]) -> Option<u16> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn an_announce_comes_back_as_it_went() {
        let group = SocketAddr::from(([239, 192, 152, 143], 6771));
        let text = announce(group, 6881, HASH, "c00c1e");
        assert_eq!(
            text,
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n\
            Infohash: 0123456789abcdef0123456789abcdef01234567\r\ncookie: c00c1e\r\n\r\n\r\n"
        );
        let info_hashes = vec![HASH.as_bytes()];
        let search = Search { port: 6881, info_hashes, cookie: Some(b"c00c1e") };
        assert_eq!(Search::parse(text.as_bytes()), Some(search));
    }

    #[test]
    fn what_other_clients_write_is_read() {
        let upper = HASH.to_ascii_uppercase();
        for text in [
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 80\r\nInfohash: {HASH}\r\n\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nHost: x\r\nPORT: 80\r\nINFOHASH: {upper}\r\n\r\n"),
            format!("bt-search * http/1.1\nport:80\ninfohash:{HASH}"),
            format!("BT-SEARCH * HTTP/1.1\r\n infohash\t:  {HASH}  \r\nPort :\t80 \r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nx\r\n: \r\nPort: 80\r\nA: b: c\r\nInfohash: {HASH}"),
            format!("BT-SEARCH * HTTP/1.1\r\nInfohash: 0\r\nInfohash: {HASH}\r\nPort: 80\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {HASH}\r\nInfohash: 0\r\nPort: 80\r\n"),
        ] {
            let search = Search::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert!(search.port == 80 && search.is_for(HASH), "{text}");
            assert_eq!(search.cookie, None, "{text}");
        }
    }

    #[test]
    fn what_says_no_port_or_too_much_is_not_read() {
        let long = format!("BT-SEARCH * HTTP/1.1\r\nPort: 80\r\n{}", "Infohash: 0\r\n".repeat(200));
        for text in [
            "",
            "BT-SEARCH",
            "BT-SEARCH * HTTP/1.1\r\n\r\n",
            "BT-SEARCH * HTTP/1.1\r\n\r\nPort: 80\r\n",
            "BT-SEARCH * HTTP/1.1\r\nPort: 0\r\n",
            "BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\n",
            "BT-SEARCH * HTTP/1.1\r\nPort: http\r\n",
            "M-SEARCH * HTTP/1.1\r\nPort: 80\r\n",
            "Port: 80\r\n",
            &long,
        ] {
            assert_eq!(Search::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn another_torrent_is_another_one() {
        let other = HASH.replace('7', "8");
        for other in [other.as_str(), "", &HASH[1..], "zz"] {
            let text = format!("BT-SEARCH * HTTP/1.1\r\nPort: 80\r\nInfohash: {other}\r\n");
            let search = Search::parse(text.as_bytes()).expect("it is well formed");
            assert!(!search.is_for(HASH), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail: Vec<u8>) {
            let _ = Search::parse(&tail);
            let _ = Search::parse(&[b"BT-SEARCH".as_slice(), &tail].concat());
        }

        #[test]
        fn no_bytes_near_a_message_make_it_panic(
            text in "BT-SEARCH( \\*)?( HTTP/1.1)?(\r?\n|:|Port|Infohash|cookie| |[0-9a-f]{0,40}|[ -~]){0,40}",
        ) {
            let _ = Search::parse(text.as_bytes());
        }
    }
}
