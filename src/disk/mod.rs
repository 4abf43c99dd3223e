//! Files: the two stores, hashing, writing, verifying, assembling. Decides nothing about
//! BitTorrent.
//!
//! [`Disk`] is what the driver holds: blocks go in by reference, verdicts come out. A piece is
//! hashed from memory by a worker and written at once with one vectored write a file; only when
//! the memory budget runs short do blocks go to disk before. Blocking calls on a few threads of
//! our own: measured, `tokio::fs` moves 250 MB/s where this moves 4,000.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an I/O room: files are what it is about, and its workers are threads"
)]

mod adopt;
pub mod assemble;
mod buffer;
pub mod check;
mod error;
mod file_store;
mod folder;
mod handles;
pub mod hash_tree;
mod layered;
mod memory;
pub mod named_file;
#[cfg(test)]
mod oracle;
mod partial;
mod piece_names;
mod piece_store;
mod place;
mod positioned;
mod queue;
mod read_ahead;
mod rows;
pub mod salvage;
mod sha1_lanes;
mod source;
mod store;
mod transfer;
pub mod tree;
mod worker;
#[cfg(test)]
mod world;

pub use error::DiskError;
pub use file_store::FileStore;
pub use folder::Folder;
pub use layered::Layered;
pub use memory::MEMORY_BYTES_MIN;
pub use partial::Partials;
pub use piece_names::PieceNames;
pub use piece_store::PieceStore;
pub use place::Place;
pub use source::{Lying, PieceSource, Presence};
pub use store::Store;

use crate::torrent::{Bitfield, Block, PieceIndex};
use buffer::Buffer;
use bytes::Bytes;
use memory::Memory;
use read_ahead::{Asked, ReadAhead};
use worker::{Job, Workers};

/// Whole pieces that wait for the workers, or are with them, before nothing more should be read
/// from peers: as many bytes, or pieces if they are large. Measured with 1 MiB pieces: more makes
/// nothing faster, and falls out of the cache.
const AHEAD_BYTES: u64 = 8 << 20;
const AHEAD_PIECES: u64 = 2;
/// What was read for upload keeps one byte of so many of the budget.
const READ_AHEAD_ONE_OF: u64 = 8;

/// The disk of one torrent. Dropping it does what was asked first, and joins its threads.
pub struct Disk {
    buffer: Buffer,
    read_ahead: ReadAhead,
    workers: Workers,
}

/// What the disk answers, from a thread of its own.
#[derive(Debug)]
pub enum Done {
    /// A piece was hashed and, if it was good, is stored.
    Checked {
        /// Which.
        piece: PieceIndex,
        /// Whether it was what the torrent says. If not, its blocks are forgotten.
        good: bool,
        /// If it was not good, or if that was asked for, the SHA-1 of each block, to find who sent
        /// a bad one. Else empty.
        blocks: Vec<[u8; 20]>,
    },
    /// A part of a stored piece was read, or could not be: for [`Disk::loaded`].
    Read {
        /// Which.
        piece: PieceIndex,
        /// Where it begins.
        offset: u32,
        /// Bytes that were asked for.
        length: u32,
        /// The bytes.
        result: Result<Bytes, DiskError>,
    },
    /// Blocks of an unfinished piece left memory: there may be room again.
    Spilled {
        /// Which.
        piece: PieceIndex,
    },
    /// Everything that was asked before [`Disk::park`] is done and all blocks are on disk.
    Parked,
    /// The world failed; nothing should be asked any more.
    Failed {
        /// Where and why.
        error: DiskError,
    },
}

impl Disk {
    /// Opens the disk on `store` with buffers of `memory_max` bytes (at least
    /// [`MEMORY_BYTES_MIN`]) and `threads` workers, who call `done`. It must not block.
    ///
    /// # Errors
    /// If what an earlier run left can't be listed, or a thread not be started.
    pub fn open(
        store: Store,
        memory_max: u64,
        threads: usize,
        done: impl Fn(Done) + Send + Sync + 'static,
    ) -> Result<Self, DiskError> {
        let mut buffer = Buffer::default();
        for (piece, map) in store.partials().list()? {
            buffer.on_disk(&store.info().layout, piece, &map);
        }
        let memory = Memory::new(memory_max);
        let read_ahead = ReadAhead::new(memory.max() / READ_AHEAD_ONE_OF);
        let workers = Workers::start(store, memory, threads, Box::new(done))?;
        Ok(Self { buffer, read_ahead, workers })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.workers.shared().store
    }

    /// The unfinished pieces and which of their blocks are kept: right after
    /// [`open`](Self::open), what an earlier run left. Whoever knows that a piece is stored
    /// already [`forget`](Self::forget)s it.
    #[must_use]
    pub fn partials(&self) -> Vec<(PieceIndex, Bitfield)> {
        self.buffer.pieces().collect()
    }

    /// Keeps a block by reference until its piece is checked. One that is kept already, or whose
    /// piece is being checked or stored, is dropped. May send blocks to disk.
    ///
    /// # Panics
    /// If `data` has not the block's length.
    pub fn keep(&mut self, block: Block, data: Bytes) {
        if self.workers.closed(block.piece()) {
            return;
        }
        let shared = self.workers.shared();
        let layout = &shared.store.info().layout;
        if !self.buffer.keep(layout, block, data) {
            return;
        }
        shared.memory.take(u64::from(block.length()));
        while self.buffer.held() > shared.memory.spill_above() {
            let Some((piece, blocks)) = self.buffer.spill_oldest(layout) else { break };
            self.workers.give(Job::Spill { piece, blocks });
        }
    }

