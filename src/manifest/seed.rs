//! The section `seed`: what was given, and to whom.

use super::fetch::{Peer, StoreKind};
use serde::{Deserialize, Serialize};

/// `seed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    /// `pieces` or `files`.
    pub store: StoreKind,
    /// Where the data is.
    pub path: String,
    /// Pieces that were there and whole.
    pub have: usize,
    /// Pieces of the torrent.
    pub of: usize,
    /// Which were there: `0-9,12`.
    pub pieces: String,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// That, by the bytes of what was there.
    pub ratio: f64,
    /// How long it took.
    pub seconds: f64,
    /// The most bytes in block buffers at once.
    pub peak_memory_bytes: u64,
    /// Where others reached us by way of a router, with `--map-port`; null: none passed ports on.
    #[serde(default)]
    pub external_addr: Option<String>,
    /// Why it ended.
    pub ended: Ended,
    /// Everyone who finished a handshake.
    pub peers: Vec<Peer>,
}

/// Why seeding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// `--ratio` or `--for` was reached.
    Goal,
    /// It was told to.
    Stopped,
}
