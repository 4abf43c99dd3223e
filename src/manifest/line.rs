//! [`line`]: a document as one line of JSON that may reach a terminal.
//!
//! JSON allows DEL, C1 controls and bidirectional controls in strings as they are; a terminal may obey
//! them. They are written as escapes, which means the same to every reader of JSON. serde_json escapes
//! the other controls itself.

use serde::Serialize;

/// `document`, one line, its line break too.
pub(super) fn line(document: &impl Serialize) -> Vec<u8> {
    // Maps with text for keys, numbers and strings always have a JSON form.
    let mut text = serde_json::to_string(document).unwrap_or_default();
    if text.contains(steers_a_terminal) {
        text = escaped(&text);
    }
    text.push('\n');
    text.into_bytes()
}

/// Controls that JSON allows in strings, and those of bidirectional text. JSON itself needs none
/// of them, so in a document they stand in strings only, and all have four hexadecimal digits.
const fn steers_a_terminal(c: char) -> bool {
    matches!(c,
        '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if steers_a_terminal(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_reads_back_the_same() {
        let text = "\u{1b}]0;x\u{7}\r\u{7f}\u{85}\u{9b}2J\u{202e}\u{2066}\u{2028}\u{feff}é🎬";
        let line = String::from_utf8(line(&[text])).expect("UTF-8");
        let inner = line.trim_end_matches('\n');
        assert!(!inner.contains(|c| char::is_control(c) || steers_a_terminal(c)), "{line:?}");
        let back: [String; 1] = serde_json::from_str(&line).expect("JSON");
        assert_eq!(back, [text]);
    }
}
