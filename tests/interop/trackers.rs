//! Finds peers through opentracker, over UDP and over HTTP, and says to it what it must.

use super::{SEEDERS, Swarm, TRACKER, one_file};
use crate::harness::{
    Client, KIB, LossyRelay, MIB, OddTracker, Oddity, Ran, Rtor, Running, Torrent, tracker, until,
};
use rustix::process::Signal;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The same torrent with other trackers.
pub(super) fn with_trackers(swarm: &Swarm, urls: &[String]) -> Torrent {
    let recipe = Torrent::like(swarm.torrent.path());
    let recipe = urls.iter().fold(recipe, |recipe, url| recipe.tracker(url));
    recipe.make(&swarm.net.folder("torrents").join("other.torrent"))
}

#[track_caller]
fn found_through(urls: &[String]) {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    swarm.torrent = with_trackers(&swarm, urls);
    let fetch = swarm.gets(&[]);
    let seeder = swarm.seeders[0].addr().to_string();
    let peer = fetch["peers"]
        .as_array()
        .and_then(|peers| peers.iter().find(|peer| peer["addr"] == seeder.as_str()));
    let peer = peer.unwrap_or_else(|| panic!("`{seeder}` is not among the peers: {fetch}"));
    assert_eq!(peer["source"], "tracker", "{fetch}");
    // It announced `completed`, and left.
    swarm.tracker.knows(&swarm.torrent, 1, 0);
    assert_eq!(swarm.tracker.scrape(&swarm.torrent).downloads, 1);
}

#[test]
fn a_udp_tracker_tells_peers_and_hears_of_the_end() {
    found_through(&[tracker::udp(TRACKER)]);
}

#[test]
fn an_http_tracker_tells_peers_and_hears_of_the_end() {
    found_through(&[tracker::http(TRACKER)]);
}

