//! Magnets: the metadata comes from other people's clients, and others have it from rtor.

use super::{Swarm, TRACKER, one_file};
use crate::harness::libtorrent::Libtorrent;
use crate::harness::peer::complete;
use crate::harness::torrents::Recipe;
use crate::harness::tree::same;
use crate::harness::{Client, Content, EvilPeer, KIB, MIB, Torrent, Trick, pipeline, tracker};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// With pieces so small that the info dictionary has several pieces itself: 20 bytes for each.
const LENGTH: u64 = 32 * MIB + 12_345;
const PIECE_LENGTH: u64 = 16 * KIB;
const PATIENCE: Duration = Duration::from_secs(60);

fn hash(torrent: &Torrent) -> &str {
    torrent.info_hash_v1().expect("a v1 torrent")
}

/// Names the tracker, as most magnets do.
fn magnet(torrent: &Torrent) -> String {
    let tracker = tracker::http(TRACKER).replace(':', "%3A").replace('/', "%2F");
    format!("magnet:?xt=urn:btih:{}&dn=what+it+is&tr={tracker}", hash(torrent))
}

#[track_caller]
fn gets_from(client: Client) {
    let swarm = Swarm::new(&[client], one_file(LENGTH, PIECE_LENGTH));
    let ran = swarm.rtor(["get", &magnet(&swarm.torrent), "--output", "out"]).run().exited(0);
    let torrent = ran.json()["torrent"].clone();
    assert_eq!(torrent["name"], swarm.content.name(), "{torrent}");
    assert!(torrent["info"].is_string(), "{torrent}");
    swarm.arrived(ran);
    swarm.sent(LENGTH);
}

#[test]
fn a_magnet_is_got_from_transmission() {
    gets_from(Client::Transmission);
}

#[test]
fn a_magnet_is_got_from_aria2() {
    gets_from(Client::Aria2);
}

#[test]
fn a_magnet_is_got_from_libtorrent() {
    gets_from(Client::Libtorrent);
}

#[test]
fn a_bare_info_hash_is_got_from_a_peer_that_the_user_names() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let peer = swarm.seeders[0].addr().to_string();
    let hash = hash(&swarm.torrent).to_uppercase();
    let ran = swarm.rtor(["get", &hash, "--output", "out", "--peer", &peer]).run().exited(0);
    swarm.arrived(ran);
}

#[test]
fn a_magnet_with_a_peer_and_a_hash_in_base32_needs_nothing_else() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let peer = swarm.seeders[0].addr();
    let uri = format!("magnet:?xt=urn:btih:{}&x.pe={peer}", base32(hash(&swarm.torrent)));
    let ran = swarm.rtor(["get", &uri, "--output", "out", "--no-trackers"]).run().exited(0);
    swarm.arrived(ran);
}

/// RFC 4648, of hexadecimal digits: 5 of those are 4 of these.
fn base32(hex: &str) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let five = |five: &[u8]| {
        let text = std::str::from_utf8(five).expect("ASCII");
        let bits = u32::from_str_radix(text, 16).expect("hexadecimal");
        [15, 10, 5, 0].map(|shift| char::from(DIGITS[(bits >> shift & 31) as usize]))
    };
    hex.as_bytes().chunks(5).flat_map(five).collect()
}

#[test]
fn a_decoded_magnet_is_fetched_through_a_pipe() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let decode = swarm.rtor(["decode", &magnet(&swarm.torrent)]);
    let [_, fetch, verify] = pipeline([decode, swarm.rtor(["fetch"]), swarm.rtor(["verify"])]);
    fetch.exited(0);
    let verified = verify.exited(0).json();
    assert_eq!(verified["verify"]["ok"], swarm.torrent.piece_count(), "{verified}");
    // The store knows its torrent now: nobody needs the magnet again.
    swarm.rtor(["assemble", "--output", "out"]).run().exited(0);
    same(&swarm.content.path(), &swarm.run.join("out").join(swarm.content.name()));
}

#[test]
fn a_magnet_goes_on_with_what_is_there() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(4 * MIB, 64 * KIB));
    let out = swarm.run.join("out");
    fs::create_dir(&out).expect("a folder");
    let mut bytes = fs::read(swarm.content.path()).expect("the content");
    bytes[3 << 20] ^= 1;
    fs::write(out.join(swarm.content.name()), bytes).expect("a damaged copy");
    let ran = swarm.rtor(["get", &magnet(&swarm.torrent), "--output", "out"]).run().exited(0);
    let fetch = swarm.arrived(ran);
    assert_eq!(fetch["downloaded_bytes"], 64 * KIB, "only what is damaged: {fetch}");
}

