//! A corpus of hostile torrents: named files in four classes, the same on every machine, each with what
//! is to become of it.
//!
//! Nothing is drawn but from a fixed seed. A verdict comes from what a torrent must have to be
//! downloaded at all (BEP 3, BEP 52) and to be safe on a disk; where readers may differ with reason, as
//! on a repeated key outside the info dictionary, either is right, so long as nothing breaks.

pub(super) mod bombs;
pub(super) mod numbers;
pub(super) mod paths;
pub(super) mod structure;

use crate::harness::parts::project;

/// What is to become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be no torrent: exit code 2.
    Refused,
    /// It is odd and can be used: exit code 0.
    Taken,
    /// One of the two.
    Either,
}

/// A file.
pub struct Case {
    pub class: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
    pub verdict: Verdict,
}

/// The verdict on these.
pub fn of(
    class: &'static str,
    verdict: Verdict,
    files: impl IntoIterator<Item = (impl Into<String>, Vec<u8>)>,
) -> Vec<Case> {
    let case = |(name, bytes): (_, Vec<u8>)| Case { class, name: Into::into(name), bytes, verdict };
    files.into_iter().map(case).collect()
}

/// A bencoded string.
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

/// A bencoded integer, of any text.
pub fn integer(text: impl std::fmt::Display) -> Vec<u8> {
    format!("i{text}e").into_bytes()
}

/// A bencoded list.
pub fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    [b"l".to_vec(), items.into_iter().flatten().collect(), b"e".to_vec()].concat()
}

/// A bencoded dictionary with its keys as they come.
pub fn dictionary<'a>(entries: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let entries = entries.into_iter().flat_map(|(key, value)| [string(key), value].concat());
    [b"d".to_vec(), entries.collect(), b"e".to_vec()].concat()
}

/// The file around an info dictionary.
pub fn around(info: Vec<u8>) -> Vec<u8> {
    dictionary([("info", info)])
}

/// So many v1 hashes.
pub fn hashes(count: usize) -> Vec<u8> {
    string("aaaaaaaaaaaaaaaaaaaa".repeat(count))
}

/// An info dictionary of one file of three bytes in which `key` has this value instead, or none.
pub fn with(key: &str, value: Option<Vec<u8>>) -> Vec<u8> {
    let mut entries = vec![
        ("length", integer(3)),
        ("name", string("x")),
        ("piece length", integer(16384)),
        ("pieces", hashes(1)),
    ];
    entries.retain(|(name, _)| *name != key);
    entries.extend(value.map(|value| (key, value)));
    entries.sort_by_key(|(name, _)| *name);
    dictionary(entries)
}

/// An info dictionary of these files, a path and the text of a length each.
pub fn files(files: impl IntoIterator<Item = (Vec<u8>, String)>, pieces: usize) -> Vec<u8> {
    let file = |(path, length)| dictionary([("length", integer(length)), ("path", path)]);
    dictionary([
        ("files", list(files.into_iter().map(file))),
        ("name", string("x")),
        ("piece length", integer(16384)),
        ("pieces", hashes(pieces)),
    ])
}

/// A path.
pub fn path<C: AsRef<[u8]>>(components: impl IntoIterator<Item = C>) -> Vec<u8> {
    list(components.into_iter().map(string))
}

/// A torrent that libtorrent made.
pub fn fixture(name: &str) -> Vec<u8> {
    let file = project("tests/fixtures/metainfo").join(format!("{name}.torrent"));
    std::fs::read(file).expect("a fixture")
}

/// `bytes` with the first `from` as `to`.
pub fn changed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
