//! [`Handshake`]: the first 68 bytes (BEP 3), and the extensions that its reserved bits announce.

use super::Fault;

/// Bytes of a handshake.
pub const HANDSHAKE_BYTES: usize = 68;

const HEADER: &[u8; 20] = b"\x13BitTorrent protocol";

/// What both sides say first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Bits of extensions; see the methods.
    pub reserved: [u8; 8],
    /// Which torrent (v1, or v2 cut to 20 bytes).
    pub info_hash: [u8; 20],
    /// Who speaks.
    pub peer_id: [u8; 20],
}

impl Handshake {
    /// A handshake that announces what rtor speaks: the extension protocol (BEP 10) and the fast
    /// extension (BEP 6).
    #[must_use]
    pub const fn new(info_hash: [u8; 20], peer_id: [u8; 20]) -> Self {
        Self { reserved: [0, 0, 0, 0, 0, 0x10, 0, 0x04], info_hash, peer_id }
    }

    /// Whether it speaks the extension protocol (BEP 10).
    #[must_use]
    pub const fn extensions(&self) -> bool {
        self.reserved[5] & 0x10 != 0
    }

    /// Whether it speaks the fast extension (BEP 6).
    #[must_use]
    pub const fn fast(&self) -> bool {
        self.reserved[7] & 0x04 != 0
    }

    /// Whether its sender speaks the second version of the protocol too, whatever info hash stands
    /// beside it (BEP 52, "upgrade path").
    #[must_use]
    pub const fn v2(&self) -> bool {
        self.reserved[7] & 0x10 != 0
    }

    /// The same of somebody who speaks the second version.
    #[must_use]
    pub const fn with_v2(mut self) -> Self {
        self.reserved[7] |= 0x10;
        self
    }

    /// Whether its sender is a node of the DHT, which hears PORT messages (BEP 5).
    #[must_use]
    pub const fn dht(&self) -> bool {
        self.reserved[7] & 0x01 != 0
    }

    /// The same of a node of the DHT.
    #[must_use]
    pub const fn with_dht(mut self) -> Self {
        self.reserved[7] |= 0x01;
        self
    }

    /// The same of somebody who is none.
    #[must_use]
    pub const fn without_dht(mut self) -> Self {
        self.reserved[7] &= !0x01;
        self
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HANDSHAKE_BYTES] {
        let mut bytes = [0; HANDSHAKE_BYTES];
        bytes[..20].copy_from_slice(HEADER);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(&self.info_hash);
        bytes[48..].copy_from_slice(&self.peer_id);
        bytes
    }

    /// Reads the 68 bytes.
    ///
    /// # Errors
    /// [`Fault::Header`] if they do not begin as BEP 3 says.
    pub fn decode(bytes: &[u8; HANDSHAKE_BYTES]) -> Result<Self, Fault> {
        if !Self::may_begin(bytes) {
            return Err(Fault::Header);
        }
        let part = |from: usize| std::array::from_fn(|i| bytes[from + i]);
        Ok(Self {
            reserved: std::array::from_fn(|i| bytes[20 + i]),
            info_hash: part(28),
            peer_id: part(48),
        })
    }

    /// Whether its beginning is there: then it is no handshake of another protocol.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(HEADER)
    }

    /// Whether bytes that came so far may be the beginning of a handshake: garbage is hung up on
    /// at its first wrong byte, not after 68.
    #[must_use]
    pub fn may_begin(bytes: &[u8]) -> bool {
        bytes.iter().zip(HEADER).all(|(got, want)| got == want)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_comes_back_as_it_went() {
        let handshake = Handshake::new([7; 20], *b"-RT0001-abcdefghijkl");
        assert_eq!(Handshake::decode(&handshake.encode()), Ok(handshake));
        assert!(handshake.extensions() && handshake.fast() && !handshake.dht());
        let node = handshake.with_dht();
        assert!(node.extensions() && node.fast() && node.dht());
        assert_eq!(node.without_dht(), handshake);
        assert!(!node.v2() && node.with_v2().v2() && node.with_v2().dht());
    }

    #[test]
    fn garbage_is_known_at_its_first_wrong_byte() {
        assert!(Handshake::may_begin(b"\x13Bit"));
        assert!(!Handshake::may_begin(b"GET / HTTP"));
        assert!(Handshake::begins(b"\x13BitTorrent protocol\0"));
        assert!(!Handshake::begins(b"\x13BitTorrent"));
        assert_eq!(Handshake::decode(&[0; HANDSHAKE_BYTES]), Err(Fault::Header));
    }
}
