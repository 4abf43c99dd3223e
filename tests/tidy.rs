//! The house rules that a compiler does not know, held against every source file.
//!
//! Which room may use which ([`DOORS`]) is data, and so is everything else here: a rule that is
//! broken fails with a sentence that names the file. What is looked at is the code with comments,
//! strings and characters blanked out ([`blank`]), so that talk about a thing is not the thing.
//! It does not parse Rust: it counts braces and words, which is enough for rustfmt's output.

mod blank;

use crate::harness::parts::project;
use blank::blank;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Which room may use which. A room may use itself; what is no room (a file of `src`) stands here
/// too. `docs/ARCHITECTURE.md` shows the same table to people.
const DOORS: [(&str, &[&str]); 17] = [
    ("torrent", &[]),
    ("wire", &["torrent"]),
    ("engine", &["torrent", "wire"]),
    ("sim", &["torrent", "wire", "engine"]),
    ("manifest", &["torrent"]),
    ("disk", &["torrent"]),
    ("net", &["wire"]),
    ("host", &[]),
    ("driver", &["torrent", "wire", "engine", "net", "disk", "host"]),
    ("sanitize", &[]),
    ("error", &["sanitize"]),
    ("env", &["error", "sanitize"]),
    ("table", &["sanitize"]),
    (
        "command",
        &[
            "torrent", "wire", "engine", "sim", "manifest", "disk", "net", "host", "driver",
            "sanitize", "error", "env", "table",
        ],
    ),
    ("cli", &["command", "env", "error"]),
    ("lib", &["cli", "env", "error"]),
    ("main", &["env", "error"]),
];

/// What a room may use that is neither `std` nor a room: only rooms that are to be pure have a
/// line. Their clocks, sockets, files and locks are `.clippy.toml`'s to refuse.
const CRATES_NOT_FOR: [(&str, &[&str]); 6] = [
    ("torrent", WORLD),
    ("wire", WORLD),
    ("engine", WORLD),
    ("sim", WORLD),
    ("manifest", &["tokio", "reqwest", "socket2", "libloading", "rustix", "rtor_plugin"]),
    ("disk", &["tokio", "reqwest", "socket2", "libloading", "rtor_plugin"]),
];

/// Crates and words of the world outside.
const WORLD: &[&str] = &[
    "async",
    "await",
    "tokio",
    "reqwest",
    "socket2",
    "rustix",
    "libloading",
    "rayon",
    "getrandom",
    "tempfile",
    "indicatif",
    "serde",
    "serde_json",
    "rtor_strategy_rarest",
    "rtor_strategy_sequential",
    "rtor_strategy_random",
    "rtor_strategy_streaming",
    "rtor_discovery_tracker",
    "rtor_discovery_pex",
    "rtor_discovery_lsd",
    "rtor_discovery_dht",
    "thread",
    "mpsc",
];

/// The one file of a pure room that may know threads, and the words that it may use for them.
const THREADS_IN: (&str, [&str; 2]) = ("src/sim/crew.rs", ["thread", "mpsc"]);

/// Words that are in no source file.
const FORBIDDEN: [&str; 8] =
    ["todo!", "dbg!", "unimplemented!", "#[ignore", "super::super", "FIXME", "XXX", "HACK"];

/// Those of them that count in comments and strings too.
const FORBIDDEN_IN_TALK: [&str; 3] = ["FIXME", "XXX", "HACK"];

/// Names of files that say nothing.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "misc", "common"];

/// Where `unsafe` may stand.
const UNSAFE_IN: [&str; 4] = ["plugins/api/", "src/host/load.rs", "src/disk/sha1_lanes/", "tests/"];

/// Where JSON may stand: one room, and the command structs that it cannot know.
const SERDE_IN: [&str; 2] = ["src/manifest/", "tests/"];

/// What a plugin crate may depend on, and the boundary itself.
const PLUGIN_DEPENDENCIES: [(&str, &[&str]); 2] =
    [("plugins/api", &[]), ("plugins/", &["rtor-plugin"])];

/// Lines that a file may have.
const FILE_LINES_MAX: usize = 600;
/// Lines that a function may have, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// A source file.
struct Source<'a> {
    /// Relative to the project.
    path: &'a str,
    text: &'a str,
    code: String,
}

