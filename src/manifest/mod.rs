//! The JSON that the verbs pass on: the only room that knows it.
//!
//! A manifest is one object. `rtor` is its format, 1. `torrent` is what [`Torrent`] knows; each
//! verb adds a section of its own and passes on what it does not know, unknown keys inside
//! `torrent` too. Pieces are listed as ranges in a string (`0-9,12`), raw bytes in base64.
//!
//! `torrent.info` holds the raw info dictionary and is the one truth: it is parsed again on every
//! reading, must hash to the info hashes beside it, and the readable fields (`name`, `files`,
//! `piece_length` ..) are written anew from it. What the info hash does not cover (`trackers`,
//! `web_seeds`, `nodes`, `peers`, `comment` ..) is taken as it stands: `jq` may edit it.
//!
//! ```
//! use rtor::manifest::Manifest;
//! use rtor::torrent::Metainfo;
//! let file = b"d4:infod6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
//! let torrent = Metainfo::parse(file.as_slice().into()).expect("a torrent").torrent;
//! let text = String::from_utf8(Manifest::of(torrent).to_bytes()).expect("JSON is UTF-8");
//! assert_eq!(text, concat!(
//!     r#"{"rtor":1,"torrent":{"name":"x","#,
//!     r#""info_hash_v1":"e92d0b2f283d87b37085cc5046bf8110f65bb180","info_hash_v2":null,"#,
//!     r#""piece_length":16384,"piece_count":1,"total_length":3,"private":false,"#,
//!     r#""files":[{"path":"x","length":3,"offset":0,"pad":false}],"#,
//!     r#""trackers":[],"web_seeds":[],"nodes":[],"peers":[],"#,
//!     r#""comment":null,"created_by":null,"creation_date":null,"source":null,"#,
//!     r#""info":"ZDY6bGVuZ3RoaTNlNDpuYW1lMTp4MTI6cGllY2UgbGVuZ3RoaTE2Mzg0ZTY6cGllY2VzMjA6YWFhYWFhYWFhYWFhYWFhYWFhYWFl","#,
//!     r#""piece_layers":null}}"#, "\n",
//! ));
//! ```

pub mod analysis;
pub mod assemble;
pub mod event;
pub mod fetch;
mod line;
pub mod plugins;
pub mod salvage;
pub mod scenario;
pub mod seed;
pub mod sim;
pub mod swarm;
mod torrent;
pub mod verify;

use crate::torrent::{Info, MetainfoError, Torrent};
use line::line;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The format that this room writes and reads.
pub const FORMAT: u64 = 1;
/// Bytes that a manifest may have: the largest torrent in base64, and as much again beside it.
pub const MANIFEST_BYTES_MAX: u64 = 192 << 20;

/// Why JSON is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MANIFEST_BYTES_MAX`].
    #[error("a manifest of more than {MANIFEST_BYTES_MAX} bytes")]
    Large,
    /// No JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no object with `"rtor": 1`.
    #[error("it is no manifest: it has no `\"rtor\": {FORMAT}`")]
    NotOurs,
    /// A format of another time.
    #[error("it is a manifest of format `{0}`, and this is a program for format `{FORMAT}`")]
    Format(Value),
    /// A field that is missing or of another type.
    #[error("`torrent.{field}` is not {wanted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A section that another program garbled.
    #[error("`{section}` is malformed: {why}")]
    Section {
        /// The section.
        section: String,
        /// What serde says.
        why: String,
    },
    /// `info` is no info dictionary.
    #[error("`torrent.info` is no info dictionary: {0}")]
    Info(#[from] MetainfoError),
    /// `info` does not hash to the info hash beside it.
    #[error("`torrent.info` hashes to `{real}`, but `torrent.{field}` is `{stated}`")]
    Forged {
        /// `info_hash_v1` or `info_hash_v2`.
        field: &'static str,
        /// What the manifest says.
        stated: String,
        /// What the bytes say.
        real: String,
    },
}

/// What verbs pass on to each other.
#[derive(Clone, Debug)]
pub struct Manifest {
    torrent: Torrent,
    document: Map<String, Value>,
}

impl Manifest {
    /// A manifest of `torrent` and nothing more.
    #[must_use]
    pub fn of(torrent: Torrent) -> Self {
        let mut document = Map::new();
        document.insert("rtor".to_owned(), FORMAT.into());
        let section = torrent::write(&torrent, Map::new());
        document.insert("torrent".to_owned(), Value::Object(section));
        Self { torrent, document }
    }

    /// Reads a manifest; `info` is parsed and held against the info hashes.
    ///
    /// # Errors
    /// If it is none, or a forged one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Large);
        }
        let Value::Object(mut document) = serde_json::from_slice(bytes)? else {
            return Err(ManifestError::NotOurs);
        };
        match document.get("rtor") {
            Some(format) if format.as_u64() == Some(FORMAT) => {}
            Some(format) => return Err(ManifestError::Format(format.clone())),
            None => return Err(ManifestError::NotOurs),
        }
        let Some(Value::Object(section)) = document.get_mut("torrent") else {
            return Err(ManifestError::Section {
                section: "torrent".to_owned(),
                why: "it is not an object".to_owned(),
            });
        };
        let torrent = torrent::read(section)?;
        *section = torrent::write(&torrent, std::mem::take(section));
        Ok(Self { torrent, document })
    }

    /// The torrent.
    #[must_use]
    pub const fn torrent(&self) -> &Torrent {
        &self.torrent
    }

    /// The info dictionary of a magnet is known now.
    pub fn learned(&mut self, info: Arc<Info>) {
        self.torrent.hashes = info.hashes;
        self.torrent.name = Some(info.name.clone());
        self.torrent.piece_layers = info.piece_layers();
        self.torrent.info = Some(info);
        let old = match self.document.remove("torrent") {
            Some(Value::Object(old)) => old,
            _ => Map::new(),
        };
        let section = torrent::write(&self.torrent, old);
        self.document.insert("torrent".to_owned(), Value::Object(section));
    }

    /// Sets a verb's section. It stands behind all others then: the last is the latest.
    pub fn set(&mut self, section: &str, value: &impl Serialize) {
        // Sections are structs of numbers, strings and lists: they always have a JSON form.
        let value = serde_json::to_value(value).unwrap_or_default();
        self.document.shift_remove(section);
        self.document.insert(section.to_owned(), value);
    }

    /// A verb's section, if there is one.
    ///
    /// # Errors
    /// If it is not what that verb writes.
    pub fn section<T: DeserializeOwned>(&self, section: &str) -> Result<Option<T>, ManifestError> {
        let Some(value) = self.document.get(section) else { return Ok(None) };
        serde_json::from_value(value.clone()).map(Some).map_err(|why| ManifestError::Section {
            section: section.to_owned(),
            why: why.to_string(),
        })
    }

    /// The one of `sections` that was set last.
    #[must_use]
    pub fn latest<'a>(&self, sections: &[&'a str]) -> Option<&'a str> {
        let mut keys = self.document.keys().rev();
        keys.find_map(|key| sections.iter().find(|section| **section == key)).copied()
    }

    /// As one line of JSON, with nothing in it that could steer a terminal.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        line(&self.document)
    }
}

#[cfg(test)]
mod tests;
