//! [`PieceHashes`]: what each piece must hash to, and [`PieceCheck`], which finds out.
//!
//! v1 (BEP 3) has one SHA-1 a piece. v2 (BEP 52) has the root of a Merkle tree over SHA-256 of
//! 16 KiB leaves; leaves beyond the data are 32 zero bytes. Both are checked by feeding the
//! piece's bytes in order, in chunks of any size.

use super::{BLOCK_LENGTH, PieceIndex};
use sha1::Digest as _;

/// The hashes of all pieces of one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceHashes {
    /// SHA-1 of each piece (BEP 3, `pieces`).
    V1(Vec<[u8; 20]>),
    /// The Merkle root of each piece (BEP 52, `piece layers` and `pieces root`).
    V2(Vec<MerkleRoot>),
}

/// What one piece must hash to, or what bytes did hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PieceHash {
    /// By SHA-1.
    V1([u8; 20]),
    /// By Merkle tree.
    V2(MerkleRoot),
}

/// The root of one piece's Merkle tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MerkleRoot {
    /// The root.
    pub root: [u8; 32],
    /// Leaves of the tree, a power of two: the data's own and zeros behind them.
    pub leaves: u32,
}

impl MerkleRoot {
    /// The root over these `leaves`, in a tree of `width`; `None` if there are more.
    #[must_use]
    pub fn over(leaves: Vec<[u8; 32]>, width: u32) -> Option<Self> {
        let fits = leaves.len() <= width as usize;
        fits.then(|| Self { root: merkle_root(leaves, width as usize, [0; 32]), leaves: width })
    }
}

impl PieceHashes {
    /// How many pieces there are hashes for.
    #[must_use]
    pub fn piece_count(&self) -> usize {
        match self {
            Self::V1(hashes) => hashes.len(),
            Self::V2(roots) => roots.len(),
        }
    }

    /// What `piece` must hash to.
    ///
    /// # Panics
    /// If there is no hash for it.
    #[must_use]
    pub fn of(&self, piece: PieceIndex) -> PieceHash {
        match self {
            Self::V1(hashes) => PieceHash::V1(hashes[piece.at()]),
            Self::V2(roots) => PieceHash::V2(roots[piece.at()]),
        }
    }

    /// Begins the check of `piece`.
    ///
    /// # Panics
    /// If there is no hash for it.
    #[must_use]
    pub fn check(&self, piece: PieceIndex) -> PieceCheck {
        match self {
            Self::V1(hashes) => {
                PieceCheck::V1 { want: hashes[piece.at()], hasher: sha1::Sha1::new() }
            }
            Self::V2(roots) => PieceCheck::V2 { want: roots[piece.at()], tree: LeafHasher::new() },
        }
    }
}

/// The check of one piece: feed it the piece's bytes in order, then ask.
pub enum PieceCheck {
    /// By SHA-1.
    #[doc(hidden)]
    V1 { want: [u8; 20], hasher: sha1::Sha1 },
    /// By Merkle tree.
    #[doc(hidden)]
    V2 { want: MerkleRoot, tree: LeafHasher },
}

impl PieceCheck {
    /// Feeds the next bytes of the piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::V1 { hasher, .. } => hasher.update(bytes),
            Self::V2 { tree, .. } => tree.update(bytes),
        }
    }

    /// Whether the bytes were the piece.
    #[must_use]
    pub fn matches(self) -> bool {
        let want = match &self {
            Self::V1 { want, .. } => PieceHash::V1(*want),
            Self::V2 { want, .. } => PieceHash::V2(*want),
        };
        self.hash() == Some(want)
    }

    /// What the bytes hash to, whichever piece they are: for v2 in a tree as wide as this piece's.
    /// `None` if there were more than the tree has leaves for.
    #[must_use]
    pub fn hash(self) -> Option<PieceHash> {
        match self {
            Self::V1 { hasher, .. } => Some(PieceHash::V1(hasher.finalize().into())),
            Self::V2 { want, tree } => {
                MerkleRoot::over(tree.finish(), want.leaves).map(PieceHash::V2)
            }
        }
    }
}

/// Hashes bytes into the 16 KiB leaves of BEP 52.
pub struct LeafHasher {
    leaves: Vec<[u8; 32]>,
    hasher: sha2::Sha256,
    filled: usize,
}

impl LeafHasher {
    /// No byte yet.
    #[must_use]
    pub fn new() -> Self {
        Self { leaves: Vec::new(), hasher: sha2::Sha256::new(), filled: 0 }
    }

    /// Feeds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_LENGTH as usize - self.filled;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK_LENGTH as usize {
                self.leaves.push(self.hasher.finalize_reset().into());
                self.filled = 0;
            }
        }
    }

    /// The leaves; the last is that of a shorter block.
    #[must_use]
    pub fn finish(mut self) -> Vec<[u8; 32]> {
        if self.filled > 0 {
            self.leaves.push(self.hasher.finalize().into());
        }
        self.leaves
    }
}

impl Default for LeafHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// What v2 says of one file (BEP 52).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRoot {
    /// `pieces root`.
    pub root: [u8; 32],
    /// Its `piece layers`: the root of each piece. None if it has only one.
    pub layer: Vec<[u8; 32]>,
}

