//! [`Draft`]: what is there of an info dictionary of some size.

use super::PeerId;
use super::time::{SECOND_US, Time};
use crate::torrent::InfoHashV1;
use crate::wire::metadata::METADATA_PIECE_BYTES;
use bytes::Bytes;

/// How long a peer that is asked alone may take: so long, and by its rate at the least.
const ALONE_US: u64 = 30 * SECOND_US;
const ALONE_BYTES_A_SECOND: u64 = 32 << 10;

/// What is there of an info dictionary of some size.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) size: u32,
    pub(super) pieces: Vec<Piece>,
    /// Only this peer is asked, since then.
    pub(super) alone: Option<(PeerId, Time)>,
    /// A copy that was bad: who sent which piece, by its SHA-1.
    pub(super) suspects: Vec<(PeerId, InfoHashV1)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) came: Option<(PeerId, Bytes)>,
    pub(super) asked_of: u8,
}

impl Draft {
    pub(super) fn new(size: u32) -> Self {
        let count = (size as usize).div_ceil(METADATA_PIECE_BYTES);
        let pieces = vec![Piece::default(); count];
        Self { size, pieces, alone: None, suspects: Vec::new() }
    }

    pub(super) fn asks(&self, peer: PeerId) -> bool {
        self.alone.is_none_or(|(alone, _)| alone == peer)
    }

    /// Who is asked alone, if it takes too long.
    pub(super) fn late(&self, now: Time) -> Option<PeerId> {
        let most_us = ALONE_US + u64::from(self.size) * SECOND_US / ALONE_BYTES_A_SECOND;
        self.alone.filter(|(_, since)| now.since_us(*since) >= most_us).map(|(peer, _)| peer)
    }

    pub(super) fn fits(&self, piece: u32, bytes: usize) -> bool {
        let start = piece as usize * METADATA_PIECE_BYTES;
        let rest = (self.size as usize).checked_sub(start);
        rest.is_some_and(|rest| rest > 0 && bytes == rest.min(METADATA_PIECE_BYTES))
    }

    /// The next piece to ask for, of those that fewer than `asked_of_max` peers are asked for: the
    /// one that the fewest are.
    pub(super) fn next(&self, asked_of_max: u8) -> Option<u32> {
        let missing = (0_u32..)
            .zip(&self.pieces)
            .filter(|(_, piece)| piece.came.is_none() && piece.asked_of < asked_of_max);
        missing.min_by_key(|(number, piece)| (piece.asked_of, *number)).map(|(number, _)| number)
    }
}
