//! [`blank`]: Rust source with its comments, strings and characters made spaces.

/// `text` with every comment, string and character literal made spaces, line breaks kept: same
/// length, same lines, only code.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = end_of_talk(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    // Only whole literals and comments were touched, and they end at characters' borders.
    String::from_utf8(out).expect("no character was cut")
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none does.
fn end_of_talk(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let inside_a_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + find(rest, b"\n").unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + 1 + quoted(&rest[1..], b'"'),
        [b'\'', ..] => at + character(rest),
        [b'r' | b'b' | b'c', ..] if !inside_a_word => at + prefixed(rest),
        _ => at,
    }
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// The length of what comes after an opening quote, closing quote included.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal's length, 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return 1 + quoted(&rest[1..], b'\'');
    }
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]).into_owned();
    let Some(letter) = text.chars().next() else { return 0 };
    let closes = rest.get(1 + letter.len_utf8()) == Some(&b'\'');
    if closes { 2 + letter.len_utf8() } else { 0 }
}

/// `r"..."`, `r#"..."#`, `b"..."`, `br"..."`, `c"..."`, `b'.'`; 0 if it is a plain word.
fn prefixed(rest: &[u8]) -> usize {
    let letters = rest.iter().take_while(|byte| b"rbc".contains(byte)).count();
    let raw = letters <= 2 && rest[..letters].contains(&b'r');
    let hashes = rest[letters..].iter().take_while(|&&byte| byte == b'#').count();
    let after = letters + hashes;
    match rest.get(after) {
        Some(b'"') if raw => {
            let end: Vec<u8> = std::iter::once(b'"').chain(vec![b'#'; hashes]).collect();
            let body = &rest[after + 1..];
            after + 1 + find(body, &end).map_or(body.len(), |found| found + end.len())
        }
        Some(b'"') if letters == 1 && hashes == 0 => after + 1 + quoted(&rest[after + 1..], b'"'),
        Some(b'\'') if rest[0] == b'b' && after == 1 => 1 + character(&rest[1..]),
        _ => 0,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::blank;

    /// What is left, with runs of spaces made one.
    fn left(text: &str) -> String {
        let blanked = blank(text);
        assert_eq!(blanked.len(), text.len());
        assert_eq!(blanked.lines().count(), text.lines().count());
        blanked.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_no_code() {
        assert_eq!(left("a // b { \" '\nc /* d /* e */ f */ g"), "a c g");
    }

    #[test]
    fn strings_are_no_code() {
        assert_eq!(left(r#"a "b \" c" d b"e" c"f" g"#), "a d g");
        assert_eq!(left("a r\"\\\" b r#\"c \" d\"# e br##\"\"# \"## f"), "a b e f");
        assert_eq!(left("a \"x\ny {\" b"), "a b");
    }

    #[test]
    fn characters_are_no_code_and_lifetimes_are() {
        assert_eq!(left(r"a '{' b '\'' c b'}' d 'ü' e '\u{7d}' f"), "a b c d e f");
        assert_eq!(left("fn f<'a>(x: &'a str) -> &'a str"), "fn f<'a>(x: &'a str) -> &'a str");
        assert_eq!(left("bar(rbc, r#type, crab)"), "bar(rbc, r#type, crab)");
    }
}
