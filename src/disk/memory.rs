//! [`Memory`]: the budget of all block buffers, and how much of it is in use.
//!
//! It counts the bytes of blocks that are held by reference, from the moment they are kept until
//! a worker is done with them, and the buffers of blocks that are loaded. It counts what we asked
//! to hold, not what the allocator rounds it to, nor the receive buffer that a small block may
//! keep alive. Nothing blocks on it: over [`spill_above`](Memory::spill_above) unfinished pieces
//! go to disk, and while there is no [`room`](Memory::room) the driver reads no sockets.

use crate::torrent::BLOCK_LENGTH;
use std::sync::atomic::{AtomicU64, Ordering};

/// The least budget that can make progress: one block held and one on its way, twice.
pub const MEMORY_BYTES_MIN: u64 = 4 * BLOCK_LENGTH as u64;

/// A budget in bytes and its use. Shared by threads; the numbers guard nothing else.
#[derive(Debug)]
pub(super) struct Memory {
    max: u64,
    held: AtomicU64,
    peak: AtomicU64,
}

impl Memory {
    /// A budget of `max` bytes, at least [`MEMORY_BYTES_MIN`].
    pub(super) fn new(max: u64) -> Self {
        Self { max: max.max(MEMORY_BYTES_MIN), held: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    /// Counts `bytes` more. The caller has them already: refusing would lose them.
    pub(super) fn take(&self, bytes: u64) {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(held, Ordering::Relaxed);
    }

    /// Counts `bytes` that were taken as free.
    pub(super) fn give(&self, bytes: u64) {
        let before = self.held.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} bytes given back of {before}");
    }

    /// Bytes that may still be taken.
    pub(super) fn room(&self) -> u64 {
        self.max.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    /// Bytes of unfinished pieces above which the oldest goes to disk: three quarters, so that
    /// whole pieces waiting for a worker have the rest, and there is room again in the end.
    pub(super) const fn spill_above(&self) -> u64 {
        self.max / 4 * 3
    }

    /// Bytes held now.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The most that was held at once.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_the_maximum_and_the_peak_stays() {
        let memory = Memory::new(1 << 20);
        memory.take((1 << 20) - 1);
        assert!(memory.room() > 0);
        memory.take(1);
        assert_eq!(memory.room(), 0);
        memory.give(1);
        assert!(memory.room() > 0);
        assert_eq!((memory.held(), memory.peak()), ((1 << 20) - 1, 1 << 20));
    }

    #[test]
    fn no_budget_is_too_small_to_go_on() {
        let memory = Memory::new(0);
        assert!(memory.room() > 0);
        // What may stay in unfinished pieces leaves room for another block.
        memory.take(memory.spill_above());
        assert!(memory.room() > 0);
    }
}
