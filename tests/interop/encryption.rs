//! Encrypted connections (MSE), both ways: clients that take nothing else, clients that do not take
//! them, and liars.

use super::{Swarm, one_file};
use crate::harness::peer::complete;
use crate::harness::tree::same;
use crate::harness::{Client, Crypto, Job, KIB, MIB, MseTrick, MseTrickster, Started};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A file whose last piece and last block are odd.
const LENGTH: u64 = 3 * MIB + 12_345;
const PIECE_LENGTH: u64 = 64 * KIB;

const PATIENCE: Duration = Duration::from_secs(60);
/// Where rtor listens.
const RTOR: &str = "10.77.0.9:6881";
const LEECH: &str = "10.77.0.7";
const TRICKSTER: &str = "10.77.0.20";
/// Given to rtor where nothing is to arrive: far more than both kinds of a call take.
const IN_VAIN: [&str; 2] = ["--timeout", "5s"];

fn seeded_by(client: Client, crypto: Crypto) -> Swarm {
    Swarm::shaped(&[(client, 0)], one_file(LENGTH, PIECE_LENGTH), |job| job.crypto(crypto))
}

/// What the result says of the connection to the one peer that gave anything.
#[track_caller]
fn encryption(fetch: &Value) -> Option<String> {
    let peers = fetch["peers"].as_array().expect("an array");
    let gave = |peer: &&Value| {
        ["downloaded_bytes", "uploaded_bytes"].iter().any(|way| peer[way].as_u64() > Some(0))
    };
    let peer = peers.iter().find(gave).unwrap_or_else(|| panic!("nobody gave: {fetch}"));
    let method = peer["encryption"].as_str().map(str::to_owned);
    assert_eq!(peer["encrypted"], method.is_some(), "{peer}");
    method
}

/// rtor downloads from `client`, whose connections are such, and its own are `when`.
#[track_caller]
fn downloads(client: Client, crypto: Crypto, when: &str, method: Option<&str>) {
    let swarm = seeded_by(client, crypto);
    let fetch = swarm.fetches(&["--encryption", when]);
    assert_eq!(encryption(&fetch).as_deref(), method, "{fetch}");
}

#[test]
fn libtorrent_that_takes_nothing_but_rc4_is_downloaded_from() {
    downloads(Client::Libtorrent, Crypto::Rc4, "allow", Some("rc4"));
}

#[test]
fn libtorrent_that_takes_nothing_but_encrypted_handshakes_is_downloaded_from() {
    downloads(Client::Libtorrent, Crypto::Plaintext, "allow", Some("plaintext"));
}

#[test]
fn libtorrent_that_takes_either_after_an_encrypted_handshake_is_downloaded_from() {
    downloads(Client::Libtorrent, Crypto::Either, "require", Some("rc4"));
}

#[test]
fn transmission_that_takes_nothing_but_rc4_is_downloaded_from() {
    downloads(Client::Transmission, Crypto::Rc4, "allow", Some("rc4"));
}

#[test]
fn aria2_that_takes_nothing_but_rc4_is_downloaded_from() {
    downloads(Client::Aria2, Crypto::Rc4, "allow", Some("rc4"));
}

#[test]
fn aria2_that_takes_either_after_an_encrypted_handshake_is_downloaded_from() {
    downloads(Client::Aria2, Crypto::Either, "allow", Some("plaintext"));
}

#[test]
fn who_takes_both_kinds_is_downloaded_from_by_rc4_if_that_is_required() {
    downloads(Client::Transmission, Crypto::Usual, "require", Some("rc4"));
    downloads(Client::Aria2, Crypto::Usual, "require", Some("rc4"));
}

#[test]
fn who_takes_both_kinds_is_called_plain_by_default() {
    downloads(Client::Libtorrent, Crypto::Usual, "allow", None);
}

#[test]
fn who_takes_only_plain_connections_is_not_lost_where_encrypted_ones_are_preferred() {
    downloads(Client::Libtorrent, Crypto::Off, "prefer", None);
}