#[test]
fn the_house_is_tidy() {
    let mut broken = Vec::new();
    let mut files = BTreeMap::new();
    for root in ["src", "plugins", "tests"] {
        collect(&project(root), root, &mut files);
    }
    for (path, text) in &files {
        if path.ends_with(".rs") {
            broken.extend(faults(path, text));
        } else if path.ends_with("Cargo.toml") {
            broken.extend(plugin_dependencies(path, text));
        }
    }
    let rooms: BTreeSet<&str> = files.keys().filter_map(|path| room(path)).collect();
    for unknown in rooms.iter().filter(|&&room| doors(room).is_none()) {
        broken.push(format!("src/{unknown}: a room without a line in the table of doors"));
    }
    assert!(rooms.len() > 10, "the walk found only the rooms {rooms:?}");
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Everything that is wrong with one file.
fn faults(path: &str, text: &str) -> Vec<String> {
    let source = Source { path, text, code: blank(text) };
    let rules: [fn(&Source<'_>) -> Vec<String>; 8] =
        [opening, length, functions, name, words, reached_rooms, reached_crates, unsafe_and_serde];
    rules.iter().flat_map(|rule| rule(&source)).collect()
}

fn opening(source: &Source<'_>) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    let fault = || format!("{}: does not open with `//!` and what it is", source.path);
    (!opens).then(fault).into_iter().collect()
}

fn length(source: &Source<'_>) -> Vec<String> {
    let lines = source.text.lines().count();
    let fault = || format!("{}: has {lines} lines, at most {FILE_LINES_MAX}", source.path);
    (lines > FILE_LINES_MAX).then(fault).into_iter().collect()
}

/// Functions that are too long. A function's end is the brace that closes the first one after its
/// `fn`; one without a body ends at its `;`.
fn functions(source: &Source<'_>) -> Vec<String> {
    let code = source.code.as_bytes();
    let mut broken = Vec::new();
    for at in word_positions(&source.code, "fn") {
        let name: String = source.code[at + 2..].trim_start().chars().take_while(is_word).collect();
        // `fn(..)` is a type.
        if name.is_empty() {
            continue;
        }
        let (mut depth, mut brackets, mut end) = (0_usize, 0_i32, at);
        for (offset, byte) in code[at..].iter().enumerate() {
            end = at + offset;
            match byte {
                b'(' | b'[' => brackets += 1,
                b')' | b']' => brackets -= 1,
                b'{' => depth += 1,
                // In `[u8; 4]` it ends nothing.
                b';' if depth == 0 && brackets == 0 => break,
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
        }
        let lines = code[at..end].iter().filter(|&&byte| byte == b'\n').count() + 1;
        if lines > FUNCTION_LINES_MAX {
            let path = source.path;
            broken
                .push(format!("{path}: `{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}"));
        }
    }
    broken
}

fn name(source: &Source<'_>) -> Vec<String> {
    let parts = source.path.trim_end_matches(".rs").split('/');
    parts
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| format!("{}: `{part}` is no name for anything", source.path))
        .collect()
}

fn words(source: &Source<'_>) -> Vec<String> {
    // This file has to say what it forbids.
    if source.path == "tests/tidy.rs" {
        return Vec::new();
    }
    let found = FORBIDDEN.iter().filter(|word| {
        let looked_at =
            if FORBIDDEN_IN_TALK.contains(word) { source.text } else { source.code.as_str() };
        looked_at.match_indices(**word).any(|(at, _)| {
            let before = looked_at[..at].chars().next_back();
            let after = looked_at[at + word.len()..].chars().next();
            // Inside a longer word it is that word.
            let begins = before.is_none_or(|letter| !is_word(&letter));
            let open_ended = !word.ends_with(char::is_alphabetic);
            begins && (open_ended || after.is_none_or(|letter| !is_word(&letter)))
        })
    });
    found.map(|word| format!("{}: has `{word}` in it", source.path)).collect()
}

fn reached_rooms(source: &Source<'_>) -> Vec<String> {
    let Some(room) = room(source.path) else { return Vec::new() };
    let Some(open) = doors(room) else { return Vec::new() };
    let short = source.path.trim_start_matches("src/");
    let is_room = |name: &&str| doors(name).is_some();
    roots(&source.code)
        .iter()
        .map(String::as_str)
        .filter(|reached| *reached != room && !open.contains(reached))
        // An item of `lib.rs` is no room; its rooms are what matters.
        .filter(is_room)
        .map(|reached| format!("{short}: {room} reaches into {reached}"))
        .collect()
}

fn reached_crates(source: &Source<'_>) -> Vec<String> {
    let Some(room) = room(source.path) else { return Vec::new() };
    let closed = CRATES_NOT_FOR.iter().find(|(name, _)| *name == room);
    let closed = closed.map_or(&[] as &[&str], |(_, crates)| crates);
    let short = source.path.trim_start_matches("src/");
    let (path, threads) = THREADS_IN;
    closed
        .iter()
        .filter(|word| source.path != path || !threads.contains(word))
        // Tests may use what they like.
        .filter(|word| !word_positions(before_tests(&source.code), word).is_empty())
        .map(|word| format!("{short}: {room} must not know `{word}`"))
        .collect()
}

fn unsafe_and_serde(source: &Source<'_>) -> Vec<String> {
    let outside = |places: &[&str]| !places.iter().any(|place| source.path.starts_with(place));
    let mut broken = Vec::new();
    if outside(&UNSAFE_IN) && !word_positions(&source.code, "unsafe").is_empty() {
        broken.push(format!("{}: `unsafe` is for {}", source.path, UNSAFE_IN[..3].join(" and ")));
    }
    for word in ["serde", "serde_json"] {
        if outside(&SERDE_IN) && !word_positions(&source.code, word).is_empty() {
            broken.push(format!("{}: `{word}` is for {}", source.path, SERDE_IN[0]));
        }
    }
    broken
}

/// The names right after `crate::` and, where that is a room, `super::`, in groups too.
fn roots(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "super::", "rtor::"] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|letter: char| is_word(&letter) || letter == ':') {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.extend(head(rest)),
            }
        }
    }
    found
}

