//! [`Layered`]: two sources of pieces as one.

use super::{DiskError, Lying, PieceSource, Presence};
use crate::torrent::{Bitfield, PieceIndex};

/// A source, and another for the pieces that it has not.
pub struct Layered<'a> {
    /// What comes first.
    pub first: &'a dyn PieceSource,
    /// Pieces that it has.
    pub has: &'a Bitfield,
    /// What has the others, if anything.
    pub then: &'a dyn PieceSource,
}

impl Layered<'_> {
    fn of(&self, piece: PieceIndex) -> &dyn PieceSource {
        if self.has.contains(piece.at()) { self.first } else { self.then }
    }
}

impl PieceSource for Layered<'_> {
    fn presence(&self, piece: PieceIndex) -> Presence {
        self.of(piece).presence(piece)
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        self.of(piece).read(piece, offset, into)
    }

    fn lying(&self, piece: PieceIndex) -> Option<Lying> {
        self.of(piece).lying(piece)
    }
}
