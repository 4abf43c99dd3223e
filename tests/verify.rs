//! `rtor verify`: whole is 0, damage is 1, and where it is is said to the byte.

use crate::by_hand::{ByHand, files, flip};
use crate::harness::Rtor;
use serde_json::{Value, json};
use std::fs;

/// Pieces of 16 KiB: `a` 0 to 2.4, `d/b` from there to 3.7, `d/e` empty, `c` to the end of 4.
fn torrent() -> ByHand {
    ByHand::new(16_384, &[("a", 40_000), ("d/b", 20_000), ("d/e", 0), ("c", 10_000)])
}

const KEYS: &[&str] = &["ok_bytes", "length", "bad_ranges"];

fn found(manifest: &Value) -> Vec<String> {
    files(manifest, "verify", KEYS)
}

#[test]
fn a_whole_store_needs_no_manifest_on_stdin_and_keeps_what_it_does_not_know() {
    let torrent = torrent();
    let path = torrent.at("pieces/manifest.json");
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    manifest["later"] = json!({ "stage": [1, 2] });
    fs::write(&path, manifest.to_string()).expect("written");
    for args in [
        &["verify", "pieces"][..],
        &["verify", "pieces/"],
        &["verify"],
        &["verify", "--pieces", "pieces"],
    ] {
        let said = Rtor::new(&torrent.at(""), args).run().exited(0).json();
        let verify = &said["verify"];
        assert_eq!(
            [&verify["ok"], &verify["bad"], &verify["missing"], &verify["of"]],
            [5, 0, 0, 5]
        );
        assert_eq!((&verify["bad_pieces"], &verify["missing_pieces"]), (&json!(""), &json!("")));
        assert_eq!(
            found(&said),
            [
                "top/a ok 40000 40000 []",
                "top/d/b ok 20000 20000 []",
                "top/d/e ok 0 0 []",
                "top/c ok 10000 10000 []",
            ]
        );
        assert_eq!(said["later"], manifest["later"]);
        assert_eq!(said["torrent"], manifest["torrent"]);
    }
}

#[test]
fn damage_in_a_store_is_named_by_piece_and_file_and_byte() {
    let torrent = torrent();
    flip(&torrent.piece(1), 16_383);
    fs::remove_file(torrent.piece(3)).expect("removed");
    fs::write(torrent.piece(4), b"too short").expect("written");
    let said = torrent.rtor(["verify", "pieces"]).run().exited(1).json();
    let verify = &said["verify"];
    assert_eq!([&verify["ok"], &verify["bad"], &verify["missing"], &verify["of"]], [2, 2, 1, 5]);
    assert_eq!((&verify["bad_pieces"], &verify["missing_pieces"]), (&json!("1,4"), &json!("3")));
    assert_eq!(
        found(&said),
        [
            "top/a bad 23616 40000 [[16384,32768]]",
            "top/d/b partial 9152 20000 [[9152,20000]]",
            "top/d/e ok 0 0 []",
            "top/c bad 0 10000 [[0,10000]]",
        ]
    );
    let table = torrent.rtor(["verify", "pieces", "--table"]).run().exited(1).text();
    assert!(table.contains("2 of 5 pieces whole, 2 bad, 1 missing"), "{table}");
    assert!(table.contains("bad pieces: 1,4") && table.contains("top/d/b"), "{table}");
}

#[test]
fn an_empty_store_is_all_missing() {
    let torrent = torrent();
    fs::create_dir(torrent.at("empty")).expect("a folder");
    let said = torrent.rtor(["verify", "x.torrent", "--pieces", "empty"]).run().exited(1).json();
    assert_eq!(said["verify"]["missing_pieces"], "0-4");
    assert_eq!(found(&said)[0], "top/a missing 0 40000 [[0,40000]]");
}

#[test]
fn a_manifest_from_a_pipe_is_verified_and_passed_on() {
    let torrent = torrent();
    let manifest = fs::read(torrent.at("pieces/manifest.json")).expect("there");
    let said = torrent.rtor(["verify"]).stdin(manifest).run().exited(0).json();
    assert_eq!(said["verify"]["ok"], 5);
    assert_eq!(said["rtor"], 1);
}

#[test]
fn data_is_the_folder_or_what_holds_it() {
    let torrent = torrent();
    for data in ["whole", "whole/top", "whole/top/"] {
        let said = torrent.rtor(["verify", "x.torrent", "--data", data]).run().exited(0).json();
        assert_eq!(said["verify"]["ok"], 5, "{data}");
    }
}

#[test]
fn damaged_data_is_an_answer_and_no_failure() {
    let torrent = torrent();
    let at = |path: &str| torrent.at("whole/top").join(path);
    // Short by a byte, a folder where a file should be, absent though empty, two bytes too long.
    fs::write(at("a"), &torrent.file("a")[..39_999]).expect("written");
    fs::remove_file(at("d/b")).expect("removed");
    fs::create_dir(at("d/b")).expect("a folder");
    fs::remove_file(at("d/e")).expect("removed");
    fs::write(at("c"), [torrent.file("c"), b"xx"].concat()).expect("written");
    let said = torrent.rtor(["verify", "x.torrent", "--data", "whole"]).run().exited(1).json();
    assert_eq!(said["verify"]["missing_pieces"], "2-3");
    assert_eq!(
        found(&said),
        [
            "top/a partial 32768 40000 [[32768,40000]]",
            "top/d/b missing 0 20000 [[0,20000]]",
            "top/d/e missing 0 0 []",
            "top/c bad 4464 10000 [[0,5536],[10000,10002]]",
        ]
    );
}

#[test]
fn what_is_not_there_at_all_is_refused() {
    let torrent = torrent();
    let refused = |args: &[&str]| Rtor::new(&torrent.at(""), args).run().refused();
    let said = refused(&["verify", "x.torrent", "--data", "nothing"]);
    assert!(said.contains("nothing`"), "{said}");
    let said = refused(&["verify", "x.torrent", "--pieces", "nothing"]);
    assert!(said.contains("nothing`"), "{said}");
    let said = refused(&["verify", "x.torrent", "--data", "whole/top/a"]);
    assert!(said.contains("one file where the torrent has 4"), "{said}");
    fs::create_dir(torrent.at("empty")).expect("a folder");
    let said = refused(&["verify", "empty"]);
    assert!(said.contains("manifest"), "{said}");
}
