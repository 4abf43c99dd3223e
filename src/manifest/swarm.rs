//! `analysis.swarm`: who is there, and what they have.

use serde::{Deserialize, Serialize};

/// `analysis.swarm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Swarm {
    /// What trackers say.
    pub trackers: Vec<Heard>,
    /// Who found how many peers.
    pub found: Vec<Found>,
    /// Peers that could be reached.
    pub peers: Vec<Reached>,
    /// Those of them that have everything.
    pub seeds: usize,
    /// Copies of the torrent among them: of the rarest piece, and the share of pieces of which there
    /// is one more. Below 1 it can't be completed from them.
    pub distributed_copies: f64,
    /// How many of them have the rarest pieces.
    pub rarest_availability: u16,
    /// How many pieces are as rare as that.
    pub rarest_count: usize,
    /// Which: `0-9,12`.
    pub rarest_pieces: String,
}

/// One element of `analysis.swarm.trackers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The tracker.
    pub url: String,
    /// Peers that have everything; null if it did not say.
    pub seeds: Option<u64>,
    /// Peers that do not.
    pub leeches: Option<u64>,
    /// How often it was completed.
    pub downloads: Option<u64>,
    /// Why it said nothing, if so.
    pub problem: Option<String>,
}

/// One element of `analysis.swarm.found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// A plugin: `tracker`, `dht`, `pex`.
    pub by: String,
    /// Peers that nobody had found before.
    pub peers: usize,
}

/// One element of `analysis.swarm.peers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Its address.
    pub addr: String,
    /// Client and version, if it said.
    pub client: Option<String>,
    /// Who found it first: a plugin, `user`, or `incoming`.
    pub source: String,
    /// Everyone who found it, the first of them first.
    #[serde(default)]
    pub found_by: Vec<String>,
    /// Pieces that it has.
    pub pieces: usize,
    /// Of the torrent, in percent.
    pub percent: f64,
}
