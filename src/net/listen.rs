//! [`Listener`]: accepts TCP connections, and reads the handshake that says about which torrent
//! they are.

use super::connection::read_handshake;
use super::{Fact, Facts, reason};
use crate::wire::Handshake;
use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// How long a newcomer may take for its handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Newcomers that may be about to say their handshake.
const NEWCOMERS_MAX: usize = 64;
/// Connections that the kernel holds for us.
const BACKLOG: i32 = 128;
/// The port that is tried first if the user names none.
const PORT_USUAL: u16 = 6881;

/// A peer that came to us and said its handshake.
#[derive(Debug)]
pub struct Newcomer {
    /// Its connection.
    pub stream: TcpStream,
    /// Where it comes from.
    pub from: SocketAddr,
    /// What it said.
    pub handshake: Handshake,
    /// What came behind its handshake.
    pub received: BytesMut,
}

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on `{addr}`: {why}")]
pub struct ListenError {
    addr: SocketAddr,
    why: String,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    port: u16,
    ip: IpAddr,
    tasks: Vec<AbortHandle>,
}

impl Listener {
    /// Nobody can come to us; the port is 0.
    #[must_use]
    pub const fn closed() -> Self {
        Self { port: 0, ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), tasks: Vec::new() }
    }

    /// Listens on `addr`; if the user named none, on the usual port, or on any that is free, of
    /// both families.
    ///
    /// # Errors
    /// If `addr` cannot be had.
    pub fn open(addr: Option<SocketAddr>, facts: &Facts) -> Result<Self, ListenError> {
        let first = match addr {
            Some(addr) => bind(addr)?,
            None => {
                let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                bind(any(PORT_USUAL)).or_else(|_| bind(any(0)))?
            }
        };
        let error = |why: &std::io::Error| ListenError {
            addr: addr.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT_USUAL))),
            why: reason(why),
        };
        let local = first.local_addr().map_err(|why| error(&why))?;
        let mut listeners = vec![first];
        if addr.is_none() {
            // Not every machine has IPv6, and nobody asked for it by name.
            listeners.extend(bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, local.port()))));
        }
        let room = Arc::new(Semaphore::new(NEWCOMERS_MAX));
        let accept = |listener| {
            tokio::spawn(accept(listener, facts.clone(), Arc::clone(&room))).abort_handle()
        };
        let tasks = listeners.into_iter().map(accept).collect();
        Ok(Self { port: local.port(), ip: local.ip(), tasks })
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address that the user named, or the unspecified one.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn bind(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|error| ListenError { addr, why: reason(&error) })
}

async fn accept(listener: TcpListener, facts: Facts, room: Arc<Semaphore>) {
    loop {
        // A semaphore that is never closed always has a permit in the end.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            // Descriptors ran out, or the peer is gone again: others may have better luck later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let facts = facts.clone();
        tokio::spawn(async move {
            let newcomer = tokio::time::timeout(HANDSHAKE_WAIT, greet(stream, from)).await;
            drop(permit);
            if let Ok(Some(newcomer)) = newcomer {
                // The driver that is gone needs no newcomers.
                let _ = facts.send(Fact::Came(newcomer)).await;
            }
        });
    }
}

async fn greet(mut stream: TcpStream, from: SocketAddr) -> Option<Newcomer> {
    let mut received = BytesMut::new();
    let handshake = read_handshake(&mut stream, &mut received).await.ok()?;
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    Some(Newcomer { stream, from, handshake, received })
}
