//! [`Outcome`]: what came of a swarm, node by node; and [`Figures`], the same in a few numbers.

use super::node::{Manner, Moved};
use super::plan::{Group, Plan};
use crate::engine::Time;
use crate::engine::time::SECOND_US;
use crate::torrent::Bitfield;
use std::collections::BTreeMap;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everybody who must have everything has it.
    Complete,
    /// The time was over.
    Limit,
    /// Nobody got anything any more.
    Idle,
}

/// What came of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// When.
    pub at: Time,
    /// Pieces that nobody who is here has.
    pub pieces_nowhere: usize,
    /// No swarm with these links can be done sooner.
    pub ideal_us: u64,
    /// In the order of the plan.
    pub groups: Vec<GroupOutcome>,
}

/// What came of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOutcome {
    /// Its nodes.
    pub nodes: Vec<NodeOutcome>,
    /// Peers that each kind of discovery guest found first.
    pub found: BTreeMap<String, u64>,
}

/// What came of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOutcome {
    /// It must have everything at the end.
    pub awaited: bool,
    /// How long after it came it had everything; none for a seed.
    pub completed_us: Option<u64>,
    /// From 99 % of what it missed to all of it.
    pub t_99_to_100_us: Option<u64>,
    /// Bytes.
    pub moved: Moved,
    /// How often somebody banned it.
    pub banned: u32,
    /// How often somebody hung up on it because it broke the protocol.
    pub faults: u32,
}

/// A few numbers of many nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Nodes.
    pub count: usize,
    /// Of these, those that must have everything.
    pub awaited: usize,
    /// Of these, those that have.
    pub awaited_completed: usize,
    /// All that got everything in this run.
    pub completed: usize,
    /// First, median and last time from coming to having everything.
    pub completion_us: Option<Spread>,
    /// From 99 % to 100 %.
    pub t_99_to_100_us: Option<Spread>,
    /// Sums.
    pub moved: Moved,
    /// Nodes that somebody banned.
    pub banned: usize,
    /// Nodes that somebody hung up on because they broke the protocol.
    pub faulty: usize,
}

/// Of several times, three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub first: u64,
    /// The one in the middle; of two there, the earlier.
    pub median: u64,
    /// The most.
    pub last: u64,
}

impl Spread {
    /// Of `times`, if there are any.
    #[must_use]
    pub fn of(times: impl Iterator<Item = u64>) -> Option<Self> {
        let mut times: Vec<u64> = times.collect();
        times.sort_unstable();
        let (first, last) = (*times.first()?, *times.last()?);
        Some(Self { first, median: times[(times.len() - 1) / 2], last })
    }
}

impl Figures {
    /// Of `nodes`.
    #[must_use]
    pub fn of<'a>(nodes: impl Iterator<Item = &'a NodeOutcome> + Clone) -> Self {
        let mut figures = Self {
            completion_us: Spread::of(nodes.clone().filter_map(|node| node.completed_us)),
            t_99_to_100_us: Spread::of(nodes.clone().filter_map(|node| node.t_99_to_100_us)),
            ..Self::default()
        };
        for node in nodes {
            figures.count += 1;
            figures.awaited += usize::from(node.awaited);
            figures.completed += usize::from(node.completed_us.is_some());
            figures.awaited_completed += usize::from(node.awaited && node.completed_us.is_some());
            figures.banned += usize::from(node.banned > 0);
            figures.faulty += usize::from(node.faults > 0);
            figures.moved.sum(&node.moved);
        }
        figures
    }
}

/// The least time in which a swarm with these links could be done, whatever it did (Kumar, Ross
/// 2006): every missing byte has to come down somewhere, to go up somewhere, and, if no leech
/// has it, to leave the seeds once. From the beginning to the last one's end; latency, and
/// that nodes come later or leave, would only add to it.
pub(super) fn ideal_us<'a>(
    plan: &Plan,
    members: impl Iterator<Item = (usize, &'a Bitfield)>,
) -> u64 {
    let bytes = |pieces: usize| pieces as u64 * u64::from(plan.piece_length);
    let mut down_us = 0;
    let mut missing = 0;
    let mut held = Bitfield::new(plan.pieces as usize);
    for (number, had) in members {
        let group = &plan.groups[number];
        if group.is_seed() {
            continue;
        }
        had.iter().for_each(|piece| {
            held.insert(piece);
        });
        if group.is_awaited() {
            let misses = bytes(had.len() - had.count());
            missing += misses;
            down_us = down_us.max(time_us(misses, group.link.down));
        }
    }
    let up = |seeds_only: bool| -> u64 {
        let gives = |group: &&Group| {
            matches!(group.manner, Manner::Honest | Manner::SuperSeed)
                && (group.is_seed() || !seeds_only)
        };
        plan.groups.iter().filter(gives).map(|g| u64::from(g.count) * g.link.up).sum()
    };
    let seeded = bytes(held.len() - held.count());
    down_us.max(time_us(missing, up(false))).max(time_us(seeded, up(true)))
}

fn time_us(bytes: u64, rate: u64) -> u64 {
    (u128::from(bytes) * u128::from(SECOND_US) / u128::from(rate.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_in_the_middle_the_earlier_is_the_median() {
        let spread = Spread::of([4, 1, 3, 2].into_iter());
        assert_eq!(spread, Some(Spread { first: 1, median: 2, last: 4 }));
        assert_eq!(Spread::of([].into_iter()), None);
    }
}
