//! Pieces are hashed in rows: the next few side by side, on all cores.
//!
//! Making a torrent and verifying one are the same work here. Each worker takes up the next row, of as
//! many pieces as are worth hashing side by side (`sha1_lanes`), in their order, so that a disk is read
//! forwards; what came out is put in order at the end, so that it does not depend on how many workers
//! there were. Where pieces lie, which are hashed and what their hashes mean is a [`Content`]'s to know.

use super::sha1_lanes::{self, Sha1Lanes};
use super::store::CHUNK_LENGTH;
use crate::torrent::piece_hash::LeafHasher;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes of one piece that are read at once: those of all pieces side by side are to fit a core's
/// second cache.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes that a content is told of before they are read: of each piece so many more than a disk
/// reads between two seeks. A multiple of [`CHUNK_BYTES`].
const AHEAD_BYTES: u64 = 2 << 20;

/// What pieces are read from; they are numbered from 0 on.
pub(super) trait Content: Sync {
    /// What a worker keeps from one read to the next.
    type Hand;
    /// Why a piece can't be read.
    type Fault;

    /// Fills `into` from `offset` of `piece`; how many bytes of it count as progress.
    fn read(
        &self,
        hand: &mut Self::Hand,
        piece: u64,
        offset: u64,
        into: &mut [u8],
    ) -> Result<u64, Self::Fault>;

    /// `length` bytes from `offset` of `piece` on, which may reach into those behind it, or lie behind
    /// the last, will soon be read.
    fn announce(&self, hand: &mut Self::Hand, piece: u64, offset: u64, length: u64);
}

/// How pieces are shared out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pieces: u64,
    width: u64,
    threads: u64,
}

/// Pieces of one length that are hashed side by side.
pub(super) struct Row<'a> {
    /// Which, ascending.
    pub(super) pieces: &'a [u64],
    /// Bytes of each.
    pub(super) length: u64,
    /// Whether their SHA-1 is wanted.
    pub(super) sha1: bool,
    /// How many bytes of each are hashed into leaves of 16 KiB (BEP 52); none: of no piece.
    pub(super) leaves: Vec<u64>,
}

/// Calls `work` for every number below `count`, each a row of its own, with a buffer of
/// [`CHUNK_LENGTH`]; what it says, in order. `None` if `stopped` was set before all were done.
pub(super) fn each_alone<T: Send>(
    count: usize,
    stopped: &AtomicBool,
    work: impl Fn(usize, &mut [u8]) -> T + Sync,
) -> Option<Vec<T>> {
    let rows =
        Rows { pieces: count as u64, width: 1, threads: rayon::current_num_threads() as u64 };
    let buffer = || vec![0; CHUNK_LENGTH as usize];
    let said = rows.each(stopped, buffer, |buffer, row| work(row.start as usize, buffer));
    // Set after the last, it changes nothing.
    (said.len() == count).then_some(said)
}

/// What a piece hashes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digests {
    /// If it was wanted.
    pub(super) sha1: [u8; 20],
    /// Those that were wanted.
    pub(super) leaves: Vec<[u8; 32]>,
}

impl Rows {
    /// For so many `pieces`. With few of them all cores are worth more than wide rows.
    pub(super) fn of(pieces: u64, threads: usize) -> Self {
        let threads = threads.max(1) as u64;
        let each = pieces.div_ceil(threads);
        Self { pieces, width: each.clamp(1, sha1_lanes::worthwhile() as u64), threads }
    }

