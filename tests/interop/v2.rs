//! The second version of the protocol (BEP 52) with libtorrent: torrents of v2 alone and hybrids, the
//! piece layers that a magnet does not have, and both ways round.

use super::{Swarm, TRACKER};
use crate::harness::libtorrent::Libtorrent;
use crate::harness::peer::complete;
use crate::harness::torrents::Recipe;
use crate::harness::tree::same;
use crate::harness::{Client, Content, Job, KIB, Peer, Torrent, Version, tracker};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const LEECH: &str = "10.77.0.10:51413";
const OURS: &str = "10.77.0.9:7001";
const PIECE_LENGTH: u64 = 16 * KIB;

/// Files of one piece and less, of a few, and of so many that their layer comes in several parts of
/// which the last is short.
fn files(version: Version, piece_length: u64) -> impl FnOnce(&Path) -> (Content, Recipe) {
    move |folder| {
        let files = [
            ("large.bin", 1_300 * piece_length + 5),
            ("a/few.bin", 3 * piece_length),
            ("a/one.bin", piece_length),
            ("a/empty.bin", 0),
            ("small.bin", 77),
        ];
        let content = Content::files(folder, "of v2", files, 3);
        let recipe = Torrent::of(&content).piece_length(piece_length).version(version);
        (content, recipe)
    }
}

fn swarm(version: Version) -> Swarm {
    Swarm::new(&[Client::Libtorrent], files(version, PIECE_LENGTH))
}

/// The magnet with the v2 info hash alone, which names the tracker.
fn magnet(torrent: &Torrent) -> String {
    let tracker = tracker::http(TRACKER).replace(':', "%3A").replace('/', "%2F");
    let hash = torrent.info_hash_v2().expect("it has a v2 half");
    format!("magnet:?xt=urn:btmh:1220{hash}&tr={tracker}")
}

fn decoded(swarm: &Swarm, source: &str) -> Value {
    swarm.rtor(["decode", source]).run().exited(0).json()["torrent"].clone()
}

#[test]
fn a_torrent_of_v2_alone_is_got_from_libtorrent() {
    let swarm = swarm(Version::V2);
    swarm.fetches(&[]);
    std::fs::remove_dir_all(swarm.run.join("out")).expect("it is there");
    swarm.gets(&[]);
}

#[test]
fn two_hundred_odd_files_of_v2_in_pieces_of_several_blocks() {
    let swarm = Swarm::new(&[Client::Libtorrent], |folder| {
        let content = Content::odd_files(folder);
        let recipe = Torrent::of(&content).piece_length(32 * KIB).version(Version::V2);
        (content, recipe)
    });
    swarm.gets(&[]);
}

/// The magnet's manifest is that of the torrent, layers and all.
#[track_caller]
fn magnet_is_got(swarm: &Swarm) {
    let ran = swarm.rtor(["get", &magnet(&swarm.torrent), "--output", "out"]).run().exited(0);
    let (got, whole) = (ran.json()["torrent"].clone(), decoded(swarm, swarm.torrent.arg()));
    for key in ["info", "info_hash_v1", "info_hash_v2", "piece_count", "trackers"] {
        assert_eq!(got[key], whole[key], "{key}");
    }
    swarm.arrived(ran);
}

#[test]
fn a_magnet_of_v2_alone_is_got_from_libtorrent() {
    let swarm = swarm(Version::V2);
    magnet_is_got(&swarm);
    let resolve = swarm.rtor(["magnet", &magnet(&swarm.torrent), "--resolve", "--json"]);
    let resolved = resolve.run().exited(0).json()["torrent"].clone();
    assert_eq!(resolved["piece_layers"], decoded(&swarm, swarm.torrent.arg())["piece_layers"]);
}

#[test]
fn pieces_of_several_blocks_have_layers_above_the_leaves() {
    magnet_is_got(&Swarm::new(&[Client::Libtorrent], files(Version::V2, 64 * KIB)));
}

#[test]
fn a_hybrid_is_got_by_its_v2_hash_alone() {
    magnet_is_got(&swarm(Version::Hybrid));
}

