//! Torrents for this room's tests: random content, an [`Info`] by hand, its blocks.

use crate::torrent::{Block, Info, Layout, PieceHashes, PieceIndex, SafePath};
use bytes::Bytes;
use sha1::Digest as _;
use std::sync::Arc;

/// A torrent and what is in it.
pub(super) struct World {
    pub(super) info: Arc<Info>,
    /// The pieces' bytes, one behind the other.
    pub(super) data: Vec<u8>,
    starts: Vec<usize>,
}

impl World {
    /// Files `0`, `d/1`, `2`, `d/3`, .. of `lengths`, one behind the other.
    pub(super) fn contiguous(piece_length: u64, lengths: &[u64]) -> Self {
        let files = lengths.iter().enumerate().map(|(i, length)| (path(i), *length, false));
        Self::new(Layout::contiguous(piece_length, files).expect("a layout"))
    }

    /// As [`World::contiguous`], the files whose number is in `pads` being padding.
    pub(super) fn padded(piece_length: u64, lengths: &[u64], pads: &[usize]) -> Self {
        let files =
            lengths.iter().enumerate().map(|(i, length)| (path(i), *length, pads.contains(&i)));
        Self::new(Layout::contiguous(piece_length, files).expect("a layout"))
    }

    /// Each file from a piece boundary on.
    pub(super) fn by_file(piece_length: u64, lengths: &[u64]) -> Self {
        let files = lengths.iter().enumerate().map(|(i, length)| (path(i), *length, false));
        Self::new(Layout::by_file(piece_length, files).expect("a layout"))
    }

    fn new(layout: Layout) -> Self {
        let (mut data, mut starts, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ layout.total_length();
        for piece in layout.pieces() {
            let start = data.len();
            starts.push(start);
            for span in layout.spans(piece) {
                let pad = layout.files()[span.file].pad;
                data.extend((0..span.length()).map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    if pad { 0 } else { state as u8 }
                }));
            }
            hashes.push(sha1::Sha1::digest(&data[start..]).into());
        }
        let info = Info::of_parts(layout, PieceHashes::V1(hashes));
        Self { info: Arc::new(info), data, starts }
    }

    /// The bytes of `piece`.
    pub(super) fn piece(&self, piece: PieceIndex) -> &[u8] {
        let start = self.starts[piece.at()];
        &self.data[start..start + self.info.layout.piece_size(piece) as usize]
    }

    /// Block `number` of `piece`.
    pub(super) fn block(&self, piece: PieceIndex, number: usize) -> (Block, Bytes) {
        let block = self.info.layout.block(piece, number).expect("a block");
        let from = block.offset() as usize;
        let data = &self.piece(piece)[from..from + block.length() as usize];
        (block, Bytes::copy_from_slice(data))
    }

    /// The bytes of file `file`.
    pub(super) fn file(&self, file: usize) -> Vec<u8> {
        let layout = &self.info.layout;
        let mut bytes = Vec::new();
        for piece in layout.pieces_of(file) {
            let piece = layout.piece(piece).expect("a piece of a file");
            for span in layout.spans(piece).filter(|span| span.file == file) {
                let within = span.within.start as usize..span.within.end as usize;
                bytes.extend(&self.piece(piece)[within]);
            }
        }
        bytes
    }
}

fn path(i: usize) -> SafePath {
    let name = i.to_string();
    let components: &[&[u8]] =
        if i % 2 == 0 { &[name.as_bytes()] } else { &[b"d", name.as_bytes()] };
    SafePath::from_components(components.iter().copied()).expect("a safe path")
}
