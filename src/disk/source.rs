//! [`PieceSource`]: anything that pieces can be read from, a store or files of any origin.
//!
//! What a source says is a claim: whoever reads hashes.

use super::DiskError;
use crate::torrent::PieceIndex;
use std::fs::File;
use std::sync::Arc;

/// What a source says of a piece without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Its bytes are there.
    There,
    /// It lies wholly in holes of sparse files: it reads as zeros and was likely never written.
    Hole,
    /// Some of its bytes are not there.
    Absent,
    /// It has a file of its own, which has not the size of the piece.
    Damaged,
}

/// Something that pieces can be read from, by many threads at once.
pub trait PieceSource: Sync {
    /// What there is of `piece`; what can't be looked at is [`Presence::Absent`].
    fn presence(&self, piece: PieceIndex) -> Presence;

    /// Fills `into` from `offset` of `piece`.
    ///
    /// # Errors
    /// If the bytes are not there or can't be read.
    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError>;

    /// `length` bytes from `offset` of `piece` on will soon be read: the system may begin to. They may
    /// reach beyond it.
    fn announce(&self, piece: PieceIndex, offset: u32, length: u64) {
        let _ = (piece, offset, length);
    }

    /// Where all bytes of `piece` lie one behind the other, if they do.
    fn lying(&self, piece: PieceIndex) -> Option<Lying> {
        let _ = piece;
        None
    }
}

/// Where a piece lies.
#[derive(Clone, Debug)]
pub struct Lying {
    /// The file.
    pub file: Arc<File>,
    /// Where in it the piece begins.
    pub offset: u64,
}
