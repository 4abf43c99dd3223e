//! What several torrents have in common: files and pieces that their hashes prove to be the same, and
//! files that may be.
//!
//! Files with one length and one root (BEP 52) are the same; so are pieces with one hash and one
//! size, and the parts of files in them. A v1 torrent of another piece length, or with its files laid
//! elsewhere, proves nothing: there only lengths can be compared.

use super::{FileSpan, Info, PieceHash, PieceIndex};
use std::collections::BTreeMap;

/// What two torrents have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Their places among those that were compared; the first is the smaller.
    pub torrents: (usize, usize),
    /// Pieces with the same hash.
    pub pieces: usize,
    /// Files with bytes in common, in order.
    pub files: Vec<SameBytes>,
    /// Files of one length that may be the same, and of which no byte is known to be.
    pub alike: Vec<(usize, usize)>,
}

/// Two files, one of each torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameBytes {
    /// Their places in the layouts.
    pub files: (usize, usize),
    /// Bytes that are known to be the same.
    pub bytes: u64,
}

/// What proves that two pieces are the same: their hash, and their size.
type Proof = (PieceHash, u32);

/// The pairs of `torrents` that have anything in common.
#[must_use]
pub fn overlaps(torrents: &[&Info]) -> Vec<Overlap> {
    let mut found: BTreeMap<(usize, usize), Found> = BTreeMap::new();
    same_pieces(torrents, &mut found);
    same_files(torrents, &mut found);
    alike(torrents, &mut found);
    let overlap = |(torrents, found): ((usize, usize), Found)| Overlap {
        torrents,
        pieces: found.pieces,
        files: found.bytes.into_iter().map(|(files, bytes)| SameBytes { files, bytes }).collect(),
        alike: found.alike,
    };
    found.into_iter().map(overlap).collect()
}

#[derive(Default)]
struct Found {
    pieces: usize,
    bytes: BTreeMap<(usize, usize), u64>,
    alike: Vec<(usize, usize)>,
}

fn same_pieces(torrents: &[&Info], found: &mut BTreeMap<(usize, usize), Found>) {
    // Of pieces that a torrent repeats, the first.
    let mut by_proof: BTreeMap<Proof, BTreeMap<usize, PieceIndex>> = BTreeMap::new();
    for (torrent, info) in torrents.iter().enumerate() {
        for piece in info.layout.pieces() {
            let proof = (info.pieces.of(piece), info.layout.piece_size(piece));
            by_proof.entry(proof).or_default().entry(torrent).or_insert(piece);
        }
    }
    for holders in by_proof.into_values() {
        for (at, (one, piece)) in holders.iter().enumerate() {
            for (other, other_piece) in holders.iter().skip(at + 1) {
                let found = found.entry((*one, *other)).or_default();
                found.pieces += 1;
                let (a, b) = (torrents[*one], torrents[*other]);
                for (files, bytes) in common(a, *piece, b, *other_piece) {
                    *found.bytes.entry(files).or_default() += bytes;
                }
            }
        }
    }
}

/// The parts of files that lie in the same bytes of two pieces.
fn common(a: &Info, piece: PieceIndex, b: &Info, other: PieceIndex) -> Vec<((usize, usize), u64)> {
    let spans = |info: &Info, piece| -> Vec<FileSpan> {
        let written = |span: &FileSpan| !info.layout.files()[span.file].pad;
        info.layout.spans(piece).filter(written).collect()
    };
    let others = spans(b, other);
    let mut common = Vec::new();
    for span in spans(a, piece) {
        for other in &others {
            let from = span.within.start.max(other.within.start);
            let to = span.within.end.min(other.within.end);
            if from < to {
                common.push(((span.file, other.file), u64::from(to - from)));
            }
        }
    }
    common
}

fn same_files(torrents: &[&Info], found: &mut BTreeMap<(usize, usize), Found>) {
    let mut by_root: BTreeMap<(u64, [u8; 32]), BTreeMap<usize, usize>> = BTreeMap::new();
    for (torrent, info) in torrents.iter().enumerate() {
        for (file, (entry, root)) in info.layout.files().iter().zip(&info.roots).enumerate() {
            if let Some(root) = root {
                let holders = by_root.entry((entry.length, *root)).or_default();
                holders.entry(torrent).or_insert(file);
            }
        }
    }
    for ((length, _), holders) in by_root {
        for (at, (one, file)) in holders.iter().enumerate() {
            for (other, other_file) in holders.iter().skip(at + 1) {
                let found = found.entry((*one, *other)).or_default();
                found.bytes.insert((*file, *other_file), length);
            }
        }
    }
}

/// Files of one length, as long as a piece of theirs or longer: those of one name, or the only ones
/// of that length.
fn alike(torrents: &[&Info], found: &mut BTreeMap<(usize, usize), Found>) {
    let lengths: Vec<BTreeMap<u64, Vec<usize>>> =
        torrents.iter().map(|info| by_length(info)).collect();
    for one in 0..torrents.len() {
        for other in one + 1..torrents.len() {
            let mut pairs = Vec::new();
            for (length, files) in &lengths[one] {
                let Some(others) = lengths[other].get(length) else { continue };
                pairs.extend(pairs_of(torrents[one], files, torrents[other], others));
            }
            let known = found.get(&(one, other));
            pairs.retain(|pair| known.is_none_or(|known| !known.bytes.contains_key(pair)));
            if !pairs.is_empty() {
                pairs.sort_unstable();
                found.entry((one, other)).or_default().alike = pairs;
            }
        }
    }
}

fn by_length(info: &Info) -> BTreeMap<u64, Vec<usize>> {
    let mut by_length: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (file, entry) in info.layout.files().iter().enumerate() {
        if info.is_written(file) && entry.length >= u64::from(info.layout.piece_length()) {
            by_length.entry(entry.length).or_default().push(file);
        }
    }
    by_length
}

fn pairs_of(a: &Info, files: &[usize], b: &Info, others: &[usize]) -> Vec<(usize, usize)> {
    if let ([file], [other]) = (files, others) {
        return vec![(*file, *other)];
    }
    let name = |info: &Info, file: usize| {
        let path = info.layout.files()[file].path.as_str();
        path.rsplit('/').next().unwrap_or(path).to_owned()
    };
    // Of files with one name, the last.
    let names: BTreeMap<String, usize> =
        others.iter().map(|other| (name(b, *other), *other)).collect();
    let named = |file: &usize| Some((*file, *names.get(&name(a, *file))?));
    files.iter().filter_map(named).collect()
}
