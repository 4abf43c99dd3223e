//! [`Upload`]: what a peer asked of us and is still to get.
//!
//! Requests wait here as numbers, which can be cancelled; only as many blocks as its socket takes
//! in a quarter of a second are read and sent at a time. So a fast peer is never short of blocks,
//! a slow one pins little memory, and a choke or a cancel reaches nearly everything.

use super::time::{SECOND_US, Time};
use crate::torrent::PieceIndex;
use crate::wire::{BlockSpec, Fault};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Requests of a peer that we queue; announced as `reqq` (BEP 10).
pub(super) const REQUESTS_QUEUED_MAX: usize = 1000;
/// Requests kept beyond that: a peer may have sent them before it heard our limit.
const REQUESTS_QUEUED_SLACK: usize = 1000;
/// Blocks of one peer that are being read or wait in its socket's queue, at the beginning, at the
/// least and at the most.
const WINDOW_FIRST: usize = 4;
const WINDOW_MIN: usize = 2;
const WINDOW_MAX: usize = 64;
/// Blocks that take longer to leave are too many.
const WINDOW_US: u64 = SECOND_US / 4;

/// A peer's requests.
#[derive(Debug)]
pub(super) struct Upload {
    requests: VecDeque<(PieceIndex, BlockSpec)>,
    /// Blocks that are being read or written to its socket.
    under_way: usize,
    /// How many of those there may be.
    window: usize,
    /// How many left since then.
    left: usize,
    since: Time,
    /// Pieces that it may have although it is choked (BEP 6, allowed fast).
    allowed: SmallVec<[PieceIndex; 10]>,
    /// Bytes of them that it may still ask for: each once.
    allowed_bytes: u64,
}

impl Upload {
    pub(super) fn new(now: Time) -> Self {
        Self {
            requests: VecDeque::new(),
            under_way: 0,
            window: WINDOW_FIRST,
            left: 0,
            since: now,
            allowed: SmallVec::new(),
            allowed_bytes: 0,
        }
    }

    /// It asks for a block that exists.
    pub(super) fn asked(&mut self, piece: PieceIndex, spec: BlockSpec) -> Result<(), Fault> {
        if self.requests.len() >= REQUESTS_QUEUED_MAX + REQUESTS_QUEUED_SLACK {
            return Err(Fault::RequestFlood);
        }
        self.requests.push_back((piece, spec));
        Ok(())
    }

    /// It no longer wants the block; whether that was still to be read.
    pub(super) fn cancelled(&mut self, spec: BlockSpec) -> bool {
        let before = self.requests.len();
        self.requests.retain(|(_, request)| *request != spec);
        self.requests.len() < before
    }

    /// It is choked: the requests that it will not get an answer to, all but those of pieces that
    /// are allowed.
    pub(super) fn choked(&mut self) -> Vec<BlockSpec> {
        let all = std::mem::take(&mut self.requests);
        let (kept, dropped) = all.into_iter().partition(|(piece, _)| self.allowed.contains(piece));
        self.requests = kept;
        let dropped: VecDeque<(PieceIndex, BlockSpec)> = dropped;
        dropped.into_iter().map(|(_, spec)| spec).collect()
    }

    /// Blocks that are being read or written to its socket.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// It may have nothing any more while it is choked.
    pub(super) fn allow_nothing(&mut self) {
        self.allowed.clear();
        self.allowed_bytes = 0;
    }

    /// It may have `pieces`, of so many bytes, once, although it is choked.
    pub(super) fn allow(&mut self, pieces: &[PieceIndex], bytes: u64) {
        self.allowed.extend_from_slice(pieces);
        self.allowed_bytes = bytes;
    }

