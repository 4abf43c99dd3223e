//! rtor gives back: what it fetched, another client has from it alone.

use super::{Swarm, one_file};
use crate::harness::peer::complete;
use crate::harness::tree::same;
use crate::harness::{Client, Job, KIB, MIB};
use rustix::process::Signal;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const LEECH: &str = "10.77.0.7";

/// Fetches with `--seed`, loses the first seeder, feeds `client`, and ends with 0 when told to.
#[track_caller]
fn feeds(client: Client, store: &[&str]) {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(8 * MIB + 1, 64 * KIB));
    let mut args = vec![store[0], swarm.torrent.arg(), "--seed", "--listen", "10.77.0.9:6881"];
    args.extend(&store[1..]);
    let mut run = swarm.rtor(args).start();
    // It has told the tracker that it is a seed, and then it is the only one.
    swarm.tracker.knows(&swarm.torrent, 2, 0);
    swarm.seeders.clear();
    let into = swarm.net.folder("leech");
    let leech = client.start(&swarm.net, LEECH, &Job::leech(&swarm.torrent, &into));
    complete(&*leech, PATIENCE);
    run.send(Signal::INT);
    let ran = run.wait(PATIENCE).exited(0);
    let uploaded = ran.json()["fetch"]["uploaded_bytes"].as_u64().expect("a number");
    assert!(uploaded >= 8 * MIB, "{uploaded}");
    drop(leech);
    same(&swarm.content.path(), &into.join(swarm.content.name()));
}

#[test]
fn libtorrent_is_fed_from_a_piece_store() {
    feeds(Client::Libtorrent, &["fetch"]);
}

#[test]
fn transmission_is_fed_from_files() {
    feeds(Client::Transmission, &["get", "--output", "out"]);
}

#[test]
fn aria2_is_fed_from_a_piece_store() {
    feeds(Client::Aria2, &["fetch"]);
}
