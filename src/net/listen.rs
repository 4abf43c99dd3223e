//! [`Listener`]: accepts connections, encrypted or not on the same port, and reads the handshake that
//! says about which torrent they are.

use super::connection::split_handshake;
use super::stream::Stream;
use super::{Fact, Facts, LocalAddrs, encrypt, reason};
use crate::wire::Handshake;
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::mse::{Method, Preference};
use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

/// Who is let in.
#[derive(Clone, Debug)]
pub struct Door {
    /// Connections that are not encrypted are.
    pub plain: bool,
    /// Encrypted ones are, and which methods; `None`: they are not.
    pub encrypted: Option<Preference>,
    /// About torrents with these info hashes, v1, or v2 cut to 20 bytes: the keys of encrypted
    /// connections.
    pub skeys: Vec<[u8; 20]>,
}

/// A peer that came to us and said its handshake.
#[derive(Debug)]
pub struct Newcomer {
    /// Its connection.
    pub stream: Stream,
    /// Where it comes from.
    pub from: SocketAddr,
    /// What its connection goes on with, if it is encrypted.
    pub method: Option<Method>,
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

    /// Listens on `addr`, if that is unspecified at the address of its family in `local`; if the user
    /// named none, on the usual port, or on any that is free, of both families in `local`.
    ///
    /// # Errors
    /// If `addr` cannot be had.
    pub fn open(
        addr: Option<SocketAddr>,
        local: LocalAddrs,
        facts: &Facts,
        door: Door,
    ) -> Result<Self, ListenError> {
        let mut ips = local.ips();
        let any = ips.next().unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into());
        let first = match addr {
            Some(addr) if addr.ip().is_unspecified() => {
                let ip = local.of_family(addr.is_ipv6()).unwrap_or_else(|| addr.ip());
                bind(SocketAddr::new(ip, addr.port()))?
            }
            Some(addr) => bind(addr)?,
            None => {
                let at = |port| bind(SocketAddr::new(any, port));
                at(PORT_USUAL).or_else(|_| at(0))?
            }
        };
        let error = |why: &std::io::Error| ListenError {
            addr: addr.unwrap_or_else(|| SocketAddr::new(any, PORT_USUAL)),
            why: reason(why),
        };
        let local = first.local_addr().map_err(|why| error(&why))?;
        let mut listeners = vec![first];
        if addr.is_none() {
            // Not every machine has IPv6, and nobody asked for it by name.
            listeners.extend(ips.filter_map(|ip| bind(SocketAddr::new(ip, local.port())).ok()));
        }
        let (room, door) = (Arc::new(Semaphore::new(NEWCOMERS_MAX)), Arc::new(door));
        let accept = |listener| {
            let accept = accept(listener, facts.clone(), Arc::clone(&room), Arc::clone(&door));
            tokio::spawn(accept).abort_handle()
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

async fn accept(listener: TcpListener, facts: Facts, room: Arc<Semaphore>, door: Arc<Door>) {
    loop {
        // A semaphore that is never closed always has a permit in the end.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            // Descriptors ran out, or the peer is gone again: others may have better luck later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (facts, door) = (facts.clone(), Arc::clone(&door));
        tokio::spawn(async move {
            let newcomer = tokio::time::timeout(HANDSHAKE_WAIT, greet(stream, from, &door)).await;
            drop(permit);
            if let Ok(Some(newcomer)) = newcomer {
                // The driver that is gone needs no newcomers.
                let _ = facts.send(Fact::Came(newcomer)).await;
            }
        });
    }
}

/// `None` if it is not let in, or says nothing that makes sense: nobody needs to hear why.
async fn greet(stream: TcpStream, from: SocketAddr, door: &Door) -> Option<Newcomer> {
    let (mut stream, mut received) = (Stream::from(stream), BytesMut::new());
    while Handshake::may_begin(&received) && !Handshake::begins(&received) {
        read(&mut stream, &mut received).await?;
    }
    let method = match (Handshake::begins(&received), door.encrypted) {
        (true, _) => door.plain.then_some(None)?,
        (false, None) => return None,
        (false, Some(preference)) => {
            let answer = encrypt::answer(&mut stream, &mut received, &door.skeys, preference);
            Some(answer.await.ok()?)
        }
    };
    let handshake = loop {
        match split_handshake(&mut received).ok()? {
            Some(handshake) => break handshake,
            None => read(&mut stream, &mut received).await?,
        }
    };
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    Some(Newcomer { stream, from, method, handshake, received })
}

async fn read(stream: &mut Stream, received: &mut BytesMut) -> Option<()> {
    received.reserve(HANDSHAKE_BYTES);
    let count = stream.reader.read(received, usize::MAX).await.ok()?;
    (count > 0).then_some(())
}
