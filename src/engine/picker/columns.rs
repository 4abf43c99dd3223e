//! [`Columns`]: what is known of every piece, as strategies see it.

use crate::torrent::Bitfield;
use rtor_plugin::strategy::Swarm;
use std::ops::Range;

/// The columns of `rtor.strategy/1`, one entry a piece.
#[derive(Debug)]
pub(super) struct Columns {
    /// How many connected peers have it.
    pub(super) availability: Vec<u16>,
    pub(super) priority: Vec<u8>,
    /// Verified pieces.
    pub(super) have: Bitfield,
    pub(super) have_count: u32,
    pub(super) seed: u64,
    pub(super) piece_length: u32,
    /// What somebody reads, from the piece that he waits for.
    pub(super) reads: Range<u32>,
}

impl Columns {
    pub(super) fn swarm(&self) -> Swarm<'_> {
        Swarm::new(
            &self.availability,
            &self.priority,
            self.have.words(),
            self.seed,
            self.have_count,
            0,
        )
        .of_pieces(self.piece_length)
        .read(&self.reads)
    }

    /// One more peer has the piece.
    pub(super) fn gained(&mut self, piece: usize) {
        self.availability[piece] = self.availability[piece].saturating_add(1);
    }

    /// One peer less has the piece.
    pub(super) fn lost(&mut self, piece: usize) {
        self.availability[piece] = self.availability[piece].saturating_sub(1);
    }
}
