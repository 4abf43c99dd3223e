//! uTP (BEP 29): peers that speak nothing else are reached and served, and where both transports are
//! spoken, one connection is made.

use super::{Swarm, one_file};
use crate::harness::peer::complete;
use crate::harness::tree::same;
use crate::harness::{Client, Job, KIB, MIB, Started};
use rustix::process::Signal;
use serde_json::Value;
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

/// What the result says of the connection to the one peer that gave or took anything.
#[track_caller]
fn transport(fetch: &Value) -> &str {
    let peers = fetch["peers"].as_array().expect("an array");
    let moved = |peer: &&Value| {
        ["downloaded_bytes", "uploaded_bytes"].iter().any(|way| peer[way].as_u64() > Some(0))
    };
    let peer = peers.iter().find(moved).unwrap_or_else(|| panic!("nobody gave: {fetch}"));
    peer["transport"].as_str().expect("a text")
}

#[test]
fn libtorrent_that_takes_nothing_but_utp_is_downloaded_from() {
    for when in ["utp", "tcp,utp"] {
        let swarm = seeded_by(Client::Libtorrent, Job::utp_alone);
        let fetch = swarm.gets(&["--transport", when]);
        assert_eq!(transport(&fetch), "utp", "{fetch}");
    }
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
        assert_eq!(transport(&fetch), "utp", "{fetch}");
    }
}
