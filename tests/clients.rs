//! The other clients among themselves, without rtor. If these fail, the machine or the harness is
//! broken, and what the interop tests say of rtor means nothing.

use crate::harness::peer::complete;
use crate::harness::tree::same;
use crate::harness::{
    Client, Content, EvilPeer, Job, KIB, MIB, Net, Opentracker, Scrape, Torrent, Trick, tracker,
};
use std::time::Duration;

const TRACKER: &str = "10.77.0.2";
const SEEDER: &str = "10.77.0.3";
const LEECH: &str = "10.77.0.4";
const PATIENCE: Duration = Duration::from_secs(60);

/// `seeder` to `leech` through a tracker at `url`.
fn hand_over(seeder: Client, leech: Client, url: &str) {
    let net = Net::new();
    let content = Content::file(&net.folder("source"), "one.bin", 3 * MIB + 7, 1);
    let torrent =
        Torrent::of(&content).tracker(url).make(&net.folder("torrents").join("x.torrent"));
    let tracker = Opentracker::start(&net, TRACKER, &[&torrent]);
    assert_eq!(tracker.scrape(&torrent), Scrape::default());

    let seeding = seeder.start(&net, SEEDER, &Job::seed(&torrent, &content));
    tracker.knows(&torrent, 1, 0);
    let into = net.folder("out");
    let mut leeching = leech.start(&net, LEECH, &Job::leech(&torrent, &into));
    complete(&*leeching, PATIENCE);
    // A client may keep some of it in memory while it runs.
    leeching.process().stop();
    same(&content.path(), &into.join(content.name()));
    assert!(seeding.progress().uploaded_bytes >= 3 * MIB, "{:?}", seeding.progress());
}

#[test]
fn transmission_seeds_to_libtorrent_over_http() {
    hand_over(Client::Transmission, Client::Libtorrent, &tracker::http(TRACKER));
}

#[test]
fn aria2_seeds_to_libtorrent_over_http() {
    hand_over(Client::Aria2, Client::Libtorrent, &tracker::http(TRACKER));
}

#[test]
fn libtorrent_seeds_to_aria2_over_http() {
    hand_over(Client::Libtorrent, Client::Aria2, &tracker::http(TRACKER));
}

#[test]
fn libtorrent_seeds_to_transmission_over_udp() {
    hand_over(Client::Libtorrent, Client::Transmission, &tracker::udp(TRACKER));
}

#[test]
fn transmission_seeds_to_libtorrent_over_udp() {
    hand_over(Client::Transmission, Client::Libtorrent, &tracker::udp(TRACKER));
}

#[test]
fn a_stopped_client_leaves_the_tracker() {
    let net = Net::new();
    let content = Content::file(&net.folder("source"), "one.bin", 100 * KIB, 1);
    let url = tracker::http(TRACKER);
    let torrent =
        Torrent::of(&content).tracker(url).make(&net.folder("torrents").join("x.torrent"));
    let tracker = Opentracker::start(&net, TRACKER, &[&torrent]);
    let job = Job::leech(&torrent, &net.folder("out"));
    let mut leech = Client::Libtorrent.start(&net, LEECH, &job);
    tracker.knows(&torrent, 0, 1);
    leech.process().stop();
    tracker.knows(&torrent, 0, 0);
}

/// Two megabytes from a seeder that may send one a second.
fn limited(client: Client) {
    let net = Net::new();
    let content = Content::file(&net.folder("source"), "one.bin", 2 * MIB, 1);
    let torrent = Torrent::of(&content).make(&net.folder("torrents").join("x.torrent"));
    let job = Job::seed(&torrent, &content).max_up(MIB);
    let seeder = client.start(&net, SEEDER, &job);
    let began = std::time::Instant::now();
    let job = Job::leech(&torrent, &net.folder("out")).peer(seeder.addr());
    let leech = Client::Libtorrent.start(&net, LEECH, &job);
    complete(&*leech, PATIENCE);
    // A bucket that was full at the start may have given a second's worth at once.
    assert!(began.elapsed() > Duration::from_millis(900), "it took {:?}", began.elapsed());
}

#[test]
fn transmission_keeps_to_an_upload_limit() {
    limited(Client::Transmission);
}

#[test]
fn aria2_keeps_to_an_upload_limit() {
    limited(Client::Aria2);
}

#[test]
fn libtorrent_keeps_to_an_upload_limit() {
    limited(Client::Libtorrent);
}

#[test]
fn libtorrent_completes_beside_every_evil_peer() {
    let net = Net::new();
    let content = Content::file(&net.folder("source"), "one.bin", 4 * MIB, 1);
    let torrent = Torrent::of(&content).make(&net.folder("torrents").join("x.torrent"));
    let mut job = Job::leech(&torrent, &net.folder("out"));
    let evil: Vec<EvilPeer> = (0_u8..)
        .zip(Trick::OFFENCES.into_iter().chain([Trick::BadData]))
        .map(|(nth, trick)| {
            EvilPeer::start(&net, &format!("10.77.0.{}", 10 + nth), trick, &torrent, None)
        })
        .collect();
    for peer in &evil {
        job = job.peer(peer.addr());
    }
    let seeder = Client::Aria2.start(&net, SEEDER, &Job::seed(&torrent, &content).max_up(2 * MIB));
    let leech = Client::Libtorrent.start(&net, LEECH, &job.peer(seeder.addr()));
    complete(&*leech, PATIENCE);
    let taken_in: usize = evil.iter().map(|peer| peer.count("connected")).sum();
    assert!(taken_in >= evil.len(), "only {taken_in} connections to {} evil peers", evil.len());
}
