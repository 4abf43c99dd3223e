//! The workers: a few threads that hash, write and read.
//!
//! Jobs of one piece run one after the other in the order they were given (a piece's blocks are
//! spilled before it is checked), those of different pieces side by side: one piece is hashed by
//! one thread, and there are always several. The [`Queue`] has no bound of its own: what it holds
//! is counted by [`Memory`], and who fills it stops at the maximum.

use super::memory::Memory;
use super::queue::{Queue, Task, Turn, Wake};
use super::sha1_lanes::{self, Sha1Lanes};
use super::store::{Store, Whole};
use super::{DiskError, Done, PieceSource as _};
use crate::torrent::{BLOCK_LENGTH, Block, PieceHashes, PieceIndex};
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// What a worker can do.
pub(super) enum Job {
    /// Hash a piece and, if it is good, store it.
    Check(Check),
    /// Put blocks into the piece's partial file.
    Spill { piece: PieceIndex, blocks: Vec<(Block, Bytes)> },
    /// Remove the piece's partial file.
    Forget { piece: PieceIndex },
    /// Read a part of a stored piece: as much as `into` has.
    Read { piece: PieceIndex, offset: u32, into: BytesMut },
    /// Say when all before is done.
    Park,
}

/// The threads. Dropping them does what is queued first, and waits.
pub(super) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads and the handle share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) memory: Memory,
    done: Box<dyn Fn(Done) + Send + Sync>,
    queue: Mutex<Queue>,
    /// There is something to do, or nothing ever again.
    changed: Condvar,
    /// There are as many pieces as can be hashed side by side.
    gathered: Condvar,
}

/// A piece to be hashed.
pub(super) struct Check {
    pub(super) whole: Whole,
    pub(super) tell_blocks: bool,
    /// Its length, if it can be hashed side by side with others of that length.
    pub(super) length_alike: Option<u32>,
}

impl Workers {
    /// Starts `threads` of them.
    pub(super) fn start(
        store: Store,
        memory: Memory,
        threads: usize,
        done: Box<dyn Fn(Done) + Send + Sync>,
    ) -> Result<Self, DiskError> {
        let queue =
            Mutex::new(Queue::new(store.info().layout.piece_count(), sha1_lanes::worthwhile()));
        let (changed, gathered) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { store, memory, done, queue, changed, gathered });
        let mut workers = Self { shared, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&workers.shared);
            let thread = std::thread::Builder::new()
                .name(format!("disk {number}"))
                .spawn(move || shared.work())
                .map_err(|e| DiskError::system("start", "a disk worker", e))?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Queues a job.
    pub(super) fn give(&self, job: Job) {
        let wake = self.shared.queue().give(job);
        self.shared.wake(wake);
    }

    /// Queues a piece to be checked; `tell_blocks`: also if it is good, tell the SHA-1 of each
    /// block.
    pub(super) fn check(&self, whole: Whole, tell_blocks: bool) {
        let info = self.shared.store.info();
        let by_sha1 = matches!(info.pieces, PieceHashes::V1(_));
        let alike = by_sha1 && whole.blocks.iter().all(Option::is_some);
        let length_alike = alike.then(|| info.layout.piece_size(whole.piece));
        let check = Check { whole, tell_blocks, length_alike };
        let wake = self.shared.queue().give_check(check, Instant::now());
        self.shared.wake(wake);
    }

    /// Bytes of pieces that wait to be checked or are.
    pub(super) fn checking(&self) -> u64 {
        self.shared.queue().checking()
    }

    /// Whether `piece` is being checked or is stored.
    pub(super) fn closed(&self, piece: PieceIndex) -> bool {
        self.shared.queue().is_closed(piece)
    }

