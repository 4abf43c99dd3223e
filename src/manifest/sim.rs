//! [`Sim`]: what `rtor sim` prints for programs.
//!
//! A document of its own and no manifest: it says nothing of a real torrent, and no verb reads
//! it. Nothing in it comes from a clock or from this machine: the same scenario, seed and plugins
//! give the same bytes.

use super::line::line;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Sim {
    /// The scenario's name.
    pub scenario: String,
    /// From which everything was drawn.
    pub seed: u64,
    /// Whether everybody who must have everything has it.
    pub complete: bool,
    /// Why it ended: `complete`, `limit` or `idle`.
    pub ended: &'static str,
    /// Virtual seconds from the beginning to the end.
    pub seconds: f64,
    /// No swarm with these links could have been done sooner.
    pub ideal_seconds: f64,
    /// Pieces that nobody has who is there at the end.
    pub pieces_nowhere: usize,
    /// All nodes.
    pub total: Figures,
    /// Group by group, as the scenario lists them.
    pub groups: Vec<Group>,
}

/// What came of a group.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// As the scenario calls it.
    pub name: String,
    /// Its strategy.
    pub strategy: String,
    /// The rest.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A few numbers of many nodes.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Nodes.
    pub nodes: usize,
    /// Of these, those that must have everything.
    pub awaited: usize,
    /// Of these, those that have.
    pub awaited_completed: usize,
    /// All that got everything.
    pub completed: usize,
    /// From coming to having everything.
    pub completion_seconds: Option<Spread>,
    /// From 99 % of what was missing to all of it.
    pub t_99_to_100_ms: Option<Spread>,
    /// Bytes of blocks received, duplicates among them.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// Of all bytes sent by anybody, the share that these nodes sent: 0 to 1.
    pub upload_share: f64,
    /// Bytes of blocks that were there already.
    pub duplicate_bytes: u64,
    /// These as percent of the bytes received.
    pub duplicate_percent: f64,
    /// Bytes of pieces that failed their check.
    pub wasted_bytes: u64,
    /// Pieces that failed their check.
    pub hash_failures: u64,
    /// Nodes that somebody banned for a proven lie.
    pub banned: usize,
    /// Of these, nodes that never lie.
    pub honest_banned: usize,
    /// Nodes that somebody hung up on because they broke the protocol.
    pub broke_protocol: usize,
    /// Peers that each discovery guest found first; nothing if there were none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub peers_found: BTreeMap<String, u64>,
}

/// Of several times, three.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The least.
    pub first: f64,
    /// The one in the middle.
    pub median: f64,
    /// The most.
    pub last: f64,
}

impl Sim {
    /// The document, its line break too.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        line(self)
    }
}