#[track_caller]
fn nothing_comes(crypto: Crypto, when: &str) {
    let swarm = seeded_by(Client::Libtorrent, crypto);
    let ran = swarm.rtor(["fetch", swarm.torrent.arg(), "--encryption", when]).args(IN_VAIN).run();
    let fetch = ran.exited(1).json()["fetch"].clone();
    assert_eq!((&fetch["have"], &fetch["peers"]), (&0.into(), &Value::Array(vec![])), "{fetch}");
}

#[test]
fn require_does_not_call_plain() {
    nothing_comes(Crypto::Off, "require");
}

#[test]
fn off_does_not_call_encrypted() {
    nothing_comes(Crypto::Rc4, "off");
}

/// rtor with all of the content, seeding it at [`RTOR`].
struct Seeding {
    run: Started,
    swarm: Swarm,
}

impl Seeding {
    fn start(when: &str) -> Self {
        let swarm = Swarm::new(&[], one_file(LENGTH, PIECE_LENGTH));
        let source = swarm.content.folder().to_owned();
        let args = ["get", swarm.torrent.arg(), "--seed", "--listen", RTOR, "--encryption", when];
        let run = swarm.rtor(args).args([Path::new("--output"), &source]).start();
        swarm.tracker.knows(&swarm.torrent, 1, 0);
        Self { run, swarm }
    }

    fn addr() -> SocketAddr {
        RTOR.parse().expect("an address")
    }

    /// Ends it; its section `fetch`.
    fn end(mut self) -> (Value, Swarm) {
        self.run.send(Signal::INT);
        let ran = self.run.wait(PATIENCE).exited(0);
        (ran.json()["fetch"].clone(), self.swarm)
    }
}

/// `client`, whose connections are such, downloads from rtor, whose are `when`.
#[track_caller]
fn seeds(client: Client, crypto: Crypto, when: &str, method: Option<&str>) {
    let seeding = Seeding::start(when);
    let Swarm { torrent, net, content, .. } = &seeding.swarm;
    let into = net.folder("leech");
    let mut leech = client.start(net, LEECH, &Job::leech(torrent, &into).crypto(crypto));
    complete(&*leech, PATIENCE);
    leech.process().stop();
    same(&content.path(), &into.join(content.name()));
    let (fetch, _swarm) = seeding.end();
    assert_eq!(encryption(&fetch).as_deref(), method, "{fetch}");
}

#[test]
fn libtorrent_that_makes_nothing_but_rc4_is_seeded_to() {
    seeds(Client::Libtorrent, Crypto::Rc4, "allow", Some("rc4"));
}

#[test]
fn libtorrent_that_makes_nothing_but_encrypted_handshakes_is_seeded_to() {
    seeds(Client::Libtorrent, Crypto::Plaintext, "allow", Some("plaintext"));
}

#[test]
fn libtorrent_that_provides_either_is_seeded_to_as_is_preferred() {
    seeds(Client::Libtorrent, Crypto::Either, "allow", Some("plaintext"));
    seeds(Client::Libtorrent, Crypto::Either, "prefer", Some("rc4"));
}

#[test]
fn transmission_that_makes_nothing_but_rc4_is_seeded_to() {
    seeds(Client::Transmission, Crypto::Rc4, "require", Some("rc4"));
}

#[test]
fn aria2_that_makes_nothing_but_rc4_is_seeded_to() {
    seeds(Client::Aria2, Crypto::Rc4, "allow", Some("rc4"));
}

#[test]
fn libtorrent_that_makes_only_plain_connections_is_seeded_to_by_default() {
    seeds(Client::Libtorrent, Crypto::Off, "allow", None);
    seeds(Client::Libtorrent, Crypto::Off, "prefer", None);
}

