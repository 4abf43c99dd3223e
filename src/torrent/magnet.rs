//! Magnet URIs (BEP 9, "magnet URI format"; BEP 52 for `btmh`; BEP 53 for `so`), both ways.

use super::{InfoHashV1, InfoHashV2, InfoHashes, Torrent};
use std::fmt::Write as _;

/// Bytes that a magnet may have: a command line's worth.
pub const MAGNET_BYTES_MAX: usize = 128 << 10;
/// Parameters that are read; those beyond are ignored.
pub const MAGNET_PARAMETERS_MAX: usize = 1024;

/// What a magnet URI begins with, in any case of letters.
pub const MAGNET_SCHEME: &str = "magnet:?";

/// Why a text is no magnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MagnetError {
    /// It does not begin with [`MAGNET_SCHEME`].
    #[error("no magnet URI: it does not begin with `magnet:?`")]
    Scheme,
    /// More than [`MAGNET_BYTES_MAX`].
    #[error("a magnet URI of more than {MAGNET_BYTES_MAX} bytes")]
    Long,
    /// No `xt` names a torrent.
    #[error("a magnet URI without `xt=urn:btih:..` or `xt=urn:btmh:..`")]
    NoHash,
    /// An `xt` names a torrent, but not by a hash.
    #[error("`{0}` is no info hash: 40 hexadecimal or 32 base32 digits, or a multihash `1220..`")]
    Hash(String),
    /// Two different hashes of one kind.
    #[error("a magnet URI with two different info hashes of one kind")]
    TwoHashes,
    /// `so` is no list of files.
    #[error("`{0}` is no list of file indices like `0,2,4-6`")]
    Select(String),
}

/// Reads a magnet URI.
///
/// # Errors
/// If it names no torrent.
///
/// ```
/// use rtor::torrent::magnet;
/// let torrent = magnet::parse("magnet:?xt=urn:btih:d2474e86c95b19b8bcfdb92bc12c9d44667cfa36&dn=Leaves+of%20Grass")?;
/// assert_eq!(torrent.name.as_deref(), Some("Leaves of Grass"));
/// assert_eq!(torrent.hashes.to_string(), "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36");
/// # Ok::<(), rtor::torrent::magnet::MagnetError>(())
/// ```
pub fn parse(uri: &str) -> Result<Torrent, MagnetError> {
    if uri.len() > MAGNET_BYTES_MAX {
        return Err(MagnetError::Long);
    }
    let query = uri
        .split_at_checked(MAGNET_SCHEME.len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(MAGNET_SCHEME))
        .map(|(_, query)| query)
        .ok_or(MagnetError::Scheme)?;
    let mut torrent = Torrent::unresolved(InfoHashes { v1: None, v2: None });
    for pair in query.split('&').take(MAGNET_PARAMETERS_MAX) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // `tr.1`, `xt.2`: numbered where a form can't repeat a name.
        let key = key.split_once('.').filter(|(_, n)| is_number(n)).map_or(key, |(key, _)| key);
        match key.to_ascii_lowercase().as_str() {
            "xt" => name(&mut torrent.hashes, &decode(value))?,
            "dn" => torrent.name = Some(decode(&value.replace('+', " "))),
            "tr" => torrent.trackers.extend(url(value).map(|url| vec![url])),
            "ws" => torrent.web_seeds.extend(url(value)),
            "x.pe" => torrent.peers.extend(url(value)),
            "so" => torrent.select = select(&decode(value))?,
            _ => {}
        }
    }
    torrent.trackers.dedup();
    torrent.name = torrent.name.filter(|name| !name.is_empty());
    match torrent.hashes {
        InfoHashes { v1: None, v2: None } => Err(MagnetError::NoHash),
        _ => Ok(torrent),
    }
}

/// The magnet of a torrent: hashes, name, trackers, web seeds, peers and selected files.
#[must_use]
pub fn format(torrent: &Torrent) -> String {
    let mut uri = String::from("magnet:");
    let mut separator = '?';
    let mut push = |key: &str, value: &str| {
        let _ = write!(uri, "{separator}{key}={value}");
        separator = '&';
    };
    if let Some(hash) = torrent.hashes.v1 {
        push("xt", &format!("urn:btih:{hash}"));
    }
    if let Some(hash) = torrent.hashes.v2 {
        push("xt", &format!("urn:btmh:1220{hash}"));
    }
    if let Some(name) = &torrent.name {
        push("dn", &encode(name, ""));
    }
    torrent.tracker_urls().for_each(|url| push("tr", &encode(url, "")));
    torrent.web_seeds.iter().for_each(|url| push("ws", &encode(url, "")));
    torrent.peers.iter().for_each(|peer| push("x.pe", &encode(peer, ":[]")));
    if !torrent.select.is_empty() {
        push("so", &select_text(&torrent.select));
    }
    uri
}

/// `so` as it is written: `0,2,4-6`.
#[must_use]
pub fn select_text(select: &[(u32, u32)]) -> String {
    let ranges = select.iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// Reads what [`select_text`] writes, in any order; ascending.
///
/// # Errors
/// With the part that is no index and no range.
pub fn select(text: &str) -> Result<Vec<(u32, u32)>, MagnetError> {
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| is_number(text).then(|| text.parse::<u32>().ok()).flatten();
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => ranges.push((first, last)),
            _ => return Err(MagnetError::Select(part.to_owned())),
        }
    }
    ranges.sort_unstable();
    Ok(ranges)
}

