//! [`NamedPieces`]: a few pieces that a peer named, because it allows us them or suggests them
//! (BEP 6).

use crate::torrent::{Bitfield, PieceIndex};
use smallvec::SmallVec;

/// Pieces of one peer that are remembered: more than anybody allows or suggests in earnest.
const NAMED_MAX: usize = 32;

/// Pieces in the order in which they were named.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedPieces(SmallVec<[PieceIndex; 4]>);

impl NamedPieces {
    /// One more was named; the oldest makes room.
    pub(super) fn add(&mut self, piece: PieceIndex) {
        if self.0.contains(&piece) {
            return;
        }
        if self.0.len() >= NAMED_MAX {
            self.0.remove(0);
        }
        self.0.push(piece);
    }

    /// Those that are in `theirs` and still `wanted`; the others are forgotten if they are not.
    pub(super) fn among(
        &mut self,
        theirs: &Bitfield,
        wanted: impl Fn(PieceIndex) -> bool,
    ) -> Option<Bitfield> {
        self.0.retain(|piece| wanted(*piece));
        let mut among = Bitfield::new(theirs.len());
        for piece in self.0.iter().filter(|piece| theirs.contains(piece.at())) {
            among.insert(piece.at());
        }
        (!among.is_empty()).then_some(among)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{Layout, SafePath};

    #[test]
    fn few_are_remembered_and_only_while_they_are_wanted() {
        let path = SafePath::from_components([&b"x"[..]]).expect("a path");
        let layout = Layout::contiguous(16_384, [(path, 1_638_400, false)]).expect("a layout");
        let mut named = NamedPieces::default();
        layout.pieces().for_each(|piece| named.add(piece));
        let all = Bitfield::full(100);
        let among = |named: &mut NamedPieces, from: u32| {
            let pieces = named.among(&all, |piece| piece.get() >= from);
            pieces.map(|pieces| pieces.iter().collect::<Vec<_>>())
        };
        assert_eq!(among(&mut named, 0), Some((68..100).collect()));
        assert_eq!(among(&mut named, 98), Some(vec![98, 99]));
        assert_eq!(named.among(&Bitfield::new(100), |_| true), None);
        assert_eq!(among(&mut named, 100), None);
        assert!(named.is_empty());
    }
}
