//! uTP (BEP 29): peers that speak nothing else are reached and served, and where both transports are
//! spoken, one connection is made.

use super::trackers::with_trackers;
use super::{SEEDERS, Swarm, TRACKER, one_file};
use crate::harness::peer::{PORT, complete};
use crate::harness::proxy::Sniffer;
use crate::harness::tree::same;
use crate::harness::{Client, Crypto, Dht, Job, KIB, MIB, Started, tracker, until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A file whose last piece and last block are odd.
const LENGTH: u64 = 3 * MIB + 12_345;
const PIECE_LENGTH: u64 = 64 * KIB;

const PATIENCE: Duration = Duration::from_secs(60);
/// Where rtor listens.
const RTOR: &str = "10.77.0.9:6881";
const LEECH: &str = "10.77.0.7";

fn seeded_by(client: Client, shape: impl Fn(Job) -> Job) -> Swarm {
    Swarm::shaped(&[(client, 0)], one_file(LENGTH, PIECE_LENGTH), shape)
}

/// What the result says of the connection to the one peer that gave or took anything: what carried it,
/// and what it went on with, if it was encrypted.
#[track_caller]
fn connection(fetch: &Value) -> (&str, Option<&str>) {
    let peers = fetch["peers"].as_array().expect("an array");
    let moved = |peer: &&Value| {
        ["downloaded_bytes", "uploaded_bytes"].iter().any(|way| peer[way].as_u64() > Some(0))
    };
    let peer = peers.iter().find(moved).unwrap_or_else(|| panic!("nobody gave: {fetch}"));
    (peer["transport"].as_str().expect("a text"), peer["encryption"].as_str())
}

#[test]
fn libtorrent_that_takes_nothing_but_utp_is_downloaded_from() {
    for when in ["utp", "tcp,utp"] {
        let swarm = seeded_by(Client::Libtorrent, Job::utp_alone);
        let fetch = swarm.gets(&["--transport", when]);
        assert_eq!(connection(&fetch), ("utp", None), "{fetch}");
    }
}

#[test]
fn libtorrent_that_takes_nothing_but_rc4_by_utp_is_downloaded_from() {
    let swarm = seeded_by(Client::Libtorrent, |job| job.utp_alone().crypto(Crypto::Rc4));
    // It declines both kinds by TCP, and plain by uTP.
    assert_eq!(connection(&swarm.gets(&[])), ("utp", Some("rc4")));
}

#[test]
fn transmission_that_speaks_utp_is_downloaded_from_by_it() {
    for (crypto, method) in [(Crypto::Usual, None), (Crypto::Rc4, Some("rc4"))] {
        let swarm = seeded_by(Client::Transmission, |job| job.utp().crypto(crypto));
        assert_eq!(connection(&swarm.gets(&["--transport", "utp"])), ("utp", method));
    }
}

/// TCP to it is lost on the way, as at many a router: nobody says that nobody is there.
#[test]
fn who_is_not_reached_by_tcp_is_by_utp() {
    for client in [Client::Libtorrent, Client::Transmission] {
        let swarm = seeded_by(client, Job::utp);
        swarm.net.drops_tcp(PORT);
        assert_eq!(connection(&swarm.gets(&[])), ("utp", None), "{client:?}");
    }
}

#[test]
fn who_speaks_tcp_is_never_sent_a_packet_of_utp() {
    let swarm = seeded_by(Client::Libtorrent, |job| job);
    let sniffer = Sniffer::start(&swarm.net);
    assert_eq!(connection(&swarm.gets(&["--no-discover", "dht"])), ("tcp", None));
    let to_it = sniffer.flows().into_iter().filter(|(_, _, to, _)| to == SEEDERS[0]);
    let protocols: Vec<String> = to_it.map(|(protocol, ..)| protocol).collect();
    assert_eq!(protocols, ["tcp"]);
}

#[test]
fn of_both_transports_one_connection_is_kept() {
    for (drops_tcp, by) in [(false, "tcp"), (true, "utp")] {
        let mut swarm = seeded_by(Client::Libtorrent, Job::utp);
        if drops_tcp {
            swarm.net.drops_tcp(PORT);
        }
        let fetch = swarm.gets(&["--interface", "10.77.0.9"]);
        assert_eq!(connection(&fetch), (by, None), "{fetch}");
        let seeder = &mut swarm.seeders[0];
        let came = |said: &str| said.matches("incoming connection from 10.77.0.9").count();
        // It tells of everything that happened up to then a moment later.
        let said = until("it tells who came", PATIENCE, || {
            let gone = seeder.progress().peers == 0;
            Some(seeder.process().stderr()).filter(|said| gone && came(said) > 0)
        });
        assert_eq!(came(&said), 1, "{said}");
    }
}

/// Everything that datagrams are for goes over one port at once.
#[test]
fn the_dht_a_udp_tracker_and_utp_share_the_port() {
    let mut swarm = Swarm::new(&[], one_file(LENGTH, PIECE_LENGTH));
    swarm.torrent = with_trackers(&swarm, &[tracker::udp(TRACKER)]);
    let Swarm { torrent, net, content, .. } = &swarm;
    let dht = Dht::start(net, false);
    let job = Job::seed(torrent, content).utp_alone().dht(dht.node);
    let _seeder = Client::Libtorrent.start(net, SEEDERS[0], &job);
    swarm.tracker.knows(torrent, 1, 0);
    let sniffer = Sniffer::start(net);
    let node = dht.node.to_string();
    let ways = ["--transport", "utp", "--discover", "dht,tracker", "--dht-bootstrap", &node];
    let fetch = swarm.gets(&[&ways[..], &["--listen", RTOR, "--events", "events"]].concat());
    assert_eq!(connection(&fetch), ("utp", None), "{fetch}");
    let events = fs::read_to_string(swarm.run.join("events")).expect("there are events");
    assert!(events.contains(r#""event":"swarm""#), "the tracker answered: {events}");
    let flows = sniffer.flows();
    let (dht_ip, port) =
        (dht.node.ip().to_string(), RTOR.parse().map(|at: std::net::SocketAddr| at.port()));
    let ours = |peer: &str| {
        flows.iter().any(|(protocol, from, to, at)| {
            (protocol.as_str(), from.as_str(), to.as_str()) == ("udp", peer, "10.77.0.9")
                && port.as_ref().is_ok_and(|port| *at == u64::from(*port))
        })
    };
    assert!(ours(&dht_ip) && ours(TRACKER) && ours(SEEDERS[0]), "{flows:?}");
}

#[test]
fn a_seeder_of_ipv6_is_downloaded_from() {
    let swarm = Swarm::new(&[], one_file(LENGTH, PIECE_LENGTH));
    let job = Job::seed(&swarm.torrent, &swarm.content).utp_alone();
    let seeder = Client::Libtorrent.start(&swarm.net, "fd77::3", &job);
    let addr = seeder.addr().to_string();
    let fetch = swarm.gets(&["--no-trackers", "--transport", "utp", "--peer", &addr]);
    assert_eq!(connection(&fetch), ("utp", None), "{fetch}");
}

/// Its end is nobody's to tell: what is sent to it is not acknowledged.
#[test]
fn a_peer_that_vanishes_is_noticed_and_another_goes_on() {
    let mut swarm = Swarm::shaped(
        &[(Client::Libtorrent, 256 * KIB), (Client::Libtorrent, 0)],
        one_file(LENGTH, PIECE_LENGTH),
        Job::utp_alone,
    );
    let [first, second] = [0, 1].map(|at| swarm.seeders[at].addr().to_string());
    let get = ["get", swarm.torrent.arg(), "--output", "out", "--no-trackers"];
    let alone = ["--peer", &first, "--transport", "utp", "--events", "events"];
    let run = swarm.rtor(get).args(alone).start();
    let events = || fs::read_to_string(swarm.run.join("events")).unwrap_or_default();
    until("a piece came", PATIENCE, || events().contains("piece_verified").then_some(()));
    swarm.seeders[0].process().send(Signal::KILL);
    let left = || {
        let events = events();
        let left = events.lines().find(|line| line.contains("peer_left"))?;
        serde_json::from_str::<Value>(left).ok()
    };
    let left = until("it is missed", PATIENCE, left);
    assert_eq!(left["addr"], first.as_str(), "{left}");
    drop(run);
    let again = swarm.rtor(get).args(["--peer", &second, "--transport", "utp"]).run();
    swarm.arrived(again.exited(0));
}

/// rtor with all of the content, seeding it at [`RTOR`].
struct Seeding {
    run: Started,
    swarm: Swarm,
}

impl Seeding {
    fn start(args: &[&str]) -> Self {
        let swarm = Swarm::new(&[], one_file(LENGTH, PIECE_LENGTH));
        let source = swarm.content.folder().to_owned();
        let get = ["get", swarm.torrent.arg(), "--seed", "--listen", RTOR];
        let run = swarm.rtor(get).args(args).args([Path::new("--output"), &source]).start();
        swarm.tracker.knows(&swarm.torrent, 1, 0);
        Self { run, swarm }
    }

    /// Ends it; its section `fetch`.
    fn end(mut self) -> Value {
        self.run.send(Signal::INT);
        self.run.wait(PATIENCE).exited(0).json()["fetch"].clone()
    }
}

/// `client` downloads from rtor.
#[track_caller]
fn seeds(client: Client, args: &[&str], shape: impl Fn(Job) -> Job) -> Value {
    let seeding = Seeding::start(args);
    let Swarm { torrent, net, content, .. } = &seeding.swarm;
    let into = net.folder("leech");
    let mut leech = client.start(net, LEECH, &shape(Job::leech(torrent, &into)));
    complete(&*leech, PATIENCE);
    leech.process().stop();
    same(&content.path(), &into.join(content.name()));
    seeding.end()
}

#[test]
fn libtorrent_that_makes_nothing_but_utp_is_seeded_to() {
    for when in ["utp", "tcp,utp"] {
        let fetch = seeds(Client::Libtorrent, &["--transport", when], Job::utp_alone);
        assert_eq!(connection(&fetch), ("utp", None), "{fetch}");
    }
}

#[test]
fn libtorrent_that_makes_nothing_but_rc4_by_utp_is_seeded_to() {
    let shape = |job: Job| job.utp_alone().crypto(Crypto::Rc4);
    assert_eq!(connection(&seeds(Client::Libtorrent, &[], shape)), ("utp", Some("rc4")));
}

/// It would rather encrypt than not.
#[test]
fn transmission_that_speaks_utp_is_seeded_to() {
    let fetch = seeds(Client::Transmission, &["--transport", "utp"], Job::utp);
    assert_eq!(connection(&fetch), ("utp", Some("rc4")), "{fetch}");
}

#[test]
fn transmission_that_speaks_utp_is_seeded_to_unencrypted() {
    let shape = |job: Job| job.utp().crypto(Crypto::PlainFirst);
    let fetch = seeds(Client::Transmission, &["--transport", "utp"], shape);
    assert_eq!(connection(&fetch), ("utp", None), "{fetch}");
}

#[test]
fn utp_and_a_proxy_are_refused_together() {
    let swarm = Swarm::new(&[], one_file(KIB, 16 * KIB));
    let args = ["get", swarm.torrent.arg(), "--proxy", "socks5://10.77.0.20:1080"];
    let said = swarm.rtor(args).args(["--transport", "tcp,utp"]).run().refused();
    assert!(said.contains("`--transport utp` reaches nobody through a `--proxy`"), "{said}");
}