#[test]
fn resolve_writes_the_torrent_and_prints_its_magnet() {
    let swarm = Swarm::new(&Client::ALL, one_file(LENGTH, PIECE_LENGTH));
    let uri = magnet(&swarm.torrent);
    let write = ["magnet", &uri, "--resolve", "-o", "found.torrent"];
    let ran = swarm.rtor(write).run().exited(0);
    assert!(ran.stdout.is_empty(), "{}", ran.text());
    let decoded =
        |file: &str| swarm.rtor(["decode", file]).run().exited(0).json()["torrent"].clone();
    let (found, whole) = (decoded("found.torrent"), decoded(swarm.torrent.arg()));
    assert_eq!(found["info"], whole["info"]);
    assert_eq!(found["trackers"], whole["trackers"]);
    let line = swarm.rtor(["magnet", &uri, "--resolve"]).run().exited(0).text();
    let name = swarm.content.name().replace(' ', "%20");
    assert!(line.contains(&format!("&dn={name}&")), "{line}");
    // Of the content itself nothing was fetched.
    assert_eq!(swarm.uploaded_bytes(), 0);
}

#[test]
fn metadata_that_nobody_has_is_given_up_after_the_timeout() {
    let swarm = Swarm::new(&[], one_file(MIB, 64 * KIB));
    let uri = magnet(&swarm.torrent);
    let ran = swarm.rtor(["magnet", &uri, "--resolve", "--timeout", "1s"]).run().exited(1);
    assert!(ran.stdout.is_empty(), "{}", ran.text());
    assert!(ran.stderr.contains("no peer sent the metadata within 1s"), "{}", ran.stderr);
    let ran = swarm.rtor(["get", &uri, "--timeout", "1s"]).run().exited(1);
    assert_eq!(ran.json()["fetch"]["complete"], false, "{}", ran.text());
    assert!(ran.stderr.contains("not even the metadata"), "{}", ran.stderr);
}

#[test]
fn a_liar_about_metadata_is_hung_up_on_and_the_honest_one_heard() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let evil =
        EvilPeer::start(&swarm.net, "10.77.0.20", Trick::WrongMetadata, &swarm.torrent, None);
    let hash = hash(&swarm.torrent);
    let lied = swarm
        .rtor(["get", hash, "--output", "nothing", "--peer", &evil.addr().to_string()])
        .args(["--timeout", "2s"])
        .run()
        .exited(1);
    assert!(evil.count("requested") >= 2, "{}", lied.text());
    assert_eq!(evil.count("connected"), 1, "a liar is not called again: {}", lied.text());
    let peers = lied.json()["fetch"]["peers"].clone();
    assert_eq!(peers[0]["left"], "it sent wrong bytes", "{peers}");
    let both = ["get", &magnet(&swarm.torrent), "--output", "out", "--peer"];
    let ran = swarm.rtor(both).args([evil.addr().to_string()]).run().exited(0);
    swarm.arrived(ran);
}

#[test]
fn only_the_files_that_a_magnet_selects_are_got() {
    let folder_of_three = |folder: &Path| -> (Content, Recipe) {
        let files = [("a.bin", 300 * KIB), ("b.bin", 300 * KIB), ("c.bin", 300 * KIB)];
        let content = Content::files(folder, "three", files, 5);
        let recipe = Torrent::of(&content).piece_length(64 * KIB);
        (content, recipe)
    };
    let swarm = Swarm::new(&[Client::Libtorrent], folder_of_three);
    let uri = format!("{}&so=1", magnet(&swarm.torrent));
    let ran = swarm.rtor(["get", &uri, "--output", "out"]).run().exited(0);
    let fetch = ran.json()["fetch"].clone();
    assert_eq!(fetch["complete"], true, "{fetch}");
    let there = swarm.run.join("out/three/b.bin");
    same(&swarm.content.path().join("b.bin"), &there);
    let bytes = fetch["downloaded_bytes"].as_u64().expect("a number");
    assert!((300 * KIB..=428 * KIB).contains(&bytes), "more than one file: {fetch}");
}

#[test]
fn libtorrent_has_the_metadata_and_the_rest_from_rtor() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(LENGTH, PIECE_LENGTH));
    let run = swarm.rtor(["get", swarm.torrent.arg(), "--output", "out", "--seed"]);
    let seeding = run.args(["--listen", "10.77.0.9:7001"]).start();
    let leech = Libtorrent::magnet(
        &swarm.net,
        "10.77.0.10:51413".parse().expect("an address"),
        &format!("magnet:?xt=urn:btih:{}", hash(&swarm.torrent)),
        &swarm.net.folder("leech"),
        &["10.77.0.9:7001".parse().expect("an address")],
    );
    complete(&leech, PATIENCE);
    same(&swarm.content.path(), &swarm.net.folder("leech").join(swarm.content.name()));
    drop(seeding);
}
