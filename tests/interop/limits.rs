//! Rates that are kept: never more than was said, and as much as it takes to end.
//!
//! How closely they are kept is the bench's to say: a busy machine makes everything slower, and
//! nothing faster, so only what is too fast fails here.

use super::{Swarm, one_file};
use crate::harness::{Client, Job, MIB, Ran, until};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: u64 = 4 * MIB + 1;
/// At 1 MB/s.
const LEAST: Duration = Duration::from_millis(4000);

/// rtor's own word, so that starting and ending do not count.
fn took(ran: &Ran) -> Duration {
    Duration::from_secs_f64(ran.json()["fetch"]["seconds"].as_f64().expect("a number"))
}

#[test]
fn a_download_is_no_faster_than_max_down() {
    let swarm = Swarm::new(&[Client::Libtorrent, Client::Libtorrent], one_file(SIZE, 64 << 10));
    for limit in [["--max-down", "1M"], ["--max-peer-down", "500k"]] {
        let ran =
            swarm.rtor(["get", swarm.torrent.arg(), "--output", "out", "--force"]).args(limit);
        let ran = ran.run().exited(0);
        assert!(took(&ran) >= LEAST, "{limit:?}: {:?}", took(&ran));
        swarm.arrived(ran);
        fs::remove_dir_all(swarm.run.join("out")).expect("it was made");
    }
}

#[test]
fn an_upload_is_no_faster_than_max_up() {
    let swarm = Swarm::new(&[], one_file(SIZE, 64 << 10));
    let data = swarm.content.path();
    let data = data.to_str().expect("a path");
    let seed = ["seed", swarm.torrent.arg(), "--listen", "10.77.0.9:6881", "--data", data];
    let _seed = swarm.rtor(seed).args(["--max-up", "1M"]).start();
    swarm.tracker.knows(&swarm.torrent, 1, 0);
    let leech = ["get", swarm.torrent.arg(), "--output", "out", "--listen", "10.77.0.8:6881"];
    let ran = swarm.rtor(leech).run().exited(0);
    assert!(took(&ran) >= LEAST, "{:?}", took(&ran));
    swarm.arrived(ran);
}

#[test]
fn a_file_of_limits_is_read_again_on_sighup() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(SIZE, 64 << 10));
    let file = swarm.run.join("limits");
    fs::write(&file, "max-down 10k\n").expect("a folder takes a file");
    let args = ["get", swarm.torrent.arg(), "--output", "out", "--limits", "limits"];
    let mut run = swarm.rtor(args).args(["--events", "events"]).start();
    until("the download is under way", PATIENCE, || {
        let events = fs::read_to_string(swarm.run.join("events")).ok()?;
        events.contains("\"peer_joined\"").then_some(())
    });
    // What can't be understood changes nothing, and ends nothing.
    fs::write(&file, "max-down fast\n").expect("a folder takes a file");
    run.send(Signal::HUP);
    until("it says that it can't", PATIENCE, || {
        run.stderr().contains("the limits stay as they are").then_some(())
    });
    assert!(run.stderr().contains("`fast` is no rate"), "{}", run.stderr());
    fs::write(&file, "max-down 0\n").expect("a folder takes a file");
    run.send(Signal::HUP);
    // At 10 kB/s it would take seven minutes.
    swarm.arrived(run.wait(PATIENCE).exited(0));
}

#[test]
fn our_own_requests_do_not_wait_behind_blocks_that_a_limit_holds_up() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(SIZE, 64 << 10));
    let limits = ["--max-up", "20k", "--max-down", "400k", "--listen", "10.77.0.9:6881"];
    let args = ["get", swarm.torrent.arg(), "--output", "out"];
    let run = swarm.rtor(args).args(limits).start();
    // Somebody who takes what rtor has, as fast as it comes.
    let into = swarm.net.folder("leech");
    let job = Job::leech(&swarm.torrent, &into).peer("10.77.0.9:6881".parse().expect("an address"));
    let _leech = Client::Libtorrent.start(&swarm.net, "10.77.0.7", &job);
    let ran = run.wait(PATIENCE).exited(0);
    let uploaded = ran.json()["fetch"]["uploaded_bytes"].as_u64().expect("a number");
    let most = took(&ran).as_secs_f64() * 20_000.0 + (64 << 10) as f64;
    assert!((uploaded as f64) < most, "{uploaded} bytes in {:?}", took(&ran));
    swarm.arrived(ran);
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let swarm = Swarm::new(&[], one_file(1, 16 << 10));
    let said = swarm.rtor(["get", swarm.torrent.arg(), "--max-up", "fast"]).run().exited(2).stderr;
    assert!(said.contains("`fast` is no rate like `500k` or `10M`"), "{said}");
    fs::write(swarm.run.join("limits"), "max-up\n").expect("a folder takes a file");
    let said = swarm.rtor(["get", swarm.torrent.arg(), "--limits", "limits"]).run().refused();
    assert!(said.contains("is not like `max-up 500k`"), "{said}");
}
