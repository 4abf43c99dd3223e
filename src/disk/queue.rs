//! [`Queue`]: what the workers have to do, and who of them does what next.
//!
//! Several pieces of one length are hashed side by side in little more than the time of one, so a
//! worker takes up as many as there are. While pieces come in quick succession it also waits for
//! the next one, a few milliseconds at the most, and no longer once as many are there as this
//! processor is quickest with. One worker
//! waits so; the others rest, and are woken only for something that they can do.

use super::worker::{Check, Job};
use crate::torrent::{Bitfield, PieceIndex};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// How long a piece waits for the next one to be hashed beside it. It delays a `have` by at most
/// seven times as much. While the workers are at as many as go side by side, sockets may be left
/// alone and pieces pause for some milliseconds: with less than that, the first after each pause
/// would be hashed alone, at three times the cost.
const GATHER_WAIT: Duration = Duration::from_millis(10);
/// Bytes of pieces that may wait so.
const GATHER_BYTES_MAX: u64 = 8 << 20;

/// Jobs, first come, first served, as far as pieces allow.
pub(super) struct Queue {
    given: u64,
    /// Pieces to be hashed side by side, at the most.
    lanes: usize,
    /// Each with its number: the smaller came first.
    jobs: VecDeque<(u64, Job)>,
    /// Pieces in memory that can be hashed beside others. Nothing of theirs lies on disk, so they
    /// need not wait for other jobs of the piece.
    alike: VecDeque<(u64, Check)>,
    /// Pieces that a worker is at.
    busy: BTreeSet<PieceIndex>,
    running: usize,
    /// Workers that rest until there is something to do.
    resting: usize,
    /// Whether a worker waits for more pieces.
    gathering: bool,
    /// When the last piece came, and whether soon after the one before.
    came: Option<Instant>,
    quick: bool,
    /// Bytes in memory of pieces that wait to be checked or are.
    checking: u64,
    /// Pieces that are being checked or are stored: blocks of them are late.
    closed: Bitfield,
    ended: bool,
}

/// What a worker takes up.
pub(super) enum Task {
    /// This.
    One(Job),
    /// Pieces of one length, in memory.
    Checks(Vec<Check>),
}

/// What a worker that asks is to do.
pub(super) enum Turn {
    /// This, now.
    Now(Task),
    /// Ask again when pieces are gathered, or so much later.
    Later(Duration),
    /// Rest.
    Nothing,
    /// Go: there will be nothing any more.
    Ended,
}

/// Who is to be woken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Nobody.
    Nobody,
    /// One who rests.
    One,
    /// All who rest.
    All,
    /// Who waits for more pieces.
    Gatherer,
}

impl Queue {
    /// No job, for a torrent of `pieces`, of which `lanes` are to be hashed side by side.
    pub(super) fn new(pieces: usize, lanes: usize) -> Self {
        Self {
            given: 0,
            lanes,
            jobs: VecDeque::new(),
            alike: VecDeque::new(),
            busy: BTreeSet::new(),
            running: 0,
            resting: 0,
            gathering: false,
            came: None,
            quick: false,
            checking: 0,
            closed: Bitfield::new(pieces),
            ended: false,
        }
    }

    /// Adds a job.
    pub(super) fn give(&mut self, job: Job) -> Wake {
        self.given += 1;
        self.jobs.push_back((self.given, job));
        self.one()
    }

    /// Adds a piece to be checked that came at `now`.
    pub(super) fn give_check(&mut self, check: Check, now: Instant) -> Wake {
        self.closed.insert(check.piece().at());
        self.checking += check.held();
        let came = self.came.replace(now);
        self.quick = came.is_some_and(|came| now.duration_since(came) < GATHER_WAIT);
        if check.length_alike.is_none() {
            return self.give(Job::Check(check));
        }
        self.given += 1;
        self.alike.push_back((self.given, check));
        match self.gathering {
            true if self.gathered() == self.lanes => Wake::Gatherer,
            true => Wake::Nobody,
            false => self.one(),
        }
    }

