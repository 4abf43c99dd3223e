//! Torrents for this room's tests: random content, an [`Info`] by hand, its blocks.

use crate::torrent::piece_hash::MerkleRoot;
use crate::torrent::{BLOCK_LENGTH, Block, Info, Layout, PieceHashes, PieceIndex, SafePath};
use bytes::Bytes;
use proptest::prelude::*;
use sha1::Digest as _;
use std::path::Path;
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

    /// As [`World::by_file`], hashed as BEP 52 has it; `piece_length` is a power of two.
    pub(super) fn v2(piece_length: u64, lengths: &[u64]) -> Self {
        let mut world = Self::by_file(piece_length, lengths);
        let layout = &world.info.layout;
        let root = |piece: PieceIndex| {
            let file = layout.spans(piece).next().map_or(0, |span| span.file);
            let only = layout.files()[file].length <= piece_length;
            let blocks = world.piece(piece).len().div_ceil(BLOCK_LENGTH as usize);
            let all = (piece_length / u64::from(BLOCK_LENGTH)) as usize;
            let leaves = if only { blocks.next_power_of_two() } else { all };
            let root = Self::merkle(world.piece(piece), leaves);
            MerkleRoot { root, leaves: leaves as u32 }
        };
        let roots = layout.pieces().map(root).collect();
        let mut info = Info::of_parts(layout.clone(), PieceHashes::V2(roots));
        info.name = world.info.name.clone();
        world.info = Arc::new(info);
        world
    }

    /// The Merkle root of `bytes` over so many leaves, zeros behind them: every node hashed.
    pub(super) fn merkle(bytes: &[u8], leaves: usize) -> [u8; 32] {
        let leaf = |block| sha2::Sha256::digest(block).into();
        let mut nodes: Vec<[u8; 32]> = bytes.chunks(BLOCK_LENGTH as usize).map(leaf).collect();
        nodes.resize(leaves, [0; 32]);
        while nodes.len() > 1 {
            nodes = nodes.chunks(2).map(|two| sha2::Sha256::digest(two.concat()).into()).collect();
        }
        nodes[0]
    }

    /// As [`World::contiguous`], every byte zero.
    pub(super) fn zeros(piece_length: u64, lengths: &[u64]) -> Self {
        let files = lengths.iter().enumerate().map(|(i, length)| (path(i), *length, false));
        Self::of("world", Layout::contiguous(piece_length, files).expect("a layout"), true)
    }

    /// Files with paths of their own in a torrent called `name`.
    pub(super) fn named(name: &str, piece_length: u64, files: &[(&str, u64)]) -> Self {
        let files = files.iter().map(|(path, length)| {
            let components = path.split('/').map(str::as_bytes);
            (SafePath::from_components(components).expect("a safe path"), *length, false)
        });
        Self::of(name, Layout::contiguous(piece_length, files).expect("a layout"), false)
    }

    fn new(layout: Layout) -> Self {
        Self::of("world", layout, false)
    }

    fn of(name: &str, layout: Layout, zeros: bool) -> Self {
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
                    if pad || zeros { 0 } else { state as u8 }
                }));
            }
            hashes.push(sha1::Sha1::digest(&data[start..]).into());
        }
        let mut info = Info::of_parts(layout, PieceHashes::V1(hashes));
        info.name = name.to_owned();
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

    /// Writes all files but padding below `root`.
    pub(super) fn write_files(&self, root: &Path) {
        for (i, file) in self.info.layout.files().iter().enumerate().filter(|(_, f)| !f.pad) {
            let path = file.path.below(root);
            std::fs::create_dir_all(path.parent().expect("a folder above")).expect("made");
            std::fs::write(path, self.file(i)).expect("written");
        }
        std::fs::create_dir_all(root).expect("made");
    }

    /// Writes a store of all pieces.
    pub(super) fn write_pieces(&self, root: &Path) {
        std::fs::create_dir_all(root).expect("made");
        for piece in self.info.layout.pieces() {
            let path = root.join(format!("piece_{}_complete.bin", piece.get()));
            std::fs::write(path, self.piece(piece)).expect("written");
        }
    }
}

/// The geometry: the content would drown it.
impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.layout.fmt(f)
    }
}

/// Any geometry: empty files, padding, pieces of many files, files of many pieces, v1 and v2.
pub(super) fn any_world() -> impl Strategy<Value = World> {
    let lengths = prop::collection::vec(prop_oneof![Just(0_u64), 1_u64..60_000], 1..8);
    (lengths, 1000_u64..80_000, 0_u8..3).prop_filter_map("no content", |(lengths, length, kind)| {
        if lengths.iter().sum::<u64>() == 0 {
            return None;
        }
        Some(match kind {
            0 => World::contiguous(length, &lengths),
            1 => World::padded(length, &lengths, &[1, 4]),
            _ => World::by_file(length, &lengths),
        })
    })
}

fn path(i: usize) -> SafePath {
    let name = i.to_string();
    let components: &[&[u8]] =
        if i.is_multiple_of(2) { &[name.as_bytes()] } else { &[b"d", name.as_bytes()] };
    SafePath::from_components(components.iter().copied()).expect("a safe path")
}
