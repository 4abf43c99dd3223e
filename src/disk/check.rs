//! Verification: which pieces of a source are whole, and what that means for each file.
//!
//! Every piece is read and hashed, on all cores; a name or a size is never believed. Whatever
//! can't be read is a state of its piece, not an error.

use super::store::chunks;
use super::{PieceSource, Presence};
use crate::torrent::{Bitfield, Info, PieceHashes, PieceIndex};
use rayon::prelude::*;
use sha1::Digest as _;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a piece is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceState {
    /// It matches its hash.
    Ok,
    /// It is there and does not match, or could not be read.
    Bad,
    /// It is not there.
    Missing,
}

/// What a file is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Bytes that lie in whole pieces.
    pub ok_bytes: u64,
    /// In a word.
    pub state: FileState,
    /// Bytes that are bad or missing, neighbours joined.
    pub bad_ranges: Vec<Range<u64>>,
}

/// What a file is like, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// All of it matches.
    Ok,
    /// Some of it is there and does not match, or it is longer than it should be.
    Bad,
    /// None of it is there.
    Missing,
    /// Some of it is there and matches, some is not there.
    Partial,
}

/// Where long work says how far it is, and hears that it should stop.
pub struct Work<'a> {
    /// Called with bytes that were dealt with, from many threads.
    pub progressed: &'a (dyn Fn(u64) + Sync),
    /// Set by whoever wants it to end early.
    pub stop: &'a AtomicBool,
}

impl Work<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Reads and hashes every piece of `source`. Pieces that were not reached before `work` was
/// stopped are missing.
#[must_use]
pub fn check(source: &dyn PieceSource, info: &Info, work: &Work<'_>) -> Vec<PieceState> {
    let zeros = Zeros::default();
    let pieces: Vec<PieceIndex> = info.layout.pieces().collect();
    pieces
        .into_par_iter()
        .map(|piece| {
            if work.is_stopped() {
                return PieceState::Missing;
            }
            let state = check_piece(source, info, piece, &zeros);
            (work.progressed)(u64::from(info.layout.piece_size(piece)));
            state
        })
        .collect()
}

/// The pieces that are whole.
#[must_use]
pub fn whole(states: &[PieceState]) -> Bitfield {
    let mut field = Bitfield::new(states.len());
    for (piece, _) in states.iter().enumerate().filter(|(_, state)| **state == PieceState::Ok) {
        field.insert(piece);
    }
    field
}

fn check_piece(
    source: &dyn PieceSource,
    info: &Info,
    piece: PieceIndex,
    zeros: &Zeros,
) -> PieceState {
    match source.presence(piece) {
        Presence::Absent => return PieceState::Missing,
        Presence::Damaged => return PieceState::Bad,
        Presence::Hole if !zeros.may_be(info, piece) => return PieceState::Missing,
        Presence::Hole | Presence::There => {}
    }
    let hole = source.presence(piece) == Presence::Hole;
    let size = info.layout.piece_size(piece);
    let mut check = info.pieces.check(piece);
    let mut buffer = vec![0; chunks(size).next().map_or(0, |chunk| chunk.len())];
    for chunk in chunks(size) {
        let part = &mut buffer[..chunk.len()];
        if source.read(piece, chunk.start, part).is_err() {
            return PieceState::Bad;
        }
        check.update(part);
    }
    match check.matches() {
        true => PieceState::Ok,
        // Nobody wrote it: that is no damage.
        false if hole => PieceState::Missing,
        false => PieceState::Bad,
    }
}

/// Whether pieces may be all zeros: asked for every hole of a sparse file, of which an
/// unfinished download has thousands, and answered by one hash.
#[derive(Default)]
struct Zeros(OnceLock<[u8; 20]>);

impl Zeros {
    fn may_be(&self, info: &Info, piece: PieceIndex) -> bool {
        let (size, usual) = (info.layout.piece_size(piece), info.layout.piece_length());
        match &info.pieces {
            PieceHashes::V1(hashes) if size == usual => {
                let zeros = self.0.get_or_init(|| {
                    let mut hasher = sha1::Sha1::new();
                    let zeros = vec![0; 64 << 10];
                    for chunk in chunks(size) {
                        let mut left = chunk.len();
                        while left > 0 {
                            let now = left.min(zeros.len());
                            hasher.update(&zeros[..now]);
                            left -= now;
                        }
                    }
                    hasher.finalize().into()
                });
                hashes[piece.at()] == *zeros
            }
            PieceHashes::V1(_) | PieceHashes::V2(_) => true,
        }
    }
}

/// What the states of pieces mean for each file. `length` says how long a file is as it lies
/// there (`None`: absent); a piece store has no files, and passes none.
#[must_use]
pub fn files(
    info: &Info,
    states: &[PieceState],
    length: Option<&dyn Fn(usize) -> Option<u64>>,
) -> Vec<FileReport> {
    let mut reports: Vec<Sums> = vec![Sums::default(); info.layout.files().len()];
    for piece in info.layout.pieces() {
        for span in info.layout.spans(piece) {
            let to = span.offset + u64::from(span.length());
            reports[span.file].add(states[piece.at()], span.offset..to);
        }
    }
    let due = info.layout.files().iter().map(|file| file.length);
    let finish = |(file, (sums, due)): (usize, (Sums, u64))| match length {
        Some(length) if !info.layout.files()[file].pad => sums.finish(due, length(file)),
        _ => sums.finish(due, Some(due)),
    };
    reports.into_iter().zip(due).enumerate().map(finish).collect()
}

#[derive(Clone, Debug, Default)]
struct Sums {
    ok: u64,
    bad: u64,
    missing: u64,
    bad_ranges: Vec<Range<u64>>,
}

impl Sums {
    fn add(&mut self, state: PieceState, range: Range<u64>) {
        let bytes = range.end - range.start;
        match state {
            PieceState::Ok => return self.ok += bytes,
            PieceState::Bad => self.bad += bytes,
            PieceState::Missing => self.missing += bytes,
        }
        match self.bad_ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.bad_ranges.push(range),
        }
    }

    fn finish(mut self, due: u64, real: Option<u64>) -> FileReport {
        let longer = real.filter(|real| *real > due);
        if let Some(real) = longer {
            self.bad_ranges.push(due..real);
        }
        let state = if self.bad > 0 || longer.is_some() {
            FileState::Bad
        } else if self.missing > 0 {
            if self.ok > 0 { FileState::Partial } else { FileState::Missing }
        } else if real.is_none() && due == 0 {
            FileState::Missing
        } else {
            FileState::Ok
        };
        FileReport { ok_bytes: self.ok, state, bad_ranges: self.bad_ranges }
    }
}
