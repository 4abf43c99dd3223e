//! Strategies from files, through the binary: a peer that only records sees in which order pieces
//! are requested over the wire.

use crate::harness::{Content, EvilPeer, KIB, Net, Rtor, Torrent, Trick};
use crate::plugins::{compiled, external};
use std::path::Path;

/// Pieces of the torrent, of one block each: more than rtor asks for at first.
const PIECES: u64 = 50;
/// Requests that are sure to come before the first answer.
const REQUESTS: usize = 12;

/// What a peer is asked for first under `--strategy NAME --plugin FILE`.
fn requested(strategy: &str, plugin: Option<&Path>) -> Vec<u64> {
    let net = Net::new();
    let content = Content::file(&net.folder("source"), "one.bin", PIECES * 16 * KIB, 1);
    let file = net.folder("torrents").join("x.torrent");
    let torrent = Torrent::of(&content).piece_length(16 * KIB).make(&file);
    let peer = EvilPeer::start(&net, "10.77.0.20", Trick::Records, &torrent, None);
    let addr = peer.addr().to_string();
    let run = net.folder("run");
    let mut args = vec!["fetch", torrent.arg(), "--peer", &addr, "--strategy", strategy];
    args.extend(["--listen", "10.77.0.9:6881", "--timeout", "1s"]);
    let plugin = plugin.map(|file| file.to_str().expect("a plain path"));
    args.extend(plugin.iter().flat_map(|file| ["--plugin", file]));
    // The peer answers nothing, so that is how it ends.
    Rtor::new(&run, args).within(&net).run().exited(1);
    let pieces = peer.requested();
    assert!(pieces.len() >= REQUESTS, "{pieces:?}");
    pieces[..REQUESTS].to_vec()
}

#[test]
fn a_strategy_of_another_crate_decides_what_is_requested() {
    let (_folder, file) = external();
    let evens: Vec<u64> = (0..PIECES).step_by(2).take(REQUESTS).collect();
    assert_eq!(requested("evens", Some(&file)), evens);
}

#[test]
fn a_strategy_in_plain_c_decides_what_is_requested() {
    let (_folder, file) = compiled("plugins/examples/backwards.c", &[]);
    let backwards: Vec<u64> = (0..PIECES).rev().take(REQUESTS).collect();
    assert_eq!(requested("backwards", Some(&file)), backwards);
}

#[test]
fn the_bundled_strategies_differ_on_the_wire() {
    let in_order: Vec<u64> = (0..PIECES).take(REQUESTS).collect();
    assert_eq!(requested("sequential", None), in_order);
    assert_ne!(requested("random", None), in_order);
    let head_tail_window = [0, 48, 49, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    assert_eq!(requested("streaming:window=8,tail=2", None), head_tail_window);
}
