//! [`Listener`]: accepts connections, by TCP and uTP, encrypted or not, on the same port, and reads the
//! handshake that says about which torrent they are.

use super::connection::split_handshake;
use super::stream::Stream;
use super::utp::{Calls, Socket as UtpSocket};
use super::{Datagrams, Fact, Facts, LocalAddrs, encrypt, reason};
use crate::wire::Handshake;
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::mse::{Method, Preference};
use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// How long a newcomer may take for its handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Newcomers that may be about to say their handshake.
const NEWCOMERS_MAX: usize = 64;
/// Those of them that may come by uTP: one packet with a forged address makes a newcomer of that, and
/// who comes by TCP is to find a place all the same.
const NEWCOMERS_MAX_UTP: usize = NEWCOMERS_MAX / 2;
/// Connections that the kernel holds for us.
const BACKLOG: i32 = 128;
/// The port that is tried first if the user names none.
pub const PORT_USUAL: u16 = 6881;

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
    hall: Option<Hall>,
    tasks: Vec<AbortHandle>,
}

/// What newcomers pass, and where those go that are let in.
#[derive(Clone, Debug)]
struct Hall {
    room: Arc<Semaphore>,
    room_utp: Arc<Semaphore>,
    door: Arc<Door>,
    facts: Facts,
}

impl Listener {
    /// Nobody can come to us; the port is 0.
    #[must_use]
    pub const fn closed() -> Self {
        let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self { port: 0, ip, hall: None, tasks: Vec::new() }
    }

    /// Takes nobody by TCP; by uTP, [`takes_utp`](Self::takes_utp) is to be called.
    ///
    /// # Errors
    /// If `addr` is what the user named, and `datagrams` are not there.
    pub fn of_datagrams(
        addr: Option<SocketAddr>,
        datagrams: &Datagrams,
        facts: &Facts,
        door: Door,
    ) -> Result<Self, ListenError> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let (ip, port) = (addr.unwrap_or(any).ip(), datagrams.port());
        let elsewhere = addr.filter(|addr| addr.port() != 0 && addr.port() != port);
        if elsewhere.is_some() || datagrams.utp().is_empty() {
            let why = "no datagrams can be received there".to_owned();
            return Err(ListenError { addr: addr.unwrap_or(any), why });
        }
        Ok(Self { port, ip, hall: Some(Hall::new(facts, door)), tasks: Vec::new() })
    }

    /// Takes peers that come by uTP, from now on.
    pub fn takes_utp(&mut self, calls: &Calls) {
        let Some(hall) = &self.hall else { return };
        let accept = |socket| tokio::spawn(Hall::accept_utp(hall.clone(), socket)).abort_handle();
        self.tasks.extend(calls.sockets().map(accept));
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
        let hall = Hall::new(facts, door);
        let accept = |listener| tokio::spawn(Hall::accept(hall.clone(), listener)).abort_handle();
        let tasks = listeners.into_iter().map(accept).collect();
        Ok(Self { port: local.port(), ip: local.ip(), hall: Some(hall), tasks })
    }

    /// The TCP port; if nobody is taken by that, the UDP port.
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

impl Hall {
    fn new(facts: &Facts, door: Door) -> Self {
        Self {
            room: Arc::new(Semaphore::new(NEWCOMERS_MAX)),
            room_utp: Arc::new(Semaphore::new(NEWCOMERS_MAX_UTP)),
            door: Arc::new(door),
            facts: facts.clone(),
        }
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            // A semaphore that is never closed always has a permit in the end.
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
            let Ok((stream, from)) = listener.accept().await else {
                // Descriptors ran out, or the peer is gone again: others may have better luck later.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.hear(stream.into(), from, [Some(permit), None]);
        }
    }

    async fn accept_utp(self, socket: Arc<UtpSocket>) {
        loop {
            let Ok(of_utp) = Arc::clone(&self.room_utp).acquire_owned().await else { return };
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
            // It ends with the port.
            let Ok(stream) = socket.accept().await else { return };
            let from = stream.remote_addr();
            self.hear(stream.into(), from, [Some(permit), Some(of_utp)]);
        }
    }

    /// Hears what a newcomer says; it holds its place so long.
    fn hear(&self, stream: Stream, from: SocketAddr, places: [Option<OwnedSemaphorePermit>; 2]) {
        let (facts, door) = (self.facts.clone(), Arc::clone(&self.door));
        tokio::spawn(async move {
            let newcomer = tokio::time::timeout(HANDSHAKE_WAIT, greet(stream, from, &door)).await;
            drop(places);
            if let Ok(Some(newcomer)) = newcomer {
                // The driver that is gone needs no newcomers.
                let _ = facts.send(Fact::Came(newcomer)).await;
            }
        });
    }
}

/// `None` if it is not let in, or says nothing that makes sense: nobody needs to hear why.
async fn greet(mut stream: Stream, from: SocketAddr, door: &Door) -> Option<Newcomer> {
    let mut received = BytesMut::new();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::UtpBounds;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn datagrams(port: u16) -> Datagrams {
        let bounds = UtpBounds { peers_max: 100, memory_max: 128 << 20 };
        let (facts, _) = mpsc::channel(1);
        Datagrams::open(LocalAddrs::only(HERE.into()), port, Some(bounds), &facts)
    }

    /// Those that say nothing keep their places for a while, but not all places.
    #[tokio::test]
    async fn who_comes_by_tcp_finds_a_place_though_many_came_by_utp() {
        let door = Door { plain: true, encrypted: None, skeys: vec![[1; 20]] };
        let (facts_from, mut facts) = mpsc::channel(1);
        let at = Some(SocketAddr::from((HERE, 0)));
        let local = LocalAddrs::only(HERE.into());
        let mut listener = Listener::open(at, local, &facts_from, door).expect("a port");
        let (ours, others) = (datagrams(listener.port()), datagrams(0));
        listener.takes_utp(&ours.utp());
        let to = SocketAddr::from((HERE, ours.port()));
        let mut silent = Vec::new();
        for _ in 0..NEWCOMERS_MAX_UTP {
            let mut stream = others.utp().connect(to).await.expect("there is a place");
            stream.writer.write(&[19]).await.expect("it leaves");
            silent.push(stream);
        }
        let one_more = others.utp();
        let mut one_more = std::pin::pin!(one_more.connect(to));
        let mut polite = TcpStream::connect((HERE, listener.port())).await.expect("it listens");
        let handshake = Handshake::new([1; 20], [2; 20]);
        polite.write_all(&handshake.encode()).await.expect("it leaves");
        let came = tokio::select! {
            came = facts.recv() => came,
            _ = &mut one_more => panic!("more came by uTP than there are places for"),
        };
        let Some(Fact::Came(newcomer)) = came else { panic!("it came") };
        assert_eq!(newcomer.handshake.peer_id, [2; 20]);
    }
}
