//! [`Memory`]: the budget of all block buffers, and how much of it is in use.
//!
//! It counts the bytes of blocks that are held by reference, from the moment they are kept until
//! a worker is done with them, or the receive buffers that they and messages on their way pin,
//! if that is more; and the buffers of blocks that are loaded. It counts what we asked to hold,
//! not what the allocator rounds it to. Nothing blocks on it: over
//! [`spill_above`](Memory::spill_above) unfinished pieces go to disk, and while there is no
//! [`room`](Memory::room) the driver takes nothing from sockets.

use crate::torrent::BLOCK_LENGTH;
use std::sync::atomic::{AtomicU64, Ordering};

/// The least budget that can make progress: one block held and one on its way, twice.
pub const MEMORY_BYTES_MIN: u64 = 4 * BLOCK_LENGTH as u64;

/// A budget in bytes and its use. Shared by threads; the numbers guard nothing else.
#[derive(Debug)]
pub(super) struct Memory {
    max: u64,
    blocks: AtomicU64,
    /// Receive buffers: those of the blocks among them.
    pinned: AtomicU64,
    loads: AtomicU64,
    peak: AtomicU64,
}

impl Memory {
    /// A budget of `max` bytes, at least [`MEMORY_BYTES_MIN`].
    pub(super) fn new(max: u64) -> Self {
        let max = max.max(MEMORY_BYTES_MIN);
        let [blocks, pinned, loads, peak] = [(); 4].map(|()| AtomicU64::new(0));
        Self { max, blocks, pinned, loads, peak }
    }

    /// Counts `bytes` of a block. The caller has them already: refusing would lose them.
    pub(super) fn take(&self, bytes: u64) {
        self.blocks.fetch_add(bytes, Ordering::Relaxed);
        self.note_peak();
    }

    /// Counts `bytes` of blocks that were taken as free.
    pub(super) fn give(&self, bytes: u64) {
        let before = self.blocks.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} bytes given back of {before}");
    }

    /// Counts `bytes` that are to be loaded.
    pub(super) fn take_load(&self, bytes: u64) {
        self.loads.fetch_add(bytes, Ordering::Relaxed);
        self.note_peak();
    }

    /// Counts `bytes` that were loaded as free.
    pub(super) fn give_load(&self, bytes: u64) {
        self.loads.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// All receive buffers have `bytes` now.
    pub(super) fn pin(&self, bytes: u64) {
        self.pinned.store(bytes, Ordering::Relaxed);
        self.note_peak();
    }

    fn note_peak(&self) {
        self.peak.fetch_max(self.held(), Ordering::Relaxed);
    }

    /// The budget.
    pub(super) const fn max(&self) -> u64 {
        self.max
    }

    /// Bytes that may still be taken.
    pub(super) fn room(&self) -> u64 {
        self.max.saturating_sub(self.held())
    }

    /// Bytes above which the oldest of the unfinished pieces goes to disk: three quarters, so
    /// that whole pieces waiting for a worker have the rest, and there is room again in the end.
    pub(super) const fn spill_above(&self) -> u64 {
        self.max / 4 * 3
    }

    /// Bytes held now.
    pub(super) fn held(&self) -> u64 {
        self.blocks().max(self.pinned.load(Ordering::Relaxed)) + self.loads.load(Ordering::Relaxed)
    }

    /// Bytes of blocks held now.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
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
    fn a_block_costs_the_buffer_that_it_pins() {
        let memory = Memory::new(1 << 20);
        memory.take(16 << 10);
        memory.pin(256 << 10);
        memory.take_load(16 << 10);
        assert_eq!((memory.blocks(), memory.held()), (16 << 10, 272 << 10));
        memory.pin(0);
        memory.give_load(16 << 10);
        assert_eq!((memory.held(), memory.peak()), (16 << 10, 272 << 10));
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
