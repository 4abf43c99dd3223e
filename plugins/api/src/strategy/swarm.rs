//! [`Swarm`]: what a strategy may know, in columns that are the picker's own.

use crate::abi::{Grown, grown};
use std::mem::offset_of;
use std::ops::Range;

/// The columns of the picker, lent for one call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawSwarm {
    /// `size_of::<RawSwarm>()` on the host's side.
    pub size: u32,
    /// Pieces of the torrent: the length of the columns.
    pub piece_count: u32,
    /// How many connected peers have each piece.
    pub availability: *const u16,
    /// 0 not wanted, 1 to 7 wanted, 4 is normal.
    pub priority: *const u8,
    /// One bit a piece, least significant first, in words of 64: verified and kept.
    pub have: *const u64,
    /// Chance: the same for the whole run.
    pub seed: u64,
    /// Pieces had so far.
    pub have_count: u32,
    /// The piece that a reader waits for, if there is one: see `read_end`.
    pub playhead: u32,
    /// Bytes of every piece but the last; 0 from a host of minor 0.
    pub piece_length: u32,
    /// The piece after the last one of what the reader reads; 0: nobody reads.
    pub read_end: u32,
}

// SAFETY: what was appended are numbers, and there is no function.
unsafe impl Grown for RawSwarm {
    const FIRST_BYTES: usize = offset_of!(Self, piece_length);
    const FUNCTIONS: &'static [usize] = &[];
}

/// What is known of the swarm, lent for one call.
#[derive(Clone, Copy)]
pub struct Swarm<'a> {
    /// How many connected peers have each piece.
    pub availability: &'a [u16],
    /// 0 not wanted, 1 to 7 wanted, 4 is normal; one a piece.
    pub priority: &'a [u8],
    /// Chance: the same for the whole run.
    pub seed: u64,
    /// Pieces had so far.
    pub have_count: u32,
    /// The piece that a reader waits for; 0 if nobody reads: see [`Swarm::reader`].
    pub playhead: u32,
    /// Bytes of every piece but the last; 0 if that is not known.
    pub piece_length: u32,
    read_end: u32,
    have: &'a [u64],
}

impl<'a> Swarm<'a> {
    /// A swarm from its columns; `have` has one bit a piece, least significant first.
    ///
    /// # Panics
    /// If the columns are not of one length: a guest reads them by `availability`'s.
    #[must_use]
    pub const fn new(
        availability: &'a [u16],
        priority: &'a [u8],
        have: &'a [u64],
        seed: u64,
        have_count: u32,
        playhead: u32,
    ) -> Self {
        assert!(priority.len() == availability.len(), "one priority a piece");
        assert!(have.len() >= availability.len().div_ceil(64), "one bit a piece");
        let (piece_length, read_end) = (0, 0);
        Self { availability, priority, seed, have_count, playhead, piece_length, read_end, have }
    }

    /// The same, with pieces of so many bytes.
    #[must_use]
    pub const fn of_pieces(self, piece_length: u32) -> Self {
        Self { piece_length, ..self }
    }

    /// The same, with somebody who reads: waiting for the first piece of `pieces`, and on to the
    /// end of what they are, usually a file's.
    #[must_use]
    pub const fn read(self, pieces: &Range<u32>) -> Self {
        Self { playhead: pieces.start, read_end: pieces.end, ..self }
    }

    /// What somebody reads: from the piece that he waits for to the end of the file; `None` if
    /// nobody does, or if those are not pieces of this torrent.
    #[must_use]
    pub fn reader(&self) -> Option<Range<u32>> {
        let pieces = self.playhead..self.read_end;
        (!pieces.is_empty() && pieces.end as usize <= self.piece_count()).then_some(pieces)
    }

    /// Whether `piece` is still to come: wanted, and not had. Pieces beyond the torrent are not.
    #[must_use]
    pub fn is_missing(&self, piece: u32) -> bool {
        self.priority.get(piece as usize).is_some_and(|&priority| priority > 0) && !self.has(piece)
    }

    /// Pieces of the torrent.
    #[must_use]
    pub const fn piece_count(&self) -> usize {
        self.availability.len()
    }

    /// Whether `piece` is verified and kept. Pieces beyond the torrent are not.
    #[must_use]
    pub fn has(&self, piece: u32) -> bool {
        let word = self.have.get(piece as usize / 64).copied().unwrap_or(0);
        word >> (piece % 64) & 1 == 1
    }

    /// A number for `piece` that looks random and is the same at every call of this run.
    #[must_use]
    pub const fn shuffle(&self, piece: u32) -> u32 {
        // splitmix64's finalizer: every bit of seed and piece moves every bit of the answer.
        let mut x = self.seed ^ (piece as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x >> 32) as u32
    }

    pub(super) const fn raw(&self) -> RawSwarm {
        RawSwarm {
            size: size_of::<RawSwarm>() as u32,
            piece_count: self.availability.len() as u32,
            availability: self.availability.as_ptr(),
            priority: self.priority.as_ptr(),
            have: self.have.as_ptr(),
            seed: self.seed,
            have_count: self.have_count,
            playhead: self.playhead,
            piece_length: self.piece_length,
            read_end: self.read_end,
        }
    }

    /// # Panics
    /// If the host says that its columns are less than the first revision's: it is none of ours.
    ///
    /// # Safety
    /// `raw` must point to a swarm of its own size, with columns of `piece_count` entries that
    /// live for `'a`.
    pub(super) unsafe fn from_raw(raw: *const RawSwarm) -> Self {
        // SAFETY: the caller's promise, here and below.
        let raw = unsafe { grown(raw) }.expect("a swarm of the first revision or a later one");
        let count = raw.piece_count as usize;
        // SAFETY: the columns have `piece_count` entries, `have` one bit for each.
        let (availability, priority, have) = unsafe {
            (
                column(raw.availability, count),
                column(raw.priority, count),
                column(raw.have, count.div_ceil(64)),
            )
        };
        Self::new(availability, priority, have, raw.seed, raw.have_count, raw.playhead)
            .of_pieces(raw.piece_length)
            .read(&(raw.playhead..raw.read_end))
    }
}

/// # Safety
/// `data` must have `count` entries that live for `'a`, or `count` be 0.
const unsafe fn column<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, count) }
}
