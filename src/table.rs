//! Tables for people: the one place that draws them.
//!
//! Every cell passes through [`sanitize`], because comfy-table prints control characters raw and
//! most cells are names from a torrent.

use crate::sanitize::sanitize;
use comfy_table::{Cell, CellAlignment, ContentArrangement, presets};

/// Letters of a cell that are shown: as many as the longest path that Linux opens. A comment may have
/// millions, and to wrap one word of so many takes hours.
const CELL_LETTERS_MAX: usize = 4_096;

/// Rows of two columns: what, and its value.
#[must_use]
pub fn facts<'a>(width: usize, rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = plain(width);
    for (what, value) in rows {
        table.add_row([what.to_owned(), shown(&value)]);
    }
    finish(&table)
}

/// Rows below a header; the columns in `numbers` (indices from 0) are set to the right.
#[must_use]
pub fn list(
    width: usize,
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = plain(width);
    let align = |(i, text): (usize, &str)| {
        let cell = Cell::new(shown(text));
        if numbers.contains(&i) { cell.set_alignment(CellAlignment::Right) } else { cell }
    };
    table.set_header(header.iter().copied().enumerate().map(align));
    for row in rows {
        table.add_row(row.iter().map(String::as_str).enumerate().map(align));
    }
    finish(&table)
}

/// `text` as a cell shows it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(CELL_LETTERS_MAX) {
        None => sanitize(text).into_owned(),
        Some((end, _)) => format!("{} ..", sanitize(&text[..end])),
    }
}

/// Bytes as people count them: `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// `1 file`, `2 files`.
#[must_use]
pub fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Seconds since 1970 as a date in UTC; the number itself if there is no such date.
#[must_use]
pub fn date(seconds: i64) -> String {
    u64::try_from(seconds)
        .ok()
        .and_then(|seconds| {
            let since = std::time::Duration::from_secs(seconds);
            let date = std::time::UNIX_EPOCH.checked_add(since)?;
            // The writer fails for a year beyond 9999.
            let mut text = String::new();
            let shown = humantime::format_rfc3339_seconds(date);
            std::fmt::write(&mut text, format_args!("{shown}")).ok().map(|()| text)
        })
        .unwrap_or_else(|| seconds.to_string())
}

fn plain(width: usize) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table
}

/// Without the blanks that fill up each line.
fn finish(table: &comfy_table::Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_reaches_no_terminal() {
        let drawn = list(80, &["path"], &[], [vec!["a\u{1b}[2J\u{202e}b\nc".to_owned()]]);
        assert!(drawn.contains("a\\u{1b}[2J\\u{202e}b\\u{a}c"), "{drawn}");
        assert!(!facts(80, [("name", "\u{9b}x".to_owned())]).contains('\u{9b}'));
    }

    #[test]
    fn an_endless_word_is_cut() {
        let drawn = facts(80, [("comment", "x".repeat(8 << 20))]);
        assert!(drawn.trim_end().ends_with("x .."), "{}", drawn.len());
        assert!(drawn.len() < 2 * CELL_LETTERS_MAX, "{} bytes", drawn.len());
    }
}
