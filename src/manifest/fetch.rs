//! The section `fetch`: what a download was like and where it lies.

use super::salvage::Origin;
use serde::{Deserialize, Serialize};

/// `fetch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetch {
    /// `pieces` or `files`.
    pub store: StoreKind,
    /// Where the store is.
    pub path: String,
    /// Whether every wanted piece is there.
    pub complete: bool,
    /// Pieces that are there.
    pub have: usize,
    /// Pieces of the torrent.
    pub of: usize,
    /// Which are there: `0-9,12`.
    pub pieces: String,
    /// Bytes of blocks received in this run, duplicates among them.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// Bytes of blocks that were there already.
    pub duplicate_bytes: u64,
    /// Bytes of pieces that failed their check.
    pub wasted_bytes: u64,
    /// Pieces that failed their check.
    pub hash_failures: u64,
    /// How long it took.
    pub seconds: f64,
    /// From 99 % of the wanted pieces to all of them; null if it never came to that.
    pub t_99_to_100_ms: Option<u64>,
    /// The most bytes in block buffers at once.
    pub peak_memory_bytes: u64,
    /// Where others reached us by way of a router, with `--map-port`; null: none passed ports on.
    #[serde(default)]
    pub external_addr: Option<String>,
    /// As it was given: `rarest`.
    pub strategy: String,
    /// Files that pieces came from in this run, with `--from`.
    #[serde(default)]
    pub from: Vec<Origin>,
    /// Everyone who finished a handshake.
    pub peers: Vec<Peer>,
}

/// The two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A file a piece.
    Pieces,
    /// The final files.
    Files,
}

/// One element of `fetch.peers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub addr: String,
    /// Client and version, if it said.
    pub client: Option<String>,
    /// Who found it first: a plugin, `user`, or `incoming`.
    pub source: String,
    /// Everyone who found it, the first of them first.
    #[serde(default)]
    pub found_by: Vec<String>,
    /// What carried its connection: `tcp` or `utp`.
    #[serde(default)]
    pub transport: String,
    /// Whether its connection was encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// What that went on with after its handshake, if it was: `rc4` or `plaintext`.
    #[serde(default)]
    pub encryption: Option<String>,
    /// Bytes of blocks received from it.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent to it.
    pub uploaded_bytes: u64,
    /// Its share of all bytes received, from 0 to 1.
    pub share: f64,
    /// Bytes a second that it delivered while it owed us something.
    pub rate: u64,
    /// How long it was here.
    pub connected_seconds: f64,
    /// How long it would have sent more, but was asked for nothing.
    pub idle_ms: u64,
    /// Why it left; null: it stayed to the end.
    pub left: Option<String>,
}
