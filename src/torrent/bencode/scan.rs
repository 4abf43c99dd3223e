//! The scan: one pass over the bytes, iterative, so that no nesting reaches the stack.

use super::{DEPTH_MAX, INTEGER_DIGITS_MAX, ITEMS_MAX, LENGTH_DIGITS_MAX, NOTES_MAX, Token, Value};
use std::fmt;

/// Why bytes are no bencode, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {offset}")]
pub struct BencodeError {
    /// Bytes from the beginning of the document.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The data end where more is due.
    Truncated {
        /// Where the innermost unfinished value begins.
        since: usize,
        /// What that is: "dictionary", "string".
        what: &'static str,
    },
    /// No data at all.
    Empty,
    /// A byte that begins no value.
    NotAValue(u8),
    /// A dictionary's key is no string.
    KeyKind(u8),
    /// A key stands last, without a value.
    KeyAlone,
    /// An integer without digits, or with other bytes among them.
    Integer,
    /// More digits than [`INTEGER_DIGITS_MAX`].
    IntegerLong,
    /// A length prefix that does not end in `:`, or with too many digits.
    Length,
    /// A string longer than the data that are left.
    StringLong {
        /// Bytes that its prefix claims, as it stands there.
        claimed: String,
        /// Bytes that are left.
        left: usize,
    },
    /// More levels than [`DEPTH_MAX`].
    Depth,
    /// More values than [`ITEMS_MAX`].
    Items,
    /// A document beyond 4 GiB.
    Huge,
    /// So many bytes behind the one value.
    Trailing(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { since, what } => {
                write!(
                    f,
                    "truncated: the {what} that begins at byte {since} does not end; no more data"
                )
            }
            Self::Empty => f.write_str("empty: no data"),
            Self::NotAValue(byte) => {
                write!(f, "not bencode: `{}` where a value should begin", byte.escape_ascii())
            }
            Self::KeyKind(byte) => {
                write!(f, "not bencode: `{}` where a key should begin", byte.escape_ascii())
            }
            Self::KeyAlone => f.write_str("not bencode: a key without a value"),
            Self::Integer => f.write_str("not bencode: a malformed integer"),
            Self::IntegerLong => {
                write!(f, "an integer of more than {INTEGER_DIGITS_MAX} digits")
            }
            Self::Length => f.write_str("not bencode: a malformed string length"),
            Self::StringLong { claimed, left } => {
                write!(f, "truncated: a string of `{claimed}` bytes with {left} left")
            }
            Self::Depth => write!(f, "nested deeper than {DEPTH_MAX} levels"),
            Self::Items => write!(f, "more than {ITEMS_MAX} values"),
            Self::Huge => f.write_str("more than 4 GiB"),
            Self::Trailing(count) => write!(f, "{count} bytes of something else"),
        }
    }
}

/// Something unusual that still has one meaning, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Bytes from the beginning of the document.
    pub offset: usize,
    /// What is unusual there.
    pub kind: NoteKind,
}

/// What is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A key that sorts before its forerunner.
    UnsortedKey,
    /// A key that its dictionary has already: the first one counts, here.
    RepeatedKey,
    /// An integer with leading zeros, or `-0`.
    IntegerForm,
    /// A length prefix with leading zeros.
    LengthForm,
}