    /// What the threads share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.queue().end();
        self.shared.changed.notify_all();
        self.shared.gathered.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was told as Done::Failed when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here panics while it is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, wake: Wake) {
        match wake {
            Wake::Nobody => {}
            Wake::One => self.changed.notify_one(),
            Wake::All => self.changed.notify_all(),
            Wake::Gatherer => self.gathered.notify_one(),
        }
    }

    fn work(&self) {
        let _alarm = Alarm(self);
        while let Some(task) = self.next() {
            match task {
                Task::One(job) => {
                    let piece = job.ordered_by();
                    self.run(job);
                    self.finished(piece);
                }
                Task::Checks(checks) => self.check_alike(checks),
            }
        }
    }

    /// A job that waited for this piece, or for all, may begin.
    fn finished(&self, piece: Option<PieceIndex>) {
        let wake = self.queue().finished(piece);
        self.wake(wake);
    }

    fn next(&self) -> Option<Task> {
        let mut queue = self.queue();
        loop {
            match queue.take(Instant::now()) {
                Turn::Now(task) => {
                    let wake = queue.more();
                    drop(queue);
                    self.wake(wake);
                    return Some(task);
                }
                Turn::Later(wait) => {
                    queue.gather(true);
                    let woken = self.gathered.wait_timeout(queue, wait);
                    queue = woken.unwrap_or_else(PoisonError::into_inner).0;
                    queue.gather(false);
                }
                Turn::Ended => return None,
                Turn::Nothing => {
                    queue.rest(true);
                    queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    queue.rest(false);
                }
            }
        }
    }

    fn run(&self, job: Job) {
        let done = match job {
            Job::Check(check) => self.check(check, None),
            Job::Spill { piece, blocks } => {
                let result = self.store.partials().keep(piece, &blocks);
                self.memory.give(blocks.iter().map(|(_, data)| data.len() as u64).sum());
                drop(blocks);
                result.map(|()| Done::Spilled { piece })
            }
            Job::Forget { piece } => match self.store.partials().remove(piece) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Job::Read { piece, offset, mut into } => {
                let length = into.len() as u32;
                let result = self.store.read(piece, offset, &mut into).map(|()| into.freeze());
                Ok(Done::Read { piece, offset, length, result })
            }
            Job::Park => Ok(Done::Parked),
        };
        (self.done)(done.unwrap_or_else(|error| Done::Failed { error }));
    }

    /// Hashes pieces of one length side by side, from memory.
    fn check_alike(&self, checks: Vec<Check>) {
        let mut lanes = Sha1Lanes::new(checks.len());
        let blocks = checks.iter().map(|check| check.whole.blocks.len()).min().unwrap_or(0);
        let mut parts = Vec::new();
        for number in 0..blocks {
            parts.clear();
            parts.extend(checks.iter().filter_map(|c| c.whole.blocks[number].as_deref()));
            lanes.update(&parts);
        }
        for (check, hash) in checks.into_iter().zip(lanes.finish()) {
            let piece = check.whole.piece;
            let done = self.check(check, Some(hash));
            (self.done)(done.unwrap_or_else(|error| Done::Failed { error }));
            self.finished(Some(piece));
        }
    }

    /// Hash, if that is not done yet, then (good) write, then the verdict: unverified bytes never
    /// count as stored.
    fn check(&self, check: Check, hash: Option<[u8; 20]>) -> Result<Done, DiskError> {
        let (piece, held) = (check.whole.piece, check.whole.held());
        let result = self.verdict(&check, hash);
        drop(check);
        self.memory.give(held);
        let good = matches!(result, Ok(Done::Checked { good: true, .. }));
        self.queue().checked(piece, held, good);
        result
    }

    fn verdict(&self, check: &Check, hash: Option<[u8; 20]>) -> Result<Done, DiskError> {
        let (whole, piece) = (&check.whole, check.whole.piece);
        let good = match (&self.store.info().pieces, hash) {
            (PieceHashes::V1(hashes), Some(hash)) => hashes[piece.at()] == hash,
            (pieces, _) => {
                let mut check = pieces.check(piece);
                self.store.each_part(whole, |_, data| {
                    check.update(data);
                    Ok(())
                })?;
                check.matches()
            }
        };
        let mut blocks = Vec::new();
        if !good || check.tell_blocks {
            blocks = self.block_hashes(whole)?;
        }
        if good {
            self.store.write(whole)?;
        } else if whole.blocks.iter().any(Option::is_none) {
            self.store.partials().remove(piece)?;
        }
        Ok(Done::Checked { piece, good, blocks })
    }

    fn block_hashes(&self, whole: &Whole) -> Result<Vec<[u8; 20]>, DiskError> {
        if let Some(slices) = whole.in_memory() {
            return Ok(sha1_lanes::digests(&slices));
        }
        let mut hashes = Vec::new();
        self.store.each_part(whole, |_, data| {
            let blocks: Vec<&[u8]> = data.chunks(BLOCK_LENGTH as usize).collect();
            hashes.extend(sha1_lanes::digests(&blocks));
            Ok(())
        })?;
        Ok(hashes)
    }
}

impl Check {
    /// Which.
    pub(super) const fn piece(&self) -> PieceIndex {
        self.whole.piece
    }

    /// Bytes in memory.
    pub(super) fn held(&self) -> u64 {
        self.whole.held()
    }
}

impl Job {
    /// The piece whose jobs must keep their order. Reads are of stored pieces and need none.
    pub(super) const fn ordered_by(&self) -> Option<PieceIndex> {
        match self {
            Self::Check(check) => Some(check.whole.piece),
            Self::Spill { piece, .. } | Self::Forget { piece } => Some(*piece),
            Self::Read { .. } | Self::Park => None,
        }
    }
}

/// Tells of a worker that panics; its driver would wait for ever.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0.done)(Done::Failed { error: DiskError::Worker });
        }
    }
}