/// Both methods that a few lines of Python speak, and what else comes of a call.
#[test]
fn callers_that_break_the_rules_are_hung_up_on_and_others_served() {
    let seeding = Seeding::start("require");
    let Swarm { torrent, net, .. } = &seeding.swarm;
    let tricks = [
        MseTrick::Plain,
        MseTrick::EndlessPad,
        MseTrick::WrongVc,
        MseTrick::WrongMethod,
        MseTrick::OtherTorrent,
        MseTrick::LongPayload,
    ];
    for (host, trick) in (20_u8..).zip(tricks) {
        let host = format!("10.77.0.{host}");
        let caller = MseTrickster::call(net, &host, trick, torrent, Seeding::addr());
        let closed = caller.seen("closed", PATIENCE);
        assert_eq!(closed["hung_up"], true, "{trick:?}: {closed}");
        // What lies in sockets is not read.
        assert!(closed["sent"].as_u64() < Some(16 * MIB), "{trick:?}: {closed}");
    }
    MseTrickster::call(net, "10.77.0.30", MseTrick::ClosesMidway, torrent, Seeding::addr())
        .seen("closed", PATIENCE);
    let honest = MseTrickster::call(net, "10.77.0.31", MseTrick::Nothing, torrent, Seeding::addr());
    let greeted = honest.seen("greeted", PATIENCE);
    assert_eq!(greeted["method"], 2, "{greeted}");
    let said = greeted["handshake"].as_str().expect("a text");
    assert!(said.contains(&torrent.tracker_hash()), "{said}");
    seeding.end();
}

#[test]
fn off_takes_nothing_encrypted_and_require_nothing_plain() {
    for (when, trick) in [("off", MseTrick::Nothing), ("require", MseTrick::Plain)] {
        let seeding = Seeding::start(when);
        let Swarm { torrent, net, .. } = &seeding.swarm;
        let caller = MseTrickster::call(net, TRICKSTER, trick, torrent, Seeding::addr());
        let closed = caller.seen("closed", PATIENCE);
        assert_eq!((&closed["hung_up"], caller.count("greeted")), (&true.into(), 0), "{closed}");
        seeding.end();
    }
}

/// Called peers that break the rules cost a connection, and an honest one beside them serves.
#[test]
fn called_peers_that_break_the_rules_hold_nothing_up() {
    let swarm =
        Swarm::shaped(&[(Client::Libtorrent, MIB)], one_file(LENGTH, PIECE_LENGTH), |job| {
            job.crypto(Crypto::Rc4)
        });
    let tricks =
        [MseTrick::EndlessPad, MseTrick::WrongVc, MseTrick::WrongMethod, MseTrick::ClosesMidway];
    let tricksters: Vec<_> = (20_u8..)
        .zip(tricks)
        .map(|(host, trick)| {
            let host = format!("10.77.0.{host}");
            MseTrickster::listen(&swarm.net, &host, trick, &swarm.torrent)
        })
        .collect();
    let addrs: Vec<String> = tricksters.iter().map(|peer| peer.addr().to_string()).collect();
    let peers = addrs.iter().flat_map(|addr| ["--peer", addr.as_str()]);
    let args: Vec<&str> = ["--encryption", "require"].into_iter().chain(peers).collect();
    let fetch = swarm.fetches(&args);
    assert_eq!(encryption(&fetch).as_deref(), Some("rc4"), "{fetch}");
    for trickster in &tricksters {
        trickster.seen("closed", PATIENCE);
        // Nobody calls again and again a peer with whom nothing can be agreed on.
        assert!(trickster.count("connected") <= 4, "{:?}", trickster.events());
    }
}

/// The first event of a peer says what its connection is.
#[test]
fn events_tell_of_encryption() {
    let swarm = seeded_by(Client::Libtorrent, Crypto::Rc4);
    swarm.fetches(&["--events", "events"]);
    let events = fs::read_to_string(swarm.run.join("events")).expect("there are events");
    let events = events.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let joined: Vec<Value> =
        events.filter(|event: &Value| event["event"] == "peer_joined").collect();
    assert_eq!(joined.len(), 1, "{joined:?}");
    assert_eq!((&joined[0]["encrypted"], &joined[0]["encryption"]), (&true.into(), &"rc4".into()));
}
