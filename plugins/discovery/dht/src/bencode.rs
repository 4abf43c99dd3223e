//! [`Value`]: bencode as slices of the datagram, and the few lines that write it.
//!
//! A datagram is walked once before anything is believed ([`read`]): iterative, and bounded in
//! depth and in values, so that none can exhaust the stack or the time. Forgiving where nodes are
//! sloppy (unsorted keys, zeros before a number, bytes after the end).

/// Lists and dictionaries that may lie inside each other: KRPC needs three.
const DEPTH_MAX: usize = 8;
/// Values in one datagram, ends included: the longest list of peers that fits has 500.
const VALUES_MAX: usize = 1024;
/// Digits of a number: those of 64 bits.
const DIGITS_MAX: usize = 19;

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
    let end = end_of(bytes)?;
    let inside = || bytes.get(1..end.checked_sub(1)?).map(Items);
    let value = match bytes.first()? {
        b'i' => Value::Int(number(bytes, 1, b'e')?.0),
        b'l' => Value::List(inside()?),
        b'd' => Value::Dict(inside()?),
        _ => {
            let (_, start) = number(bytes, 0, b':')?;
            Value::Bytes(bytes.get(start..end)?)
        }
    };
    Some((value, end))
}

/// Where the value at the front ends.
fn end_of(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0_usize, 0_usize);
    for _ in 0..VALUES_MAX {
        match bytes.get(at)? {
            b'i' => at = number(bytes, at + 1, b'e')?.1,
            b'l' | b'd' if depth < DEPTH_MAX => (at, depth) = (at + 1, depth + 1),
            b'e' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b'0'..=b'9' => {
                let (size, start) = number(bytes, at, b':')?;
                at = start.checked_add(usize::try_from(size).ok()?)?;
            }
            _ => return None,
        }
        if depth == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
    None
}

/// The digits from `at` to `end`, with a sign if it is an integer's, and where they end.
fn number(bytes: &[u8], at: usize, end: u8) -> Option<(i64, usize)> {
    let rest = bytes.get(at..)?;
    let size = rest.iter().take(DIGITS_MAX + 2).position(|&byte| byte == end)?;
    let (text, after) = (&rest[..size], at + size + 1);
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) if end == b'e' => (true, digits),
        Some(_) | None => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().try_fold(0_i64, |number, digit| {
        number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    })?;
    Some((if negative { -number } else { number }, after))
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
            "i99999999999999999999e",
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
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| ["l".repeat(depth), "e".repeat(depth)].concat();
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_some());
        assert!(read(nested(DEPTH_MAX + 1).as_bytes()).is_none());
        assert!(read(nested(200_000).as_bytes()).is_none());
        let long = |values: usize| ["l", &"0:".repeat(values), "e"].concat();
        assert!(read(long(VALUES_MAX - 2).as_bytes()).is_some());
        assert!(read(long(VALUES_MAX - 1).as_bytes()).is_none());
    }
}
