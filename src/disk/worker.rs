//! The workers: a few threads that hash, write and read, and the queue they take from.
//!
//! Jobs of one piece run one after the other in the order they were given (a piece's blocks are
//! spilled before it is checked), those of different pieces side by side: one piece is hashed by
//! one thread, and there are always several. The queue has no bound of its own: what it holds is
//! counted by [`Memory`], and who fills it stops at the maximum.

use super::memory::Memory;
use super::store::{Store, Whole};
use super::{DiskError, Done, PieceSource as _};
use crate::torrent::{BLOCK_LENGTH, Bitfield, Block, PieceIndex};
use bytes::Bytes;
use sha1::Digest as _;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What a worker can do.
pub(super) enum Job {
    /// Hash a piece and, if it is good, store it.
    Check(Whole),
    /// Put blocks into the piece's partial file.
    Spill { piece: PieceIndex, blocks: Vec<(Block, Bytes)> },
    /// Remove the piece's partial file.
    Forget { piece: PieceIndex },
    /// Read a part of a stored piece.
    Load { ticket: u64, piece: PieceIndex, offset: u32, length: u32 },
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
    changed: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    /// Pieces that a worker is at.
    busy: BTreeSet<PieceIndex>,
    running: usize,
    /// Pieces that are being checked or are stored: blocks of them are late.
    closed: Bitfield,
    ended: bool,
}

impl Workers {
    /// Starts `threads` of them.
    pub(super) fn start(
        store: Store,
        memory: Memory,
        threads: usize,
        done: Box<dyn Fn(Done) + Send + Sync>,
    ) -> Result<Self, DiskError> {
        let queue = Queue {
            jobs: VecDeque::new(),
            busy: BTreeSet::new(),
            running: 0,
            closed: Bitfield::new(store.info().layout.piece_count()),
            ended: false,
        };
        let (queue, changed) = (Mutex::new(queue), Condvar::new());
        let shared = Arc::new(Shared { store, memory, done, queue, changed });
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
        let mut queue = self.shared.queue();
        if let Job::Check(whole) = &job {
            queue.closed.insert(whole.piece.at());
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Whether `piece` is being checked or is stored.
    pub(super) fn closed(&self, piece: PieceIndex) -> bool {
        self.shared.queue().closed.contains(piece.at())
    }

    /// What the threads share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.queue().ended = true;
        self.shared.changed.notify_all();
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

    fn work(&self) {
        let _alarm = Alarm(self);
        while let Some(job) = self.next() {
            let piece = job.ordered_by();
            self.run(job);
            let mut queue = self.queue();
            queue.running -= 1;
            if let Some(piece) = piece {
                queue.busy.remove(&piece);
            }
            drop(queue);
            // A job that waited for this piece, or for all, may begin.
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.take() {
                return Some(job);
            }
            if queue.ended && queue.jobs.is_empty() {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, job: Job) {
        let done = match job {
            Job::Check(whole) => self.check(whole),
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
            Job::Load { ticket, piece, offset, length } => {
                let mut bytes = vec![0; length as usize];
                let result = self.store.read(piece, offset, &mut bytes).map(|()| bytes.into());
                self.memory.give(u64::from(length));
                Ok(Done::Loaded { ticket, result })
            }
            Job::Park => Ok(Done::Parked),
        };
        (self.done)(done.unwrap_or_else(|error| Done::Failed { error }));
    }

    /// Hash, then (good) write, then the verdict: unverified bytes never count as stored.
    fn check(&self, whole: Whole) -> Result<Done, DiskError> {
        let (piece, held) = (whole.piece, whole.held());
        let result = self.verdict(&whole);
        drop(whole);
        self.memory.give(held);
        if !matches!(result, Ok(Done::Checked { good: true, .. })) {
            self.queue().closed.remove(piece.at());
        }
        result
    }

    fn verdict(&self, whole: &Whole) -> Result<Done, DiskError> {
        let piece = whole.piece;
        let mut check = self.store.info().pieces.check(piece);
        self.store.each_part(whole, |_, data| {
            check.update(data);
            Ok(())
        })?;
        if check.matches() {
            self.store.write(whole)?;
            return Ok(Done::Checked { piece, good: true, blocks: Vec::new() });
        }
        let mut blocks = Vec::new();
        self.store.each_part(whole, |_, data| {
            blocks.extend(
                data.chunks(BLOCK_LENGTH as usize)
                    .map(|block| <[u8; 20]>::from(sha1::Sha1::digest(block))),
            );
            Ok(())
        })?;
        if whole.blocks.iter().any(Option::is_none) {
            self.store.partials().remove(piece)?;
        }
        Ok(Done::Checked { piece, good: false, blocks })
    }
}

impl Queue {
    /// The first job that may run: not of a piece that is busy, not beyond a [`Job::Park`], which
    /// itself waits until nothing runs.
    fn take(&mut self) -> Option<Job> {
        let mut at = 0;
        loop {
            match self.jobs.get(at)? {
                Job::Park if at == 0 && self.running == 0 => break,
                Job::Park => return None,
                job if job.ordered_by().is_none_or(|piece| !self.busy.contains(&piece)) => break,
                _ => at += 1,
            }
        }
        let job = self.jobs.remove(at)?;
        self.running += 1;
        self.busy.extend(job.ordered_by());
        Some(job)
    }
}

impl Job {
    /// The piece whose jobs must keep their order. Loads are of stored pieces and need none.
    const fn ordered_by(&self) -> Option<PieceIndex> {
        match self {
            Self::Check(whole) => Some(whole.piece),
            Self::Spill { piece, .. } | Self::Forget { piece } => Some(*piece),
            Self::Load { .. } | Self::Park => None,
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
