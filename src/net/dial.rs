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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Datagrams, UtpBounds};
    use socket2::{Domain, Socket, Type};
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const BOTH: Race = Race { first: Transport::Tcp, second: Some(Transport::Utp) };

    /// A UDP port with uTP, the number of `port` if it is not 0.
    fn datagrams(port: u16) -> Datagrams {
        let bounds = UtpBounds { peers_max: 10, memory_max: 128 << 20 };
        let (facts, _) = mpsc::channel(1);
        Datagrams::open(LocalAddrs::only(HERE.into()), port, Some(bounds), &facts)
    }

    fn origin(datagrams: &Datagrams) -> Origin {
        Origin { from: LocalAddrs::only(HERE.into()), utp: datagrams.utp(), proxy: None }
    }

    /// Takes the first that comes by uTP.
    async fn takes(datagrams: &Datagrams) {
        let socket = datagrams.utp().sockets().next().expect("it has IPv4");
        let _stream = socket.accept().await.expect("somebody comes");
        std::future::pending().await
    }

    #[tokio::test]
    async fn who_takes_nothing_but_utp_is_reached_though_tcp_is_tried_first() {
        let (ours, other) = (datagrams(0), datagrams(0));
        let to = SocketAddr::from((HERE, other.port()));
        tokio::select! {
            stream = connect(origin(&ours), to, BOTH) => {
                assert_eq!(stream.expect("it answers").transport(), Transport::Utp);
            }
            () = takes(&other) => {}
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_by_tcp_is_reached_by_utp() {
        // Nobody takes connections here, and what is more than the queue holds is not answered.
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        full.bind(&SocketAddr::from((HERE, 0)).into()).expect("a port");
        full.listen(0).expect("a queue");
        let to = full.local_addr().ok().and_then(|addr| addr.as_socket()).expect("an address");
        let _queued = std::net::TcpStream::connect(to).expect("there is one place");
        let (ours, other) = (datagrams(0), datagrams(to.port()));
        assert_eq!(other.port(), to.port());
        tokio::select! {
            stream = connect(origin(&ours), to, BOTH) => {
                assert_eq!(stream.expect("it answers").transport(), Transport::Utp);
            }
            () = takes(&other) => {}
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_but_tcp_is_reached_though_utp_is_tried_first() {
        let listener = TcpListener::bind((HERE, 0)).await.expect("a port");
        let to = listener.local_addr().expect("an address");
        let ours = datagrams(0);
        let race = Race { first: Transport::Utp, second: Some(Transport::Tcp) };
        let stream = connect(origin(&ours), to, race).await.expect("it answers");
        assert_eq!(stream.transport(), Transport::Tcp);
    }

    #[tokio::test]
    async fn why_the_first_failed_is_told_if_both_do() {
        let free = TcpListener::bind((HERE, 0)).await.expect("a port");
        let to = free.local_addr().expect("an address");
        drop(free);
        let (facts, _) = mpsc::channel(1);
        let ours = Datagrams::open(LocalAddrs::only(HERE.into()), 0, None, &facts);
        let why = connect(origin(&ours), to, BOTH).await.expect_err("nobody is there");
        assert_eq!(why.kind(), io::ErrorKind::ConnectionRefused);
    }
}
