//! Finds peers through opentracker, over UDP and over HTTP, and says to it what it must.

use super::{SEEDERS, Swarm, TRACKER, one_file};
use crate::harness::{Client, KIB, MIB, Running, Torrent, tracker};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The same torrent with other trackers.
fn with_trackers(swarm: &Swarm, urls: &[String]) -> Torrent {
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