    /// Whether it was ever allowed anything.
    pub(super) fn has_allowance(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether it may have `piece` although it is choked.
    pub(super) fn allows(&self, piece: PieceIndex) -> bool {
        self.allowed.contains(&piece)
    }

    /// Whether it may ask for `bytes` of `piece` although it is choked; then it may ask for so much
    /// less from now on.
    pub(super) fn spends(&mut self, piece: PieceIndex, bytes: u32) -> bool {
        let left = self.allowed_bytes.checked_sub(u64::from(bytes)).filter(|_| self.allows(piece));
        self.allowed_bytes = left.unwrap_or(self.allowed_bytes);
        left.is_some()
    }

    /// The next request to be read, if one may be while no more than `most` are under way.
    pub(super) fn next(&mut self, now: Time, most: usize) -> Option<(PieceIndex, BlockSpec)> {
        if self.under_way >= self.window.min(most.max(WINDOW_MIN)) {
            return None;
        }
        let request = self.requests.pop_front()?;
        if self.under_way == 0 {
            self.since = now;
            self.left = 0;
        }
        self.under_way += 1;
        Some(request)
    }

    /// A block that was [`next`](Self::next) will not be sent.
    pub(super) const fn dropped(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// `count` blocks left for its socket.
    pub(super) fn sent(&mut self, now: Time, count: usize) {
        self.under_way = self.under_way.saturating_sub(count);
        self.left += count;
        if self.left >= self.window {
            // As many have left as there may be at once: how long did that take?
            let quick = now.since_us(self.since) <= WINDOW_US;
            let next = if quick { self.window * 2 } else { self.window / 2 };
            self.window = next.clamp(WINDOW_MIN, WINDOW_MAX);
            self.since = now;
            self.left = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{BLOCK_LENGTH, Layout, SafePath};

    fn layout() -> Layout {
        let path = SafePath::from_components([&b"x"[..]]).expect("a path");
        let (piece, all) = (u64::from(4 * BLOCK_LENGTH), u64::from(32 * BLOCK_LENGTH));
        Layout::contiguous(piece, [(path, all, false)]).expect("a layout")
    }

    fn spec(index: u32, number: u32) -> BlockSpec {
        BlockSpec { index, offset: number * BLOCK_LENGTH, length: BLOCK_LENGTH }
    }

    fn ask(upload: &mut Upload, layout: &Layout, index: u32, numbers: std::ops::Range<u32>) {
        let piece = layout.piece(index).expect("a piece");
        for number in numbers {
            upload.asked(piece, spec(index, number)).expect("there is room");
        }
    }

    fn taken(upload: &mut Upload, now: Time) -> usize {
        std::iter::from_fn(|| upload.next(now, usize::MAX)).count()
    }

    #[test]
    fn as_many_blocks_are_under_way_as_leave_soon() {
        let layout = layout();
        let mut upload = Upload::new(Time(0));
        for piece in 0..8 {
            ask(&mut upload, &layout, piece, 0..4);
        }
        assert_eq!(taken(&mut upload, Time(0)), WINDOW_FIRST);
        upload.sent(Time(WINDOW_US), WINDOW_FIRST);
        assert_eq!(taken(&mut upload, Time(WINDOW_US)), 2 * WINDOW_FIRST);
        upload.sent(Time(WINDOW_US * 2 + 1), 2 * WINDOW_FIRST);
        assert_eq!(taken(&mut upload, Time(WINDOW_US * 3)), WINDOW_FIRST);
    }

    #[test]
    fn a_choke_drops_what_was_not_allowed() {
        let layout = layout();
        let mut upload = Upload::new(Time(0));
        let third = layout.piece(3).expect("a piece");
        upload.allow(&[third], u64::from(BLOCK_LENGTH));
        assert!(!upload.spends(layout.piece(2).expect("a piece"), BLOCK_LENGTH));
        assert!(upload.spends(third, BLOCK_LENGTH) && !upload.spends(third, 1));
        ask(&mut upload, &layout, 2, 0..2);
        ask(&mut upload, &layout, 3, 0..1);
        assert_eq!(upload.choked(), [spec(2, 0), spec(2, 1)]);
        assert_eq!(upload.next(Time(0), 9), Some((third, spec(3, 0))));
        assert_eq!(upload.next(Time(0), 9), None);
    }

    #[test]
    fn a_cancel_drops_one_and_a_flood_is_a_fault() {
        let layout = layout();
        let mut upload = Upload::new(Time(0));
        ask(&mut upload, &layout, 0, 0..2);
        assert!(upload.cancelled(spec(0, 0)) && !upload.cancelled(spec(0, 0)));
        let piece = layout.piece(1).expect("a piece");
        let fault = (0..).find_map(|_| upload.asked(piece, spec(1, 0)).err());
        assert_eq!(fault, Some(Fault::RequestFlood));
        assert_eq!(upload.requests.len(), REQUESTS_QUEUED_MAX + REQUESTS_QUEUED_SLACK);
    }
}
