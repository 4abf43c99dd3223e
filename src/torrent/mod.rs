//! What a torrent is: bytes in, valid values out. Pure.
//!
//! Everything here is made once from untrusted bytes and then valid for ever; nobody validates
//! again. This room does no I/O, and knows nothing of peers or JSON.

pub mod bencode;
pub mod bitfield;
mod file_list;
mod file_tree;
pub mod finding;
pub mod info;
pub mod info_hash;
pub mod layer_tree;
pub mod layout;
pub mod lint;
pub mod magnet;
pub mod media;
pub mod metainfo;
pub mod metainfo_error;
pub mod metainfo_file;
pub mod overlap;
pub mod padding;
pub mod path_conflict;
pub mod piece_hash;
pub mod piece_layers;
pub mod piece_length;
pub mod piece_list;
pub mod recipe;
pub mod safe_path;
pub mod shortfall;
#[expect(clippy::module_inception, reason = "the room is named after what it is about")]
pub mod torrent;

pub use bitfield::Bitfield;
pub use finding::{Finding, Severity};
pub use info::Info;
pub use info_hash::{InfoHashV1, InfoHashV2, InfoHashes};
pub use layout::{BLOCK_LENGTH, Block, FileEntry, FileSpan, Layout, PieceIndex};
pub use metainfo::Metainfo;
pub use metainfo_error::MetainfoError;
pub use path_conflict::PathConflict;
pub use piece_hash::{FileRoot, PieceCheck, PieceHash, PieceHashes};
pub use piece_layers::{LayersDue, PieceLayers};
pub use safe_path::SafePath;
pub use torrent::Torrent;
