//! [`dial`]: opens a connection to a peer, by TCP or uTP, whichever is first.

use super::connection::Opening;
use super::stream::Stream;
use super::utp::Calls;
use super::{ConnId, Connection, LocalAddrs, Means, Proxy};
use crate::wire::mse::Offer;
use crate::wire::{Race, Transport};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpSocket;

/// How long the first of a race is alone: most answers come sooner, and then the other is never sent
/// anything. Who takes only the second waits so long once.
const HEAD_START: Duration = Duration::from_millis(250);

/// How a peer is called.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Where it listens.
    pub to: SocketAddr,
    /// By what.
    pub race: Race,
    /// With this encryption, if there is an offer.
    pub offer: Option<Offer>,
}

/// From where calls leave, and by which way.
#[derive(Clone, Debug)]
pub struct Origin {
    /// By TCP: that of the addresses which is of the same family.
    pub from: LocalAddrs,
    /// By uTP: the one UDP port.
    pub utp: Calls,
    /// Through whom all goes; then nothing goes by uTP.
    pub proxy: Option<Proxy>,
}

/// Begins to connect to a peer. Of a race the first that connects is kept, and the other dropped before
/// a byte is said by it. Facts follow; how long to wait is the caller's to say, by dropping the
/// connection.
#[must_use]
pub fn dial(id: ConnId, means: &Means, origin: &Origin, call: Call) -> Connection {
    let opening = call.offer.map_or(Opening::Plain, Opening::Encrypted);
    Connection::open(id, means, connect(origin.clone(), call.to, call.race), opening)
}

async fn connect(origin: Origin, to: SocketAddr, race: Race) -> io::Result<Stream> {
    let Race { first, second } = race;
    let Some(second) = second else { return origin.connect(first, to).await };
    let mut ahead = std::pin::pin!(origin.connect(first, to));
    let failed = tokio::select! {
        connected = &mut ahead => match connected {
            Ok(stream) => return Ok(stream),
            Err(why) => Some(why),
        },
        () = tokio::time::sleep(HEAD_START) => None,
    };
    let mut behind = std::pin::pin!(origin.connect(second, to));
    if let Some(why) = failed {
        return behind.await.map_err(|_| why);
    }
    // Who fails leaves the race, and the other goes on.
    tokio::select! {
        Ok(stream) = &mut ahead => Ok(stream),
        Ok(stream) = &mut behind => Ok(stream),
        else => Err(io::Error::new(io::ErrorKind::NotConnected, "nobody answers by TCP or uTP")),
    }
}

impl Origin {
    async fn connect(&self, by: Transport, to: SocketAddr) -> io::Result<Stream> {
        match (by, &self.proxy) {
            (Transport::Tcp, None) => tcp(to, self.from).await,
            (Transport::Tcp, Some(proxy)) => proxy.connect(to).await.map(Stream::from),
            (Transport::Utp, None) => self.utp.connect(to).await,
            (Transport::Utp, Some(_)) => Err(io::Error::other("no uTP goes through a proxy")),
        }
    }
}

async fn tcp(to: SocketAddr, from: LocalAddrs) -> io::Result<Stream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let from = from.towards(to.ip())?;
    if !from.is_unspecified() {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(to).await.map(Stream::from)
}