    /// What a worker is to do now.
    pub(super) fn take(&mut self, now: Instant) -> Turn {
        let other = self.next_job();
        let first = self.alike.front().map(|(number, _)| *number);
        match (first, other) {
            (None, None) if self.ended && self.jobs.is_empty() => Turn::Ended,
            (None, None) => Turn::Nothing,
            (None, Some(at)) => self.take_job(at),
            (Some(first), Some(at)) if self.jobs[at].0 < first => self.take_job(at),
            (Some(_), other) => match (self.wait(now), other) {
                (None, _) => self.take_checks(),
                (Some(_), Some(at)) => self.take_job(at),
                (Some(_), None) if self.gathering => Turn::Nothing,
                (Some(wait), None) => Turn::Later(wait),
            },
        }
    }

    /// Pieces are left for another worker.
    pub(super) fn more(&self) -> Wake {
        if self.alike.is_empty() { Wake::Nobody } else { self.one() }
    }

    /// A job, of `piece` if it was of one, is done.
    pub(super) fn finished(&mut self, piece: Option<PieceIndex>) -> Wake {
        self.running -= 1;
        let freed = piece.is_some_and(|piece| self.busy.remove(&piece));
        // Another job of the piece, or one that waits for all.
        let waits = (freed || self.running == 0) && !self.jobs.is_empty();
        if (waits || self.ended) && self.resting > 0 { Wake::All } else { Wake::Nobody }
    }

    /// `piece`, of which `held` bytes were in memory, is stored or was not `good`.
    pub(super) fn checked(&mut self, piece: PieceIndex, held: u64, good: bool) {
        self.checking -= held;
        if !good {
            self.closed.remove(piece.at());
        }
    }

    /// Bytes in memory of pieces that wait to be checked or are.
    pub(super) const fn checking(&self) -> u64 {
        self.checking
    }

    /// Whether `piece` is being checked or is stored.
    pub(super) fn is_closed(&self, piece: PieceIndex) -> bool {
        self.closed.contains(piece.at())
    }

    /// A worker begins, or ceases, to wait for more pieces.
    pub(super) const fn gather(&mut self, gathering: bool) {
        self.gathering = gathering;
    }

    /// A worker begins, or ceases, to rest.
    pub(super) const fn rest(&mut self, resting: bool) {
        if resting { self.resting += 1 } else { self.resting -= 1 }
    }