/// What `--resolve -o` writes has all that the torrent had, and libtorrent takes it.
#[track_caller]
fn resolves(version: Version, hashes: &[&str]) {
    let swarm = swarm(version);
    let hash = |kind: &&str| match *kind {
        "btih" => format!("xt=urn:btih:{}", swarm.torrent.info_hash_v1().expect("a v1 half")),
        _ => format!("xt=urn:btmh:1220{}", swarm.torrent.info_hash_v2().expect("a v2 half")),
    };
    let hashes: Vec<String> = hashes.iter().map(hash).collect();
    let uri = format!("magnet:?{}", hashes.join("&"));
    let peer = swarm.seeders[0].addr().to_string();
    let args = ["magnet", &uri, "--resolve", "-o", "found.torrent", "--peer", &peer];
    let ran = swarm.rtor(args).run().exited(0);
    assert_eq!(ran.stderr, "");
    let (found, whole) = (decoded(&swarm, "found.torrent"), decoded(&swarm, swarm.torrent.arg()));
    assert!(whole["piece_layers"].is_string(), "{whole}");
    for key in ["info", "info_hash_v1", "info_hash_v2", "piece_layers"] {
        assert_eq!(found[key], whole[key], "{key}");
    }
    let again = swarm.net.folder("torrents").join("again.torrent");
    let again = Torrent::like(&swarm.run.join("found.torrent")).make(&again);
    assert_eq!(again.info_hash_v2(), swarm.torrent.info_hash_v2());
    assert_eq!(swarm.uploaded_bytes(), 0, "nothing of the content was fetched");
}

#[test]
fn a_magnet_of_v2_alone_becomes_a_torrent_with_its_layers() {
    resolves(Version::V2, &["btmh"]);
}

#[test]
fn a_hybrid_s_magnet_of_v2_becomes_a_torrent_with_its_layers() {
    resolves(Version::Hybrid, &["btmh"]);
}

/// Called by its v1 name, libtorrent answers by the other (BEP 52, "upgrade path").
#[test]
fn a_hybrid_s_magnet_of_both_becomes_a_torrent_with_its_layers() {
    resolves(Version::Hybrid, &["btih", "btmh"]);
}

#[test]
fn a_hybrid_s_magnet_of_v1_becomes_a_torrent_with_a_warning() {
    let swarm = swarm(Version::Hybrid);
    let peer = swarm.seeders[0].addr().to_string();
    let hash = swarm.torrent.info_hash_v1().expect("a hybrid");
    let args = ["magnet", hash, "--resolve", "-o", "found.torrent", "--peer", &peer];
    let ran = swarm.rtor(args).run().exited(0);
    assert!(ran.stderr.contains("warning: no peer sent the `piece layers`"), "{}", ran.stderr);
    assert_eq!(decoded(&swarm, "found.torrent")["piece_layers"], Value::Null);
}

/// A libtorrent that begins with `uri`, or the torrent, has everything from rtor alone.
#[track_caller]
fn feeds(version: Version, magnet: bool) {
    let mut swarm = swarm(version);
    let get = ["get", swarm.torrent.arg(), "--output", "out", "--seed", "--listen", OURS];
    let seeding = swarm.rtor(get).start();
    swarm.tracker.knows(&swarm.torrent, 2, 0);
    swarm.seeders.clear();
    let folder = swarm.net.folder("leech");
    let [leech, ours]: [SocketAddr; 2] =
        [LEECH, OURS].map(|addr| addr.parse().expect("an address"));
    let hash = swarm.torrent.info_hash_v2().expect("it has a v2 half");
    let mut leech: Libtorrent = match magnet {
        true => {
            let uri = format!("magnet:?xt=urn:btmh:1220{hash}");
            Libtorrent::magnet(&swarm.net, leech, &uri, &folder, &[ours])
        }
        false => {
            let job = Job::leech(&swarm.torrent, &folder).peer(ours);
            Libtorrent::start(&swarm.net, leech, &job)
        }
    };
    complete(&leech, PATIENCE);
    // It writes the last of it when it ends.
    leech.process().stop();
    same(&swarm.content.path(), &folder.join(swarm.content.name()));
    drop(seeding);
}

#[test]
fn libtorrent_has_a_torrent_of_v2_alone_from_rtor() {
    feeds(Version::V2, false);
}

#[test]
fn libtorrent_has_a_magnet_of_v2_alone_and_its_layers_from_rtor() {
    feeds(Version::V2, true);
}

#[test]
fn libtorrent_has_a_hybrid_by_its_v2_hash_from_rtor() {
    feeds(Version::Hybrid, true);
}

#[test]
fn rtor_has_a_magnet_of_v2_alone_from_rtor() {
    let mut swarm = swarm(Version::V2);
    let get = ["get", swarm.torrent.arg(), "--output", "first", "--seed", "--listen", OURS];
    let seeding = swarm.rtor(get).start();
    swarm.tracker.knows(&swarm.torrent, 2, 0);
    swarm.seeders.clear();
    let hash = swarm.torrent.info_hash_v2().expect("it is v2");
    let ran = swarm.rtor(["get", hash, "--output", "out", "--peer", OURS]).run().exited(0);
    swarm.arrived(ran);
    drop(seeding);
}
