//! Bencode (BEP 3, "bencoding"): [`Tape`] reads, [`Node`] writes.
//!
//! Every byte that comes from a file, tracker or peer passes [`Tape::scan`] first, and nothing is
//! copied: the scan yields a tape of positions, and a [`Value`] is a cursor on it. It is our own
//! because the crates for it abort on nesting, lose the raw span of `info` (whose hash names the
//! torrent), fail a whole file for one odd key, and know no byte offsets for their errors. A tape
//! needs no second, typed pass, so no serde stands behind it.
//!
//! What is merely unusual (unsorted or repeated keys, `i007e`) is a [`Note`] with its place, so
//! that a linter can show it; what has no one meaning is a [`BencodeError`].

mod node;
mod scan;
mod value;

#[cfg(test)]
mod tests;

pub use node::Node;
pub use scan::{BencodeError, Fault, Note, NoteKind};
pub use value::{Entries, Items, Kind, Value};

/// Levels of lists and dictionaries. Real metainfo has five, a v2 file tree one a folder more;
/// libtorrent takes 100.
pub const DEPTH_MAX: usize = 64;
/// Values in one document, keys among them: 350,000 files of a torrent; 24 MiB of tape.
pub const ITEMS_MAX: usize = 2 << 20;
/// Digits of an integer. `u64::MAX` has 20; more are only kept as text.
pub const INTEGER_DIGITS_MAX: usize = 64;
/// Digits of a length prefix: those of `u64::MAX`.
pub const LENGTH_DIGITS_MAX: usize = 20;
/// Notes that are kept; one each of a million unsorted dictionaries says no more than these.
pub const NOTES_MAX: usize = 64;

/// A scanned document: where each value lies in its bytes.
///
/// ```
/// use rtor::torrent::bencode::Tape;
/// let tape = Tape::scan(b"d4:infod4:name1:xee")?;
/// let info = tape.root().entry(b"info").expect("it is there");
/// assert_eq!(info.raw(), b"d4:name1:xe");
/// assert_eq!(info.entry(b"name").and_then(|name| name.bytes()), Some(&b"x"[..]));
/// # Ok::<(), rtor::torrent::bencode::BencodeError>(())
/// ```
#[derive(Debug)]
pub struct Tape<'a> {
    bytes: &'a [u8],
    tokens: Vec<Token>,
    notes: Vec<Note>,
}

impl<'a> Tape<'a> {
    /// Scans `bytes`, which are one value and nothing more.
    ///
    /// # Errors
    /// If they are not, or a limit of this module is passed.
    pub fn scan(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        let tape = Self::scan_prefix(bytes)?;
        let end = tape.consumed();
        if end < bytes.len() {
            return Err(BencodeError { offset: end, fault: Fault::Trailing(bytes.len() - end) });
        }
        Ok(tape)
    }

    /// Scans the one value that `bytes` begin with: extension messages (BEP 9) carry data behind
    /// their dictionary. [`consumed`](Self::consumed) tells where.
    ///
    /// # Errors
    /// If there is none, or a limit of this module is passed.
    pub fn scan_prefix(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        let (tokens, notes) = scan::scan(bytes)?;
        Ok(Self { bytes, tokens, notes })
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value::new(self.bytes, &self.tokens)
    }

    /// Bytes that the outermost value takes.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.tokens.first().map_or(0, |root| root.end as usize)
    }

    /// What is unusual, in the order of the bytes; the first [`NOTES_MAX`].
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// One value's place: its first byte, the byte behind its last, and the token behind its last.
/// What kind it is, its first byte says.
#[derive(Clone, Copy, Debug)]
struct Token {
    start: u32,
    end: u32,
    next: u32,
}
