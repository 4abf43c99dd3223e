//! Sockets. Decides nothing about BitTorrent.
//!
//! Each connection has a task that reads and one that writes; what they learn goes to the driver
//! as [`Fact`]s through one bounded channel. Backpressure has no message of its own: while the
//! driver does not take facts the readers stop, and TCP does the rest.
#![expect(clippy::disallowed_types, reason = "an I/O room: sockets live here, and what is shared")]

mod association;
mod buffers;
mod connection;
mod datagram;
mod dial;
mod encrypt;
pub mod http;
mod limit;
mod listen;
mod local;
mod mapping;
mod multicast;
mod outgoing;
mod port_map;
mod proxy;
mod route;
mod socks;
mod stream;
mod utp;

pub use buffers::Buffers;
pub use connection::Connection;
pub use datagram::{Datagrams, LookUp};
pub use dial::{Call, Origin, dial};
pub use limit::{Limits, Rates};
pub use listen::{Door, ListenError, Listener, Newcomer, PORT_USUAL};
pub use local::{LocalAddrs, LocalAddrsError};
pub use mapping::Mapped;
pub use outgoing::Outgoing;
pub use port_map::{PortMap, PortNews};
pub use proxy::{Proxies, Proxy, ProxyError};
pub use stream::Stream;
pub use utp::{Calls, UtpBounds};

use crate::wire::mse::Method;
use crate::wire::{Handshake, Message, Transport};
use bytes::Bytes;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// The driver's number for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// Facts that wait for the driver: with messages of up to one buffer each, this bounds what is
/// received and not yet thought about.
pub const FACTS_WAITING_MAX: usize = 8;

/// What happened on a socket.
#[derive(Debug)]
pub enum Fact {
    /// A dial succeeded, by that; of one that is encrypted, the other side has answered with its key.
    Dialled(ConnId, Transport),
    /// What a connection goes on with after the handshake of its encryption.
    Encrypted(ConnId, Method),
    /// A peer came to us and said its handshake.
    Came(Newcomer),
    /// The other side's handshake.
    Greeted(ConnId, Handshake),
    /// Messages, in order: all that one read brought.
    Received(ConnId, Vec<Message>),
    /// Blocks that were sent have left for the socket.
    Sent(ConnId, usize),
    /// The other side took our call and closed the connection before its handshake, and how.
    Declined(ConnId, String),
    /// The connection ended otherwise, or never came to be, and why.
    Lost(ConnId, String),
    /// A datagram.
    Datagram(SocketAddr, Bytes),
}

/// Where facts go.
pub type Facts = mpsc::Sender<Fact>;

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Means {
    /// Where what happens is told.
    pub facts: Facts,
    /// What is read into.
    pub buffers: Buffers,
    /// How much may be moved.
    pub limits: Limits,
}

/// One sentence without the operating system's error number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
