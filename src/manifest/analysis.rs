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
    /// What each missing piece costs, if a verb before said which those are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<Vec<Cost>>,
    /// The torrents that were compared, if there were several; this one is the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Compared>,
    /// Those pairs of them that have something in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<Overlap>,
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
    /// What is there of it, if a verb before said that.
    #[serde(default, flatten)]
    pub share: Option<Share>,
}

/// What is there of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Whether all of it is.
    pub complete: bool,
    /// Bytes that are.
    pub have_bytes: u64,
    /// Bytes from its beginning that can be used now: all of a file that is complete; of a video or
    /// sound, what a player gets to before the first hole; of others that are not complete, none.
    pub playable_bytes: u64,
}

/// One element of `analysis.costs`: missing pieces, one behind the other, that cost the same files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Which: `3-17`.
    pub pieces: String,
    /// What is lost with them.
    pub files: Vec<Loss>,
}

/// One element of `analysis.costs[].files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The file, by its place in `torrent.files`.
    pub file: usize,
    /// Bytes of it.
    pub bytes: u64,
}

/// One element of `analysis.compared`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// As it was named in the call.
    pub source: String,
    /// The torrent's name.
    pub name: String,
    /// Its v1 info hash, or the v2 one of a torrent that has no other.
    pub info_hash: String,
}

/// One element of `analysis.overlaps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Two places in `compared`.
    pub torrents: (usize, usize),
    /// Pieces with the same hash.
    pub same_pieces: usize,
    /// Bytes of files that are known to be the same.
    pub same_bytes: u64,
    /// Files with bytes in common.
    pub files: Vec<Same>,
    /// Files of one length that may be the same, and of which no byte is known to be.
    pub alike: Vec<Alike>,
}

/// One element of `analysis.overlaps[].files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Same {
    /// Their paths in the two torrents.
    pub paths: (String, String),
    /// Bytes in them.
    pub lengths: (u64, u64),
    /// Bytes that are known to be the same.
    pub same_bytes: u64,
}

/// One element of `analysis.overlaps[].alike`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    /// Their paths in the two torrents.
    pub paths: (String, String),
    /// Bytes in each.
    pub length: u64,
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
