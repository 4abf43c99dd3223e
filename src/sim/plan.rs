//! [`Plan`]: what a swarm is to be: a torrent, groups of nodes that are alike, and an end.

use super::link::Link;
use super::node::{Going, Manner};

/// A swarm to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Chance: everything that is drawn is drawn from this.
    pub seed: u64,
    /// Pieces of the torrent.
    pub pieces: u32,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// It ends then at the latest.
    pub limit_us: u64,
    /// It ends when nobody verified a piece for so long.
    pub idle_us: u64,
    /// Connections that a node has at once.
    pub connections: usize,
    /// How nodes hear of each other.
    pub tracker: TrackerPlan,
    /// Whether discovery guests find them: else each is simply told of others.
    pub has_guests: bool,
    /// Who takes part.
    pub groups: Vec<Group>,
}

/// How nodes hear of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerPlan {
    /// Others that a node is told of when it announces, drawn by chance.
    pub told: usize,
    /// A node announces when it comes, and then every so often until it has everything.
    pub every_us: u64,
}

/// Nodes that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What the result calls it.
    pub name: String,
    /// Nodes in it.
    pub count: u32,
    /// Of a million pieces, so many are there from the start, drawn for each node.
    pub have_ppm: u32,
    /// How each is connected.
    pub link: Link,
    /// What each does with requests.
    pub manner: Manner,
    /// The strategy plugin: `NAME[:key=value,..]`.
    pub strategy: String,
    /// Each comes at a moment between these two, drawn by chance.
    pub joins_us: (u64, u64),
    /// When each goes.
    pub leaves: Leaves,
    /// How each goes.
    pub going: Going,
}

/// When a node goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// It stays to the end.
    Never,
    /// So long after it came.
    After(u64),
    /// So long after it had everything.
    Complete(u64),
    /// It comes and goes: stays and is away for between half and one and a half times as long
    /// as these, drawn by chance. Once it has everything it stays.
    Churn {
        /// Mean time here.
        stays_us: u64,
        /// Mean time away.
        away_us: u64,
    },
}

/// With fewer nodes than this a thread mostly waits for the others.
const NODES_MIN: usize = 32;
/// The same is true if the nodes are so near each other that threads have to meet more often.
const MEET_US_MIN: u64 = 1_000;

impl Plan {
    /// Threads on which it is played faster than on fewer; at least one.
    #[must_use]
    pub fn threads_max(&self) -> usize {
        let latencies =
            |group: &Group| std::iter::repeat_n(group.link.latency_us, group.count as usize);
        let mut latencies: Vec<u64> = self.groups.iter().flat_map(latencies).collect();
        latencies.sort_unstable();
        let nearest_us: u64 = latencies.iter().take(2).sum();
        if nearest_us < MEET_US_MIN { 1 } else { (latencies.len() / NODES_MIN).max(1) }
    }
}

impl Group {
    /// Whether its nodes have everything from the start.
    #[must_use]
    pub const fn is_seed(&self) -> bool {
        self.have_ppm >= super::ALWAYS
    }

    /// Whether its nodes must have everything at the end: honest ones that do not leave before.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        !self.is_seed()
            && matches!(self.manner, Manner::Honest)
            && !matches!(self.leaves, Leaves::After(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(latencies_us: &[(u32, u64)]) -> Plan {
        let group = |(count, latency_us): &(u32, u64)| Group {
            name: "home".to_owned(),
            count: *count,
            have_ppm: 0,
            link: Link { up: 1, down: 1, latency_us: *latency_us, loss_ppm: 0 },
            manner: Manner::Honest,
            strategy: "rarest".to_owned(),
            joins_us: (0, 0),
            leaves: Leaves::Never,
            going: Going::Closing,
        };
        Plan {
            seed: 1,
            pieces: 1,
            piece_length: 16 << 10,
            limit_us: 1,
            idle_us: 1,
            connections: 1,
            tracker: TrackerPlan { told: 1, every_us: 1 },
            has_guests: false,
            groups: latencies_us.iter().map(group).collect(),
        }
    }

    #[test]
    fn threads_are_for_many_nodes_that_are_not_all_in_one_place() {
        assert_eq!(plan(&[(1, 20_000), (10, 20_000)]).threads_max(), 1);
        assert_eq!(plan(&[(1, 20_000), (99, 20_000)]).threads_max(), 3);
        assert_eq!(plan(&[(1, 0), (99, 20_000)]).threads_max(), 3);
        assert_eq!(plan(&[(2, 0), (99, 20_000)]).threads_max(), 1);
        assert_eq!(plan(&[]).threads_max(), 1);
    }
}
