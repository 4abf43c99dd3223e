//! `rtor analyze`: main files, kinds, pieces, shared pieces, findings.

use crate::harness::parts::{fixtures, project};
use crate::harness::{Ran, Rtor};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A torrent in a literal: what stands around the info dictionary and in it, and its files.
struct World {
    outer: &'static str,
    inner: &'static str,
    piece_length: u64,
    files: Vec<(String, u64)>,
}

impl World {
    fn of(piece_length: u64, files: &[(&str, u64)]) -> Self {
        let files = files.iter().map(|(path, length)| ((*path).to_owned(), *length)).collect();
        Self { outer: "8:announce12:http://t/ann", inner: "", piece_length, files }
    }

    /// Bencode, unsorted where `inner` says so.
    fn bytes(&self) -> Vec<u8> {
        let mut files = String::new();
        for (path, length) in &self.files {
            let parts = path.split('/').map(|part| format!("{}:{part}", part.len()));
            let path = parts.collect::<String>();
            write!(files, "d6:lengthi{length}e4:pathl{path}ee").expect("a String takes all");
        }
        let total: u64 = self.files.iter().map(|file| file.1).sum();
        let count = total.div_ceil(self.piece_length);
        // Each piece another hash.
        let hashes: String = (0..count).map(|piece| format!("{piece:020}")).collect();
        let Self { outer, inner, piece_length, .. } = self;
        format!(
            "d{outer}4:infod5:filesl{files}e4:name1:t12:piece lengthi{piece_length}e6:pieces{}:{hashes}{inner}ee",
            hashes.len()
        )
        .into_bytes()
    }

    fn analyzed(&self) -> Value {
        analyzed(self.bytes())
    }
}

fn run(file: impl Into<Vec<u8>>) -> Ran {
    Rtor::new(folder().path(), ["analyze"]).stdin(file).run()
}

#[track_caller]
fn analyzed(file: impl Into<Vec<u8>>) -> Value {
    run(file).exited(0).json()["analysis"].take()
}

