//! The linter: what a parsed torrent shows to be odd, as [`Finding`]s.
//!
//! Ids of rules are an interface and stay. What only the file shows (`trailing-data`,
//! `keys-unsorted`, `key-repeated`, `integer-form`, `length-form`, `field-malformed`) and what the
//! info dictionary shows while it is parsed (`name-missing`, `length-and-files`, `layers-missing`)
//! is found there. Unsafe paths and halves of a hybrid that differ have no finding: such a torrent
//! is refused before.

use super::{FileEntry, Finding, Info, Severity, Torrent, piece_length};
use std::collections::BTreeMap;

/// Times that a piece may be shorter than what suits the content.
const PIECE_SHORTER_MAX: u32 = 8;
/// Times that a piece may be longer than what suits the content.
const PIECE_LONGER_MAX: u32 = 16;
/// Bytes of one path component: what common filesystems take.
const COMPONENT_BYTES_MAX: usize = 255;
/// A share of padding that is worth a word: one in so many bytes.
const PADDING_SHARE: u64 = 10;

/// What is odd about `torrent`, the gravest first, in the order of the rules otherwise.
#[must_use]
pub fn findings(torrent: &Torrent) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(trackers(torrent));
    found.extend(nodes(torrent));
    if let Some(info) = &torrent.info {
        found.extend(piece_length(info));
        found.extend(info.conflict.as_ref().map(|conflict| {
            let message = format!("{conflict}: it can't be written");
            Finding::new("path-conflict", Severity::Error, message)
        }));
        found.extend(paths_alike(info));
        found.extend(padding(info));
        found.extend(RULES_OF_FILES.iter().filter_map(|rule| rule.find(info)));
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn trackers(torrent: &Torrent) -> Vec<Finding> {
    let mut found = Vec::new();
    if torrent.trackers.is_empty() && torrent.nodes.is_empty() && torrent.peers.is_empty() {
        let (severity, message) = match (torrent.private(), torrent.web_seeds.is_empty()) {
            (true, true) => {
                (Severity::Error, "a private torrent without a tracker: no way to peers")
            }
            (true, false) => (Severity::Warning, "a private torrent without a tracker"),
            (false, _) => {
                (Severity::Info, "no trackers and no nodes: peers come from the DHT alone")
            }
        };
        found.push(Finding::new("trackers-none", severity, message));
    }
    let odd = torrent.tracker_urls().find(|url| {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        !matches!(scheme.as_deref(), Some("http" | "https" | "udp" | "ws" | "wss"))
            || url.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    found.extend(odd.map(|url| {
        let message = format!("no URL of a tracker: `{url}`");
        Finding::new("tracker-malformed", Severity::Warning, message)
    }));
    found
}

fn nodes(torrent: &Torrent) -> Option<Finding> {
    (torrent.private() && !torrent.nodes.is_empty()).then(|| {
        let message = "a private torrent that names DHT nodes, which it may not use (BEP 27)";
        Finding::new("private-nodes", Severity::Warning, message)
    })
}

fn piece_length(info: &Info) -> Vec<Finding> {
    let (length, total) = (info.layout.piece_length(), info.layout.total_length());
    let suited = piece_length::suited(total);
    let count = info.layout.piece_count();
    let mut found = Vec::new();
    let mut warn = |rule, message| found.push(Finding::new(rule, Severity::Warning, message));
    if !length.is_power_of_two() {
        warn("piece-length-odd", format!("a piece length of `{length}`, no power of two"));
    }
    if length < piece_length::CHOSEN_MIN || length < suited / PIECE_SHORTER_MAX {
        let message = format!("pieces of `{length}` bytes are short for the content: `{count}`");
        warn("piece-length-short", format!("{message} of them, where `{suited}` would do"));
    }
    // A torrent of a single piece can't be shared before it is whole.
    if u64::from(length) > u64::from(suited).saturating_mul(u64::from(PIECE_LONGER_MAX)) {
        let message = format!("pieces of `{length}` bytes are long for the content: `{count}`");
        warn("piece-length-long", format!("{message} of them, where `{suited}` would do"));
    }
    found
}

/// Paths that are one path to filesystems that know no case. A conflict is told elsewhere.
fn paths_alike(info: &Info) -> Option<Finding> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    info.layout.files().iter().filter(|file| !file.pad).find_map(|file| {
        let path = file.path.as_str();
        let twin = seen.insert(path.to_lowercase(), path).filter(|twin| *twin != path)?;
        let message = format!("`{twin}` and `{path}` are one path where case does not count");
        Some(Finding::new("path-case", Severity::Warning, message))
    })
}

fn padding(info: &Info) -> Option<Finding> {
    let padding: u64 = info.layout.files().iter().filter(|f| f.pad).map(|f| f.length).sum();
    (padding > info.layout.total_length() / PADDING_SHARE).then(|| {
        let message = format!("`{padding}` bytes of padding in `{}`", info.layout.total_length());
        Finding::new("padding-much", Severity::Info, message)
    })
}

/// A rule that looks at one file at a time and tells how many it holds for.
struct FileRule {
    id: &'static str,
    severity: Severity,
    holds: fn(&Info, usize, &FileEntry) -> bool,
    message: &'static str,
}

const RULES_OF_FILES: &[FileRule] = &[
    FileRule {
        id: "path-long",
        severity: Severity::Error,
        holds: |_, _, file| file.path.components().any(|c| c.len() > COMPONENT_BYTES_MAX),
        message: "has a name of more than 255 bytes, which most filesystems refuse",
    },
    FileRule {
        id: "path-not-utf8",
        severity: Severity::Warning,
        holds: |info, at, _| info.extras.get(&at).is_some_and(|e| e.path_bytes.is_some()),
        message: "has a name that is not UTF-8 and is written with U+FFFD",
    },
    FileRule {
        id: "path-hostile",
        severity: Severity::Warning,
        holds: |_, _, file| file.path.as_str().contains(is_hostile),
        message: "has control characters in its name",
    },
    FileRule {
        id: "path-not-portable",
        severity: Severity::Info,
        holds: |_, _, file| !file.path.components().all(is_portable),
        message: "has a name that Windows refuses",
    },
    FileRule {
        id: "symlink",
        severity: Severity::Info,
        holds: |info, at, _| info.extras.get(&at).is_some_and(|e| e.symlink.is_some()),
        message: "is a symbolic link, which is not made",
    },
    FileRule {
        id: "file-empty",
        severity: Severity::Info,
        holds: |info, at, file| {
            file.length == 0 && info.extras.get(&at).is_none_or(|e| e.symlink.is_none())
        },
        message: "is empty",
    },
];

impl FileRule {
    fn find(&self, info: &Info) -> Option<Finding> {
        let files = info.layout.files().iter().enumerate();
        let mut hits =
            files.filter(|(at, file)| !file.pad && (self.holds)(info, *at, file)).map(|(_, f)| f);
        let first = hits.next()?;
        let others = match hits.count() {
            0 => String::new(),
            more => format!(", and so with `{more}` more"),
        };
        let message = format!("`{}` {}{others}", first.path, self.message);
        Some(Finding::new(self.id, self.severity, message))
    }
}

/// Controls, and what turns the direction of text around.
const fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_portable(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).to_ascii_uppercase();
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    !device
        && !component.contains(['<', '>', ':', '"', '\\', '|', '?', '*'])
        && !component.ends_with([' ', '.'])
}
