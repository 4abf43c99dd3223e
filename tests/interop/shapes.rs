//! Torrents of other shapes: many odd files, one large one, and those that nobody here made.

use super::{Swarm, one_file};
use crate::harness::tree::Tree;
use crate::harness::{Client, Content, GIB, KIB, MIB, Torrent, Version};
use std::time::Duration;

#[test]
fn two_hundred_odd_files_into_pieces_and_out_again() {
    let swarm = Swarm::new(&[Client::Libtorrent], |folder| {
        let content = Content::odd_files(folder);
        let recipe = Torrent::of(&content).piece_length(32 * KIB);
        (content, recipe)
    });
    swarm.fetches(&[]);
    let tree = Tree::at(&swarm.run.join("out").join(swarm.content.name()));
    assert_eq!(tree.paths().count(), 200);
}

#[test]
fn two_hundred_odd_files_straight_into_place() {
    let swarm = Swarm::new(&[Client::Aria2], |folder| {
        let content = Content::odd_files(folder);
        let recipe = Torrent::of(&content).piece_length(16 * KIB);
        (content, recipe)
    });
    swarm.gets(&[]);
}

#[test]
fn a_gigabyte_in_one_file() {
    let swarm = Swarm::new(&[Client::Libtorrent], |_| {
        let (content, torrent) = Content::gigabyte();
        (content, Torrent::like(&torrent))
    });
    let args = ["get", swarm.torrent.arg(), "--output", "out", "--max-memory", "64MiB"];
    let ran = swarm.rtor(args).patience(Duration::from_secs(300)).run().exited(0);
    let peak = ran.peak_bytes;
    let fetch = swarm.arrived(ran);
    assert!(fetch["downloaded_bytes"].as_u64().expect("a number") >= GIB, "{fetch}");
    let buffers = fetch["peak_memory_bytes"].as_u64().expect("a number");
    assert!(buffers <= 64 * MIB, "buffers took {buffers} bytes");
    assert!(peak < 160 * MIB, "rtor had {peak} bytes resident");
}

/// A torrent of `webtorrent-fixtures`, from a client that is not theirs either.
#[track_caller]
fn fixture(torrent: &str, content: &str, client: Client) {
    let swarm = Swarm::new(&[client], |_| (Content::fixture(content), Torrent::fixture(torrent)));
    swarm.fetches(&[]);
    std::fs::remove_dir_all(swarm.run.join("out")).expect("it is there");
    swarm.gets(&[]);
}

#[test]
fn leaves_of_grass() {
    fixture("leaves", "Leaves of Grass by Walt Whitman.epub", Client::Libtorrent);
}

#[test]
fn alice() {
    fixture("alice", "alice.txt", Client::Aria2);
}

#[test]
fn numbers() {
    fixture("numbers", "numbers", Client::Libtorrent);
}

#[test]
fn lots_of_numbers() {
    fixture("lots-of-numbers", "lots-of-numbers", Client::Aria2);
}

#[test]
fn pieces_larger_than_the_file() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(5, 4 * MIB));
    swarm.fetches(&[]);
}

#[test]
fn pieces_of_one_block() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(2 * MIB - 1, 16 * KIB));
    swarm.gets(&[]);
}

#[test]
fn a_hybrid_is_downloaded_by_its_v1_half_and_its_padding_never_written() {
    let swarm = Swarm::new(&[Client::Libtorrent], |folder| {
        let content = Content::odd_files(folder);
        let recipe = Torrent::of(&content).piece_length(16 * KIB).version(Version::Hybrid);
        (content, recipe)
    });
    // The tree that arrives is compared with the source, so a padding file would be one too many.
    swarm.fetches(&[]);
    std::fs::remove_dir_all(swarm.run.join("out")).expect("it is there");
    swarm.gets(&[]);
}
