//! Downloads from each of the three clients, and from all of them at once.

use super::{COUNT_PATIENCE, Swarm, one_file};
use crate::harness::{Client, KIB, MIB, until};

/// A file whose last piece and last block are odd.
const LENGTH: u64 = 3 * MIB + 12_345;

#[track_caller]
fn fetch_from(client: Client) {
    let swarm = Swarm::new(&[client], one_file(LENGTH, 64 * KIB));
    let fetch = swarm.fetches(&[]);
    assert_eq!(fetch["store"], "pieces", "{fetch}");
    swarm.sent(LENGTH);
}

#[track_caller]
fn get_from(client: Client) {
    let swarm = Swarm::new(&[client], one_file(LENGTH, 64 * KIB));
    let fetch = swarm.gets(&[]);
    assert_eq!(fetch["store"], "files", "{fetch}");
    swarm.sent(LENGTH);
}

#[test]
fn fetch_from_transmission() {
    fetch_from(Client::Transmission);
}

#[test]
fn fetch_from_aria2() {
    fetch_from(Client::Aria2);
}

#[test]
fn fetch_from_libtorrent() {
    fetch_from(Client::Libtorrent);
}

#[test]
fn get_from_transmission() {
    get_from(Client::Transmission);
}

#[test]
fn get_from_aria2() {
    get_from(Client::Aria2);
}

#[test]
fn get_from_libtorrent() {
    get_from(Client::Libtorrent);
}

/// A seeder with a limit sends in bursts; its pauses are no reason to ask it for the same again.
#[track_caller]
fn nothing_twice_from_a_slow(client: Client) {
    let swarm = Swarm::limited(&[(client, MIB)], one_file(4 * MIB, 64 * KIB));
    let fetch = swarm.fetches(&[]);
    let duplicate = fetch["duplicate_bytes"].as_u64().expect("a number");
    assert!(duplicate <= 4 * MIB / 100, "{duplicate} bytes came twice: {fetch}");
}

#[test]
fn nothing_comes_twice_from_a_slow_libtorrent() {
    nothing_twice_from_a_slow(Client::Libtorrent);
}

#[test]
fn nothing_comes_twice_from_a_slow_aria2() {
    nothing_twice_from_a_slow(Client::Aria2);
}

#[test]
fn nothing_comes_twice_from_a_slow_transmission() {
    nothing_twice_from_a_slow(Client::Transmission);
}

/// All three seed, each so slowly that one of them alone would take three times as long; all of
/// them must have given something. Slow enough, too, for Transmission, which lets nobody in for
/// its first 10 seconds.
#[track_caller]
fn from_all_by(strategy: &str) {
    let clients = Client::ALL.map(|client| (client, 512 * KIB));
    let swarm = Swarm::limited(&clients, one_file(16 * MIB, 128 * KIB));
    let fetch = swarm.fetches(&["--strategy", strategy]);
    assert_eq!(fetch["strategy"], strategy, "{fetch}");
    for (seeder, client) in swarm.seeders.iter().zip(Client::ALL) {
        let what = format!("{client:?} gave something: {fetch}");
        until(&what, COUNT_PATIENCE, || (seeder.progress().uploaded_bytes > 0).then_some(()));
    }
    let duplicate = fetch["duplicate_bytes"].as_u64().expect("a number");
    assert!(duplicate <= 16 * MIB / 100, "{duplicate} bytes came twice: {fetch}");
}

#[test]
fn from_all_three_at_once_rarest_first() {
    from_all_by("rarest");
}

#[test]
fn from_all_three_at_once_in_order() {
    from_all_by("sequential");
}

#[test]
fn from_all_three_at_once_at_random() {
    from_all_by("random");
}
