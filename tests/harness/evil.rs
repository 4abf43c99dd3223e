//! [`EvilPeer`]: a peer of our own that breaks the rules in one way, through `evil_peer.py`.
//!
//! It is no mock of a client: nobody's client does this on purpose, and somebody's always does.

use super::net::Net;
use super::parts::script;
use super::process::Running;
use super::torrents::Torrent;
use super::{peer, until};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// For the script to listen.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Answers the handshake with random bytes.
    GarbageHandshake,
    /// Shakes hands for another torrent.
    OtherTorrent,
    /// Announces a message of 4 GiB.
    GiantLength,
    /// Sends a bitfield of two bytes too many.
    WrongSizedBitfield,
    /// Sends a bitfield with bits set past the last piece.
    SpareBit,
    /// Has a piece that the torrent has not.
    IndexOutOfRange,
    /// Sends a block before anything was asked.
    UnrequestedBlock,
    /// Answers each request with a byte less.
    ShortBlock,
    /// Answers each request with random bytes.
    BadData,
    /// Has everything, unchokes, and never answers a request.
    Silent,
    /// The same, and says which piece each request is for.
    Records,
    /// Says that it has the metadata, of another size, and sends zeros.
    WrongMetadata,
}

impl Trick {
    /// Those that a peer is to be hung up on for, at once.
    pub const OFFENCES: [Self; 8] = [
        Self::GarbageHandshake,
        Self::OtherTorrent,
        Self::GiantLength,
        Self::WrongSizedBitfield,
        Self::SpareBit,
        Self::IndexOutOfRange,
        Self::UnrequestedBlock,
        Self::ShortBlock,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::GarbageHandshake => "garbage-handshake",
            Self::OtherTorrent => "other-torrent",
            Self::GiantLength => "giant-length",
            Self::WrongSizedBitfield => "wrong-sized-bitfield",
            Self::SpareBit => "spare-bit",
            Self::IndexOutOfRange => "index-out-of-range",
            Self::UnrequestedBlock => "unrequested-block",
            Self::ShortBlock => "short-block",
            Self::BadData => "bad-data",
            Self::Silent => "silent",
            Self::Records => "records",
            Self::WrongMetadata => "wrong-metadata",
        }
    }
}

/// One of them, listening.
pub struct EvilPeer {
    running: Running,
    addr: SocketAddr,
    trick: Trick,
}

impl EvilPeer {
    /// Starts it at `host`, known to `tracker` if there is one; it listens when this returns.
    pub fn start(
        net: &Net,
        host: &str,
        trick: Trick,
        torrent: &Torrent,
        tracker: Option<&str>,
    ) -> Self {
        let addr = SocketAddr::new(host.parse().expect("a test's address"), peer::PORT);
        let told = json!({
            "listen": [host, addr.port()],
            "trick": trick.name(),
            "info_hash": torrent.tracker_hash(),
            "piece_count": torrent.piece_count(),
            "piece_length": torrent.piece_length(),
            "total_length": torrent.total_length(),
            "tracker": tracker,
        });
        let folder = net.folder(&format!("evil-{host}"));
        let mut command = net.command("python3");
        command.arg(script("evil_peer.py")).arg(told.to_string());
        let running = net.start("evil peer", &folder, &mut command);
        let mut evil = Self { running, addr, trick };
        evil.running.until("listens", START_PATIENCE, |running| {
            running.stdout().contains(r#""listening""#).then_some(())
        });
        evil
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What happened to it so far.
    pub fn events(&self) -> Vec<Value> {
        self.running.events()
    }

    /// How often something of that name happened.
    pub fn count(&self, event: &str) -> usize {
        self.running.count(event)
    }

    /// The pieces that it was asked for, in order, if it records them.
    pub fn requested(&self) -> Vec<u64> {
        let requests = self.events().into_iter().filter(|seen| seen["event"] == "requested");
        requests.filter_map(|seen| seen["piece"].as_u64()).collect()
    }

    /// Waits until somebody was taken in by it and has hung up.
    ///
    /// # Panics
    /// If nobody does within `patience`.
    #[track_caller]
    pub fn hung_up_on(&self, patience: Duration) -> Value {
        until(&format!("someone hangs up on {:?}", self.trick), patience, || {
            let closed = |seen: &Value| seen["event"] == "closed" && seen["hung_up"] == true;
            self.events().into_iter().find(closed)
        })
    }
}
