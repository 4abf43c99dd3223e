//! [`Value`]: bencode as slices of the datagram, and the few lines that write it.
//!
//! A value is walked to its end before anything in it is believed ([`read`]): by [`Reader`], which
//! is bounded in depth and forgiving where nodes are sloppy.

use rtor_plugin::bencode::{Reader, Token};

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    List(Items<'a>),
    Dict(Items<'a>),
}

/// What stands inside a list or a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Items<'a>(&'a [u8]);

/// The value at the front of `bytes`, if all of it is bencode within the bounds.
pub(crate) fn read(bytes: &[u8]) -> Option<Value<'_>> {
    value(bytes).map(|(value, _)| value)
}

impl<'a> Items<'a> {
    /// The next value of a list.
    pub(crate) fn next(&mut self) -> Option<Value<'a>> {
        let (value, after) = value(self.0)?;
        self.0 = self.0.get(after..)?;
        Some(value)
    }

    /// The next key and value of a dictionary.
    pub(crate) fn entry(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        match self.next()? {
            Value::Bytes(key) => Some((key, self.next()?)),
            Value::Int(_) | Value::List(_) | Value::Dict(_) => None,
        }
    }
}

/// The value at the front, and where it ends.
fn value(bytes: &[u8]) -> Option<(Value<'_>, usize)> {
    let mut reader = Reader::new(bytes);
    let token = reader.token().ok()?;
    reader.skip(token).ok()?;
    let end = reader.at();
    let inside = || bytes.get(1..end.checked_sub(1)?).map(Items);
    let value = match token {
        Token::Int(number) => Value::Int(number),
        Token::Bytes(bytes) => Value::Bytes(bytes),
        Token::List => Value::List(inside()?),
        Token::Dict => Value::Dict(inside()?),
        Token::End => return None,
    };
    Some((value, end))
}

/// Writes a byte string.
pub(crate) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    push_size(out, bytes.len());
    out.extend(bytes);
}

/// Writes what stands before a byte string of `size` bytes.
pub(crate) fn push_size(out: &mut Vec<u8>, size: usize) {
    out.extend(size.to_string().bytes());
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        let Some(Value::Dict(mut dict)) = read(b"d1:ai-12e1:bl2:xyi007ee1:cd0:0:ee and more")
        else {
            panic!("a dictionary");
        };
        assert_eq!(dict.entry(), Some((&b"a"[..], Value::Int(-12))));
        let Some((b"b", Value::List(mut list))) = dict.entry() else { panic!("a list") };
        assert_eq!(list.next(), Some(Value::Bytes(b"xy")));
        assert_eq!(list.next(), Some(Value::Int(7)));
        assert_eq!(list.next(), None);
        assert_eq!(dict.entry(), Some((&b"c"[..], Value::Dict(Items(b"0:0:")))));
        assert_eq!(dict.entry(), None);
    }

    #[test]
    fn what_is_not_bencode_is_nothing() {
        for text in [
            "",
            "x",
            "e",
            "i",
            "ie",
            "i-e",
            "i1",
            "i1x",
            "i--1e",
            "5:abcd",
            "-1:a",
            ":",
            "l",
            "d",
            "d1:a",
            "99999999999999999999:a",
            "9223372036854775807:a",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_dictionary_ends_where_it_makes_no_sense() {
        for text in ["di1ei2ee", "d1:ae"] {
            let Some(Value::Dict(mut dict)) = read(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(dict.entry(), None);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| ["l".repeat(depth), "e".repeat(depth)].concat();
        assert!(read(nested(8).as_bytes()).is_some());
        assert!(read(nested(200_000).as_bytes()).is_none());
    }
}