/// opentracker behind TLS, at port 6970, and the file with the certificate to trust.
fn behind_tls(swarm: &Swarm) -> (Running, PathBuf) {
    let folder = swarm.net.folder("tls");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=t"])
        .args(["-addext", &format!("subjectAltName=IP:{TRACKER}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(&folder)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = swarm.net.command("socat");
    command
        .arg(format!(
            "OPENSSL-LISTEN:6970,bind={TRACKER},cert={0}/cert.pem,key={0}/key.pem,verify=0,fork",
            folder.display()
        ))
        .arg(format!("TCP:{TRACKER}:6969"));
    let mut tls = swarm.net.start("socat", &folder, &mut command);
    let addr = format!("{TRACKER}:6970").parse().expect("an address");
    tls.until("listens", Duration::from_secs(10), |_| swarm.net.accepts(addr).then_some(()));
    (tls, folder.join("cert.pem"))
}

#[test]
fn an_https_tracker_is_asked_if_its_certificate_is_trusted() {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    let (_tls, certificate) = behind_tls(&swarm);
    swarm.torrent = with_trackers(&swarm, &[format!("https://{TRACKER}:6970/announce")]);
    let args = ["get", swarm.torrent.arg(), "--output", "out", "--timeout", "3s"];
    let ran = swarm.rtor(args).run().exited(1);
    assert!(ran.stderr.contains("certificate"), "{}", ran.stderr);
    let ran = swarm.rtor(args).env("SSL_CERT_FILE", &certificate).run().exited(0);
    swarm.arrived(ran);
}

#[test]
fn a_dead_tracker_in_the_first_tier_does_not_stop_the_second() {
    let nobody = [tracker::http("10.77.0.29"), tracker::udp("10.77.0.28")];
    found_through(&[nobody[0].clone(), nobody[1].clone(), tracker::udp(TRACKER)]);
}

#[test]
fn a_tracker_that_refuses_is_quoted() {
    let swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    // A torrent that is not on opentracker's list.
    let other = crate::harness::Content::file(&swarm.net.folder("other"), "other.bin", 5_000, 3);
    let path = swarm.net.folder("torrents").join("unlisted.torrent");
    let unlisted = Torrent::of(&other).tracker(tracker::http(TRACKER)).make(&path);
    let ran = swarm.rtor(["get", unlisted.arg(), "--output", "out", "--timeout", "3s"]).run();
    let ran = ran.exited(1);
    assert!(ran.stderr.contains("not authorized"), "{}", ran.stderr);
}

#[test]
fn a_peer_that_the_user_names_needs_no_tracker() {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    swarm.torrent = with_trackers(&swarm, &[]);
    let addr = swarm.seeders[0].addr().to_string();
    let fetch = swarm.gets(&["--peer", &addr]);
    assert_eq!(fetch["peers"][0]["addr"], addr.as_str(), "{fetch}");
}

#[test]
fn with_nobody_there_it_gives_up_in_time() {
    let mut swarm = Swarm::new(&[], one_file(MIB, 64 * KIB));
    swarm.torrent = with_trackers(&swarm, &[]);
    let args = ["fetch", swarm.torrent.arg(), "--timeout", "2s"];
    let ran = swarm.rtor(args).args(["--peer", &format!("{}:1", SEEDERS[0])]).run().exited(1);
    assert!(ran.elapsed >= Duration::from_secs(2), "it took {:?}", ran.elapsed);
    assert!(ran.elapsed < Duration::from_secs(6), "it took {:?}", ran.elapsed);
    assert_eq!(ran.json()["fetch"]["complete"], false);
}

/// Where an odd tracker is.
const ODD: &str = "10.77.0.21";

/// A download with an odd tracker in the first tier and a good one in the second.
fn arrives_in_spite_of(oddity: Oddity) -> (Swarm, Ran) {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    let odd = OddTracker::start(&swarm.net, ODD, oddity, &[]);
    swarm.torrent = with_trackers(&swarm, &[odd.url(), tracker::http(TRACKER)]);
    let ran = swarm.rtor(["get", swarm.torrent.arg(), "--output", "out"]).run().exited(0);
    assert!(!odd.announces().is_empty(), "the odd tracker was asked");
    (swarm, ran)
}

#[test]
fn a_tracker_that_answers_garbage_is_reported_and_the_next_tier_finds_peers() {
    let (swarm, ran) = arrives_in_spite_of(Oddity::Garbage);
    assert!(ran.stderr.contains("is not bencode"), "{}", ran.stderr);
    swarm.arrived(ran);
}

#[test]
fn a_gzip_bomb_costs_no_memory_and_the_next_tier_finds_peers() {
    let (swarm, ran) = arrives_in_spite_of(Oddity::GzipBomb);
    assert!(ran.peak_bytes < 100 * MIB, "{} bytes", ran.peak_bytes);
    swarm.arrived(ran);
}

#[test]
fn a_redirect_loop_ends_and_the_next_tier_finds_peers() {
    let (swarm, ran) = arrives_in_spite_of(Oddity::RedirectLoop);
    swarm.arrived(ran);
}

#[test]
fn a_tracker_that_never_answers_delays_no_other_tier() {
    let (swarm, ran) = arrives_in_spite_of(Oddity::Silent);
    swarm.arrived(ran);
}

#[test]
fn a_hundred_thousand_peers_that_are_none_do_not_hide_the_one_that_is() {
    let (swarm, ran) = arrives_in_spite_of(Oddity::Crowd);
    swarm.arrived(ran);
}

#[test]
fn trackers_that_lie_do_not_hold_up_their_own_tier() {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    let liar = OddTracker::start(&swarm.net, ODD, Oddity::Garbage, &[]);
    let silent = OddTracker::start(&swarm.net, "10.77.0.22", Oddity::Silent, &[]);
    // Whoever is first by chance: one that lies, one that says nothing, one that nobody is.
    let tier = [silent.url(), liar.url(), tracker::http("10.77.0.29"), tracker::udp(TRACKER)];
    let path = swarm.net.folder("torrents").join("tier.torrent");
    swarm.torrent = Torrent::like(swarm.torrent.path()).tier(&tier).make(&path);
    swarm.gets(&[]);
}

#[test]
fn a_swarm_of_ipv6_alone_is_found_and_joined() {
    let mut swarm = Swarm::new(&[], one_file(MIB + 1, 64 * KIB));
    let seeder = "[fd77::3]:6881".parse().expect("an address");
    let source = swarm.net.folder("source");
    let args = ["get", swarm.torrent.arg(), "--output", ".", "--seed", "--no-trackers"];
    let seeding = Rtor::new(&source, args).args(["--listen", "[fd77::3]:6881"]);
    let _seeding = seeding.within(&swarm.net).start();
    until("the seeder listens", Duration::from_secs(10), || {
        swarm.net.accepts(seeder).then_some(())
    });
    let odd = OddTracker::start(&swarm.net, "fd77::2", Oddity::Honest, &[seeder]);
    swarm.torrent = with_trackers(&swarm, &[odd.url()]);
    let fetch = swarm.gets(&[]);
    assert_eq!(fetch["peers"][0]["addr"], seeder.to_string(), "{fetch}");
    let announces = odd.announces();
    for event in ["started", "completed", "stopped"] {
        let said = format!("&event={event}");
        let told = announces.iter().any(|a| a["query"].as_str().is_some_and(|q| q.contains(&said)));
        assert!(told, "{event} is not among {announces:?}");
    }
}

#[test]
fn a_tracker_that_has_addresses_of_both_families_hears_of_us_over_each() {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    let seeder = swarm.seeders[0].addr();
    let both = [ODD, "fd77::15"]
        .map(|host| OddTracker::start(&swarm.net, host, Oddity::Honest, &[seeder]));
    swarm.torrent = with_trackers(&swarm, &[both[0].url().replace(ODD, "tracker.example")]);
    let rtor = swarm.rtor(["get", swarm.torrent.arg(), "--output", "out"]);
    let hosts = format!("{ODD} tracker.example\nfd77::15 tracker.example\n");
    swarm.arrived(rtor.hosts(&hosts).run().exited(0));
    for odd in both {
        let announces = odd.announces();
        for event in ["started", "completed", "stopped"] {
            let said = format!("&event={event}");
            let heard = |a: &Value| a["query"].as_str().is_some_and(|q| q.contains(&said));
            assert!(announces.iter().any(heard), "{event} is not among {announces:?}");
        }
    }
}

#[test]
fn who_comes_complete_does_not_complete() {
    let mut swarm = Swarm::new(&[], one_file(MIB, 64 * KIB));
    let odd = OddTracker::start(&swarm.net, ODD, Oddity::Honest, &[]);
    swarm.torrent = with_trackers(&swarm, &[odd.url()]);
    let args = ["get", swarm.torrent.arg(), "--output", ".", "--seed"];
    let mut seeding = Rtor::new(&swarm.net.folder("source"), args).within(&swarm.net).start();
    until("it announces itself", Duration::from_secs(10), || {
        (!odd.announces().is_empty()).then_some(())
    });
    seeding.send(Signal::INT);
    seeding.wait(Duration::from_secs(10)).exited(0);
    let queries: Vec<String> = odd.announces().iter().map(|a| a["query"].to_string()).collect();
    assert!(queries[0].contains("&left=0&") && queries[0].contains("=started"), "{queries:?}");
    assert!(queries[1].contains("=stopped"), "{queries:?}");
    assert_eq!(queries.len(), 2, "no `completed` among {queries:?}");
}

/// Who has the part that he wants is no seed, and has not completed the torrent.
#[test]
fn a_part_of_a_torrent_is_no_whole_to_a_tracker() {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB, 64 * KIB));
    let odd = OddTracker::start(&swarm.net, ODD, Oddity::Honest, &[swarm.seeders[0].addr()]);
    swarm.torrent = with_trackers(&swarm, &[odd.url()]);
    swarm.rtor(["fetch", swarm.torrent.arg(), "--range", "0-3"]).run().exited(0);
    let announces = odd.announces();
    let last = announces.last().and_then(|a| a["query"].as_str()).expect("it announced itself");
    let (left, downloaded) = (12 * 64 * KIB, 4 * 64 * KIB);
    assert!(last.contains("&event=stopped"), "{last}");
    assert!(last.contains(&format!("&downloaded={downloaded}&left={left}&")), "{last}");
    assert!(last.contains("&numwant=0&"), "{last}");
    assert_eq!(announces.len(), 2, "no `completed` among {announces:?}");
}

#[test]
fn a_udp_tracker_is_asked_again_when_a_datagram_is_lost() {
    let mut swarm = Swarm::new(&[Client::Libtorrent], one_file(MIB + 1, 64 * KIB));
    let relay = LossyRelay::start(&swarm.net, ODD, swarm.tracker.addr(), 1);
    swarm.torrent = with_trackers(&swarm, &[relay.url()]);
    swarm.gets(&[]);
    assert_eq!(relay.count("lost"), 1);
    // A connection, `started`, and at the end `completed` and `stopped`.
    assert!(relay.count("passed") >= 3, "{}", relay.count("passed"));
}