    /// All blocks of `piece` are kept: hash it and, if it is good, store it.
    /// [`Done::Checked`] answers, with `tell_blocks` also for a good piece with each block's hash.
    ///
    /// # Panics
    /// If a block is missing.
    pub fn check(&mut self, piece: PieceIndex, tell_blocks: bool) {
        let whole = self.buffer.take_whole(piece);
        self.workers.check(whole.expect("who asks has kept every block"), tell_blocks);
    }

    /// Drops the kept blocks of an unfinished `piece`.
    pub fn forget(&mut self, piece: PieceIndex) {
        let forgotten = self.buffer.forget(piece);
        self.workers.shared().memory.give(forgotten.held);
        if forgotten.on_disk {
            self.workers.give(Job::Forget { piece });
        }
    }

    /// Drops a kept block of an unfinished piece: it will be kept again.
    pub fn discard(&mut self, block: Block) {
        let held = self.buffer.discard(block);
        self.workers.shared().memory.give(held);
    }

    /// `length` bytes from `offset` of a stored `piece`, if they were read already. If not, they
    /// will come under `ticket` from [`loaded`](Self::loaded).
    ///
    /// # Panics
    /// If they do not lie inside the piece.
    pub fn load(
        &mut self,
        ticket: u64,
        piece: PieceIndex,
        offset: u32,
        length: u32,
    ) -> Option<Bytes> {
        let shared = self.workers.shared();
        let layout = &shared.store.info().layout;
        let inside = layout.lies_inside(piece.get(), offset, length);
        assert!(inside.is_some(), "{length} bytes at {offset} of {piece:?}");
        match self.read_ahead.ask(ticket, piece, offset, length, layout.piece_size(piece)) {
            Asked::There(data) => return Some(data),
            Asked::Waits => {}
            Asked::Read { offset, length } => {
                let into = self.read_ahead.buffer(length);
                shared.memory.give_load(self.read_ahead.make_room());
                shared.memory.take_load(u64::from(length));
                self.workers.give(Job::Read { piece, offset, into });
            }
        }
        None
    }

    /// After [`Done::Read`]: the blocks that waited for it, by their tickets; `None` if they could
    /// not be read.
    pub fn loaded(
        &mut self,
        piece: PieceIndex,
        offset: u32,
        length: u32,
        result: Result<Bytes, DiskError>,
    ) -> Vec<(u64, Option<Bytes>)> {
        let memory = &self.workers.shared().memory;
        if result.is_err() {
            memory.give_load(u64::from(length));
        }
        let blocks = self.read_ahead.read(piece, offset, result);
        memory.give_load(self.read_ahead.make_room());
        blocks
    }

    /// Puts the blocks of all unfinished pieces to disk, for another run. [`Done::Parked`]
    /// answers when that and everything asked before is done.
    pub fn park(&mut self) {
        let layout = &self.workers.shared().store.info().layout;
        while let Some((piece, blocks)) = self.buffer.spill_oldest(layout) {
            self.workers.give(Job::Spill { piece, blocks });
        }
        self.workers.give(Job::Park);
    }

    /// All receive buffers, those of kept blocks among them, have `bytes` now. May send blocks to
    /// disk.
    pub fn pinned(&mut self, bytes: u64) {
        let shared = self.workers.shared();
        shared.memory.pin(bytes);
        let checking = self.workers.checking();
        // Small blocks may pin large buffers; how much a spill sets free is seen when it is done.
        if shared.memory.held().saturating_sub(checking) >= shared.memory.spill_above()
            && shared.memory.blocks() == self.buffer.held() + checking
            && let Some((piece, blocks)) = self.buffer.spill_oldest(&shared.store.info().layout)
        {
            self.workers.give(Job::Spill { piece, blocks });
        }
    }

    /// Whether more blocks should be taken from peers, who may have sent `more` bytes already:
    /// not while memory is full, nor while so many whole pieces wait for the workers that more
    /// would only cost memory.
    #[must_use]
    pub fn takes_blocks(&self, more: u64) -> bool {
        let memory = &self.workers.shared().memory;
        let piece_length = u64::from(self.store().info().layout.piece_length());
        let ahead_max = (AHEAD_PIECES * piece_length).max(AHEAD_BYTES);
        let room = memory.room() > more.min(memory.max() / 4);
        // If no block is here, only taking what lies in buffers sets them free.
        (room || memory.blocks() == 0) && self.workers.checking() < ahead_max
    }

    /// The budget in bytes.
    #[must_use]
    pub fn memory_max(&self) -> u64 {
        self.workers.shared().memory.max()
    }

    /// Bytes in block buffers now.
    #[must_use]
    pub fn memory_held(&self) -> u64 {
        self.workers.shared().memory.held()
    }

    /// The most bytes that were in block buffers at once.
    #[must_use]
    pub fn memory_peak(&self) -> u64 {
        self.workers.shared().memory.peak()
    }
}

#[cfg(test)]
mod tests;
