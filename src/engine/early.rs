//! [`Early`]: what a peer said of its pieces before we knew how many there are.

use crate::torrent::Bitfield;
use crate::torrent::bitfield::BitfieldError;
use crate::wire::Fault;

/// Pieces that a peer may speak of: as many as a torrent may have.
const PIECES_MAX: usize = crate::torrent::layout::PIECE_COUNT_MAX as usize;

/// Pieces of a peer, of a torrent of which nothing is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Early {
    all: bool,
    /// As in BEP 3's `bitfield`.
    bits: Vec<u8>,
    /// Bytes of the `bitfield` that it sent, if it did.
    size: Option<usize>,
}

impl Early {
    /// It has everything (BEP 6).
    pub(super) const fn has_all(&mut self) {
        self.all = true;
    }

    /// It has one more.
    pub(super) fn has(&mut self, piece: u32) -> Result<(), Fault> {
        let at = piece as usize;
        if at >= PIECES_MAX {
            return Err(Fault::Piece(piece));
        }
        self.grow(at / 8 + 1);
        self.bits[at / 8] |= 0x80 >> (at % 8);
        Ok(())
    }

    /// It has these; no message is larger than a frame may be.
    pub(super) fn has_these(&mut self, bits: &[u8]) {
        self.size = Some(bits.len());
        self.grow(bits.len());
        self.bits.iter_mut().zip(bits).for_each(|(to, from)| *to |= from);
    }

    fn grow(&mut self, size: usize) {
        self.bits.resize(self.bits.len().max(size), 0);
    }

    /// What that means, of `count` pieces.
    pub(super) fn pieces(mut self, count: usize) -> Result<Bitfield, Fault> {
        if self.all {
            return Ok(Bitfield::full(count));
        }
        let want = count.div_ceil(8);
        if let Some(got) = self.size.filter(|got| *got != want) {
            return Err(BitfieldError::Size { got, want }.into());
        }
        self.grow(want);
        Ok(Bitfield::from_wire(&self.bits, count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(early: Early, count: usize) -> Result<Vec<usize>, Fault> {
        early.pieces(count).map(|pieces| pieces.iter().collect())
    }

    #[test]
    fn a_bitfield_and_haves_add_up() {
        let mut early = Early::default();
        early.has(9).expect("a piece");
        early.has_these(&[0b1000_0000, 0]);
        early.has(2).expect("a piece");
        assert_eq!(pieces(early.clone(), 10), Ok(vec![0, 2, 9]));
        early.has_all();
        assert_eq!(pieces(early, 3), Ok(vec![0, 1, 2]));
        assert_eq!(pieces(Early::default(), 3), Ok(vec![]));
    }

    #[test]
    fn what_the_torrent_does_not_have_is_a_fault() {
        let mut beyond = Early::default();
        beyond.has(10).expect("may be a piece");
        assert!(pieces(beyond.clone(), 10).is_err(), "a have beyond the end");
        assert_eq!(pieces(beyond, 11), Ok(vec![10]));
        let mut long = Early::default();
        long.has_these(&[0; 3]);
        assert!(pieces(long.clone(), 10).is_err(), "a bitfield of another size");
        assert_eq!(pieces(long, 24), Ok(vec![]));
        assert!(Early::default().has(u32::MAX).is_err());
    }
}
