//! [`MetainfoError`]: why bytes are no torrent, what and where; and the few steps by which fields
//! are read, each of which says so.

use super::bencode::{BencodeError, Kind, Value};

/// Why bytes are no torrent: a sentence and the byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence} at byte {offset}{place}")]
pub struct MetainfoError {
    /// What is wrong, the value in backticks.
    pub sentence: String,
    /// Bytes from the beginning of `place`.
    pub offset: usize,
    /// What the offset counts in.
    pub place: Place,
}

/// What an offset counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The whole file.
    File,
    /// The raw info dictionary: in a manifest there is no file around it.
    Info,
    /// The raw dictionary of piece layers (BEP 52).
    PieceLayers,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Info => f.write_str(" of `info`"),
            Self::PieceLayers => f.write_str(" of `piece layers`"),
        }
    }
}

impl MetainfoError {
    pub(super) fn at(offset: usize, sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), offset, place: Place::File }
    }

    /// The same, counted in `place`.
    pub(super) const fn within(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Counted in the file, in which its place begins at byte `base`.
    pub(super) const fn shifted(mut self, base: usize) -> Self {
        self.offset = self.offset.saturating_add(base);
        self.place = Place::File;
        self
    }
}

impl From<BencodeError> for MetainfoError {
    fn from(error: BencodeError) -> Self {
        Self::at(error.offset, error.fault.to_string())
    }
}

/// The entry `key` of the dictionary `parent`, which messages call `name`.
pub(super) fn required<'a>(
    parent: Value<'a>,
    name: &str,
    key: &str,
) -> Result<Value<'a>, MetainfoError> {
    parent
        .entry(key.as_bytes())
        .ok_or_else(|| MetainfoError::at(parent.offset(), format!("no `{key}` in {name}")))
}

/// The error for a value of another kind.
pub(super) fn wrong_kind(value: Value<'_>, key: &str, due: Kind) -> MetainfoError {
    MetainfoError::at(value.offset(), format!("`{key}` is {}, not {due}", value.kind()))
}

/// A string's bytes.
pub(super) fn bytes<'a>(value: Value<'a>, key: &str) -> Result<&'a [u8], MetainfoError> {
    value.bytes().ok_or_else(|| wrong_kind(value, key, Kind::Bytes))
}

/// An integer that counts something: not below zero, not beyond 63 bits.
pub(super) fn count(value: Value<'_>, key: &str) -> Result<u64, MetainfoError> {
    let Some(text) = value.int_text() else { return Err(wrong_kind(value, key, Kind::Integer)) };
    value.int().and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
        let why = if text.starts_with('-') { "below zero" } else { "beyond 64 bits" };
        MetainfoError::at(value.offset(), format!("`{key}` is `{text}`, {why}"))
    })
}
