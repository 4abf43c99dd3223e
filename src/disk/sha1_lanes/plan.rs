//! Which [`Way`] to hash so many messages, on this processor: measured once.

use super::{LANES_MAX, Sha1Lanes};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Bytes of each message that is hashed to measure.
const SAMPLE_BYTES: usize = 8 << 10;
/// Each is measured so often, and the quickest counts: others may be in the way.
const TRIES: usize = 3;
/// A wider row is worth its memory if it saves one part of so many.
const WORTH_ONE_OF: u32 = 16;

/// How messages are hashed side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One after the other.
    Alone,
    /// In turns through the SHA unit.
    Woven,
    /// Each in a lane of a vector.
    Wide,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Alone, Self::Woven, Self::Wide];
}

/// The best way for each number of messages, from one on, and how long it takes.
struct Plan([(Way, Duration); LANES_MAX]);

/// The best way for `count` messages.
pub(super) fn best(count: usize) -> Way {
    count.checked_sub(1).and_then(|at| plan().0.get(at)).map_or(Way::Alone, |(way, _)| *way)
}

/// How many messages it is worth waiting for: with more, each takes hardly less.
pub(in crate::disk) fn worthwhile() -> usize {
    plan().worthwhile()
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let sample = vec![0x5a; SAMPLE_BYTES];
        Plan(std::array::from_fn(|at| {
            let timed = Way::ALL.map(|way| (way, quickest(way, at + 1, &sample)));
            let soonest = timed.into_iter().min_by_key(|(_, time)| *time);
            soonest.unwrap_or((Way::Alone, Duration::ZERO))
        }))
    })
}

fn quickest(way: Way, count: usize, sample: &[u8]) -> Duration {
    let parts = vec![sample; count];
    let one = || {
        let began = Instant::now();
        let mut lanes = Sha1Lanes::by(way, count);
        lanes.update(&parts);
        std::hint::black_box(lanes.finish());
        began.elapsed()
    };
    (0..TRIES).map(|_| one()).min().unwrap_or_default()
}

impl Plan {
    fn worthwhile(&self) -> usize {
        let each = |count: usize| self.0[count - 1].1 / count as u32;
        let mut best = 1;
        for count in 2..=LANES_MAX {
            if each(count) < each(best) - each(best) / WORTH_ONE_OF {
                best = count;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_waited_for_as_make_each_clearly_quicker() {
        let plan = |us: [u64; LANES_MAX]| Plan(us.map(|us| (Way::Wide, Duration::from_micros(us))));
        assert_eq!(plan([800; LANES_MAX]).worthwhile(), 8, "eight take as long as one");
        assert_eq!(plan([100, 200, 300, 400, 500, 600, 700, 800]).worthwhile(), 1);
        let four = [100, 110, 120, 130, 230, 240, 250, 260];
        assert_eq!(plan(four).worthwhile(), 4, "the fifth begins another row");
    }
}
