//! [`Input`]: everything that can happen to an engine.

use super::picker::Digest;
use super::{Content, PeerId};
use crate::torrent::PieceIndex;
use crate::wire::mse::Method;
use crate::wire::{BlockSpec, Handshake, Message, Transport};
use bytes::Bytes;
use std::net::SocketAddr;
use std::ops::Range;

/// A fact for the engine.
#[derive(Debug)]
pub enum Input {
    /// Begin: ask guests for peers, dial.
    Started,
    /// The user, or a torrent, named a peer.
    Named(SocketAddr),
    /// A dial succeeded, and our handshake can reach the peer.
    Dialled(PeerId),
    /// A peer came to us, and its handshake was about this torrent. The id is from
    /// [`Engine::next_peer`](super::Engine::next_peer).
    Accepted(PeerId, SocketAddr),
    /// The connection of a peer that has not greeted yet goes by that; if nothing is said, by TCP.
    Carried(PeerId, Transport),
    /// The connection of a peer that has not greeted yet is encrypted, and goes on with this.
    Encrypted(PeerId, Method),
    /// A peer's handshake.
    Greeted(PeerId, Handshake),
    /// A message of a peer.
    Received(PeerId, Message),
    /// `count` blocks that were sent to a peer have left for its socket.
    Sent(PeerId, usize),
    /// A peer took our call and closed the connection instead of saying its handshake, and how, for
    /// people: it may want another kind of connection.
    Declined(PeerId, String),
    /// A dial failed or a connection ended, and why, for people.
    Lost(PeerId, String),
    /// A piece was hashed; a good one is stored. With the SHA-1 of each block, if it is bad or
    /// they were asked for.
    Checked(PieceIndex, bool, Vec<Digest>),
    /// Somebody reads these pieces while they load, and waits for the first; empty: nobody does.
    Reads(Range<u32>),
    /// A block was read for upload; `None`: it could not be.
    Loaded(PeerId, BlockSpec, Option<Bytes>),
    /// A datagram arrived on the one UDP port.
    Datagram(SocketAddr, Bytes),
    /// An HTTP request of guest number `.0` ended: status and body, or why not.
    HttpReplied(usize, u64, Result<(u32, Bytes), String>),
    /// A look-up of guest number `.0` ended: addresses, or why not.
    Resolved(usize, u64, Result<Vec<SocketAddr>, String>),
    /// After [`Output::Learned`](super::Output::Learned): what is there and wanted.
    Learned(Box<Content>),
    /// The name of a node of the DHT was looked up; this is one of its addresses.
    NodeFound(SocketAddr),
    /// A router passes on to us what it gets at this address with TCP, and at this port with UDP.
    Mapped(SocketAddr, u16),
    /// Guest number `.0` called `wake`.
    Woken(usize),
    /// Bytes a second that we may send, if there is a limit, have changed.
    Limited(Option<u64>),
    /// Enough was given: nobody is served any more, but for blocks that are on their way.
    Sated,
    /// Say good-bye: no new requests, `stopped` to trackers.
    Stopped,
    /// The moment that [`Engine::deadline`](super::Engine::deadline) named has come.
    Deadline,
}
