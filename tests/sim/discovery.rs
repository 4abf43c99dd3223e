//! Swarms that discovery guests alone bring together, on virtual time: the plugin files are those of
//! real downloads.

use crate::harness::run::Rtor;
use serde_json::Value;
use std::fs;

/// A seed and leeches that nobody tells of each other but the guests of `discover`.
fn scenario(discover: &str, more: &str) -> String {
    format!(
        r#"
        [torrent]
        pieces = 32
        piece_length = "64KiB"
        [swarm]
        discover = [{discover}]
        {more}
        [run]
        limit = "20m"
        idle = "10m"
        [[group]]
        name = "seed"
        role = "seed"
        up = "1M"
        down = "1M"
        [[group]]
        name = "home"
        count = 24
        role = "leech"
        up = "200kB"
        down = "2M"
        loss = "0.2%"
        joins = "0s..10s"
        "#
    )
}

#[track_caller]
fn plays(scenario: &str, code: i32) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("scenario.toml"), scenario).expect("a folder takes a file");
    let run = Rtor::new(folder.path(), ["sim", "scenario.toml", "--json"]).run().exited(code);
    run.json()
}

fn found(play: &Value, guest: &str) -> u64 {
    play["total"]["peers_found"][guest].as_u64().unwrap_or(0)
}

/// Everybody completes, and `guest` alone found whom they have it from.
#[track_caller]
fn found_by(guest: &str) {
    let play = plays(&scenario(&format!("\"{guest}\""), ""), 0);
    assert_eq!(play["total"]["awaited_completed"], 24, "{play}");
    assert!(found(&play, guest) >= 24, "everybody was found somehow: {play}");
    assert_eq!(play["total"]["broke_protocol"], 0, "{play}");
}

#[test]
fn a_tracker_brings_a_swarm_together() {
    found_by("tracker");
}

#[test]
fn the_dht_brings_a_swarm_together() {
    found_by("dht");
}

#[test]
fn the_local_network_brings_a_swarm_together() {
    found_by("lsd");
}

#[test]
fn whom_a_tracker_does_not_name_peers_do() {
    let play = plays(&scenario(r#""tracker", "pex""#, "told = 2"), 0);
    assert!(found(&play, "pex") > 0, "{play}");
}

#[test]
fn pex_alone_finds_nobody() {
    let play = plays(&scenario(r#""pex""#, ""), 1);
    assert_eq!(play["total"]["completed"], 0, "{play}");
    assert_eq!(play["ended"], "idle", "{play}");
}

#[test]
fn a_guest_that_there_is_not_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = scenario(r#""gossip""#, "");
    fs::write(folder.path().join("scenario.toml"), text).expect("a folder takes a file");
    let why = Rtor::new(folder.path(), ["sim", "scenario.toml"]).run().exited(2).refused();
    assert!(why.contains("gossip"), "{why}");
}
