//! The section `analysis`: which files matter, how pieces and files lie to each other, and what
//! is odd.

use super::swarm::Swarm;
use serde::{Deserialize, Serialize};

/// `analysis`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The file that the torrent is about, or several of them: paths.
    pub main: Vec<String>,
    /// Every file but padding.
    pub files: Vec<File>,
    /// Pieces that more than one file has a part of.
    pub shared_pieces: Vec<Shared>,
    /// Bytes of files, padding left out.
    pub content_length: u64,
    /// Bytes of padding.
    pub padding_length: u64,
    /// Pieces of the torrent.
    pub piece_count: usize,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Bytes of the last piece.
    pub last_piece_length: u32,
    /// Files with the same bytes, by their place in `torrent.files`; only v2 torrents tell.
    pub duplicate_files: Vec<Vec<usize>>,
    /// Pieces with the same hash as one before.
    pub repeated_pieces: usize,
    /// What is odd.
    pub findings: Vec<Finding>,
    /// Who is there, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swarm: Option<Swarm>,
}

/// One element of `analysis.files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the torrent.
    pub path: String,
    /// Bytes in it.
    pub length: u64,
    /// `video`, `audio`, `subtitle` ..
    pub kind: String,
    /// Whether the torrent is about it.
    pub main: bool,
    /// Its first piece; null if it is empty.
    pub first_piece: Option<u32>,
    /// Its last piece.
    pub last_piece: Option<u32>,
    /// How many pieces it has a part of.
    pub piece_count: u32,
}

/// One element of `analysis.shared_pieces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The piece.
    pub piece: u32,
    /// The files, by their place in `torrent.files`.
    pub files: Vec<usize>,
}

/// One element of `analysis.findings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id, which stays: `piece-length-odd`.
    pub rule: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// One sentence.
    pub message: String,
    /// Byte of the file, if known.
    pub offset: Option<u64>,
}
