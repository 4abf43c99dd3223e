//! [`Reader`]: bencode, token by token, without building anything.
//!
//! A guest cannot use rtor's own reader, and guests need little: one dictionary of known keys.
//! Iterative and bounded, so that no message can exhaust the stack; forgiving where trackers and
//! peers are sloppy (unsorted keys, zeros before a number, bytes after the end).
//!
//! ```
//! use rtor_plugin::bencode::{Reader, Token};
//! let mut reader = Reader::new(b"d8:intervali1800e5:peers0:e");
//! let mut interval_s = None;
//! assert_eq!(reader.token(), Ok(Token::Dict));
//! while let Some(key) = reader.key()? {
//!     match (key, reader.token()?) {
//!         (b"interval", Token::Int(seconds)) => interval_s = Some(seconds),
//!         (_, token) => reader.skip(token)?,
//!     }
//! }
//! assert_eq!(interval_s, Some(1800));
//! # Ok::<(), rtor_plugin::bencode::Malformed>(())
//! ```

/// Lists and dictionaries that may lie inside each other.
const DEPTH_MAX: u32 = 16;

/// What stands next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A number; beyond 64 bits it is the nearest one within.
    Int(i64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A list begins.
    List,
    /// A dictionary begins.
    Dict,
    /// The list or dictionary ends.
    End,
}

/// The byte at which something else than bencode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub usize);

/// Reads tokens off bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next token.
    ///
    /// # Errors
    /// None stands there.
    pub fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let at = self.at;
        let token = match self.byte()? {
            b'i' => Token::Int(self.number(b'e', at)?),
            b'l' => Token::List,
            b'd' => Token::Dict,
            b'e' => Token::End,
            b'0'..=b'9' => {
                self.at = at;
                let size = self.number(b':', at)?;
                let end = usize::try_from(size).ok().and_then(|size| self.at.checked_add(size));
                let bytes = end.and_then(|end| self.bytes.get(self.at..end));
                let bytes = bytes.ok_or(Malformed(at))?;
                self.at += bytes.len();
                Token::Bytes(bytes)
            }
            _ => return Err(Malformed(at)),
        };
        Ok(token)
    }

    /// The next key of the dictionary that the reader is in, `None` at its end.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn key(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.token()? {
            Token::Bytes(key) => Ok(Some(key)),
            Token::End => Ok(None),
            Token::Int(_) | Token::List | Token::Dict => Err(self.malformed()),
        }
    }

    /// Reads to the end of the value that began with `token`.
    ///
    /// # Errors
    /// It is no value, has no end, or is nested too deep.
    pub fn skip(&mut self, token: Token<'a>) -> Result<(), Malformed> {
        let mut depth = 0_u32;
        let mut token = token;
        loop {
            match token {
                Token::List | Token::Dict if depth == DEPTH_MAX => return Err(Malformed(self.at)),
                Token::List | Token::Dict => depth += 1,
                // An end where a value should stand.
                Token::End if depth == 0 => return Err(Malformed(self.at)),
                Token::End => depth -= 1,
                Token::Int(_) | Token::Bytes(_) => {}
            }
            if depth == 0 {
                return Ok(());
            }
            token = self.token()?;
        }
    }

    /// How many bytes were read.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What was just read should not stand there.
    #[must_use]
    pub const fn malformed(&self) -> Malformed {
        Malformed(self.at)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.bytes.get(self.at).copied().ok_or(Malformed(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    /// Digits up to `end`, with a sign if it is an integer's.
    fn number(&mut self, end: u8, start: usize) -> Result<i64, Malformed> {
        let negative = end == b'e' && self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut number = 0_i64;
        loop {
            match self.byte()? {
                digit @ b'0'..=b'9' => {
                    let digit = i64::from(digit - b'0');
                    let digit = if negative { -digit } else { digit };
                    number = number.saturating_mul(10).saturating_add(digit);
                }
                byte if byte == end && self.at > first + 1 => return Ok(number),
                _ => return Err(Malformed(start)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_token_is_read() {
        let mut reader = Reader::new(b"di-12eli7ee3:abc0:e");
        let tokens: Vec<_> = std::iter::from_fn(|| reader.token().ok()).collect();
        assert_eq!(
            tokens,
            [
                Token::Dict,
                Token::Int(-12),
                Token::List,
                Token::Int(7),
                Token::End,
                Token::Bytes(b"abc"),
                Token::Bytes(b""),
                Token::End
            ]
        );
    }

    #[test]
    fn a_number_beyond_64_bits_is_the_nearest_one_within() {
        for (text, number) in
            [("i99999999999999999999e", i64::MAX), ("i-99999999999999999999e", i64::MIN)]
        {
            assert_eq!(Reader::new(text.as_bytes()).token(), Ok(Token::Int(number)));
        }
    }

    #[test]
    fn what_is_not_bencode_is_refused_where_it_stands() {
        for text in [
            "",
            "x",
            "i",
            "ie",
            "i-e",
            "i1",
            "i1x",
            "5:abcd",
            "99999999999999999999:a",
            "-1:a",
            ":",
        ] {
            let refused = Reader::new(text.as_bytes()).token();
            assert_eq!(refused, Err(Malformed(refused.expect_err(text).0)), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_when_a_value_is_skipped() {
        let nested = |depth: usize| ["l".repeat(depth), "e".repeat(depth)].concat().into_bytes();
        let skip = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let token = reader.token()?;
            reader.skip(token)
        };
        assert_eq!(skip(&nested(16)), Ok(()));
        assert_eq!(skip(&nested(17)), Err(Malformed(17)));
        assert!(skip(&nested(200_000)).is_err());
        assert!(skip(b"e").is_err());
    }
}
