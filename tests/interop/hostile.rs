//! Peers that break the rules, beside an honest one: they are hung up on, and nothing else suffers.

use super::{COUNT_PATIENCE, Swarm, one_file};
use crate::harness::{Client, EvilPeer, KIB, MIB, Trick, until};
use serde_json::Value;
use std::time::Duration;

/// Hanging up on an offence needs no waiting for a timeout.
const AT_ONCE_S: f64 = 5.0;
const PATIENCE: Duration = Duration::from_secs(30);

/// 61 pieces: a number that leaves bits to spare in a bitfield.
const LENGTH: u64 = 61 * PIECE_LENGTH;
const PIECE_LENGTH: u64 = 64 * KIB;

/// Where evil is.
const EVIL: &str = "10.77.0.20";

/// Downloads past one evil peer; gives it, what rtor says, and the swarm that they live in.
#[track_caller]
fn beside(trick: Trick) -> (EvilPeer, Value, Swarm) {
    // Slow enough for the evil peer to have its turn.
    let swarm = Swarm::limited(&[(Client::Libtorrent, MIB)], one_file(LENGTH, PIECE_LENGTH));
    let evil = EvilPeer::start(&swarm.net, EVIL, trick, &swarm.torrent, None);
    let fetch = swarm.gets(&["--peer", &evil.addr().to_string()]);
    assert!(evil.count("connected") >= 1, "{trick:?} had no turn: {fetch}");
    (evil, fetch, swarm)
}

/// Sees one offender off: at once, for good, at no cost, and with the reason in the result.
#[track_caller]
fn hung_up(trick: Trick) {
    let (evil, fetch, swarm) = beside(trick);
    let closed = evil.hung_up_on(PATIENCE);
    let seconds = closed["seconds"].as_f64().expect("a number");
    assert!(seconds < AT_ONCE_S, "it took {seconds} s to hang up on {trick:?}: {fetch}");
    assert_eq!(fetch["hash_failures"], 0, "{fetch}");
    // Nobody calls back at once a peer that broke the rules.
    assert!(evil.count("connected") <= 3, "{} calls: {fetch}", evil.count("connected"));
    let peers = fetch["peers"].as_array().expect("an array");
    let at = |addr: String| peers.iter().find(move |peer| peer["addr"] == addr.as_str());
    let honest = at(swarm.seeders[0].addr().to_string()).expect("the seeder is among the peers");
    let given = honest["downloaded_bytes"].as_u64();
    assert!(given >= Some(LENGTH), "the honest peer gave all: {fetch}");
    // Who never finished a handshake is no peer, and is not in the list.
    if !matches!(trick, Trick::GarbageHandshake | Trick::OtherTorrent) {
        let left = at(evil.addr().to_string()).map(|peer| &peer["left"]);
        assert!(left.is_some_and(Value::is_string), "no reason for {trick:?}: {fetch}");
    }
}

#[test]
fn a_garbage_handshake_is_hung_up_on() {
    hung_up(Trick::GarbageHandshake);
}

#[test]
fn a_handshake_for_another_torrent_is_hung_up_on() {
    hung_up(Trick::OtherTorrent);
}

#[test]
fn a_message_of_four_gibibytes_is_hung_up_on() {
    hung_up(Trick::GiantLength);
}

#[test]
fn a_wrong_sized_bitfield_is_hung_up_on() {
    hung_up(Trick::WrongSizedBitfield);
}

#[test]
fn a_spare_bit_in_a_bitfield_is_hung_up_on() {
    hung_up(Trick::SpareBit);
}

#[test]
fn an_index_out_of_range_is_hung_up_on() {
    hung_up(Trick::IndexOutOfRange);
}

#[test]
fn a_block_nobody_asked_for_is_hung_up_on() {
    hung_up(Trick::UnrequestedBlock);
}

#[test]
fn a_block_of_another_length_is_hung_up_on() {
    hung_up(Trick::ShortBlock);
}

#[test]
fn random_data_for_every_block_is_found_out() {
    let (evil, fetch, _swarm) = beside(Trick::BadData);
    evil.hung_up_on(PATIENCE);
    assert!(fetch["hash_failures"].as_u64() >= Some(1), "{fetch}");
    assert!(fetch["wasted_bytes"].as_u64() >= Some(PIECE_LENGTH), "{fetch}");
    // The liar is found before it spoils much: the download is not slower than its honest seeder
    // by more than a few pieces.
    assert!(fetch["wasted_bytes"].as_u64() <= Some(2 * MIB), "{fetch}");
}

#[test]
fn a_peer_that_never_answers_holds_nothing_up() {
    let (_evil, fetch, _swarm) = beside(Trick::Silent);
    assert!(fetch["seconds"].as_f64() < Some(20.0), "{fetch}");
}

#[test]
fn all_of_them_at_once_do_not_stop_a_download() {
    let swarm = Swarm::limited(
        &[(Client::Libtorrent, MIB), (Client::Aria2, MIB)],
        one_file(8 * MIB, 64 * KIB),
    );
    let tricks = Trick::OFFENCES.into_iter().chain([Trick::BadData, Trick::Silent]);
    let evil: Vec<EvilPeer> = (20_u8..)
        .zip(tricks)
        .map(|(host, trick)| {
            EvilPeer::start(&swarm.net, &format!("10.77.0.{host}"), trick, &swarm.torrent, None)
        })
        .collect();
    let addrs: Vec<String> = evil.iter().map(|peer| peer.addr().to_string()).collect();
    let args: Vec<&str> = addrs.iter().flat_map(|addr| ["--peer", addr.as_str()]).collect();
    let fetch = swarm.fetches(&args);
    // No honest peer was blamed for what others did.
    for seeder in &swarm.seeders {
        until(&format!("the honest peers gave their share: {fetch}"), COUNT_PATIENCE, || {
            (seeder.progress().uploaded_bytes >= MIB).then_some(())
        });
    }
}
