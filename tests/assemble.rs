//! `rtor assemble`: the files, byte for byte, or exactly what is not theirs.

use crate::by_hand::{ByHand, files, flip};
use crate::harness::tree;
use serde_json::Value;
use std::fs;

/// Pieces of 16 KiB: `a` 0 to 2.4, `d/b` from there to 3.7, `d/e` empty, `c` to the end of 4.
fn torrent() -> ByHand {
    ByHand::new(16_384, &[("a", 40_000), ("d/b", 20_000), ("d/e", 0), ("c", 10_000)])
}

fn made(manifest: &Value) -> Vec<String> {
    files(manifest, "assemble", &["length", "filled_ranges"])
}

#[test]
fn a_whole_store_gives_the_files_with_no_manifest_on_stdin() {
    let torrent = torrent();
    let said = torrent.rtor(["assemble", "--output", "out"]).run().exited(0).json();
    tree::same(&torrent.at("whole"), &torrent.at("out"));
    assert_eq!(
        (&said["assemble"]["percent"], &said["assemble"]["path"]),
        (&100.0.into(), &"out".into())
    );
    assert_eq!(
        made(&said),
        [
            "top/a complete 40000 []",
            "top/d/b complete 20000 []",
            "top/d/e complete 0 []",
            "top/c complete 10000 []",
        ]
    );
}

#[test]
fn it_reads_what_verify_wrote_and_keeps_it() {
    let torrent = torrent();
    let verified = torrent.rtor(["verify", "pieces"]).run().exited(0);
    let said = torrent.rtor(["assemble", "--output", "out"]).stdin(verified.stdout).run();
    let said = said.exited(0).json();
    assert_eq!(said["verify"]["ok"], 5);
    tree::same(&torrent.at("whole"), &torrent.at("out"));
}

/// Piece 3 missing (of `d/b` and `c`), piece 1 bad (of `a`).
fn damaged() -> ByHand {
    let torrent = torrent();
    fs::remove_file(torrent.piece(3)).expect("removed");
    flip(&torrent.piece(1), 77);
    torrent
}

#[test]
fn only_whole_files_are_written() {
    let torrent = damaged();
    let said = torrent.rtor(["assemble", "--output", "out"]).run().exited(1).json();
    assert_eq!(
        made(&said),
        [
            "top/a skipped 40000 []",
            "top/d/b skipped 20000 []",
            "top/d/e complete 0 []",
            "top/c skipped 10000 []",
        ]
    );
    let out = tree::Tree::at(&torrent.at("out"));
    assert_eq!(out.paths().collect::<Vec<_>>(), ["top/d/e"]);
}

#[test]
fn holes_are_filled_and_told() {
    for (flag, byte) in
        [("--fill-missing", 0), ("--fill-missing=zero", 0), ("--fill-missing=255", 255)]
    {
        let torrent = damaged();
        let said = torrent.rtor(["assemble", "--output", "out", flag]).run().exited(0).json();
        assert_eq!(
            made(&said),
            [
                "top/a filled 40000 [[16384,32768]]",
                "top/d/b filled 20000 [[9152,20000]]",
                "top/d/e complete 0 []",
                "top/c filled 10000 [[0,5536]]",
            ]
        );
        for (path, hole) in [("a", 16_384..32_768), ("d/b", 9_152..20_000), ("c", 0..5_536)] {
            let mut due = torrent.file(path).to_vec();
            due[hole].fill(byte);
            let there = fs::read(torrent.at("out/top").join(path)).expect("written");
            assert!(there == due, "{path} with {flag}");
        }
        let percent = said["assemble"]["percent"].as_f64().expect("a number");
        assert!(
            (percent - 100.0 * (70_000.0 - 2.0 * 16_384.0) / 70_000.0).abs() < 0.01,
            "{percent}"
        );
    }
    let said = torrent().rtor(["assemble", "--fill-missing=256"]).run().exited(2);
    assert!(said.stdout.is_empty() && said.stderr.contains("`256` is neither"), "{}", said.stderr);
}

#[test]
fn only_the_files_that_were_named_are_written() {
    let torrent = damaged();
    fs::remove_file(torrent.piece(0)).expect("removed");
    fs::write(torrent.piece(3), &[torrent.file("d/b"), torrent.file("c")].concat()[9_152..25_536])
        .expect("mended");
    let said =
        torrent.rtor(["assemble", "--output", "out", "--files", "*/b,3"]).run().exited(0).json();
    assert_eq!(made(&said), ["top/d/b complete 20000 []", "top/c complete 10000 []"]);
    let out = tree::Tree::at(&torrent.at("out"));
    assert_eq!(out.paths().collect::<Vec<_>>(), ["top/c", "top/d/b"]);
}

#[test]
fn other_content_is_replaced_only_by_force_and_the_same_is_left() {
    let torrent = torrent();
    torrent.rtor(["assemble", "--output", "out"]).run().exited(0);
    let modified =
        || fs::metadata(torrent.at("out/top/a")).expect("there").modified().expect("a time");
    let before = modified();
    torrent.rtor(["assemble", "--output", "out"]).run().exited(0);
    assert_eq!(modified(), before, "the same content was written again");

    flip(&torrent.at("out/top/a"), 39_999);
    let changed = fs::read(torrent.at("out/top/a")).expect("there");
    let said = torrent.rtor(["assemble", "--output", "out"]).run().refused();
    assert!(said.contains("out/top/a` exists with other content"), "{said}");
    assert!(said.contains("--force"), "{said}");
    assert!(fs::read(torrent.at("out/top/a")).expect("there") == changed);
    torrent.rtor(["assemble", "--output", "out", "--force"]).run().exited(0);
    tree::same(&torrent.at("whole"), &torrent.at("out"));
}

#[test]
fn a_link_is_not_followed_out_of_the_folder() {
    let torrent = torrent();
    fs::create_dir_all(torrent.at("out/top")).expect("a folder");
    fs::create_dir(torrent.at("outside")).expect("a folder");
    std::os::unix::fs::symlink(torrent.at("outside"), torrent.at("out/top/d")).expect("a link");
    let said = torrent.rtor(["assemble", "--output", "out", "--force"]).run().refused();
    assert!(said.contains("out/top/d") && said.contains("symbolic link"), "{said}");
    assert_eq!(fs::read_dir(torrent.at("outside")).expect("a folder").count(), 0);
}

#[test]
fn stores_merge_by_copying_files_together() {
    let torrent = torrent();
    fs::create_dir(torrent.at("other")).expect("a folder");
    for piece in [0, 2, 4] {
        let from = torrent.piece(piece);
        let name = from.file_name().expect("a name").to_owned();
        fs::rename(from, torrent.at("other").join(name)).expect("moved");
    }
    let args = ["assemble", "x.torrent", "--pieces", "other", "--output", "out"];
    torrent.rtor(args).run().exited(1);
    for entry in fs::read_dir(torrent.at("pieces")).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), torrent.at("other").join(entry.file_name())).expect("copied");
    }
    torrent.rtor(args).run().exited(0);
    tree::same(&torrent.at("whole"), &torrent.at("out"));
}

#[test]
fn without_a_store_there_is_one_sentence() {
    let torrent = torrent();
    let said = torrent.rtor(["assemble", "x.torrent", "--pieces", "nothing"]).run().refused();
    assert!(said.contains("nothing`"), "{said}");
    assert!(!torrent.at("nothing").exists());
}
