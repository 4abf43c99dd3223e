//! [`HashRange`]: which hashes of a file's tree a message asks for or brings (BEP 52, "peer
//! messages": hash request, hashes, hash reject).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Bytes of a range as it stands in a message.
pub const HASH_RANGE_BYTES: usize = 48;

/// A run of hashes of one layer, and what proves it; not yet known to exist in any torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashRange {
    /// The root of the file's tree (`pieces root`).
    pub root: [u8; 32],
    /// The layer, counted from the leaves.
    pub base_layer: u32,
    /// The first hash of it.
    pub index: u32,
    /// How many.
    pub length: u32,
    /// How many layers above it are to be provable with what is sent along.
    pub proof_layers: u32,
}

impl HashRange {
    /// Reads it off the front of a payload that has [`HASH_RANGE_BYTES`] at least.
    pub(super) fn take(payload: &mut Bytes) -> Self {
        let mut root = [0; 32];
        payload.copy_to_slice(&mut root);
        Self {
            root,
            base_layer: payload.get_u32(),
            index: payload.get_u32(),
            length: payload.get_u32(),
            proof_layers: payload.get_u32(),
        }
    }

    /// Appends it.
    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_slice(&self.root);
        for number in [self.base_layer, self.index, self.length, self.proof_layers] {
            out.put_u32(number);
        }
    }
}
