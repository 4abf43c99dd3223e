//! `rtor analyze --swarm`: who is there, without a byte of the content.

use super::{COUNT_PATIENCE, Swarm, TRACKER, one_file};
use crate::harness::{Client, KIB, MIB, tracker, until};
use serde_json::Value;

const LENGTH: u64 = 20 * 64 * KIB;

#[track_caller]
fn surveyed(swarm: &Swarm, source: &str, args: &[&str]) -> Value {
    let ran = swarm.rtor(["analyze", source, "--swarm"]).args(args).run().exited(0);
    ran.json()["analysis"]["swarm"].clone()
}

#[test]
fn seeds_are_counted_and_named_and_send_nothing() {
    let swarm = Swarm::new(&[Client::Libtorrent, Client::Aria2], one_file(LENGTH, 64 * KIB));
    let seen = surveyed(&swarm, swarm.torrent.arg(), &[]);
    assert_eq!(seen["seeds"], 2, "{seen}");
    assert_eq!(seen["distributed_copies"], 2.0, "{seen}");
    assert_eq!(seen["rarest_pieces"], "0-19", "{seen}");
    assert_eq!(seen["found"][0]["by"], "tracker", "{seen}");
    assert_eq!(seen["trackers"][0]["url"], tracker::http(TRACKER), "{seen}");
    assert_eq!(seen["trackers"][0]["seeds"], 2, "{seen}");
    assert_eq!(seen["trackers"][0]["downloads"], 0, "of the scrape: {seen}");
    assert_eq!(seen["trackers"][0]["problem"], Value::Null, "{seen}");
    let peers = seen["peers"].as_array().expect("peers");
    let clients: Vec<&str> = peers.iter().filter_map(|peer| peer["client"].as_str()).collect();
    assert!(clients.iter().any(|client| client.contains("libtorrent")), "{seen}");
    assert!(peers.iter().all(|peer| peer["percent"] == 100.0), "{seen}");
    assert!(peers.iter().all(|peer| peer["source"] == "tracker"), "{seen}");
    assert_eq!(swarm.uploaded_bytes(), 0, "nothing was downloaded");
}

#[test]
fn what_only_one_has_is_the_rarest() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(LENGTH, 64 * KIB));
    let half = swarm.rtor(["get", swarm.torrent.arg(), "--range", "0-4", "--seed"]);
    let _half = half.args(["--listen", "10.77.0.9:7001", "--output", "half"]).start();
    swarm.tracker.knows(&swarm.torrent, 1, 1);
    // It announces before it has all five pieces, and nobody else has them.
    until("it has a quarter", COUNT_PATIENCE, || {
        (swarm.uploaded_bytes() >= 5 * 64 * KIB).then_some(())
    });
    let seen = surveyed(&swarm, swarm.torrent.arg(), &[]);
    assert_eq!(seen["seeds"], 1, "{seen}");
    assert_eq!(seen["distributed_copies"], 1.25, "{seen}");
    assert_eq!(seen["rarest_availability"], 1, "{seen}");
    assert_eq!(seen["rarest_pieces"], "5-19", "{seen}");
}

#[test]
fn a_magnet_is_resolved_first() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let hash = swarm.torrent.info_hash_v1().expect("a v1 torrent");
    let peer = swarm.seeders[0].addr().to_string();
    let ran = swarm.rtor(["analyze", hash, "--swarm", "--peer", &peer]).run().exited(0);
    let manifest = ran.json();
    assert_eq!(manifest["torrent"]["name"], swarm.content.name(), "{manifest}");
    assert_eq!(manifest["analysis"]["swarm"]["seeds"], 1, "{manifest}");
    let table = swarm.rtor(["analyze", hash, "--swarm", "--table", "--peer", &peer]);
    let text = table.run().exited(0).text();
    assert!(text.contains("1 seed of 1 peer"), "{text}");
}

#[test]
fn a_dead_tracker_is_said_to_be_so_beside_one_that_counts() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let hash = swarm.torrent.info_hash_v1().expect("a v1 torrent");
    let (udp, dead) = (tracker::udp(TRACKER), "http://10.77.0.99:1/announce");
    let uri = format!("magnet:?xt=urn:btih:{hash}&tr={udp}&tr={dead}");
    let seen = surveyed(&swarm, &uri, &[]);
    let of = |url: &str| {
        let trackers = seen["trackers"].as_array().expect("trackers");
        trackers.iter().find(|tracker| tracker["url"] == url).expect("it is listed").clone()
    };
    assert_eq!((of(&udp)["seeds"].as_u64(), of(&udp)["downloads"].as_u64()), (Some(1), Some(0)));
    assert_eq!(of(dead)["seeds"], Value::Null, "{seen}");
    assert!(of(dead)["problem"].is_string(), "{seen}");
}

#[test]
fn a_magnet_that_nobody_has_is_given_up() {
    let swarm = Swarm::new(&[], one_file(MIB, 64 * KIB));
    let hash = swarm.torrent.info_hash_v1().expect("a v1 torrent");
    let ran = swarm.rtor(["analyze", hash, "--swarm", "--timeout", "1s"]).run().exited(1);
    assert!(ran.stdout.is_empty(), "{}", ran.text());
    assert!(ran.stderr.contains("within 1s: --timeout waits longer"), "{}", ran.stderr);
}

#[test]
fn nobody_at_all_is_no_failure() {
    let swarm = Swarm::new(&[], one_file(MIB, 64 * KIB));
    let seen = surveyed(&swarm, swarm.torrent.arg(), &["--timeout", "4s"]);
    assert_eq!(seen["peers"], serde_json::json!([]), "{seen}");
    assert_eq!(seen["distributed_copies"], 0.0, "{seen}");
    assert_eq!(seen["rarest_count"], 16, "{seen}");
}
