//! `decode | analyze | fetch | verify | assemble` through real pipes.

use super::{Swarm, one_file};
use crate::harness::tree::same;
use crate::harness::{Client, KIB, MIB, Rtor, Tree, pipeline};

/// The stages that the contract names, with `analyze` or without.
fn stages(swarm: &Swarm) -> [Rtor; 4] {
    [
        swarm.rtor(["decode", swarm.torrent.arg()]),
        swarm.rtor(["fetch", "--strategy", "rarest"]),
        swarm.rtor(["verify"]),
        swarm.rtor(["assemble", "--output", "out"]),
    ]
}

#[test]
fn decode_fetch_verify_assemble_gives_the_same_bytes() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(5 * MIB + 3, 64 * KIB));
    let [decode, fetch, verify, assemble] = pipeline(stages(&swarm)).map(|ran| ran.exited(0));
    for stage in [decode, fetch, verify] {
        assert!(stage.stdout.is_empty(), "its data goes to the next");
    }
    let manifest = assemble.json();
    let sections: Vec<_> = manifest.as_object().expect("an object").keys().collect();
    assert_eq!(sections, ["rtor", "torrent", "fetch", "verify", "assemble"]);
    assert_eq!(manifest["torrent"]["info_hash_v1"], swarm.torrent.info_hash_v1().expect("v1"));
    assert_eq!(manifest["verify"]["ok"], swarm.torrent.piece_count());
    assert_eq!(manifest["verify"]["bad"], 0);
    assert_eq!(manifest["assemble"]["percent"], 100.0);
    swarm.arrived(assemble);
}

#[test]
fn analyze_fits_in_between() {
    let swarm = Swarm::new(&[Client::Aria2], one_file(MIB, 64 * KIB));
    let [decode, fetch, verify, assemble] = stages(&swarm);
    let ran = pipeline([decode, swarm.rtor(["analyze"]), fetch, verify, assemble]);
    let [.., last] = ran.map(|ran| ran.exited(0));
    assert!(last.json()["analysis"].is_object());
    swarm.arrived(last);
}

#[test]
fn a_store_speaks_for_itself_when_nothing_is_piped() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 5, 64 * KIB));
    swarm.rtor(["fetch", swarm.torrent.arg()]).run().exited(0);
    let verified = swarm.rtor(["verify", "pieces/"]).run().exited(0).json();
    assert_eq!(verified["verify"]["ok"], swarm.torrent.piece_count());

    // One piece spoiled, one lost: the answer is no, and the rest can be had all the same.
    let piece = |index| swarm.run.join(format!("pieces/piece_{index}_complete.bin"));
    std::fs::write(piece(3), vec![0; 64 << 10]).expect("a piece is a file");
    std::fs::remove_file(piece(7)).expect("a piece is a file");
    let verified = swarm.rtor(["verify", "pieces/"]).run().exited(1).json();
    assert_eq!(verified["verify"]["bad_pieces"], "3");
    assert_eq!(verified["verify"]["missing_pieces"], "7");
    swarm.rtor(["assemble", "--output", "unfilled"]).run().exited(1);
    let filled = swarm.rtor(["assemble", "--fill-missing", "--output", "filled"]).run().exited(0);
    assert_eq!(filled.json()["assemble"]["files"][0]["state"], "filled");
    assert!(filled.json()["assemble"]["percent"].as_f64() < Some(100.0));
    let path = swarm.run.join("filled").join(swarm.content.name());
    let (source, filled) = (std::fs::read(swarm.content.path()), std::fs::read(path));
    let (source, filled) = (source.expect("a file"), filled.expect("a file"));
    assert_eq!(filled.len(), source.len());
    assert_eq!(filled[..3 << 16], source[..3 << 16]);
    assert_eq!(filled[8 << 16..], source[8 << 16..]);

    // And fetch mends it.
    swarm.rtor(["fetch", swarm.torrent.arg()]).run().exited(0);
    swarm.rtor(["assemble", "--output", "out"]).run().exited(0);
    same(&swarm.content.path(), &swarm.run.join("out").join(swarm.content.name()));
}

#[test]
fn two_ranges_in_two_stores_make_one_file() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    for (range, store) in [("0-6", "left"), ("7-15", "right")] {
        let args = ["fetch", swarm.torrent.arg(), "--range", range, "--pieces", store];
        swarm.rtor(args).run().exited(0);
        let pieces = Tree::at(&swarm.run.join(store));
        let complete = pieces.paths().filter(|path| path.ends_with("_complete.bin")).count();
        assert_eq!(complete, if store == "left" { 7 } else { 9 });
    }
    for piece in std::fs::read_dir(swarm.run.join("right")).expect("a store is a folder") {
        let piece = piece.expect("a store is a folder");
        let into = swarm.run.join("left").join(piece.file_name());
        std::fs::copy(piece.path(), into).expect("a file can be copied");
    }
    swarm.rtor(["assemble", "--pieces", "left", "--output", "out"]).run().exited(0);
    same(&swarm.content.path(), &swarm.run.join("out").join(swarm.content.name()));
}

/// Each machine its own network, swarm and store; what they fetched is copied together.
#[test]
fn two_machines_fetch_a_range_each_and_a_third_assembles() {
    let content = || one_file(MIB, 64 * KIB);
    let left = Swarm::new(&[Client::Libtorrent], content());
    let right = Swarm::new(&[Client::Transmission], content());
    let hash = |swarm: &Swarm| swarm.torrent.info_hash_v1().expect("v1").to_owned();
    assert_eq!(hash(&left), hash(&right), "two machines, one torrent");
    for (swarm, range) in [(&left, "0-6"), (&right, "7-")] {
        let args = ["fetch", swarm.torrent.arg(), "--range", range];
        swarm.rtor(args).run().exited(0);
    }
    let (ours, theirs) = (left.run.join("pieces"), right.run.join("pieces"));
    let apart = ["assemble", "--from", theirs.to_str().expect("UTF-8"), "--output", "apart"];
    left.rtor(apart).run().exited(0);
    same(&left.content.path(), &left.run.join("apart").join(left.content.name()));

    for piece in std::fs::read_dir(&theirs).expect("a store is a folder") {
        let piece = piece.expect("a store is a folder");
        std::fs::copy(piece.path(), ours.join(piece.file_name())).expect("a file can be copied");
    }
    let verified = left.rtor(["verify", "pieces"]).run().exited(0).json();
    assert_eq!(verified["verify"]["ok"], left.torrent.piece_count());
    left.rtor(["assemble", "--output", "out"]).run().exited(0);
    same(&left.content.path(), &left.run.join("out").join(left.content.name()));
}

/// What lies elsewhere is not downloaded again, into either store.
#[test]
fn a_download_begins_with_what_lies_elsewhere() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let bytes = std::fs::read(swarm.content.path()).expect("a file");
    let attic = swarm.run.join("attic");
    std::fs::create_dir(&attic).expect("a folder");
    let mut damaged = bytes;
    damaged[5 << 16] ^= 1;
    std::fs::write(attic.join("renamed"), damaged).expect("a file");
    for verb in ["fetch", "get"] {
        let args = [verb, swarm.torrent.arg(), "--from", "attic"];
        let said = swarm.rtor(args).run().exited(0).json();
        assert_eq!(said["fetch"]["downloaded_bytes"], 64 * KIB, "{verb}");
        assert_eq!(said["fetch"]["from"][0]["pieces"], "0-4,6-15", "{verb}");
    }
    same(&swarm.content.path(), &swarm.run.join(swarm.content.name()));
}
