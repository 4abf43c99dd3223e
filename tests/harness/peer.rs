//! [`Client`], [`Job`], [`Peer`]: other people's clients behind one face, to seed or to leech.
//!
//! All of them run with DHT, PEX and LSD off unless the job says so, and always without port
//! mapping, on an address of their own and the fixed port [`PORT`]: a test decides who finds whom.

use super::net::Net;
use super::torrents::{Content, Torrent};
use super::{aria2, libtorrent, transmission};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where every client listens for peers.
pub const PORT: u16 = 51413;
/// For a client to start and to check content of up to a gigabyte, on a busy machine.
pub const START_PATIENCE: Duration = Duration::from_secs(60);

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// transmission-daemon, from Debian.
    Transmission,
    /// aria2, from Debian. Asks HTTP trackers only: its UDP ones come with its DHT.
    Aria2,
    /// libtorrent, from PyPI.
    Libtorrent,
}

/// Which connections a client makes and takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crypto {
    /// As it comes: both kinds, of all three.
    #[default]
    Usual,
    /// Both kinds, and it calls without. Only Transmission has a word for that.
    PlainFirst,
    /// None that are encrypted. Only libtorrent can.
    Off,
    /// Encrypted ones alone, with RC4.
    Rc4,
    /// Encrypted ones alone, with plaintext after their handshake. Only libtorrent can.
    Plaintext,
    /// Encrypted ones alone, with either. Transmission can't.
    Either,
}

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The .torrent file.
    pub torrent: PathBuf,
    /// The folder that has, or gets, the torrent's file or folder.
    pub data: PathBuf,
    /// Whether the content must be there and whole before the client counts as ready.
    pub seeds: bool,
    /// Bytes a second, 0 for no limit.
    pub up_bytes_per_second: u64,
    /// Bytes a second, 0 for no limit.
    pub down_bytes_per_second: u64,
    /// Peers to call without being told by a tracker. aria2 takes none.
    pub peers: Vec<SocketAddr>,
    /// Whether TCP is spoken; aria2 knows nothing else.
    pub tcp: bool,
    /// Whether uTP is spoken, where the client can.
    pub utp: bool,
    /// Which connections are encrypted.
    pub crypto: Crypto,
    /// A node to begin in the DHT with; `None`: no DHT.
    pub dht_node: Option<SocketAddr>,
    /// Whether connected peers are told of others.
    pub pex: bool,
    /// Whether it announces itself on the local network.
    pub lsd: bool,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// It has all of the content.
    pub complete: bool,
    /// Payload bytes sent.
    pub uploaded_bytes: u64,
    /// Payload bytes received.
    pub downloaded_bytes: u64,
    /// Peers it is connected to.
    pub peers: u64,
}

/// A client at work; it ends on drop.
pub trait Peer {
    /// Where it listens.
    fn addr(&self) -> SocketAddr;
    /// How far it is, by its own word.
    fn progress(&self) -> Progress;
    /// The process, to stop it or to read its logs.
    fn process(&mut self) -> &mut super::Running;
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Transmission, Self::Aria2, Self::Libtorrent];

    /// Starts it at `host`; it is ready when this returns: it listens, and a seeder has checked
    /// its content and seeds it. Whether a tracker knows it already is the tracker's to say.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(self, net: &Net, host: &str, job: &Job) -> Box<dyn Peer> {
        let addr = SocketAddr::new(host.parse().expect("a test's address"), PORT);
        match self {
            Self::Transmission => Box::new(transmission::Transmission::start(net, addr, job)),
            Self::Aria2 => Box::new(aria2::Aria2::start(net, addr, job)),
            Self::Libtorrent => Box::new(libtorrent::Libtorrent::start(net, addr, job)),
        }
    }
}

impl Job {
    /// Seeds `content` as `torrent`, as fast as it can.
    pub fn seed(torrent: &Torrent, content: &Content) -> Self {
        Self::of(torrent.path(), content.folder(), true)
    }

    /// Downloads `torrent` into `folder`, as fast as it can.
    pub fn leech(torrent: &Torrent, folder: &Path) -> Self {
        Self::of(torrent.path(), folder, false)
    }

    pub(super) fn of(torrent: &Path, data: &Path, seeds: bool) -> Self {
        Self {
            torrent: torrent.to_owned(),
            data: data.to_owned(),
            seeds,
            up_bytes_per_second: 0,
            down_bytes_per_second: 0,
            peers: Vec::new(),
            tcp: true,
            utp: false,
            crypto: Crypto::Usual,
            dht_node: None,
            pex: false,
            lsd: false,
        }
    }

    /// Sends no more than that many bytes a second.
    #[must_use]
    pub fn max_up(self, up_bytes_per_second: u64) -> Self {
        Self { up_bytes_per_second, ..self }
    }

    /// Takes no more than that many bytes a second.
    #[must_use]
    pub fn max_down(self, down_bytes_per_second: u64) -> Self {
        Self { down_bytes_per_second, ..self }
    }

    /// Speaks uTP too.
    #[must_use]
    pub fn utp(self) -> Self {
        Self { utp: true, ..self }
    }

    /// Speaks uTP alone.
    #[must_use]
    pub fn utp_alone(self) -> Self {
        Self { tcp: false, utp: true, ..self }
    }

    /// Makes and takes such connections.
    #[must_use]
    pub fn crypto(self, crypto: Crypto) -> Self {
        Self { crypto, ..self }
    }

    /// Takes part in the DHT, and begins with `node`.
    #[must_use]
    pub fn dht(self, node: SocketAddr) -> Self {
        Self { dht_node: Some(node), ..self }
    }

    /// Tells connected peers of others, and hears them.
    #[must_use]
    pub fn pex(self) -> Self {
        Self { pex: true, ..self }
    }

    /// Announces itself on the local network, and hears others.
    #[must_use]
    pub fn lsd(self) -> Self {
        Self { lsd: true, ..self }
    }

    /// Calls `peer`.
    #[must_use]
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.peers.push(peer);
        self
    }
}

/// Waits until `peer` has everything.
///
/// # Panics
/// If that takes longer than `patience`.
#[track_caller]
pub fn complete(peer: &dyn Peer, patience: Duration) -> Progress {
    super::until("the leech has everything", patience, || {
        Some(peer.progress()).filter(|progress| progress.complete)
    })
}
