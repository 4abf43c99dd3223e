//! [`sanitize`]: text of a torrent, tracker, peer or plugin, made safe for a terminal.
//!
//! Control characters could move the cursor, recolour or retype; bidirectional controls could
//! show `exe.mkv` for `vkm.exe`. Both are written as escapes, so that a person sees that they
//! are there. What is data (JSON, file names on disk) does not pass through here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every control and bidirectional control character as `\u{..}`.
///
/// ```
/// use rtor::sanitize::sanitize;
/// assert_eq!(sanitize("a\u{1b}[31mb"), "a\\u{1b}[31mb");
/// assert_eq!(sanitize("plain ü"), "plain ü");
/// ```
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Whether `c` is a control (C0, DEL, C1), a line or paragraph separator, or turns the direction
/// of the text around.
#[must_use]
pub const fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_turned_text_become_visible() {
        for (raw, safe) in [
            ("\0", "\\u{0}"),
            ("a\nb\tc", "a\\u{a}b\\u{9}c"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
            ("\u{202e}vkm.exe", "\\u{202e}vkm.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("日本 café 🎬", "日本 café 🎬"),
        ] {
            assert_eq!(sanitize(raw), safe);
        }
    }
}