fn rules(analysis: &Value) -> Vec<String> {
    let findings = analysis["findings"].as_array().expect("a list").iter();
    findings.map(|finding| finding["rule"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn episodes_are_main_files_and_samples_are_not() {
    let files = [
        ("s1/e1.mkv", 400_000),
        ("s1/e2.mkv", 390_000),
        ("sample/e1.mkv", 20_000),
        ("s1/e1.srt", 5_000),
        ("everything.zip", 900_000),
    ];
    let analysis = World::of(16384, &files).analyzed();
    assert_eq!(analysis["main"], json!(["t/s1/e1.mkv", "t/s1/e2.mkv"]));
    let files = analysis["files"].as_array().expect("a list");
    let kinds: Vec<&Value> = files.iter().map(|file| &file["kind"]).collect();
    assert_eq!(kinds, ["video", "video", "video", "subtitle", "archive"]);
}

#[test]
fn without_a_video_the_longest_file_is_the_main_one() {
    let analysis = World::of(16384, &[("a.txt", 10), ("b.txt", 11), ("c.txt", 11)]).analyzed();
    assert_eq!(analysis["main"], json!(["t/b.txt"]));
}

#[test]
fn files_and_pieces_are_told_to_each_other() {
    //        pieces of 16384:  |0      |1      |2      |3
    //        files:            |a         |e|b|c       |
    let files = [("a", 20_000), ("e", 0), ("b", 500), ("c", 30_000)];
    let analysis = World::of(16384, &files).analyzed();
    let spans: Vec<Value> = analysis["files"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| json!([f["first_piece"], f["last_piece"], f["piece_count"]]))
        .collect();
    assert_eq!(
        spans,
        [json!([0, 1, 2]), json!([null, null, 0]), json!([1, 1, 1]), json!([1, 3, 3])]
    );
    assert_eq!(analysis["shared_pieces"], json!([{ "piece": 1, "files": [0, 2, 3] }]));
    assert_eq!(analysis["piece_count"], 4);
    assert_eq!(analysis["content_length"], 50_500);
    assert_eq!(analysis["last_piece_length"], 50_500 - 3 * 16384);
}

#[test]
fn padding_keeps_files_apart() {
    let file = project("tests/fixtures/metainfo/tree-hybrid.torrent");
    let analysis = analyzed(std::fs::read(file).expect("a fixture"));
    assert_eq!(analysis["shared_pieces"], json!([]));
    assert_eq!(analysis["content_length"], 106_684);
    assert_eq!(analysis["padding_length"], 28304 + 12768 + 32468 + 16384);
    let paths: Vec<&Value> =
        analysis["files"].as_array().expect("a list").iter().map(|file| &file["path"]).collect();
    assert_eq!(paths, ["tree/a.bin", "tree/b/c.bin", "tree/b/empty", "tree/run.sh", "tree/z.bin"]);
}

#[test]
fn a_sound_torrent_has_no_finding() {
    assert_eq!(rules(&World::of(16384, &[("a.mkv", 400_000), ("b.srt", 20)]).analyzed()), [""; 0]);
}

#[test]
fn every_rule_finds_its_fault() {
    let long = "n".repeat(256);
    let sound = || World::of(16384, &[("a", 100_000)]);
    let cases: Vec<(&str, &str, World)> = vec![
        ("piece-length-odd", "warning", World::of(20_000, &[("a", 100_000)])),
        ("piece-length-short", "warning", World::of(1024, &[("a", 100_000)])),
        ("piece-length-short", "warning", World::of(16384, &[("a", 400_000_000)])),
        ("piece-length-long", "warning", World::of(16 << 20, &[("a", 100_000)])),
        ("path-conflict", "error", World::of(16384, &[("a", 9), ("b", 9), ("a", 9)])),
        ("path-conflict", "error", World::of(16384, &[("a/b", 9), ("a", 9)])),
        ("path-case", "warning", World::of(16384, &[("a", 9), ("A", 9)])),
        ("path-long", "error", World::of(16384, &[(&long, 9)])),
        ("path-hostile", "warning", World::of(16384, &[("a\u{202e}b", 9)])),
        ("path-not-portable", "info", World::of(16384, &[("a:b", 9)])),
        ("path-not-portable", "info", World::of(16384, &[("aux.txt", 9)])),
        ("file-empty", "info", World::of(16384, &[("a", 9), ("b", 0)])),
        ("trackers-none", "info", World { outer: "", ..sound() }),
        ("trackers-none", "error", World { outer: "", inner: "7:privatei1e", ..sound() }),
        ("tracker-malformed", "warning", World { outer: "8:announce5:t:abc", ..sound() }),
        (
            "private-nodes",
            "warning",
            World {
                outer: "8:announce10:udp://t:705:nodesll1:hi1eee",
                inner: "7:privatei1e",
                ..sound()
            },
        ),
        ("keys-unsorted", "warning", World { inner: "1:ai1e", ..sound() }),
        (
            "keys-unsorted",
            "warning",
            World { outer: "7:comment1:c8:announce8:udp://t:", ..sound() },
        ),
        ("key-repeated", "warning", World { outer: "8:announce8:udp://t:1:ci1e1:ci2e", ..sound() }),
        ("integer-form", "warning", World { inner: "7:privatei00e", ..sound() }),
        ("length-form", "warning", World { inner: "07:privatei0e", ..sound() }),
        ("length-and-files", "warning", World { inner: "6:lengthi7e", ..sound() }),
        ("field-malformed", "warning", World { outer: "8:announcei7e", ..sound() }),
    ];
    for (rule, severity, world) in cases {
        let bytes = world.bytes();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        let analysis = analyzed(bytes);
        let findings = analysis["findings"].as_array().expect("a list");
        let found = findings.iter().any(|f| f["rule"] == rule && f["severity"] == severity);
        assert!(found, "no {severity} `{rule}` in {findings:?} for {text}");
    }
}

#[test]
fn what_only_the_file_shows_is_found_with_its_place() {
    let sound = World::of(16384, &[("a", 100_000)]).bytes();
    let trailing = [&sound[..], b"\n\n"].concat();
    let analysis = analyzed(trailing.clone());
    assert_eq!(rules(&analysis), ["trailing-data"]);
    assert_eq!(analysis["findings"][0]["offset"], sound.len());
    // A manifest does not carry it on.
    let manifest = Rtor::new(folder().path(), ["decode"]).stdin(trailing).run().exited(0).stdout;
    assert_eq!(rules(&analyzed(manifest)), [""; 0]);
}

#[test]
fn an_offset_counts_in_the_file_also_inside_the_info_dictionary() {
    let bytes = World { inner: "1:ai1e", ..World::of(16384, &[("a", 100_000)]) }.bytes();
    let place = bytes.len() - "1:ai1eee".len();
    assert_eq!(analyzed(bytes)["findings"][0]["offset"], place);
}

#[test]
fn a_torrent_without_a_name_is_called_by_its_hash() {
    let file = fixtures().join("corrupt.torrent");
    let ran = Rtor::new(folder().path(), [Path::new("analyze"), &file]).run().exited(0).json();
    assert_eq!(ran["torrent"]["name"], "a8c5ba22839b4a22c99cc8197dcfcbf558ef1e09");
    assert!(rules(&ran["analysis"]).contains(&"name-missing".to_owned()));
}

#[test]
fn a_magnet_is_refused_because_it_says_nothing_of_files() {
    let hash = "860cd95791b9e56f058882159d4979f2559d8dec";
    let why = Rtor::new(folder().path(), ["analyze", hash]).run().refused();
    assert!(why.contains(hash), "{why}");
}

#[test]
fn a_table_shows_the_main_file_and_the_findings() {
    let file = World::of(1024, &[("a.mkv", 100_000), ("b.txt", 0)]).bytes();
    let shown = Rtor::new(folder().path(), ["analyze", "--table"]).stdin(file).run().exited(0);
    for part in ["t/a.mkv", "video", "piece-length-short", "file-empty", "0-97"] {
        assert!(shown.text().contains(part), "{part} is not in:\n{}", shown.text());
    }
}
