//! What a torrent is: bytes in, valid values out. Pure.
//!
//! Everything here is made once from untrusted bytes and then valid for ever; nobody validates
//! again. This room does no I/O, and knows nothing of peers or JSON.

pub mod bencode;
pub mod bitfield;
pub mod info;
pub mod info_hash;
pub mod layout;
pub mod piece_hash;
pub mod piece_list;
pub mod safe_path;

pub use bitfield::Bitfield;
pub use info::Info;
pub use info_hash::{InfoHashV1, InfoHashV2, InfoHashes};
pub use layout::{BLOCK_LENGTH, Block, FileEntry, FileSpan, Layout, PieceIndex};
pub use piece_hash::{PieceCheck, PieceHashes};
pub use safe_path::SafePath;