impl FileRoot {
    /// Of the roots of a file's pieces, each from [`root_of_piece`].
    #[must_use]
    pub fn of_pieces(roots: Vec<[u8; 32]>, piece_length: u32) -> Self {
        if let [root] = roots[..] {
            return Self { root, layer: Vec::new() };
        }
        let filler = merkle_root(Vec::new(), leaves_of_piece(piece_length), [0; 32]);
        let width = roots.len().next_power_of_two();
        Self { root: merkle_root(roots.clone(), width, filler), layer: roots }
    }
}

/// The root of a piece of these `leaves`, one of several of its file or the `only` one: a tree is no
/// wider than its file needs.
#[must_use]
pub fn root_of_piece(leaves: Vec<[u8; 32]>, piece_length: u32, only: bool) -> [u8; 32] {
    let own = leaves.len().next_power_of_two();
    merkle_root(leaves, if only { own } else { leaves_of_piece(piece_length) }, [0; 32])
}

const fn leaves_of_piece(piece_length: u32) -> usize {
    (piece_length / BLOCK_LENGTH) as usize
}

/// The Merkle root of `nodes`, filled up with `filler` to `width`, a power of two.
///
/// # Panics
/// If `width` is no power of two or too small.
#[must_use]
pub fn merkle_root(mut nodes: Vec<[u8; 32]>, width: usize, filler: [u8; 32]) -> [u8; 32] {
    assert!(width.is_power_of_two() && nodes.len() <= width, "{} nodes in {width}", nodes.len());
    let (mut width, mut filler) = (width, filler);
    while width > 1 {
        // Only what is not filler is hashed: a width of 2^22 over one leaf costs 22 hashes.
        if nodes.len() % 2 == 1 {
            nodes.push(filler);
        }
        nodes = nodes.chunks_exact(2).map(|pair| parent(&pair[0], &pair[1])).collect();
        filler = parent(&filler, &filler);
        width /= 2;
    }
    nodes.first().copied().unwrap_or(filler)
}

/// The node above two.
pub(super) fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut hasher = sha2::Sha256::new();
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{Layout, SafePath};

    fn piece() -> PieceIndex {
        let path = SafePath::from_components([&b"a"[..]]).expect("a name");
        let layout = Layout::contiguous(1 << 20, [(path, 1, false)]).expect("a layout");
        layout.piece(0).expect("the only piece")
    }

    #[test]
    fn a_sha1_piece_is_checked_in_chunks() {
        let hashes = PieceHashes::V1(vec![sha1::Sha1::digest(b"hello world").into()]);
        let mut good = hashes.check(piece());
        good.update(b"hello ");
        good.update(b"world");
        assert!(good.matches());
        let mut bad = hashes.check(piece());
        bad.update(b"hello World");
        assert!(!bad.matches());
    }

    /// The tree written out by hand: three leaves of data and one of zeros.
    #[test]
    fn a_merkle_piece_is_checked_in_chunks() {
        let data: Vec<u8> = (0..40_000_u32).map(|i| (i % 251) as u8).collect();
        let leaf = |range: std::ops::Range<usize>| -> [u8; 32] {
            sha2::Sha256::digest(&data[range]).into()
        };
        let left = parent(&leaf(0..16384), &leaf(16384..32768));
        let right = parent(&leaf(32768..40000), &[0; 32]);
        let root = parent(&left, &right);
        let hashes = PieceHashes::V2(vec![MerkleRoot { root, leaves: 4 }]);
        let mut check = hashes.check(piece());
        data.chunks(1000).for_each(|chunk| check.update(chunk));
        assert!(check.matches());
        let mut short = hashes.check(piece());
        short.update(&data[..39_999]);
        assert!(!short.matches());
    }

    /// Against the check that downloads pass, which is held against what libtorrent made.
    #[test]
    fn a_file_s_root_is_the_same_whether_its_pieces_are_long_or_short() {
        for leaves in 1..=9_u8 {
            let leaves: Vec<[u8; 32]> = (0..leaves).map(|i| [i + 1; 32]).collect();
            let whole = merkle_root(leaves.clone(), leaves.len().next_power_of_two(), [0; 32]);
            for per_piece in [1, 2, 4, 8, 16] {
                let only = leaves.len() <= per_piece;
                let piece_length = per_piece as u32 * BLOCK_LENGTH;
                let pieces = leaves.chunks(per_piece);
                let roots: Vec<[u8; 32]> =
                    pieces.map(|own| root_of_piece(own.to_vec(), piece_length, only)).collect();
                let file = FileRoot::of_pieces(roots.clone(), piece_length);
                assert_eq!(file.root, whole, "{} leaves, {per_piece} a piece", leaves.len());
                assert_eq!(file.layer, if only { Vec::new() } else { roots });
            }
        }
    }

    #[test]
    fn filler_is_not_hashed_leaf_by_leaf() {
        let leaf = [7; 32];
        let mut slow = vec![leaf];
        slow.resize(1 << 10, [0; 32]);
        assert_eq!(merkle_root(vec![leaf], 1 << 10, [0; 32]), merkle_root(slow, 1 << 10, [0; 32]));
    }
}