    /// Calls `work` for every row, with what `worker` made for the thread; what it says, in order. Once
    /// `stopped` is set no row is begun.
    pub(super) fn each<W, T: Send>(
        &self,
        stopped: &AtomicBool,
        worker: impl Fn() -> W + Sync,
        work: impl Fn(&mut W, Range<u64>) -> T + Sync,
    ) -> Vec<T> {
        let next = AtomicU64::new(0);
        let parts = (0..self.threads).into_par_iter().map(|_| {
            let (mut worker, mut part) = (worker(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                // A number of rows: far below 2^64.
                let first = next.fetch_add(1, Ordering::Relaxed).saturating_mul(self.width);
                if first >= self.pieces {
                    break;
                }
                let row = first..(first + self.width).min(self.pieces);
                part.push((first, work(&mut worker, row)));
            }
            part
        });
        let mut all: Vec<(u64, T)> = parts.flatten_iter().collect();
        all.sort_unstable_by_key(|(first, _)| *first);
        all.into_iter().map(|(_, said)| said).collect()
    }

    /// A buffer for [`hash`](Self::hash).
    pub(super) fn buffer(&self) -> Vec<u8> {
        vec![0; self.width as usize * CHUNK_BYTES]
    }

    /// Reads the pieces of `row` and hashes them side by side; `progressed` is told bytes as they are
    /// read. A piece that can't be read holds up no other.
    pub(super) fn hash<C: Content>(
        &self,
        row: Row<'_>,
        content: &C,
        hand: &mut C::Hand,
        buffer: &mut [u8],
        progressed: &dyn Fn(u64),
    ) -> Vec<Result<Digests, C::Fault>> {
        let Row { pieces, length, sha1, mut leaves } = row;
        let mut lanes = sha1.then(|| Sha1Lanes::new(pieces.len()));
        let mut trees: Vec<LeafHasher> = leaves.iter().map(|_| LeafHasher::new()).collect();
        let mut faults: Vec<Option<C::Fault>> = pieces.iter().map(|_| None).collect();
        for from in (0..length).step_by(CHUNK_BYTES) {
            let size = (length - from).min(CHUNK_BYTES as u64) as usize;
            self.announce(pieces, from, length, content, hand);
            for (lane, part) in buffer.chunks_exact_mut(size).take(pieces.len()).enumerate() {
                if faults[lane].is_none() {
                    match content.read(hand, pieces[lane], from, part) {
                        Ok(read) => progressed(read),
                        Err(fault) => faults[lane] = Some(fault),
                    }
                }
            }
            if faults.iter().all(Option::is_some) {
                break;
            }
            let parts: Vec<&[u8]> = buffer.chunks_exact(size).take(pieces.len()).collect();
            if let Some(lanes) = &mut lanes {
                lanes.update(&parts);
            }
            for ((tree, left), part) in trees.iter_mut().zip(&mut leaves).zip(&parts) {
                let own = (*left).min(part.len() as u64);
                tree.update(&part[..own as usize]);
                *left -= own;
            }
        }
        let mut digests: Vec<Digests> = pieces.iter().map(|_| Digests::default()).collect();
        if let Some(lanes) = lanes {
            digests.iter_mut().zip(lanes.finish()).for_each(|(digest, sha1)| digest.sha1 = sha1);
        }
        for (digest, tree) in digests.iter_mut().zip(trees) {
            digest.leaves = tree.finish();
        }
        faults
            .into_iter()
            .zip(digests)
            .map(|(fault, digest)| fault.map_or(Ok(digest), Err))
            .collect()
    }

    /// Says what is read next: of long pieces what lies further on in each, of others, and at their
    /// end, what this thread will take up, which is so many rows on as there are threads.
    fn announce<C: Content>(
        &self,
        pieces: &[u64],
        from: u64,
        length: u64,
        content: &C,
        hand: &mut C::Hand,
    ) {
        if !from.is_multiple_of(AHEAD_BYTES) {
            return;
        }
        let ahead = self.threads * self.width;
        if length <= AHEAD_BYTES {
            let Some(first) = pieces.first() else { return };
            return content.announce(hand, first + ahead, 0, pieces.len() as u64 * length);
        }
        for piece in pieces {
            let next = from + AHEAD_BYTES;
            let (piece, at) = if next < length { (*piece, next) } else { (piece + ahead, 0) };
            content.announce(hand, piece, at, AHEAD_BYTES);
        }
    }
}