    /// There will be no more jobs.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    const fn one(&self) -> Wake {
        if self.resting > 0 { Wake::One } else { Wake::Nobody }
    }

    /// The first job that may run: not of a piece that is busy, not beyond a [`Job::Park`], which
    /// itself waits until nothing runs.
    fn next_job(&self) -> Option<usize> {
        for (at, (_, job)) in self.jobs.iter().enumerate() {
            match job {
                Job::Park => {
                    let alone = at == 0 && self.running == 0 && self.alike.is_empty();
                    return alone.then_some(at);
                }
                job if job.ordered_by().is_none_or(|piece| !self.busy.contains(&piece)) => {
                    return Some(at);
                }
                _ => {}
            }
        }
        None
    }

    fn take_job(&mut self, at: usize) -> Turn {
        let Some((_, job)) = self.jobs.remove(at) else { return Turn::Nothing };
        self.running += 1;
        self.busy.extend(job.ordered_by());
        Turn::Now(Task::One(job))
    }

    fn take_checks(&mut self) -> Turn {
        let count = self.gathered();
        let checks: Vec<Check> = self.alike.drain(..count).map(|(_, check)| check).collect();
        self.running += count;
        self.busy.extend(checks.iter().map(Check::piece));
        Turn::Now(Task::Checks(checks))
    }

    /// How many pieces could be hashed side by side now.
    fn gathered(&self) -> usize {
        let mut alike = self.alike.iter().map(|(_, check)| check.length_alike).take(self.lanes);
        let first = alike.next();
        first.map_or(0, |first| 1 + alike.take_while(|length| *length == first).count())
    }

    /// How long the pieces that are there should wait for the next one.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let gathered = self.gathered();
        if !self.quick || self.ended || gathered == self.lanes || gathered < self.alike.len() {
            return None;
        }
        let held: u64 = self.alike.iter().map(|(_, check)| check.held()).sum();
        let room = held + held / gathered as u64 <= GATHER_BYTES_MAX;
        let waited = now.duration_since(self.came.filter(|_| room)?);
        GATHER_WAIT.checked_sub(waited).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::store::Whole;
    use crate::disk::world::World;

    fn world() -> World {
        World::contiguous(10, &[95])
    }

    /// Piece `index`, by `length_alike` to be hashed beside others.
    fn check(world: &World, index: u32, length_alike: Option<u32>) -> Check {
        let piece = world.info.layout.piece(index).expect("a piece");
        let blocks = vec![Some(world.block(piece, 0).1)];
        Check { whole: Whole { piece, blocks }, tell_blocks: false, length_alike }
    }

    /// What a worker would do: `0 1` pieces side by side, `[2]` a job of piece 2, `..` wait.
    fn turn(queue: &mut Queue, now: Instant) -> String {
        match queue.take(now) {
            Turn::Now(Task::Checks(checks)) => {
                let pieces: Vec<String> =
                    checks.iter().map(|c| c.piece().get().to_string()).collect();
                pieces.join(" ")
            }
            Turn::Now(Task::One(job)) => match job.ordered_by() {
                Some(piece) => format!("[{}]", piece.get()),
                None => "[]".to_owned(),
            },
            Turn::Later(_) => "..".to_owned(),
            Turn::Nothing => "nothing".to_owned(),
            Turn::Ended => "ended".to_owned(),
        }
    }

    #[test]
    fn a_piece_that_comes_alone_does_not_wait() {
        let (world, now) = (world(), Instant::now());
        let mut queue = Queue::new(10, 4);
        assert_eq!(queue.give_check(check(&world, 0, Some(10)), now), Wake::Nobody);
        assert_eq!(turn(&mut queue, now), "0");
        queue.rest(true);
        let later = now + GATHER_WAIT;
        assert_eq!(queue.give_check(check(&world, 1, Some(10)), later), Wake::One);
        assert_eq!(turn(&mut queue, later), "1");
    }

    #[test]
    fn pieces_in_quick_succession_wait_for_four_and_not_for_ever() {
        let (world, now) = (world(), Instant::now());
        let mut queue = Queue::new(10, 4);
        queue.give_check(check(&world, 0, Some(10)), now);
        assert_eq!(turn(&mut queue, now), "0");
        queue.give_check(check(&world, 1, Some(10)), now);
        assert_eq!(turn(&mut queue, now), "..");
        queue.gather(true);
        assert_eq!(turn(&mut queue, now), "nothing", "one worker waits");
        assert_eq!(queue.give_check(check(&world, 2, Some(10)), now), Wake::Nobody);
        assert_eq!(queue.give_check(check(&world, 3, Some(10)), now), Wake::Nobody);
        assert_eq!(queue.give_check(check(&world, 4, Some(10)), now), Wake::Gatherer);
        queue.gather(false);
        assert_eq!(turn(&mut queue, now), "1 2 3 4");
        queue.give_check(check(&world, 5, Some(10)), now);
        assert_eq!(turn(&mut queue, now), "..");
        assert_eq!(turn(&mut queue, now + GATHER_WAIT), "5");
        // Of another length: it goes alone, and nobody waits for more of the others.
        queue.give_check(check(&world, 6, Some(10)), now);
        queue.give_check(check(&world, 9, Some(5)), now);
        assert_eq!(turn(&mut queue, now), "6");
        assert_eq!(queue.more(), Wake::Nobody);
        queue.rest(true);
        assert_eq!(queue.more(), Wake::One);
    }

    #[test]
    fn jobs_of_one_piece_keep_their_order_and_a_park_waits_for_all() {
        let (world, now) = (world(), Instant::now());
        let mut queue = Queue::new(10, 4);
        let [first, second] = [0, 1].map(|i| world.info.layout.piece(i).expect("a piece"));
        queue.give(Job::Spill { piece: first, blocks: Vec::new() });
        queue.give_check(check(&world, 0, None), now);
        queue.give(Job::Forget { piece: second });
        queue.give_check(check(&world, 3, Some(10)), now + GATHER_WAIT);
        queue.give(Job::Park);
        let now = now + GATHER_WAIT * 2;
        let turns = [(); 4].map(|()| turn(&mut queue, now));
        assert_eq!(turns, ["[0]", "[1]", "3", "nothing"]);
        queue.rest(true);
        assert_eq!(queue.finished(Some(first)), Wake::All);
        assert_eq!(turn(&mut queue, now), "[0]");
        let third = world.info.layout.piece(3);
        for piece in [third, Some(second), Some(first)] {
            assert_eq!(turn(&mut queue, now), "nothing");
            queue.finished(piece);
        }
        assert_eq!(turn(&mut queue, now), "[]");
        queue.end();
        assert_eq!(turn(&mut queue, now), "ended");
    }
}
