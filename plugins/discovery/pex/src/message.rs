//! [`Message`]: the payload of `ut_pex`.
//!
//! A dictionary of six lists (BEP 11): `added`, `added.f` and `dropped` for IPv4, `added6`,
//! `added6.f` and `dropped6` for IPv6. Addresses are compact (BEP 7, 23), `.f` has one byte of
//! flags for each. A list that would be empty is left out.

use crate::address::canonical;
use rtor_plugin::Addr;
use rtor_plugin::bencode::{Reader, Token};
use std::net::SocketAddr;

/// Bytes of a message that is still read: several times what a hundred peers with flags, gone
/// ones and a client's own keys take.
pub(crate) const BYTES_MAX: usize = 16 << 10;

/// What is said of a peer, as bits.
pub(crate) mod flag {
    /// It has everything, or takes nothing.
    pub(crate) const SEED: u8 = 0x02;
    /// Whoever says so dialled it, and it answered.
    pub(crate) const REACHABLE: u8 = 0x10;
}

/// A peer, and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) addr: SocketAddr,
    pub(crate) flags: u8,
}

/// What changed among the sender's peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) added: Vec<Contact>,
    pub(crate) dropped: Vec<SocketAddr>,
}

impl Message {
    /// The payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let added = |six| compact(self.added.iter().map(|contact| contact.addr), six);
        let flags = |six| -> Vec<u8> {
            let family = self.added.iter().filter(|contact| contact.addr.is_ipv6() == six);
            family.map(|contact| contact.flags).collect()
        };
        let dropped = |six| compact(self.dropped.iter().copied(), six);
        // In the order that BEP 3 wants.
        let lists = [
            ("added", added(false)),
            ("added.f", flags(false)),
            ("added6", added(true)),
            ("added6.f", flags(true)),
            ("dropped", dropped(false)),
            ("dropped6", dropped(true)),
        ];
        let mut out = vec![b'd'];
        for (key, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            out.extend(format!("{}:{key}{}:", key.len(), list.len()).bytes());
            out.extend(list);
        }
        out.push(b'e');
        out
    }

    /// Reads a payload; what follows the dictionary is ignored, and so is what it has besides
    /// the six lists. Flags that are missing are none. `None` if it is too long or no dictionary,
    /// or if a list ends within an address.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() > BYTES_MAX {
            return None;
        }
        let mut reader = Reader::new(payload);
        if reader.token().ok()? != Token::Dict {
            return None;
        }
        let [mut added, mut flags, mut dropped] = [&[] as &[u8]; 3];
        let [mut added6, mut flags6, mut dropped6] = [&[] as &[u8]; 3];
        while let Some(key) = reader.key().ok()? {
            match (key, reader.token().ok()?) {
                (b"added", Token::Bytes(list)) => added = list,
                (b"added.f", Token::Bytes(list)) => flags = list,
                (b"added6", Token::Bytes(list)) => added6 = list,
                (b"added6.f", Token::Bytes(list)) => flags6 = list,
                (b"dropped", Token::Bytes(list)) => dropped = list,
                (b"dropped6", Token::Bytes(list)) => dropped6 = list,
                (_, token) => reader.skip(token).ok()?,
            }
        }
        let added = contacts(addrs(added, 6)?, flags);
        let added6 = contacts(addrs(added6, 18)?, flags6);
        let (dropped, dropped6) = (addrs(dropped, 6)?, addrs(dropped6, 18)?);
        Some(Self {
            added: added.chain(added6).collect(),
            dropped: dropped.chain(dropped6).collect(),
        })
    }
}

/// Those of one family, one after the other.
fn compact(addrs: impl Iterator<Item = SocketAddr>, six: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for addr in addrs.filter(|addr| addr.is_ipv6() == six) {
        Addr::from(addr).push_compact(&mut out);
    }
    out
}

/// The addresses of a list, `size` bytes each.
fn addrs(list: &[u8], size: usize) -> Option<impl Iterator<Item = SocketAddr>> {
    let whole = list.len().is_multiple_of(size);
    let addrs = list.chunks_exact(size).filter_map(Addr::from_compact);
    whole.then(|| addrs.filter_map(|addr| addr.socket()).map(canonical))
}

