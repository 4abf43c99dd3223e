//! The section `assemble`: what was written.

use super::salvage::Origin;
use serde::{Deserialize, Serialize};

/// `assemble`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assemble {
    /// The folder that the files lie in.
    pub path: String,
    /// Every file that was asked for.
    pub files: Vec<File>,
    /// How much of the files that were asked for is the torrent's own, of 100.
    pub percent: f64,
    /// Files outside of the store that pieces came from, with `--from`.
    #[serde(default)]
    pub from: Vec<Origin>,
}

/// One element of `assemble.files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the torrent.
    pub path: String,
    /// Bytes in it.
    pub length: u64,
    /// What became of it.
    pub state: FileState,
    /// Bytes that are not the torrent's: from, to (not included).
    pub filled_ranges: Vec<(u64, u64)>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It is written and whole.
    Complete,
    /// It is written, with holes filled.
    Filled,
    /// Something is missing, so it was not written.
    Skipped,
}
