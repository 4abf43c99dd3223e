//! [`Info`]: the info dictionary, parsed once and valid for ever.

use super::{InfoHashes, Layout, PieceHashes};
use bytes::Bytes;

/// What the info dictionary says, with its raw bytes beside it.
#[derive(Clone, Debug)]
pub struct Info {
    /// The raw bytes as they lay in the file: what the info hash is the hash of.
    pub raw: Bytes,
    /// The torrent's names among peers.
    pub hashes: InfoHashes,
    /// The suggested name, safe as one path component.
    pub name: String,
    /// Pieces, blocks and files.
    pub layout: Layout,
    /// What each piece must hash to.
    pub pieces: PieceHashes,
    /// Only trackers may be asked for peers (BEP 27).
    pub private: bool,
}
