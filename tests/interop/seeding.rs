//! rtor gives back: what it fetched, another client has from it alone.

use super::{Swarm, one_file};
use crate::harness::peer::complete;
use crate::harness::tree::same;
use crate::harness::{Client, Job, KIB, MIB, Started, until};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
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

/// A network with a tracker and content, where nobody seeds but rtor.
fn alone() -> Swarm {
    Swarm::new(&[], one_file(16 * MIB + 1, 64 * KIB))
}

/// `rtor seed` of the swarm's content, until it is told to stop or has given it once.
fn seed<'a>(swarm: &'a Swarm, data: &'a str, more: &[&'a str]) -> Started {
    let args = ["seed", swarm.torrent.arg(), "--listen", "10.77.0.9:6881", "--data", data];
    swarm.rtor(args).args(more).start()
}

/// `client` has everything from `rtor seed` alone, which ends when it has given enough.
#[track_caller]
fn is_fed_from_data(client: Client) {
    let swarm = alone();
    let data = swarm.content.path();
    let run = seed(&swarm, data.to_str().expect("a path"), &["--ratio", "1"]);
    swarm.tracker.knows(&swarm.torrent, 1, 0);
    let into = swarm.net.folder("leech");
    let leech = client.start(&swarm.net, LEECH, &Job::leech(&swarm.torrent, &into));
    let ran = run.wait(PATIENCE).exited(0);
    let told = ran.json();
    let seeded = &told["seed"];
    assert_eq!((&seeded["ended"], &seeded["store"]), (&"goal".into(), &"files".into()));
    assert_eq!(seeded["have"], seeded["of"]);
    let uploaded = seeded["uploaded_bytes"].as_u64().expect("a number");
    assert!(uploaded > 16 * MIB, "{uploaded}");
    assert_eq!(seeded["peers"][0]["uploaded_bytes"], uploaded);
    complete(&*leech, PATIENCE);
    drop(leech);
    same(&data, &into.join(swarm.content.name()));
}

#[test]
fn libtorrent_is_fed_by_seed_alone() {
    is_fed_from_data(Client::Libtorrent);
}

#[test]
fn transmission_is_fed_by_seed_alone() {
    is_fed_from_data(Client::Transmission);
}

#[test]
fn aria2_is_fed_by_seed_alone() {
    is_fed_from_data(Client::Aria2);
}

#[test]
fn several_at_once_are_fed_by_a_super_seed() {
    let swarm = alone();
    let data = swarm.content.path();
    let mut run = seed(&swarm, data.to_str().expect("a path"), &["--super"]);
    swarm.tracker.knows(&swarm.torrent, 1, 0);
    let into = ["a", "b", "c"].map(|name| swarm.net.folder(name));
    let leech = |(n, folder): (u32, &PathBuf)| {
        let host = format!("10.77.0.{}", 20 + n);
        Client::Libtorrent.start(&swarm.net, &host, &Job::leech(&swarm.torrent, folder))
    };
    let leeches: Vec<_> = (0..).zip(&into).map(leech).collect();
    for leech in &leeches {
        complete(&**leech, PATIENCE);
    }
    run.send(Signal::INT);
    let ran = run.wait(PATIENCE).exited(0);
    assert_eq!(ran.json()["seed"]["ended"], "stopped");
    drop(leeches);
    into.iter().for_each(|folder| same(&data, &folder.join(swarm.content.name())));
}

#[test]
fn what_is_whole_of_damaged_data_is_offered_and_nothing_else() {
    let swarm = alone();
    let copy = swarm.net.folder("copy").join(swarm.content.name());
    let mut bytes = fs::read(swarm.content.path()).expect("the content");
    // Pieces 1 and 2.
    bytes[64 * 1024 + 5] ^= 1;
    bytes[3 * 64 * 1024 - 1] ^= 1;
    fs::write(&copy, bytes).expect("a folder takes a file");
    let mut run = seed(&swarm, copy.to_str().expect("a path"), &[]);
    swarm.tracker.knows(&swarm.torrent, 0, 1);
    let into = swarm.net.folder("leech");
    let leech = Client::Libtorrent.start(&swarm.net, LEECH, &Job::leech(&swarm.torrent, &into));
    let whole = 16 * MIB + 1 - 2 * 64 * KIB;
    until("the leech has what is whole", PATIENCE, || {
        (leech.progress().downloaded_bytes >= whole).then_some(())
    });
    assert!(!leech.progress().complete);
    run.send(Signal::INT);
    let ran = run.wait(PATIENCE).exited(0);
    assert!(ran.stderr.contains("2 of 257 pieces in"), "{}", ran.stderr);
    let told = ran.json();
    assert_eq!((&told["seed"]["have"], &told["seed"]["pieces"]), (&255.into(), &"0,3-256".into()));
}

#[test]
fn a_partial_store_is_seeded_for_a_while() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(4 * MIB, 64 * KIB));
    swarm.rtor(["fetch", swarm.torrent.arg(), "--range", "0-9"]).run().exited(0);
    let ran = swarm.rtor(["seed", "--no-trackers", "--for", "200ms"]).run().exited(0);
    let told = ran.json();
    let seeded = &told["seed"];
    assert_eq!((&seeded["store"], &seeded["ended"]), (&"pieces".into(), &"goal".into()));
    assert_eq!((&seeded["have"], &seeded["of"]), (&10.into(), &64.into()));
}

#[test]
fn there_must_be_something_to_seed() {
    let swarm = alone();
    let empty = swarm.net.folder("empty");
    let named = ["seed", swarm.torrent.arg(), "--data", empty.to_str().expect("a path")];
    let ran = swarm.rtor(named).run().exited(1);
    assert!(ran.stderr.contains("nothing to seed"), "{}", ran.stderr);
    let said = swarm.rtor(["seed", swarm.torrent.arg(), "--pieces", "nowhere"]).run().refused();
    assert!(said.contains("`nowhere`") || said.contains("nowhere"), "{said}");
    let hash = "0123456789012345678901234567890123456789";
    let said = swarm.rtor(["seed", hash]).run().refused();
    assert!(said.contains("is not known yet"), "{said}");
}
