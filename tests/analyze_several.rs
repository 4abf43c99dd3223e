//! `rtor analyze a.torrent b.torrent`: what torrents have in common.

use crate::harness::Rtor;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Bytes that differ with `seed`, and never repeat.
fn bytes(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        // Knuth's and Lewis's generator; its high bits are the good ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Folders of files, each as a path, a length and a seed, of which torrents are made.
fn folders(all: &[(&str, usize, u32)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, length, seed) in all {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, bytes(*length, *seed)).expect("a file");
    }
    folder
}

fn create(folder: &Path, name: &str, args: &[&str]) {
    let output = format!("{name}.torrent");
    Rtor::new(folder, ["create", name, "-o", &output]).args(args).run().exited(0);
}

fn compared(folder: &Path, sources: &[&str]) -> Value {
    Rtor::new(folder, ["analyze"]).args(sources).run().exited(0).json()
}

#[test]
fn renamed_files_are_the_same_by_their_roots_and_what_only_has_the_length_may_be() {
    let folder = folders(&[
        ("a/one.bin", 200_000, 1),
        ("a/two.bin", 90_000, 2),
        ("a/three.bin", 70_000, 3),
        ("b/sub/first.bin", 200_000, 1),
        ("b/three.bin", 70_000, 4),
        ("b/zzz.bin", 1000, 5),
    ]);
    create(folder.path(), "a", &["--format", "hybrid", "--piece-length", "16KiB"]);
    create(folder.path(), "b", &["--format", "v2", "--piece-length", "64KiB"]);
    let found = compared(folder.path(), &["a.torrent", "b.torrent"]);
    assert_eq!(found["torrent"]["name"], "a", "the manifest is that of the first");
    let analysis = &found["analysis"];
    let sources: Vec<&Value> =
        analysis["compared"].as_array().expect("a list").iter().map(|c| &c["source"]).collect();
    assert_eq!(sources, ["a.torrent", "b.torrent"]);
    assert_eq!(
        analysis["overlaps"],
        json!([{
            "torrents": [0, 1],
            "same_pieces": 0,
            "same_bytes": 200_000,
            "files": [{
                "paths": ["a/one.bin", "b/sub/first.bin"],
                "lengths": [200_000, 200_000],
                "same_bytes": 200_000,
            }],
            "alike": [{ "paths": ["a/three.bin", "b/three.bin"], "length": 70_000 }],
        }])
    );
}

#[test]
fn pieces_with_one_hash_prove_the_parts_of_files_in_them() {
    // The first 200,000 bytes are the same; 12 pieces of 16 KiB lie in them.
    let folder = folders(&[
        ("a/one.bin", 200_000, 1),
        ("a/two.bin", 50_000, 2),
        ("b/eins.bin", 200_000, 1),
        ("b/zwei.bin", 60_000, 3),
        ("c/none.bin", 99_999, 4),
    ]);
    for name in ["a", "b", "c"] {
        create(folder.path(), name, &["--piece-length", "16KiB"]);
    }
    let found = compared(folder.path(), &["a.torrent", "c.torrent", "b.torrent"]);
    let overlaps = found["analysis"]["overlaps"].as_array().expect("a list").clone();
    assert_eq!(overlaps.len(), 1, "c has nothing of the others: {overlaps:?}");
    assert_eq!(overlaps[0]["torrents"], json!([0, 2]));
    assert_eq!(overlaps[0]["same_pieces"], 12);
    assert_eq!(overlaps[0]["same_bytes"], 12 * 16384);
    let paths = json!(["a/one.bin", "b/eins.bin"]);
    assert_eq!(overlaps[0]["files"][0]["paths"], paths);
    assert_eq!(overlaps[0]["alike"], json!([]), "they are known to be the same in part");
}

#[test]
fn a_table_names_the_pairs() {
    let folder = folders(&[("a/x.bin", 100_000, 1), ("b/y.bin", 100_000, 1), ("c/z.bin", 5, 9)]);
    for name in ["a", "b", "c"] {
        create(folder.path(), name, &["--format", "v2"]);
    }
    let args = ["analyze", "a.torrent", "b.torrent", "c.torrent", "--table"];
    let shown = Rtor::new(folder.path(), args).run().exited(0);
    for part in ["a.torrent  b.torrent", "97.7 KiB in 1 file and", "the same", "x.bin", "y.bin"] {
        assert!(shown.text().contains(part), "{part} is not in:\n{}", shown.text());
    }
    let args = ["analyze", "a.torrent", "c.torrent", "--table"];
    let shown = Rtor::new(folder.path(), args).run().exited(0);
    assert!(shown.text().contains("the torrents have nothing in common"), "{}", shown.text());
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folders(&[("a/x.bin", 100, 1), ("b/y.bin", 100, 2)]);
    create(folder.path(), "a", &[]);
    create(folder.path(), "b", &[]);
    let refused =
        |args: &[&str]| Rtor::new(folder.path(), ["analyze"]).args(args).stdin("").run().refused();
    let why = refused(&["a.torrent", "b.torrent", "--swarm"]);
    assert!(why.contains("one SOURCE"), "{why}");
    let why = refused(&["-", "-"]);
    assert!(why.contains("more than once"), "{why}");
    let why = refused(&["a.torrent", "860cd95791b9e56f058882159d4979f2559d8dec"]);
    assert!(why.contains("860cd95791b9e56f058882159d4979f2559d8dec"), "{why}");
    let many = ["a.torrent"; 300];
    let why = refused(&many);
    assert!(why.contains("`300`"), "{why}");
}
