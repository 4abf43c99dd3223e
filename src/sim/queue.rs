//! [`Queue`]: what will happen, soonest first; of one moment, in the order in which it was said.
//!
//! A calendar, because a swarm has a hundred thousand things under way and most of them happen
//! within a second: buckets of a millisecond on a wheel, of which only the one that is being
//! emptied is kept in order, and a heap for what is further off. A map in order of time costs
//! more than the happenings themselves.

use crate::engine::Time;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A bucket spans so many microseconds, as a power of two.
const BUCKET_US_LOG2: u32 = 10;
/// Buckets on the wheel: four seconds of them.
const BUCKETS: u64 = 4096;

#[derive(Debug)]
struct Entry<T> {
    time: Time,
    sequence: u64,
    what: T,
}

impl<T> Entry<T> {
    const fn bucket(&self) -> u64 {
        self.time.0 >> BUCKET_US_LOG2
    }
}

/// The soonest is the greatest, as a [`BinaryHeap`] wants it.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.sequence).cmp(&(self.time, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

/// Things that will happen.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The bucket that is being emptied, and all before it.
    near: BinaryHeap<Entry<T>>,
    bucket: u64,
    wheel: Vec<Vec<Entry<T>>>,
    on_wheel: usize,
    far: BinaryHeap<Entry<T>>,
    sequence: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            near: BinaryHeap::new(),
            bucket: 0,
            wheel: (0..BUCKETS).map(|_| Vec::new()).collect(),
            on_wheel: 0,
            far: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// `what` will happen at `time`.
    pub(super) fn push(&mut self, time: Time, what: T) {
        self.sequence += 1;
        self.put(Entry { time, sequence: self.sequence, what });
    }

    /// What happens next, and when.
    pub(super) fn pop(&mut self) -> Option<(Time, T)> {
        while self.near.is_empty() {
            self.turn()?;
        }
        self.near.pop().map(|entry| (entry.time, entry.what))
    }

    fn put(&mut self, entry: Entry<T>) {
        let bucket = entry.bucket();
        if bucket <= self.bucket {
            self.near.push(entry);
        } else if bucket < self.bucket + BUCKETS {
            self.wheel[(bucket % BUCKETS) as usize].push(entry);
            self.on_wheel += 1;
        } else {
            self.far.push(entry);
        }
    }

    /// Goes on to the next bucket; `None` if nothing will happen any more.
    fn turn(&mut self) -> Option<()> {
        self.bucket = match self.on_wheel {
            0 => self.far.peek()?.bucket(),
            _ => self.bucket + 1,
        };
        let due = &mut self.wheel[(self.bucket % BUCKETS) as usize];
        self.on_wheel -= due.len();
        self.near.extend(due.drain(..));
        while self.far.peek().is_some_and(|entry| entry.bucket() < self.bucket + BUCKETS) {
            let entry = self.far.pop()?;
            self.put(entry);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_in_order_of_time_and_then_of_saying(
            ops in proptest::collection::vec(
                (any::<bool>(), prop_oneof![0..3_u64, 0..5000_u64, 0..20_000_000_u64]), 1..200),
        ) {
            let (mut queue, mut map) = (Queue::new(), BTreeMap::new());
            let mut now = 0;
            for (number, (push, ahead)) in ops.into_iter().enumerate() {
                if push {
                    queue.push(Time(now + ahead), number);
                    map.insert((now + ahead, number), number);
                    continue;
                }
                let popped = queue.pop();
                let wanted = map.pop_first().map(|((time, _), number)| (Time(time), number));
                prop_assert_eq!(popped, wanted);
                now = popped.map_or(now, |(time, _)| time.0);
            }
        }
    }
}
