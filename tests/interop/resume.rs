//! Stopped in the middle and run again: what is had stays had.
//!
//! What was lost is not asked of rtor but of the seeder: it says how many bytes it had to send
//! again.

use super::{Swarm, one_file};
use crate::harness::{Client, KIB, MIB, Started, until};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// What may be under way between a seeder and rtor when rtor ends, and is lost: the sockets'
/// buffers and what was asked for.
const UNDER_WAY: u64 = MIB;

/// How many whole pieces are in the store.
fn pieces(store: &Path, kind: &str) -> u64 {
    let Ok(entries) = std::fs::read_dir(store) else { return 0 };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("piece_") && name.ends_with(kind)).count() as u64
}

/// Waits until the seeder has nobody left, so that its count stands still.
fn settled_upload(swarm: &Swarm) -> u64 {
    until("the seeder is alone", PATIENCE, || {
        (swarm.seeders[0].progress().peers == 0).then_some(())
    });
    swarm.uploaded_bytes()
}

/// `rtor VERB`, stopped with `signal` once the seeder has sent `sent` bytes.
fn stopped(swarm: &Swarm, verb: &[&str], sent: u64, signal: Signal) -> (Started, Instant) {
    let mut run = swarm.rtor(verb.iter().copied()).start();
    until("the download is under way", PATIENCE, || {
        assert!(!run.ended(), "rtor ended before it was stopped: {}", run.stderr());
        (swarm.uploaded_bytes() >= sent).then_some(())
    });
    swarm.tracker.knows(&swarm.torrent, 1, 1);
    run.send(signal);
    (run, Instant::now())
}

/// Ends within 2 seconds with 130 and `stopped`, and loses nothing but what was under way.
#[track_caller]
fn paused_by(signal: Signal, verb: &str) {
    // Pieces so large that to lose an unfinished one shows.
    let (length, piece_length) = (16 * MIB, 4 * MIB);
    let swarm = Swarm::limited(&[(Client::Libtorrent, 3 * MIB)], one_file(length, piece_length));
    let torrent = swarm.torrent.arg();
    let args: Vec<&str> = match verb {
        "get" => vec!["get", torrent, "--output", "out", "--strategy", "sequential"],
        _ => vec![verb, torrent, "--strategy", "sequential"],
    };
    let (run, asked) = stopped(&swarm, &args, 7 * MIB, signal);
    let ran = run.wait(PATIENCE).exited(130);
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?} to stop", asked.elapsed());
    // It said `stopped`, and not `completed`.
    swarm.tracker.knows(&swarm.torrent, 1, 0);
    assert_eq!(swarm.tracker.scrape(&swarm.torrent).downloads, 0);
    let first = ran.json()["fetch"].clone();
    assert_eq!(first["complete"], false, "{first}");
    assert!(first["have"].as_u64() >= Some(1), "{first}");
    if verb == "fetch" {
        let store = swarm.run.join("pieces");
        assert_eq!(Some(pieces(&store, "_complete.bin")), first["have"].as_u64());
        assert!(pieces(&store, "_partial.bin") >= 1, "an unfinished piece is kept");
    }

    let before = settled_upload(&swarm);
    assert!(before < length, "it was stopped too late for this test: {before} bytes");
    let fetch = if verb == "get" { swarm.gets(&[]) } else { swarm.fetches(&[]) };
    let sent = settled_upload(&swarm);
    assert!(sent <= length + UNDER_WAY, "{sent} bytes for {length}: {first} then {fetch}");
    let again = fetch["downloaded_bytes"].as_u64().expect("a number");
    assert!(again <= length - before + UNDER_WAY, "{again} bytes after {before}: {fetch}");
}

#[test]
fn sigint_pauses_a_fetch_and_keeps_every_block() {
    paused_by(Signal::INT, "fetch");
}

#[test]
fn sigterm_pauses_a_fetch_and_keeps_every_block() {
    paused_by(Signal::TERM, "fetch");
}

#[test]
fn sigint_pauses_a_get_and_keeps_every_block() {
    paused_by(Signal::INT, "get");
}

/// Killed without a word: what is whole stays, what is not may go, nothing is spoiled.
#[track_caller]
fn killed(verb: &str) {
    let (length, piece_length) = (12 * MIB, 64 * KIB);
    let swarm = Swarm::limited(&[(Client::Libtorrent, 3 * MIB)], one_file(length, piece_length));
    let torrent = swarm.torrent.arg();
    let args = match verb {
        "get" => vec!["get", torrent, "--output", "out"],
        _ => vec![verb, torrent],
    };
    let (run, _) = stopped(&swarm, &args, 5 * MIB, Signal::KILL);
    let ran = run.wait(PATIENCE);
    assert_eq!(ran.signal, Some(9));
    if verb == "fetch" {
        let kept = pieces(&swarm.run.join("pieces"), "_complete.bin");
        assert!(kept * piece_length >= 3 * MIB, "only {kept} pieces after 5 MiB");
        let verified = swarm.rtor(["verify", "pieces"]).run().exited(1).json();
        assert_eq!(verified["verify"]["bad"], 0, "a piece under its final name is whole");
        assert_eq!(verified["verify"]["ok"], kept);
    }

    let before = settled_upload(&swarm);
    if verb == "get" {
        swarm.gets(&[]);
    } else {
        swarm.fetches(&[]);
    }
    let sent = settled_upload(&swarm);
    let lost = sent.saturating_sub(length);
    assert!(lost <= 16 * piece_length + UNDER_WAY, "{lost} bytes lost, {before} before the kill");
}

#[test]
fn kill_9_loses_at_most_the_unfinished_pieces_of_a_fetch() {
    killed("fetch");
}

#[test]
fn kill_9_loses_at_most_the_unfinished_pieces_of_a_get() {
    killed("get");
}

#[test]
fn a_complete_download_asks_nobody_again() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    swarm.fetches(&[]);
    swarm.sent(MIB);
    let before = settled_upload(&swarm);
    let again = swarm.rtor(["fetch", swarm.torrent.arg()]).run().exited(0).json();
    assert_eq!(again["fetch"]["downloaded_bytes"], 0);
    assert_eq!(settled_upload(&swarm), before);
}