/// Adds the hash of one `xt`. One of another network is not ours and says nothing.
fn name(hashes: &mut InfoHashes, xt: &str) -> Result<(), MagnetError> {
    let lower = xt.to_ascii_lowercase();
    let bad = || MagnetError::Hash(xt.to_owned());
    if let Some(digits) = lower.strip_prefix("urn:btih:") {
        let hash = match digits.len() {
            32 => base32(digits).map(InfoHashV1),
            _ => InfoHashV1::from_hex(digits),
        };
        return once(&mut hashes.v1, hash.ok_or_else(bad)?);
    }
    if let Some(digits) = lower.strip_prefix("urn:btmh:") {
        // A multihash: function 0x12 is SHA-256, and 0x20 bytes follow.
        let hash = digits.strip_prefix("1220").and_then(InfoHashV2::from_hex);
        return once(&mut hashes.v2, hash.ok_or_else(bad)?);
    }
    Ok(())
}

fn once<T: PartialEq>(slot: &mut Option<T>, hash: T) -> Result<(), MagnetError> {
    match slot {
        Some(known) if *known != hash => Err(MagnetError::TwoHashes),
        _ => {
            *slot = Some(hash);
            Ok(())
        }
    }
}

/// RFC 4648's base32 of 20 bytes.
fn base32(digits: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    for (eight, five) in digits.as_bytes().chunks_exact(8).zip(bytes.chunks_exact_mut(5)) {
        let mut bits = 0_u64;
        for digit in eight {
            let value = match digit {
                b'a'..=b'z' => digit - b'a',
                b'2'..=b'7' => digit - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        five.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

fn url(value: &str) -> Option<String> {
    Some(decode(value)).filter(|url| !url.trim().is_empty())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Undoes %XX. What is malformed stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// %XX for all but unreserved characters and those of `keep`.
fn encode(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = byte as char;
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || keep.contains(c) {
            encoded.push(c);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36";

    #[test]
    fn hex_base32_and_multihash_name_a_torrent() {
        // 2JDU5BWJLMM3RPH5XEV4CLE5IRTHZ6RW is the base32 of HEX (python3: base64.b32encode).
        for uri in [
            format!("magnet:?xt=urn:btih:{HEX}"),
            format!("MAGNET:?xt=URN:BTIH:{}", HEX.to_uppercase()),
            "magnet:?xt=urn:btih:2JDU5BWJLMM3RPH5XEV4CLE5IRTHZ6RW".to_owned(),
            format!("magnet:?xt.1=urn%3Abtih%3A{HEX}&xt.2=urn:tree:tiger:XYZ"),
        ] {
            assert_eq!(parse(&uri).expect(&uri).hashes.to_string(), HEX, "{uri}");
        }
        let v2 = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";
        let both = parse(&format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{v2}")).expect("both");
        assert_eq!(both.hashes.v2.map(|hash| hash.to_string()).as_deref(), Some(v2));
    }

    #[test]
    fn what_names_no_torrent_is_refused() {
        let zeros = "0".repeat(40);
        for (uri, why) in [
            ("http://x".to_owned(), MagnetError::Scheme),
            ("magnet:".to_owned(), MagnetError::Scheme),
            ("magnet:?dn=x".to_owned(), MagnetError::NoHash),
            ("magnet:?xt=urn:sha1:x".to_owned(), MagnetError::NoHash),
            ("magnet:?xt=urn:btih:12".to_owned(), MagnetError::Hash("urn:btih:12".to_owned())),
            (format!("magnet:?xt=urn:btmh:{HEX}"), MagnetError::Hash(format!("urn:btmh:{HEX}"))),
            (format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{zeros}"), MagnetError::TwoHashes),
            (format!("magnet:?xt=urn:btih:{HEX}&so=3-1"), MagnetError::Select("3-1".to_owned())),
        ] {
            assert_eq!(parse(&uri).expect_err(&uri), why, "{uri}");
        }
    }

    #[test]
    fn peers_seeds_and_files_are_read() {
        let torrent = parse(&format!(
            "magnet:?xt=urn:btih:{HEX}&tr=udp%3A%2F%2Fa%3A1&tr=http://b/an?k=1%262&ws=http%3A%2F%2Fw%2F\
             &x.pe=10.0.0.1:6881&x.pe=%5B::1%5D:7&so=4-6,0&dn=%e6%97%a5"
        ))
        .expect("a magnet");
        assert_eq!(torrent.trackers, [["udp://a:1"], ["http://b/an?k=1&2"]]);
        assert_eq!(torrent.web_seeds, ["http://w/"]);
        assert_eq!(torrent.peers, ["10.0.0.1:6881", "[::1]:7"]);
        assert_eq!(torrent.select, [(0, 0), (4, 6)]);
        assert_eq!(torrent.name.as_deref(), Some("日"));
    }

    proptest! {
        #[test]
        fn a_magnet_comes_back_as_it_went(
            hash: [u8; 20], name in "\\PC{1,20}", trackers in prop::collection::vec("[ -~]{1,30}", 0..4), peers in prop::collection::vec("[ -~]{1,30}", 0..3),
        ) {
            let mut torrent = Torrent::unresolved(InfoHashes { v1: Some(InfoHashV1(hash)), v2: None });
            torrent.name = Some(name);
            torrent.trackers = trackers.into_iter().filter(|url| !url.trim().is_empty()).map(|url| vec![url]).collect();
            torrent.trackers.dedup();
            torrent.peers = peers.into_iter().filter(|peer| !peer.trim().is_empty()).collect();
            let again = parse(&format(&torrent)).expect("ours");
            prop_assert_eq!(again.hashes, torrent.hashes);
            prop_assert_eq!(again.name, torrent.name);
            prop_assert_eq!(again.trackers, torrent.trackers);
            prop_assert_eq!(again.peers, torrent.peers);
        }

        #[test]
        fn no_text_can_make_it_panic(text in "magnet:\\?(xt=urn:bt[im]h:)?\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
