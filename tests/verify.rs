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
    assert!(table.contains("\n#x#.x\n# whole, x bad, . missing\n"), "{table}");
    // The worst first: 16,384 bytes of `a` are to be mended, 10,848 of `d/b`, 10,000 of `c`.
    let at = |path: &str| table.find(path).expect("it is in the table");
    let order = ["top/a", "top/d/b", "top/c", "top/d/e"].map(at);
    assert!(order.is_sorted(), "{table}");
}

#[test]
fn files_that_have_other_names_now_are_where_map_says() {
    let torrent = torrent();
    let at = |path: &str| torrent.at("whole/top").join(path);
    fs::rename(at("a"), at("A = 1.mkv")).expect("renamed");
    fs::rename(at("d/b"), torrent.at("elsewhere")).expect("moved");
    fs::create_dir(torrent.at("linked")).expect("a folder");
    std::os::unix::fs::symlink(torrent.at("linked"), at("link")).expect("a link");
    fs::rename(at("c"), torrent.at("linked/c")).expect("moved");
    let elsewhere = format!("1={}", torrent.at("elsewhere").display());
    let verify = ["verify", "x.torrent", "--data", "whole/top", "--map", "top/a=A = 1.mkv"];
    let maps = ["--map", &elsewhere, "--map", "c=link/c"];
    let said = torrent.rtor(verify).args(maps).run().exited(0).json();
    assert_eq!(found(&said)[0], "top/a ok 40000 40000 []");
    assert_eq!(said["verify"]["ok"], 5);
    // What is not where it is said to be is missing.
    let maps = ["--map", &elsewhere, "--map", "c=nowhere/c"];
    let said = torrent.rtor(verify).args(maps).run().exited(1).json();
    assert_eq!(found(&said)[3], "top/c missing 0 10000 [[0,10000]]");
}

#[test]
fn a_map_that_names_no_file_is_refused() {
    let torrent = torrent();
    let refused = |map: &[&str]| {
        torrent.rtor(["verify", "x.torrent", "--data", "whole"]).args(map).run().refused()
    };
    for map in ["b=x", "a", "a=", "4=x"] {
        let said = refused(&["--map", map]);
        assert!(said.contains(&format!("`--map {map}` names no file")), "{said}");
    }
    let said = refused(&["--map", "a=x", "--map", "0=y"]);
    assert!(said.contains("`--map 0=y` says of `top/a` a second time"), "{said}");
}

#[test]
fn one_file_may_have_any_name() {
    let torrent = ByHand::new(16_384, &[("only", 50_000)]);
    fs::rename(torrent.at("whole/top/only"), torrent.at("movie.mkv")).expect("renamed");
    let verify = ["verify", "x.torrent", "--data", "movie.mkv"];
    assert_eq!(torrent.rtor(verify).run().exited(0).json()["verify"]["ok"], 4);
    flip(&torrent.at("movie.mkv"), 20_000);
    let said = torrent.rtor(verify).run().exited(1).json();
    assert_eq!(found(&said), ["top/only bad 33616 50000 [[16384,32768]]"]);
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
