//! Piece lists as text: `0-9,12`. The form in which manifests and `--range` carry sets of pieces.

use super::Bitfield;
use std::fmt::Write as _;

/// Writes the pieces of `field` as ranges.
///
/// ```
/// use rtor::torrent::{Bitfield, piece_list};
/// let field = piece_list::parse("0-9,12", 100).expect("a list");
/// assert_eq!(field.count(), 11);
/// assert_eq!(piece_list::format(&field), "0-9,12");
/// ```
#[must_use]
pub fn format(field: &Bitfield) -> String {
    let mut text = String::new();
    let mut pieces = field.iter().peekable();
    while let Some(first) = pieces.next() {
        let mut last = first;
        while let Some(next) = pieces.next_if(|next| *next == last + 1) {
            last = next;
        }
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}-{last}")
        };
    }
    text
}

/// Reads ranges of pieces of a torrent of `piece_count`. `5-` goes to the end, `-5` from the
/// beginning; the empty text is no piece.
///
/// # Errors
/// A sentence with the part that is wrong.
pub fn parse(text: &str, piece_count: usize) -> Result<Bitfield, String> {
    let mut field = Bitfield::new(piece_count);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let bad = || format!("`{part}` is not a piece or a range of pieces like `0-9`");
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if first.is_empty() && last.is_empty() {
            return Err(bad());
        }
        let number = |text: &str, default: usize| match text {
            "" => Ok(default),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<usize>().map_err(|_| bad())
            }
            _ => Err(bad()),
        };
        let (first, last) = (number(first, 0)?, number(last, piece_count.saturating_sub(1))?);
        if first > last {
            return Err(bad());
        }
        if last >= piece_count {
            return Err(format!("`{part}` reaches beyond the last piece of {piece_count}"));
        }
        (first..=last).for_each(|piece| {
            field.insert(piece);
        });
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn open_ends_reach_the_ends() {
        assert_eq!(format(&parse("-2,8-", 10).expect("open ends")), "0-2,8-9");
        assert_eq!(format(&parse("", 10).expect("nothing")), "");
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_part() {
        for (text, part) in
            [("1,,2", "``"), ("-", "`-`"), ("3-1", "`3-1`"), ("0-10", "`0-10`"), ("+1", "`+1`")]
        {
            let why = parse(text, 10).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_went(len in 1_usize..500, seed in prop::collection::vec(any::<bool>(), 500)) {
            let mut field = Bitfield::new(len);
            seed.iter().take(len).enumerate().filter(|(_, put)| **put).for_each(|(i, _)| {
                field.insert(i);
            });
            prop_assert_eq!(parse(&format(&field), len).expect("ours"), field);
        }
    }
}
