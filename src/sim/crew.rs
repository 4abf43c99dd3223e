//! [`Crew`]: threads that play shards at the same time. The one file of a pure room that has any.
//!
//! This does not make anything less certain: a shard is handed to a thread whole, for one window,
//! and handed back, so no thread sees what another does; and within a window nothing that it
//! could see concerns it. So what comes out is the same for any number of threads.

use super::map::Map;
use super::shard::Shard;
use crate::engine::Time;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A shard, and the end of the window up to which it is to be played.
struct Job {
    shard: Shard,
    map: Arc<Map>,
    end: Time,
}

/// A thread beside ours. It ends when there is nobody to give it anything to do.
struct Hand {
    jobs: SyncSender<Job>,
    done: Receiver<Shard>,
    thread: JoinHandle<()>,
}

/// Threads, one for each shard but the first: that is ours.
pub(super) struct Crew(Vec<Hand>);

impl Crew {
    /// For so many shards.
    pub(super) fn new(shards: usize) -> Self {
        Self((1..shards).map(|_| Hand::new()).collect())
    }

    /// Plays every shard up to `end`.
    pub(super) fn run_before(&mut self, shards: &mut Vec<Shard>, map: &Arc<Map>, end: Time) {
        let others = shards.split_off(1);
        for (hand, shard) in self.0.iter().zip(others) {
            // If it is gone, that is found out when the shard does not come back.
            drop(hand.jobs.send(Job { shard, map: Arc::clone(map), end }));
        }
        shards[0].run_before(map, end);
        for number in 0..self.0.len() {
            match self.0[number].done.recv() {
                Ok(shard) => shards.push(shard),
                Err(_) => self.fail(number),
            }
        }
    }

    /// A thread is gone: it panicked, and so do we.
    fn fail(&mut self, number: usize) -> ! {
        match self.0.swap_remove(number).thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a hand stays as long as it is given jobs"),
        }
    }
}

impl Hand {
    #[expect(clippy::disallowed_methods, reason = "a pure room on several cores: see above")]
    fn new() -> Self {
        let (jobs, work) = sync_channel::<Job>(1);
        let (finished, done) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            for Job { mut shard, map, end } in work {
                shard.run_before(&map, end);
                drop(map);
                if finished.send(shard).is_err() {
                    return;
                }
            }
        });
        Self { jobs, done, thread }
    }
}
