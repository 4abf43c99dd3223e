//! [`Evidence`]: who sent which block of the copies that failed.
//!
//! A failed piece tells that somebody lied, not who. Once a good copy is here, every block of the
//! bad ones that differs from it was a lie, and its sender is proven ("smart ban"). Until then
//! nobody is blamed.

use super::PeerId;
use crate::torrent::PieceIndex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// SHA-1 of a block.
pub type Digest = [u8; 20];

/// Failed copies that are remembered; of more, the oldest are forgotten.
const COPIES_MAX: usize = 256;

/// A copy of a piece that failed its check.
#[derive(Clone, Debug)]
struct FailedCopy {
    piece: PieceIndex,
    senders: Vec<Option<PeerId>>,
    digests: Vec<Digest>,
}

/// The failed copies of pieces that no good copy is known of yet.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    copies: VecDeque<FailedCopy>,
    /// How many copies of a piece are among them.
    count: BTreeMap<PieceIndex, usize>,
}

impl Evidence {
    /// A copy failed: block `n` came from `senders[n]` and hashes to `digests[n]`.
    pub(super) fn failed(
        &mut self,
        piece: PieceIndex,
        senders: Vec<Option<PeerId>>,
        digests: Vec<Digest>,
    ) {
        if digests.len() != senders.len() {
            return;
        }
        if self.copies.len() >= COPIES_MAX {
            self.forget_oldest();
        }
        *self.count.entry(piece).or_default() += 1;
        self.copies.push_back(FailedCopy { piece, senders, digests });
    }

    /// Whether the digests of a good copy of `piece` would prove anything.
    pub(super) fn waits_for(&self, piece: PieceIndex) -> bool {
        self.count.contains_key(&piece)
    }

    /// A copy is good: who lied in those that failed.
    pub(super) fn proven_by(&mut self, piece: PieceIndex, good: &[Digest]) -> BTreeSet<PeerId> {
        let mut liars = BTreeSet::new();
        if self.count.remove(&piece).is_none() {
            return liars;
        }
        for copy in self.copies.iter().filter(|copy| copy.piece == piece) {
            let blocks = copy.senders.iter().zip(copy.digests.iter().zip(good));
            liars.extend(blocks.filter(|(_, (bad, good))| bad != good).filter_map(|(who, _)| *who));
        }
        self.copies.retain(|copy| copy.piece != piece);
        liars
    }

    fn forget_oldest(&mut self) {
        let Some(copy) = self.copies.pop_front() else { return };
        if let Some(count) = self.count.get_mut(&copy.piece) {
            *count -= 1;
            if *count == 0 {
                self.count.remove(&copy.piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{Layout, SafePath};

    fn piece(index: u32) -> PieceIndex {
        let path = SafePath::from_components([&b"x"[..]]).expect("a plain name");
        let layout = Layout::contiguous(16_384, [(path, 16_384_000, false)]).expect("a layout");
        layout.piece(index).expect("a piece of it")
    }

    fn peers(numbers: &[u32]) -> Vec<Option<PeerId>> {
        numbers.iter().map(|n| Some(PeerId(*n))).collect()
    }

    #[test]
    fn who_sent_what_differs_from_the_good_copy_lied_and_nobody_else() {
        let mut evidence = Evidence::default();
        evidence.failed(piece(0), peers(&[1, 2, 3]), vec![[0; 20], [9; 20], [0; 20]]);
        evidence.failed(piece(0), peers(&[1, 3, 4]), vec![[0; 20], [0; 20], [8; 20]]);
        evidence.failed(piece(1), peers(&[5]), vec![[9; 20]]);
        assert!(evidence.waits_for(piece(0)));
        let liars = evidence.proven_by(piece(0), &[[0; 20]; 3]);
        assert_eq!(liars, BTreeSet::from([PeerId(2), PeerId(4)]));
        assert!(!evidence.waits_for(piece(0)));
        assert!(evidence.waits_for(piece(1)));
    }

    #[test]
    fn blocks_of_an_earlier_run_blame_nobody() {
        let mut evidence = Evidence::default();
        evidence.failed(piece(0), vec![None, Some(PeerId(1))], vec![[9; 20], [0; 20]]);
        assert!(evidence.proven_by(piece(0), &[[0; 20]; 2]).is_empty());
    }

    #[test]
    fn the_oldest_copies_are_forgotten() {
        let mut evidence = Evidence::default();
        for index in 0..COPIES_MAX as u32 + 10 {
            evidence.failed(piece(index), peers(&[1]), vec![[9; 20]]);
        }
        assert_eq!(evidence.copies.len(), COPIES_MAX);
        assert!(!evidence.waits_for(piece(9)));
        assert!(evidence.waits_for(piece(10)));
    }
}
