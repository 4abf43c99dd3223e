//! The section `verify`: what is whole, what is damaged, and where.

use serde::{Deserialize, Serialize};

/// `verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// Pieces that match.
    pub ok: usize,
    /// Pieces that are there and do not match.
    pub bad: usize,
    /// Pieces that are not there.
    pub missing: usize,
    /// Pieces of the torrent.
    pub of: usize,
    /// Which are bad: `3,17-19`.
    pub bad_pieces: String,
    /// Which are missing.
    pub missing_pieces: String,
    /// Every file but padding.
    pub files: Vec<File>,
}

/// One element of `verify.files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the torrent.
    pub path: String,
    /// Bytes of it that lie in whole pieces.
    pub ok_bytes: u64,
    /// Bytes that it should have.
    pub length: u64,
    /// What it is like.
    pub state: FileState,
    /// Bytes that are bad or missing: from, to (not included).
    pub bad_ranges: Vec<(u64, u64)>,
}

/// What a file is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// All of it matches.
    Ok,
    /// All of it is there and some does not match.
    Bad,
    /// None of it is there.
    Missing,
    /// Some of it is there.
    Partial,
}