/// The first names of `{a, b::{c, d}, e}`, after its opening brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                heads.extend(head(&group[start..at]));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(is_word).collect();
    (!name.is_empty()).then_some(name)
}

/// The room that a file of `src` belongs to.
fn room(path: &str) -> Option<&str> {
    let path = path.strip_prefix("src/")?;
    Some(path.split('/').next()?.trim_end_matches(".rs"))
}

fn doors(room: &str) -> Option<&'static [&'static str]> {
    DOORS.iter().find(|(name, _)| *name == room).map(|(_, open)| *open)
}

/// The code up to the tests, which come last.
fn before_tests(code: &str) -> &str {
    &code[..code.find("#[cfg(test)]").unwrap_or(code.len())]
}

fn word_positions(code: &str, word: &str) -> Vec<usize> {
    let borders = |&at: &usize| {
        !code[..at].ends_with(|letter| is_word(&letter))
            && !code[at + word.len()..].starts_with(|letter| is_word(&letter))
    };
    code.match_indices(word).map(|(at, _)| at).filter(borders).collect()
}

fn is_word(letter: &char) -> bool {
    letter.is_alphanumeric() || *letter == '_'
}

fn plugin_dependencies(path: &str, text: &str) -> Vec<String> {
    let allowed = PLUGIN_DEPENDENCIES.iter().find(|(place, _)| path.starts_with(place));
    let Some((_, allowed)) = allowed else { return Vec::new() };
    let section = text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#') && !allowed.contains(name))
        .map(|name| format!("{path}: depends on `{name}`"))
        .collect()
}

