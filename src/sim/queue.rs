//! [`Queue`]: what will happen, soonest first; of one moment, in an order that is given with it.
//!
//! The order is not that of saying: who runs on another thread says things at no certain moment.

use crate::engine::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When, in which place among what happens then, and where it is kept.
type Key = (Time, u64, u32);

/// Things that will happen.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Keys alone: what happens is several times as large, and a heap moves what is in it.
    keys: BinaryHeap<Reverse<Key>>,
    kept: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { keys: BinaryHeap::new(), kept: Vec::new(), free: Vec::new() }
    }

    /// `what` will happen at `time`; of what happens then, what has the least `order` comes first.
    pub(super) fn push(&mut self, time: Time, order: u64, what: T) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() as u32 - 1
        });
        self.kept[place as usize] = Some(what);
        self.keys.push(Reverse((time, order, place)));
    }

    /// What happens next, and when, if it is before `end`.
    pub(super) fn pop_before(&mut self, end: Time) -> Option<(Time, T)> {
        self.next().filter(|time| *time < end)?;
        let Reverse((time, _, place)) = self.keys.pop()?;
        self.free.push(place);
        self.kept[place as usize].take().map(|what| (time, what))
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Time> {
        self.keys.peek().map(|Reverse((time, ..))| *time)
    }

    /// What happens next, and when.
    pub(super) fn peek(&self) -> Option<(Time, &T)> {
        let Reverse((time, _, place)) = self.keys.peek()?;
        self.kept[*place as usize].as_ref().map(|what| (*time, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_order_of_time_and_then_of_the_order_that_is_given() {
        let mut queue = Queue::new();
        for (time, order, what) in [(5, 1, "c"), (3, 9, "b"), (3, 2, "a"), (7, 0, "d")] {
            queue.push(Time(time), order, what);
        }
        assert_eq!(queue.peek(), Some((Time(3), &"a")));
        let before = |queue: &mut Queue<_>, end| {
            std::iter::from_fn(|| queue.pop_before(Time(end))).map(|(_, what)| what).collect()
        };
        let (near, far): (String, String) = (before(&mut queue, 7), before(&mut queue, 8));
        assert_eq!((near.as_str(), far.as_str()), ("abc", "d"));
    }
}