/// The tape of the value that `bytes` begin with.
pub(super) fn scan(bytes: &[u8]) -> Result<(Vec<Token>, Vec<Note>), BencodeError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(BencodeError { offset: 0, fault: Fault::Huge });
    }
    if bytes.is_empty() {
        return Err(BencodeError { offset: 0, fault: Fault::Empty });
    }
    let mut scan = Scan { bytes, at: 0, tokens: Vec::new(), notes: Vec::new(), open: Vec::new() };
    loop {
        scan.step()?;
        if scan.open.is_empty() {
            scan.notes.sort_by_key(|note| note.offset);
            return Ok((scan.tokens, scan.notes));
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    notes: Vec<Note>,
    open: Vec<Frame>,
}

/// A list or dictionary whose end is still to come.
struct Frame {
    token: usize,
    keyed: Option<Keyed>,
}

/// Where a dictionary stands.
#[derive(Default)]
struct Keyed {
    /// The token of the key whose value is due.
    due: Option<usize>,
    /// The token of the last key.
    last: Option<usize>,
    unsorted: bool,
}

impl Scan<'_> {
    /// Reads one value, or the beginning or the end of one.
    fn step(&mut self) -> Result<(), BencodeError> {
        let Some(&byte) = self.bytes.get(self.at) else { return Err(self.truncated()) };
        if byte == b'e' && !self.open.is_empty() {
            return self.close();
        }
        let key_is_due =
            self.open.last().and_then(|f| f.keyed.as_ref()).is_some_and(|k| k.due.is_none());
        if key_is_due && !byte.is_ascii_digit() {
            return Err(self.fault(Fault::KeyKind(byte)));
        }
        let (start, token) = (self.at, self.tokens.len());
        if token >= ITEMS_MAX {
            return Err(self.fault(Fault::Items));
        }
        match byte {
            b'0'..=b'9' => self.at = self.string_end()?,
            b'i' => self.at = self.integer_end()?,
            b'l' | b'd' if self.open.len() >= DEPTH_MAX => return Err(self.fault(Fault::Depth)),
            b'l' | b'd' => self.at += 1,
            _ => return Err(self.fault(Fault::NotAValue(byte))),
        }
        // The casts hold: the document is below 4 GiB and the tape below ITEMS_MAX.
        let place = Token { start: start as u32, end: self.at as u32, next: token as u32 + 1 };
        self.tokens.push(place);
        if key_is_due {
            self.keyed(token);
        } else if let Some(keyed) = self.open.last_mut().and_then(|frame| frame.keyed.as_mut()) {
            keyed.due = None;
        }
        if matches!(byte, b'l' | b'd') {
            let keyed = (byte == b'd').then(Keyed::default);
            self.open.push(Frame { token, keyed });
        }
        Ok(())
    }

    /// Ends the innermost list or dictionary.
    fn close(&mut self) -> Result<(), BencodeError> {
        if self.open.last().and_then(|f| f.keyed.as_ref()).is_some_and(|k| k.due.is_some()) {
            return Err(self.fault(Fault::KeyAlone));
        }
        self.at += 1;
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let (end, next) = (self.at as u32, self.tokens.len() as u32);
        if let Some(token) = self.tokens.get_mut(frame.token) {
            (token.end, token.next) = (end, next);
        }
        if frame.keyed.is_some_and(|keyed| keyed.unsorted) {
            self.note_repeated(frame.token);
        }
        Ok(())
    }

    /// A key was read: compares it with the one before.
    fn keyed(&mut self, token: usize) {
        let key = |at: usize| Value::at(self.bytes, &self.tokens, at).bytes().unwrap_or_default();
        let Some(last) = self.open.last().and_then(|f| f.keyed.as_ref()).map(|k| k.last) else {
            return;
        };
        let order = last.map(|last| key(last).cmp(key(token)));
        let unsorted = order == Some(std::cmp::Ordering::Greater);
        if unsorted {
            self.note(self.tokens[token].start as usize, NoteKind::UnsortedKey);
        } else if order == Some(std::cmp::Ordering::Equal) {
            self.note(self.tokens[token].start as usize, NoteKind::RepeatedKey);
        }
        if let Some(keyed) = self.open.last_mut().and_then(|frame| frame.keyed.as_mut()) {
            (keyed.due, keyed.last) = (Some(token), Some(token));
            keyed.unsorted |= unsorted;
        }
    }

    /// In a sorted dictionary equal keys are neighbours; in an unsorted one they are looked for.
    fn note_repeated(&mut self, dictionary: usize) {
        let value = Value::at(self.bytes, &self.tokens, dictionary);
        let mut keys: Vec<(&[u8], usize)> =
            value.keys().into_iter().flatten().map(|key| (key.text, key.offset)).collect();
        keys.sort_unstable();
        let repeated: Vec<usize> =
            keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).collect();
        for offset in repeated {
            self.note(offset, NoteKind::RepeatedKey);
        }
    }

    /// The byte behind the string that begins here.
    fn string_end(&mut self) -> Result<usize, BencodeError> {
        let rest = &self.bytes[self.at..];
        let digits = rest.iter().take(LENGTH_DIGITS_MAX + 1).take_while(|b| b.is_ascii_digit());
        let digits = digits.count();
        match rest.get(digits) {
            Some(b':') if digits <= LENGTH_DIGITS_MAX => {}
            None => return Err(self.truncated_in(self.at, "string")),
            Some(_) => return Err(self.fault(Fault::Length)),
        }
        if digits > 1 && rest.first() == Some(&b'0') {
            self.note(self.at, NoteKind::LengthForm);
        }
        let left = rest.len() - digits - 1;
        number(&rest[..digits])
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length <= left)
            .map(|length| self.at + digits + 1 + length)
            .ok_or_else(|| {
                let claimed = String::from_utf8_lossy(&rest[..digits]).into_owned();
                self.fault(Fault::StringLong { claimed, left })
            })
    }

    /// The byte behind the integer that begins here.
    fn integer_end(&mut self) -> Result<usize, BencodeError> {
        let rest = &self.bytes[self.at + 1..];
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest[sign..]
            .iter()
            .take(INTEGER_DIGITS_MAX + 1)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits > INTEGER_DIGITS_MAX {
            return Err(self.fault(Fault::IntegerLong));
        }
        match rest.get(sign + digits) {
            Some(b'e') if digits > 0 => {}
            None => return Err(self.truncated_in(self.at, "integer")),
            Some(_) => return Err(self.fault(Fault::Integer)),
        }
        if rest.get(sign) == Some(&b'0') && (digits > 1 || sign == 1) {
            self.note(self.at, NoteKind::IntegerForm);
        }
        Ok(self.at + 1 + sign + digits + 1)
    }

    fn note(&mut self, offset: usize, kind: NoteKind) {
        let note = Note { offset, kind };
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn fault(&self, fault: Fault) -> BencodeError {
        BencodeError { offset: self.at, fault }
    }

    fn truncated(&self) -> BencodeError {
        let frame = self.open.last();
        let what = if frame.is_some_and(|f| f.keyed.is_some()) { "dictionary" } else { "list" };
        let since = frame.and_then(|f| self.tokens.get(f.token)).map_or(0, |t| t.start as usize);
        self.truncated_in(since, what)
    }

    fn truncated_in(&self, since: usize, what: &'static str) -> BencodeError {
        BencodeError { offset: self.bytes.len(), fault: Fault::Truncated { since, what } }
    }
}

/// The number that decimal `digits` say, if a `u64` can.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |n, digit| {
        n.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0')))
    })
}
