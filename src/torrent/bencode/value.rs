//! [`Value`]: a cursor on a scanned document. It copies nothing and can't fail where the scan
//! has been.

use super::Token;
use super::scan::number;
use std::fmt;
use std::ops::Range;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `i42e`
    Integer,
    /// `4:spam`
    Bytes,
    /// `l..e`
    List,
    /// `d..e`
    Dictionary,
}

/// With its article, for messages.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "an integer",
            Self::Bytes => "a string",
            Self::List => "a list",
            Self::Dictionary => "a dictionary",
        })
    }
}

/// One value of a document, and its place in it.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    bytes: &'a [u8],
    tokens: &'a [Token],
    at: usize,
}

/// A dictionary's key and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// Its bytes; nothing says that they are text.
    pub(super) text: &'a [u8],
    /// Bytes from the beginning of the document.
    pub(super) offset: usize,
}

impl<'a> Value<'a> {
    pub(super) const fn new(bytes: &'a [u8], tokens: &'a [Token]) -> Self {
        Self { bytes, tokens, at: 0 }
    }

    pub(super) const fn at(bytes: &'a [u8], tokens: &'a [Token], at: usize) -> Self {
        Self { bytes, tokens, at }
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.raw().first() {
            Some(b'i') => Kind::Integer,
            Some(b'l') => Kind::List,
            Some(b'd') => Kind::Dictionary,
            _ => Kind::Bytes,
        }
    }

    /// Where it lies in the document.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let token = self.token();
        token.start as usize..token.end as usize
    }

    /// Its first byte in the document.
    #[must_use]
    pub fn offset(self) -> usize {
        self.token().start as usize
    }

    /// Its bytes as they lie in the document, prefix and end among them.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        self.bytes.get(self.span()).unwrap_or_default()
    }

    /// The string's bytes, if it is one.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        let raw = self.raw();
        let colon =
            raw.first()?.is_ascii_digit().then(|| raw.iter().position(|b| *b == b':'))??;
        raw.get(colon + 1..)
    }

    /// The string as text, if it is one and UTF-8.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The integer, if it is one and fits.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        let digits = self.int_text()?;
        match digits.strip_prefix('-') {
            Some(digits) => 0_i64.checked_sub_unsigned(number(digits.as_bytes())?),
            None => i64::try_from(number(digits.as_bytes())?).ok(),
        }
    }

    /// The integer's digits as they stand there, if it is one, however large.
    #[must_use]
    pub fn int_text(self) -> Option<&'a str> {
        let raw = self.raw().strip_prefix(b"i")?.strip_suffix(b"e")?;
        std::str::from_utf8(raw).ok()
    }

    /// The list's values, if it is one.
    #[must_use]
    pub fn items(self) -> Option<Items<'a>> {
        (self.kind() == Kind::List).then(|| self.inside())
    }

    /// The dictionary's keys and values in the order of the document, if it is one.
    #[must_use]
    pub fn entries(self) -> Option<Entries<'a>> {
        (self.kind() == Kind::Dictionary).then(|| Entries(self.inside()))
    }

    /// The value of `key`, if this is a dictionary that has it; the first if there are several.
    #[must_use]
    pub fn entry(self, key: &[u8]) -> Option<Self> {
        self.entries()?.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    pub(super) fn keys(self) -> Option<impl Iterator<Item = Key<'a>>> {
        let mut inside = (self.kind() == Kind::Dictionary).then(|| self.inside())?;
        Some(std::iter::from_fn(move || {
            let key = inside.next()?;
            inside.next()?;
            Some(Key { text: key.bytes()?, offset: key.offset() })
        }))
    }

    fn inside(self) -> Items<'a> {
        let Self { bytes, tokens, at } = self;
        Items { bytes, tokens, at: at + 1, end: self.token().next as usize }
    }

    fn token(self) -> Token {
        self.tokens.get(self.at).copied().unwrap_or(Token { start: 0, end: 0, next: 0 })
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.raw().escape_ascii())
    }
}

/// The values of a list.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    tokens: &'a [Token],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = (self.at < self.end).then(|| Value::at(self.bytes, self.tokens, self.at))?;
        self.at = value.token().next as usize;
        Some(value)
    }
}

/// The keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a>(Items<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?;
        Some((key.bytes()?, self.0.next()?))
    }
}
