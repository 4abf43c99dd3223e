//! [`Output`]: everything that an engine can want done, and [`Event`]: what it has to tell.

use super::PeerId;
use crate::torrent::{Block, Info, MetainfoError, PieceIndex};
use crate::wire::mse::{Method, Offer};
use crate::wire::{BlockSpec, Fault, Handshake, Message, Race, Transport};
use bytes::Bytes;
use rtor_plugin::Level;
use std::net::SocketAddr;
use std::sync::Arc;

/// A deed for the rooms that touch the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Connect to a peer.
    Dial(PeerId, SocketAddr, Call),
    /// Send our handshake.
    Greet(PeerId, Handshake),
    /// Send a message.
    Send(PeerId, Message),
    /// Close the connection (or give the dial up); nothing more will be said of this peer.
    HangUp(PeerId),
    /// Keep a block of an unfinished piece.
    Keep(Block, Bytes),
    /// All blocks of the piece were kept: hash it, and store it if it is good. Whether the hash
    /// of each block is to be told even then.
    Check(PieceIndex, bool),
    /// Drop what was kept of an unfinished piece: it begins anew.
    Forget(PieceIndex),
    /// Drop a block that was kept: it will come again.
    Discard(Block),
    /// Read a block for upload.
    Load(PeerId, PieceIndex, BlockSpec),
    /// Send a datagram from the one UDP port.
    Datagram(SocketAddr, Bytes),
    /// Fetch a URL for guest number `.0`; over the family 4 or 6 alone, if one is said.
    HttpGet(usize, u64, String, Option<u8>),
    /// Look a host and port up for guest number `.0`.
    Resolve(usize, u64, String, u16),
    /// Look a node of the DHT up that the torrent names: each address is an
    /// [`Input::NodeFound`](super::Input::NodeFound).
    FindNode(String, u16),
    /// Keep these bytes of the guest with this name for the next run.
    KeepState(String, Bytes),
    /// Join a multicast group.
    JoinMulticast(SocketAddr),
    /// The info dictionary of a magnet came, and its hash is right; it may be none that can be
    /// used. The download goes on with [`Input::Learned`](super::Input::Learned).
    Learned(Result<Arc<Info>, MetainfoError>),
    /// The piece layers of a hybrid whose info dictionary came before: the same with them.
    Layers(Arc<Info>),
    /// Tell whoever listens.
    Tell(Event),
}

/// What kind of connection a peer is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// By which transports.
    pub race: Race,
    /// With this encryption, if there is an offer.
    pub offer: Option<Offer>,
}

/// Why a conversation ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The connection broke, or never came to be.
    #[error("{0}")]
    Lost(String),
    /// It broke the protocol.
    #[error("it broke the protocol: {0}")]
    Fault(#[from] Fault),
    /// It sent wrong bytes: proof.
    #[error("it sent wrong bytes")]
    Poisoned,
    /// It gave nothing, and others wait for its place.
    #[error("it was of no use, and others wait for its place")]
    Replaced,
    /// No connection or no handshake in time.
    #[error("no answer in time")]
    Unanswered,
    /// Nothing was heard for a long time.
    #[error("it fell silent")]
    Silent,
    /// It is ourselves.
    #[error("it is ourselves")]
    Ourselves,
    /// The same peer is here already.
    #[error("it is here already")]
    Twice,
    /// There is no room.
    #[error("there is no room")]
    Full,
    /// The torrent is private, and the peer was not found by a tracker.
    #[error("the torrent is private, and no tracker named it")]
    Private,
    /// Neither of us has anything that the other wants.
    #[error("both have everything")]
    BothComplete,
    /// We stop.
    #[error("we stopped")]
    Stopped,
}

/// What an engine has to tell: for progress, `--events` and the result.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A peer finished its handshake.
    Joined {
        /// The engine's number for it.
        peer: PeerId,
        /// Its address.
        addr: SocketAddr,
        /// It came to us.
        came_to_us: bool,
        /// What carries its connection.
        transport: Transport,
        /// What its connection goes on with, if it is encrypted.
        method: Option<Method>,
    },
    /// A peer is gone, or a dial failed.
    Left {
        /// The engine's number for it.
        peer: PeerId,
        /// Its address.
        addr: SocketAddr,
        /// Why.
        why: Why,
    },
    /// A peer was proven to have sent wrong bytes.
    Banned {
        /// The engine's number for it.
        peer: PeerId,
        /// Its address.
        addr: SocketAddr,
    },
    /// A piece was verified and stored.
    Verified(PieceIndex),
    /// A piece failed its check.
    Failed(PieceIndex),
    /// Every wanted piece is verified.
    Completed,
    /// The info dictionary of a magnet is whole: so many bytes.
    Metadata(usize),
    /// A guest found peers that were not known.
    Found {
        /// The guest.
        guest: String,
        /// Where from: a tracker's URL.
        source: String,
        /// New ones.
        new: usize,
        /// All that were told.
        told: usize,
    },
    /// What a source said of the swarm.
    Heard {
        /// Where from: a tracker's URL.
        source: String,
        /// Peers that have everything.
        seeds: Option<u64>,
        /// Peers that do not.
        leeches: Option<u64>,
        /// How often it was completed.
        downloads: Option<u64>,
        /// Seconds until it is asked again.
        interval_s: u32,
    },
    /// A guest has something to say.
    Report {
        /// How much it matters.
        level: Level,
        /// The guest.
        guest: String,
        /// What it is about: a tracker's URL.
        subject: String,
        /// One sentence.
        text: String,
    },
    /// After [`Input::Stopped`](super::Input::Stopped): every guest has said good-bye.
    Farewell,
}