fn contacts(
    addrs: impl Iterator<Item = SocketAddr>,
    flags: &[u8],
) -> impl Iterator<Item = Contact> {
    let flags = flags.iter().copied().chain(std::iter::repeat(0));
    addrs.zip(flags).map(|(addr, flags)| Contact { addr, flags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(added: &[(&str, u8)], dropped: &[&str]) -> Message {
        let addr = |text: &str| text.parse().expect("a literal address");
        Message {
            added: added.iter().map(|&(a, flags)| Contact { addr: addr(a), flags }).collect(),
            dropped: dropped.iter().map(|text| addr(text)).collect(),
        }
    }

    #[test]
    fn a_message_is_these_bytes() {
        let said = message(
            &[("10.0.0.1:6881", 0x12), ("[2001::7]:80", 0x10), ("10.0.0.2:80", 0)],
            &["10.0.0.3:81", "[::9]:82"],
        );
        let mut bytes = b"d5:added12:\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\0\x50".to_vec();
        bytes.extend(b"7:added.f2:\x12\0");
        bytes.extend(b"6:added618:\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\x508:added6.f1:\x10");
        bytes.extend(b"7:dropped6:\x0a\0\0\x03\0\x51");
        bytes.extend(b"8:dropped618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\x52e");
        assert_eq!(said.encode(), bytes);
        assert_eq!(Message::default().encode(), b"de");
        let back = Message::decode(&bytes).expect("our own words");
        let added = [said.added[0], said.added[2], said.added[1]];
        assert_eq!((&back.added[..], back.dropped), (&added[..], said.dropped));
    }

    #[test]
    fn what_other_clients_write_is_read() {
        let one = message(&[("10.0.0.1:80", 0)], &[]);
        for bytes in [
            // Empty lists, no flags, flags for nobody, keys out of order and of their own.
            &b"d5:added6:\x0a\0\0\x01\0\x507:added.f0:7:dropped0:e"[..],
            b"d7:added.f2:\0\x025:added6:\x0a\0\0\x01\0\x50e",
            b"d1:md1:xli1eee5:added6:\x0a\0\0\x01\0\x501:vi7ee",
            b"d5:added6:\x0a\0\0\x01\0\x506:added6i3ee",
            // Bytes after the end.
            b"d5:added6:\x0a\0\0\x01\0\x50e\r\n",
            // IPv4 in IPv6's way.
            b"d6:added618:\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01\0\x50e",
        ] {
            assert_eq!(Message::decode(bytes).as_ref(), Some(&one), "{}", bytes.escape_ascii());
        }
        assert_eq!(Message::decode(b"de"), Some(Message::default()));
    }

    #[test]
    fn garbage_is_no_message() {
        let long = [b"d1:x99999:".to_vec(), vec![b'x'; 99_999], b"e".to_vec()].concat();
        for bytes in [
            &b""[..],
            b"le",
            b"i1e",
            b"x",
            b"d",
            b"d5:added",
            b"d5:added7:1234567e",
            b"d6:added66:123456e",
            b"d7:dropped1:1e",
            b"d8:dropped617:12345678901234567e",
            b"di1ei2ee",
            &long,
        ] {
            assert_eq!(Message::decode(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    fn addr() -> impl Strategy<Value = SocketAddr> {
        let four = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
        let six = any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
        prop_oneof![four, six.prop_map(canonical)]
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_went(
            mut added in proptest::collection::vec((addr(), any::<u8>()), 0..50),
            mut dropped in proptest::collection::vec(addr(), 0..50),
        ) {
            // The format keeps the order within a family only.
            added.sort_by_key(|(addr, _)| addr.is_ipv6());
            dropped.sort_by_key(SocketAddr::is_ipv6);
            let added = added.into_iter().map(|(addr, flags)| Contact { addr, flags }).collect();
            let message = Message { added, dropped };
            prop_assert_eq!(Message::decode(&message.encode()), Some(message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Message::decode(&bytes);
        }

        #[test]
        fn no_bytes_near_a_message_make_it_panic(
            text in "d(5:added|6:added6|7:added.f|8:dropped6|i-?[0-9]{0,20}e|l|d|e|[0-9]{1,2}:[a-z]{0,20}){0,30}",
        ) {
            let _ = Message::decode(text.as_bytes());
        }
    }
}
