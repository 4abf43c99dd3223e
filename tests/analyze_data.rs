//! `rtor analyze` behind `verify` and `fetch`: which files can be used now, and what is lost.

use crate::harness::Rtor;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const PIECE: usize = 16384;

/// A torrent of a video, a text and a song, one behind the other, beside its data.
///
/// Pieces:  |0  |1  |2  |3  |4  |5  |6  |7  |
/// Files:   |a.webm         |b.txt |c.ogg   |  of 70,000, 20,000 and 30,000 bytes
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("t")).expect("a folder");
        for (name, length, seed) in
            [("a.webm", 70_000, 1), ("b.txt", 20_000, 2), ("c.ogg", 30_000, 3)]
        {
            let bytes: Vec<u8> =
                (0..length).map(|i: usize| (i * 31 + (i >> 8) * 7 + seed) as u8).collect();
            fs::write(folder.path().join("t").join(name), bytes).expect("a file");
        }
        let args = ["create", "t", "--piece-length", "16KiB", "-o", "t.torrent"];
        Rtor::new(folder.path(), args).run().exited(0);
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// One byte of the file, flipped.
    fn damage(&self, name: &str, at: usize) {
        let path = self.path().join("t").join(name);
        let mut bytes = fs::read(&path).expect("the file");
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("the file");
    }

    /// The manifest that `verify` passes on.
    fn verified(&self, code: i32) -> Vec<u8> {
        let args = ["verify", "t.torrent", "--data", "t", "--json"];
        Rtor::new(self.path(), args).run().exited(code).stdout
    }

    fn analyzed(&self, manifest: impl Into<Vec<u8>>) -> Value {
        let run = Rtor::new(self.path(), ["analyze", "-"]).stdin(manifest).run();
        run.exited(0).json()["analysis"].take()
    }
}

fn shares(analysis: &Value) -> Vec<Value> {
    let files = analysis["files"].as_array().expect("a list");
    files.iter().map(|f| json!([f["complete"], f["have_bytes"], f["playable_bytes"]])).collect()
}

#[test]
fn behind_verify_it_says_what_plays_and_what_each_lost_piece_costs() {
    let world = World::new();
    world.damage("a.webm", 3 * PIECE + 5);
    // Byte 70,010 of the torrent lies in piece 4, and so do the last 4,464 of the video.
    world.damage("b.txt", 10);
    let analysis = world.analyzed(world.verified(1));
    let lost = [PIECE as u64 + 4464, 5 * PIECE as u64 - 70_000];
    assert_eq!(
        shares(&analysis),
        [
            json!([false, 70_000 - lost[0], 3 * PIECE]),
            json!([false, 20_000 - lost[1], 0]),
            json!([true, 30_000, 30_000]),
        ]
    );
    assert_eq!(
        analysis["costs"],
        json!([
            { "pieces": "3", "files": [{ "file": 0, "bytes": PIECE }] },
            { "pieces": "4", "files": [{ "file": 0, "bytes": 4464 }, { "file": 1, "bytes": lost[1] }] },
        ])
    );
}

#[test]
fn what_is_whole_costs_nothing() {
    let world = World::new();
    let analysis = world.analyzed(world.verified(0));
    assert_eq!(analysis["costs"], json!([]));
    let complete = shares(&analysis).iter().all(|share| share[0] == true);
    assert!(complete, "{analysis}");
}

#[test]
fn of_data_that_nobody_looked_at_it_says_nothing() {
    let world = World::new();
    let torrent = fs::read(world.path().join("t.torrent")).expect("the torrent");
    let analysis = world.analyzed(torrent);
    assert!(analysis.get("costs").is_none(), "{analysis}");
    assert!(analysis["files"][0].get("complete").is_none(), "{analysis}");
}

/// What a fetch says that was stopped with these pieces there.
fn fetch(pieces: &str) -> Value {
    json!({
        "store": "pieces", "path": "pieces", "complete": false, "have": 5, "of": 8,
        "pieces": pieces, "downloaded_bytes": 0, "uploaded_bytes": 0, "duplicate_bytes": 0,
        "wasted_bytes": 0, "hash_failures": 0, "seconds": 1.0, "t_99_to_100_ms": null,
        "peak_memory_bytes": 0, "strategy": "rarest", "peers": [],
    })
}

#[test]
fn of_two_verbs_the_one_that_looked_last_counts() {
    let world = World::new();
    world.damage("c.ogg", 29_999);
    let mut verified: Value = serde_json::from_slice(&world.verified(1)).expect("JSON");
    let document = verified.as_object_mut().expect("an object");
    // verify | fetch: the last piece was mended.
    document.insert("fetch".to_owned(), fetch("0-7"));
    assert_eq!(world.analyzed(verified.to_string())["costs"], json!([]));
    // fetch | verify: it is damaged, whatever fetch had said.
    let args = ["verify", "-", "--data", "t", "--json"];
    let again = Rtor::new(world.path(), args).stdin(verified.to_string()).run().exited(1).stdout;
    assert_eq!(world.analyzed(again)["costs"][0]["pieces"], "7");
}

#[test]
fn pieces_that_the_torrent_does_not_have_are_refused() {
    let world = World::new();
    let mut verified: Value = serde_json::from_slice(&world.verified(0)).expect("JSON");
    verified.as_object_mut().expect("an object").insert("fetch".to_owned(), fetch("0-8"));
    let run = Rtor::new(world.path(), ["analyze", "-"]).stdin(verified.to_string()).run();
    let why = run.refused();
    assert!(why.contains("`0-8`") && why.contains("`fetch`"), "{why}");
}

#[test]
fn a_table_shows_how_far_each_file_plays() {
    let world = World::new();
    world.damage("a.webm", 3 * PIECE);
    fs::remove_file(world.path().join("t/c.ogg")).expect("it is there");
    let run = Rtor::new(world.path(), ["analyze", "-", "--table"]).stdin(world.verified(1));
    let shown = run.run().exited(0);
    for part in ["76 %, plays to 70 %", "lost", "16.0 KiB", "t/a.webm"] {
        assert!(shown.text().contains(part), "{part} is not in:\n{}", shown.text());
    }
}
