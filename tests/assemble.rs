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
fn piece_files_of_other_programs_are_read_and_not_trusted() {
    for name in ["piece_{index}.bin", "{index}.piece", "part-{index}-of-5.dat"] {
        let torrent = torrent();
        for piece in 0..5 {
            let to = name.replace("{index}", &format!("{piece:03}"));
            fs::rename(torrent.piece(piece), torrent.at("pieces").join(to)).expect("moved");
        }
        let own = ["--pattern", "part-{index}-of-5.dat"];
        let args = ["assemble", "--output", "out", own[0], own[1]];
        torrent.rtor(args).run().exited(0);
        tree::same(&torrent.at("whole"), &torrent.at("out"));

        // A wrong byte, and a wrong size.
        let there = |piece: &str| torrent.at("pieces").join(name.replace("{index}", piece));
        flip(&there("001"), 9);
        let bytes = fs::read(there("003")).expect("a file");
        fs::write(there("003"), &bytes[1..]).expect("written");
        let args = ["assemble", "--output", "again", own[0], own[1], "--fill-missing"];
        let said = torrent.rtor(args).run().exited(0).json();
        assert_eq!(made(&said)[0], "top/a filled 40000 [[16384,32768]]", "{name}");
        assert_eq!(made(&said)[3], "top/c filled 10000 [[0,5536]]", "{name}");
    }
    let said = torrent().rtor(["assemble", "--pattern", "d/{index}"]).run().refused();
    assert!(said.contains("`d/{index}` is no pattern"), "{said}");
}

/// Somewhere else: `a` renamed and damaged in piece 0, `c` renamed, and piece 3 in no store.
fn attic(torrent: &ByHand) {
    fs::create_dir_all(torrent.at("attic/deep")).expect("a folder");
    let mut bytes = torrent.file("a").to_vec();
    bytes[5] ^= 1;
    fs::write(torrent.at("attic/movie"), bytes).expect("a file");
    fs::write(torrent.at("attic/deep/x"), torrent.file("c")).expect("a file");
    let shared = [torrent.file("d/b"), torrent.file("c")].concat();
    fs::write(torrent.at("attic/blob"), &shared[9_152..25_536]).expect("a file");
}

#[test]
fn what_lies_elsewhere_is_found_and_told() {
    let torrent = torrent();
    attic(&torrent);
    for piece in [1, 3, 4] {
        fs::remove_file(torrent.piece(piece)).expect("removed");
    }
    let args = ["assemble", "--output", "out", "--from", "attic"];
    let said = torrent.rtor(args).run().exited(0).json();
    tree::same(&torrent.at("whole"), &torrent.at("out"));
    assert_eq!(said["assemble"]["percent"], 100.0);
    let from = said["assemble"]["from"].as_array().expect("a list");
    let from = from.iter().map(|it| {
        let path = it["path"].as_str().expect("a path").rsplit("attic/").next().expect("below");
        format!("{path} {}", it["pieces"].as_str().expect("pieces"))
    });
    assert_eq!(from.collect::<Vec<_>>(), ["blob 3", "deep/x 4", "movie 1"]);
}

#[test]
fn without_any_store_other_places_are_enough() {
    let torrent = torrent();
    fs::rename(torrent.at("pieces"), torrent.at("elsewhere")).expect("moved");
    fs::remove_file(torrent.at("elsewhere/piece_0_complete.bin")).expect("removed");
    let args = ["assemble", "x.torrent", "--output", "out", "--from", "elsewhere"];
    let said = torrent.rtor(args).run().exited(1).json();
    assert_eq!(made(&said)[0], "top/a skipped 40000 []");
    assert_eq!(made(&said)[1], "top/d/b complete 20000 []");
    attic(&torrent);
    fs::write(torrent.at("attic/first"), &torrent.file("a")[..20_000]).expect("a file");
    fs::rename(torrent.at("attic/first"), torrent.at("attic/a.part")).expect("moved");
    let args = ["assemble", "x.torrent", "-o", "out", "--from", "elsewhere", "--from", "attic"];
    torrent.rtor(args).run().exited(0);
    tree::same(&torrent.at("whole"), &torrent.at("out"));
    let said = torrent.rtor(["assemble", "x.torrent", "--from", "nowhere"]).run().refused();
    assert!(said.contains("nowhere`"), "{said}");
}

#[test]
fn the_report_is_the_manifest_with_what_was_filled() {
    let torrent = damaged();
    let args = ["assemble", "-o", "out", "--fill-missing", "--report", "out.json"];
    let said = torrent.rtor(args).run().exited(0).json();
    let report = fs::read(torrent.at("out.json")).expect("written");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report, said);
    assert_eq!(made(&report)[0], "top/a filled 40000 [[16384,32768]]");
    // So whoever has it can go on from there.
    let verified = torrent.rtor(["verify", "out.json", "--data", "out"]).run().exited(1).json();
    assert_eq!(verified["verify"]["ok"], 3);
}

#[test]
fn a_hundred_thousand_files_are_looked_through() {
    let torrent = torrent();
    fs::rename(torrent.at("pieces"), torrent.at("elsewhere")).expect("moved");
    for folder in 0..100 {
        let folder = torrent.at(&format!("heap/{folder}"));
        fs::create_dir_all(&folder).expect("a folder");
        for file in 0..1000 {
            let made = fs::File::create(folder.join(format!("{file}"))).expect("a file");
            made.set_len(file).expect("a length");
        }
    }
    for path in ["a", "d/b", "c"] {
        let hidden = torrent.at(&format!("heap/{}/hidden", path.len()));
        fs::write(hidden.with_extension(path.replace('/', "-")), torrent.file(path))
            .expect("a file");
    }
    let args = ["assemble", "x.torrent", "-o", "out", "--from", "heap"];
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
