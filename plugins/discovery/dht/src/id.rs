//! [`NodeId`]: 160 bits that name a node or a torrent, how far two of them are apart (BEP 5), and
//! which of them a node at some address may have (BEP 42).
//!
//! Who may choose a node id at will can sit next to any torrent and swallow what is stored there.
//! BEP 42 ties the first 21 bits to the node's IP address, so that a place costs an address.

use crate::address::is_local;
use rtor_plugin::SecretChance;
use std::fmt;
use std::net::IpAddr;

/// Bits of an id.
pub(crate) const ID_BITS: usize = 160;

/// What of an IPv4 address counts (BEP 42): the more of a network somebody may own, the less its
/// bits are worth.
const MASK_V4: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
/// What of the first half of an IPv6 address counts.
const MASK_V6: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

/// The id of a node, or an info hash: they live in one space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// Reads exactly 20 bytes.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Any id.
    pub(crate) fn drawn(chance: &mut SecretChance) -> Self {
        let mut id = [0; 24];
        for word in id.as_chunks_mut::<8>().0 {
            *word = chance.draw().to_be_bytes();
        }
        let [id @ .., _, _, _, _] = id;
        Self(id)
    }

    /// How far apart two ids are: to be compared, not counted.
    pub(crate) fn distance(&self, other: &Self) -> [u8; 20] {
        let mut distance = self.0;
        for (byte, other) in distance.iter_mut().zip(other.0) {
            *byte ^= other;
        }
        distance
    }

    /// Bits from the first one on that both have in common.
    pub(crate) fn shared_bits(&self, other: &Self) -> usize {
        let differing = self.0.iter().zip(other.0).position(|(a, b)| *a != b);
        differing.map_or(ID_BITS, |at| at * 8 + (self.0[at] ^ other.0[at]).leading_zeros() as usize)
    }

    /// An id that has just the first `bits` bits of this one, fewer than all.
    pub(crate) fn beside(&self, bits: usize, chance: &mut SecretChance) -> Self {
        let mut id = Self::drawn(chance).0;
        let (whole, rest) = (bits / 8, bits % 8);
        id[..whole].copy_from_slice(&self.0[..whole]);
        let ours = !(0xff_u8 >> rest);
        let turned = 0x80_u8 >> rest;
        let own = self.0[whole];
        id[whole] = (own & ours) | (!own & turned) | (id[whole] & !(ours | turned));
        Self(id)
    }

    /// The id for a node at `ip` that has drawn `random` (BEP 42).
    #[must_use]
    pub fn at(ip: IpAddr, random: Self) -> Self {
        let mut id = random.0;
        let [a, b, c, _] = prefix(ip, id[19]).to_be_bytes();
        (id[0], id[1]) = (a, b);
        id[2] = (c & 0xf8) | (id[2] & 0x07);
        Self(id)
    }

    /// Whether a node at `ip` may have this id (BEP 42). On a local network it may have any.
    #[must_use]
    pub fn fits(&self, ip: IpAddr) -> bool {
        is_local(ip) || Self::at(ip, *self) == *self
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// 32 bits, of which an id begins with 21.
fn prefix(ip: IpAddr, random: u8) -> u32 {
    let salt = (random & 0x07) << 5;
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = ip.octets();
            bytes.iter_mut().zip(MASK_V4).for_each(|(byte, mask)| *byte &= mask);
            bytes[0] |= salt;
            crc32c(&bytes)
        }
        IpAddr::V6(ip) => {
            let mut bytes = (ip.to_bits() >> 64) as u64 & u64::from_be_bytes(MASK_V6);
            bytes |= u64::from(salt) << 56;
            crc32c(&bytes.to_be_bytes())
        }
    }
}

/// The Castagnoli checksum, bit by bit: it is asked for eight bytes at most.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = crc & 1;
            crc >>= 1;
            if odd == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hex: &str) -> NodeId {
        let mut id = [0; 20];
        for (at, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex");
        }
        NodeId(id)
    }

    /// The check value of every catalogue of checksums.
    #[test]
    fn crc32c_is_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// The table at the end of BEP 42.
    #[test]
    fn the_ids_of_bep_42_fit_their_addresses_and_no_others() {
        let vectors = [
            ("124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ];
        for (ip, random, hex) in vectors {
            let ip: IpAddr = ip.parse().expect("a literal address");
            let id = id(hex);
            assert_eq!(id.0[19], random);
            assert!(id.fits(ip), "{ip}");
            assert_eq!(NodeId::at(ip, id), id);
            assert!(!id.fits("1.2.3.4".parse().expect("a literal address")));
            // Only 21 bits count.
            let mut free = id;
            free.0[2] ^= 0x07;
            free.0[10] ^= 0xff;
            assert!(free.fits(ip));
            free.0[2] ^= 0x08;
            assert!(!free.fits(ip));
        }
    }

    #[test]
    fn any_id_fits_on_a_local_network() {
        for ip in ["10.1.1.1", "172.16.0.1", "192.168.1.1", "169.254.9.9", "127.0.0.1", "fe80::1"] {
            assert!(NodeId([7; 20]).fits(ip.parse().expect("a literal address")), "{ip}");
        }
        for ip in ["172.32.0.1", "11.0.0.1", "2001:db8::1"] {
            assert!(!NodeId([7; 20]).fits(ip.parse().expect("a literal address")), "{ip}");
        }
    }

    #[test]
    fn an_ipv6_id_depends_on_the_first_half_of_the_address() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("a literal address");
        let random = NodeId::drawn(&mut SecretChance::new(3));
        let id = NodeId::at(ip("2001:db8:5:6::7"), random);
        assert!(id.fits(ip("2001:db8:5:6:ffff::1")));
        assert!(!id.fits(ip("2001:db8:5:7::7")));
    }

    #[test]
    fn an_id_beside_another_shares_just_so_many_bits() {
        let mut chance = SecretChance::new(1);
        let own = NodeId::drawn(&mut chance);
        for bits in 0..ID_BITS {
            assert_eq!(own.beside(bits, &mut chance).shared_bits(&own), bits);
        }
        assert_eq!(own.shared_bits(&own), ID_BITS);
    }
}
