//! [`PieceLayers`]: the layer of each file's tree whose nodes are the pieces (BEP 52, `piece layers`);
//! [`LayersDue`]: which of them a torrent needs.

use super::BLOCK_LENGTH;
use super::bencode::Node;
use super::piece_hash::merkle_root;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Bytes that the layers of one torrent may have: as many as a `.torrent`.
pub const LAYERS_BYTES_MAX: usize = super::metainfo::METAINFO_BYTES_MAX;

/// Layers that are known and right, by the root of their file's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceLayers(BTreeMap<[u8; 32], Bytes>);

impl PieceLayers {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The layer of the file with this root.
    #[must_use]
    pub fn layer(&self, root: &[u8; 32]) -> Option<&[[u8; 32]]> {
        self.0.get(root).map(|bytes| bytes.as_chunks().0)
    }

    /// Adds the layer that hashes to `root`: 32 bytes for each piece.
    pub(super) fn insert(&mut self, root: [u8; 32], layer: Bytes) {
        self.0.insert(root, layer);
    }

    /// The dictionary as it stands in a `.torrent`.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let entry = |(root, layer): (&[u8; 32], &Bytes)| {
            (Bytes::copy_from_slice(root), Node::Bytes(layer.clone()))
        };
        Node::dictionary(self.0.iter().map(entry)).encode().into()
    }
}

impl FromIterator<([u8; 32], Vec<[u8; 32]>)> for PieceLayers {
    /// Of layers that were held against their roots.
    fn from_iter<T: IntoIterator<Item = ([u8; 32], Vec<[u8; 32]>)>>(layers: T) -> Self {
        let layers = layers.into_iter();
        Self(layers.map(|(root, layer)| (root, Bytes::from(layer.concat()))).collect())
    }
}

/// What stands for a piece behind a file's end.
#[must_use]
pub fn filler(piece_length: u32) -> [u8; 32] {
    merkle_root(Vec::new(), (piece_length / BLOCK_LENGTH).max(1) as usize, [0; 32])
}

/// How many layers above the leaves the pieces stand.
#[must_use]
pub const fn height(piece_length: u32) -> u32 {
    (piece_length / BLOCK_LENGTH).trailing_zeros()
}

/// The layers that an info dictionary is to be used with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayersDue {
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Each root of a file of several pieces, once, and how many pieces.
    pub files: Vec<([u8; 32], usize)>,
    /// Whether nothing can be checked without them: there is no v1 half.
    pub needed: bool,
    /// Whether only trackers may be asked for peers (BEP 27).
    pub private: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{Info, Metainfo};

    #[test]
    fn layers_come_back_as_they_stand_in_a_torrent_and_are_what_is_due() {
        for (file, needed) in [
            (&include_bytes!("../../tests/fixtures/metainfo/tree-v2.torrent")[..], true),
            (include_bytes!("../../tests/fixtures/metainfo/tree-hybrid.torrent"), false),
        ] {
            let torrent = Metainfo::parse(file.into()).expect("libtorrent made it").torrent;
            let info = torrent.info.expect("a file has one");
            assert_eq!(Some(info.layers.encode()), torrent.piece_layers);
            let due = Info::layers_due(&info.raw).expect("it is valid");
            assert_eq!(due.needed, needed);
            assert!(!due.files.is_empty());
            for (root, count) in &due.files {
                assert_eq!(info.layers.layer(root).map(<[_]>::len), Some(*count));
            }
        }
    }

    #[test]
    fn nothing_is_due_of_v1() {
        let file = include_bytes!("../../tests/fixtures/metainfo/tree-v1.torrent");
        let torrent = Metainfo::parse(file.as_slice().into()).expect("libtorrent made it").torrent;
        let info = torrent.info.expect("a file has one");
        assert_eq!(Info::layers_due(&info.raw), Ok(LayersDue::default()));
        assert!(info.layers.is_empty());
    }
}