fn collect(folder: &Path, relative: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("the project's folders can be read") {
        let entry = entry.expect("the project's folders can be read");
        let name = entry.file_name().into_string().expect("names here are UTF-8");
        let path = format!("{relative}/{name}");
        if entry.file_type().expect("it is there").is_dir() {
            collect(&entry.path(), &path, files);
        } else if name.ends_with(".rs") || name == "Cargo.toml" {
            files.insert(path, fs::read_to_string(entry.path()).expect("a source is UTF-8"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a file that opens as it should and goes on with `code`.
    fn of(path: &str, code: &str) -> Vec<String> {
        faults(path, &format!("//! A file.\n{code}"))
    }

    #[test]
    fn a_closed_door_is_named() {
        let said = ["engine/mod.rs: engine reaches into net"];
        assert_eq!(of("src/engine/mod.rs", "use crate::net::Connection;"), said);
        assert_eq!(of("src/engine/mod.rs", "use crate::{torrent::{a, b}, net::C};"), said);
        assert_eq!(of("src/engine/mod.rs", "use super::net::Connection;"), said);
        assert_eq!(of("src/engine/mod.rs", "fn f() { crate::net::dial() }"), said);
        assert_eq!(of("src/torrent/a.rs", "use crate::wire;").len(), 1);
        assert_eq!(of("src/error.rs", "use crate::command;").len(), 1);
    }

    #[test]
    fn an_open_door_is_not() {
        let empty: [&str; 0] = [];
        assert_eq!(of("src/engine/mod.rs", "use crate::{torrent::net, wire};"), empty);
        assert_eq!(of("src/engine/a.rs", "use crate::engine::net; use super::own;"), empty);
        assert_eq!(
            of("src/engine/mod.rs", "/// [`crate::net`]\nconst A: &str = \"crate::net\";"),
            empty
        );
        assert_eq!(of("tests/a.rs", "use crate::net;"), empty);
    }

    #[test]
    fn a_pure_room_knows_no_runtime_and_no_json() {
        assert_eq!(
            of("src/wire/a.rs", "async fn f() {}"),
            ["wire/a.rs: wire must not know `async`"]
        );
        assert_eq!(of("src/engine/a.rs", "use tokio::time;").len(), 1);
        assert_eq!(of("src/sim/a.rs", "std::thread::scope(f)").len(), 1);
        assert_eq!(of("src/sim/crew.rs", "std::thread::scope(f)").len(), 0);
        assert_eq!(of("src/disk/a.rs", "use serde::Serialize;").len(), 1);
        assert_eq!(of("src/manifest/a.rs", "use serde::Serialize;").len(), 0);
        assert_eq!(of("src/disk/a.rs", "struct Observed;").len(), 0);
    }

    #[test]
    fn a_file_opens_with_what_it_is_and_ends_in_time() {
        assert_eq!(faults("src/disk/a.rs", "use std::fs;").len(), 1);
        assert_eq!(of("src/disk/a.rs", &"// x\n".repeat(FILE_LINES_MAX - 1)).len(), 0);
        assert_eq!(
            of("src/disk/a.rs", &"// x\n".repeat(FILE_LINES_MAX)),
            ["src/disk/a.rs: has 601 lines, at most 600"]
        );
    }

    #[test]
    fn a_long_function_is_named() {
        let function = |lines: usize| {
            let body = "    x('}', \"}\"); // }\n".repeat(lines - 2);
            format!("type F = fn(u8) -> u8;\nfn long(a: [u8; 4]) {{\n{body}}}\nfn short() {{}}\n")
        };
        assert_eq!(of("src/disk/a.rs", &function(70)).len(), 0);
        assert_eq!(
            of("src/disk/a.rs", &function(71)),
            ["src/disk/a.rs: `long` has 71 lines, at most 70"]
        );
    }

    #[test]
    fn words_that_mean_unfinished_are_found() {
        for code in
            ["fn f() { todo!() }", "// FIXME", "#[ignore]", "use super::super::a;", "dbg!(1);"]
        {
            assert_eq!(of("src/disk/a.rs", code).len(), 1, "{code}");
        }
        assert_eq!(of("src/disk/a.rs", "// todo!\nconst A: u8 = b'!'; struct MAXXXL;").len(), 0);
    }

    #[test]
    fn unsafe_stays_where_it_belongs() {
        assert_eq!(of("src/disk/a.rs", "unsafe { f() }").len(), 1);
        assert_eq!(of("src/host/load.rs", "unsafe { f() }").len(), 0);
        assert_eq!(of("plugins/api/src/a.rs", "unsafe { f() }").len(), 0);
        assert_eq!(of("src/disk/a.rs", "// unsafe\n#![deny(unsafe_code)]").len(), 0);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(
            of("src/disk/utils.rs", ""),
            ["src/disk/utils.rs: `utils` is no name for anything"]
        );
        assert_eq!(of("plugins/helpers/src/a.rs", "").len(), 1);
    }

    #[test]
    fn a_plugin_depends_on_the_boundary_alone() {
        let toml =
            |names: &str| format!("[lib]\n[dependencies]\n{names}\n[dev-dependencies]\nx = 1");
        let path = "plugins/strategy/a/Cargo.toml";
        assert_eq!(plugin_dependencies(path, &toml("rtor-plugin.workspace = true")).len(), 0);
        assert_eq!(plugin_dependencies(path, &toml("tokio = \"1\"")).len(), 1);
        assert_eq!(plugin_dependencies("plugins/api/Cargo.toml", &toml("libc = \"0\"")).len(), 1);
    }
}
