//! [`Utp`]: connections of uTP (BEP 29) on the one UDP port, by librqbit-utp.
//!
//! The port has one reader, the library's, and [`Carrier`] is between the two: what is no uTP goes to
//! the driver from there, through a queue of its own that drops what does not fit. So neither kind
//! waits for the other, and nothing is copied to find out which it is.
//!
//! What the library leaves to us: it sends the first packet of a call once, so [`Utp::connect`] repeats
//! it; it dies of any error in receiving, so it hears of none; and of several connections that wait
//! until the socket takes more, it wakes one, so [`Carrier`] wakes all of them.

use super::stream::Stream;
use super::{Fact, Facts};
use bytes::Bytes;
use librqbit_dualstack_sockets::PollSendToVectored;
use librqbit_utp::{SocketOpts, Transport, UtpSocket, UtpSocketUdp};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Datagrams that are no uTP and wait for the driver; more are dropped, as by a network.
const OTHERS_QUEUED_MAX: usize = 64;
/// What a connection may have sent us that was not read yet. A line passes so much a round trip: 40 MB/s
/// at 50 ms.
const WINDOW_BYTES_MAX: u64 = 2 << 20;
/// Less makes a line of 50 ms slow.
const WINDOW_BYTES_MIN: u64 = 256 << 10;
/// The part of all memory that it may be: more peers than that are never fast at once.
const WINDOWS_IN_MEMORY: u64 = 64;
/// What the kernel holds of all of them while we are busy, if it lets us have that much.
const KERNEL_BYTES: usize = 4 << 20;
/// What of ours may be on its way to one peer. The library sends it in bursts, as fast as it is
/// acknowledged, and many receivers' kernels hold 200 KiB: with 1 MiB libtorrent lost twice as many packets,
/// and at 50 ms had 2.3 MB/s of us and not 2.9.
const SENT_BYTES_MAX: usize = 256 << 10;
/// Connections beside those of peers: newcomers, calls, and those that say good-bye.
const STREAMS_MORE: usize = 128;
/// After so long without an answer the first packet of a call is sent again, and again.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// After so long it will not be answered any more. Who refused TCP is not called by that meanwhile.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A connection on which nothing comes for so long is over: longer than peers may be silent, since the
/// library counts from their last byte. What we send must be acknowledged within seconds.
const SILENCE_MAX: Duration = Duration::from_secs(180);
/// Bytes of the shortest packet (BEP 29, "header format").
const HEADER_BYTES: usize = 20;

/// The library has a name for it, but gives that to nobody.
pub(super) trait OfEnvironment {
    type Environment;
}

impl<T, E> OfEnvironment for UtpSocket<T, E> {
    type Environment = E;
}

pub(super) type Socket = UtpSocket<Carrier, <UtpSocketUdp as OfEnvironment>::Environment>;

/// uTP on the sockets of a port, until it is dropped.
#[derive(Debug)]
pub(super) struct Utp {
    pub(super) calls: Calls,
    passing: AbortHandle,
    _until_dropped: DropGuard,
}

/// How much there may be of uTP.
#[derive(Clone, Copy, Debug)]
pub struct UtpBounds {
    /// Peers at once.
    pub peers_max: usize,
    /// Bytes that all buffers together may have.
    pub memory_max: u64,
}

/// By which connections are opened and taken.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    v4: Option<Arc<Socket>>,
    v6: Option<Arc<Socket>>,
}

impl Utp {
    /// Reads `v4` and `v6` from now on, of which nobody else may read. What is no uTP goes to `facts`.
    pub(super) fn open(
        [v4, v6]: [Option<&Arc<UdpSocket>>; 2],
        bounds: UtpBounds,
        facts: &Facts,
    ) -> Self {
        let (others, queue) = mpsc::channel(OTHERS_QUEUED_MAX);
        let token = CancellationToken::new();
        let open = |socket: &Arc<UdpSocket>| {
            fit(socket);
            let waiting = Arc::default();
            let carrier = Carrier { socket: Arc::clone(socket), others: others.clone(), waiting };
            let opts = opts(bounds, token.clone());
            // It refuses sizes that make no sense, and these do.
            Socket::new_with_opts(carrier, Default::default(), opts).ok()
        };
        let calls = Calls { v4: v4.and_then(open), v6: v6.and_then(open) };
        let passing = tokio::spawn(pass_on(queue, facts.clone())).abort_handle();
        Self { calls, passing, _until_dropped: token.drop_guard() }
    }
}

impl Drop for Utp {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

impl Calls {
    /// Connects to a peer.
    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let family = if to.is_ipv4() { 4 } else { 6 };
        let socket = socket.as_ref();
        let socket =
            socket.ok_or_else(|| io::Error::other(format!("no uTP over IPv{family} here")))?;
        // An answer may come late to the first of them, so none is given up for the next.
        let call = async |after| {
            tokio::time::sleep(after).await;
            socket.connect(to).await
        };
        let [second, third] = AGAIN_AFTER;
        let connected = tokio::select! {
            connected = call(Duration::ZERO) => connected,
            connected = call(second) => connected,
            connected = call(third) => connected,
            () = tokio::time::sleep(CONNECT_WAIT) => {
                return Err(io::Error::new(ErrorKind::TimedOut, "no answer by uTP"));
            }
        };
        connected.map(Stream::from).map_err(io::Error::other)
    }

    /// Where others' calls arrive: one a family.
    pub(super) fn sockets(&self) -> impl Iterator<Item = Arc<Socket>> {
        [&self.v4, &self.v6].into_iter().flatten().map(Arc::clone)
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }
}

fn opts(bounds: UtpBounds, cancellation_token: CancellationToken) -> SocketOpts {
    let UtpBounds { peers_max, memory_max } = bounds;
    let window = memory_max / WINDOWS_IN_MEMORY;
    let window = window.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX) as usize;
    SocketOpts {
        vsock_rx_bufsize_bytes: NonZeroUsize::new(window),
        vsock_tx_bufsize_bytes_max: NonZeroUsize::new(SENT_BYTES_MAX),
        // As of TCP: requests are small, and each waits for its answer.
        disable_nagle: true,
        max_live_vsocks: NonZeroUsize::new(peers_max + STREAMS_MORE),
        remote_inactivity_timeout: Some(SILENCE_MAX),
        cancellation_token,
        ..SocketOpts::default()
    }
}

/// Makes a socket fit for uTP, as far as the system lets us: the library finds the longest packet that
/// a path takes by packets that nobody may cut, and hears from the kernel of those that are too long.
fn fit(socket: &UdpSocket) {
    let _ = SockRef::from(socket).set_recv_buffer_size(KERNEL_BYTES);
    let _ = match socket.local_addr() {
        Ok(SocketAddr::V4(_)) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO),
        _ => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO),
    };
}

async fn pass_on(mut queue: mpsc::Receiver<Fact>, facts: Facts) {
    while let Some(fact) = queue.recv().await {
        if facts.send(fact).await.is_err() {
            return;
        }
    }
}

/// Whether a datagram is a packet of uTP: of version 1, and of a type that there is. An answer of the
/// DHT begins with `d` (BEP 5), and one of a UDP tracker with a zero (BEP 15).
fn is_packet(datagram: &[u8]) -> bool {
    let first = datagram.first().copied().unwrap_or(0);
    datagram.len() >= HEADER_BYTES && first & 0x0f == 1 && first >> 4 <= 4
}

/// A socket as the library sees it.
#[derive(Debug)]
pub(super) struct Carrier {
    socket: Arc<UdpSocket>,
    /// Where what is no uTP goes.
    others: mpsc::Sender<Fact>,
    waiting: Arc<Waiting>,
}

/// Connections that wait until the socket takes more.
#[derive(Debug, Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Transport for Carrier {
    async fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            // An error here is an ICMP answer to something sent earlier; the socket goes on.
            let Ok((size, from)) = self.socket.recv_from(buffer).await else { continue };
            if is_packet(&buffer[..size]) {
                return Ok((size, from));
            }
            if let Ok(place) = self.others.try_reserve() {
                place.send(Fact::Datagram(from, Bytes::copy_from_slice(&buffer[..size])));
            }
        }
    }

    async fn send_to<'a>(&'a self, buffer: &'a [u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.send_to(buffer, to).await
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        buffer: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, buffer.len(), || self.socket.try_send_to(buffer, to))
    }

    fn bind_addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

impl PollSendToVectored for Carrier {
    fn poll_send_to_vectored(
        &self,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        self.poll_send(context, length, || {
            let send = || SockRef::from(&*self.socket).send_to_vectored(buffers, &to.into());
            self.socket.try_io(Interest::WRITABLE, send)
        })
    }
}

impl Carrier {
    /// Sends a datagram of `length` bytes. One that the system does not take is lost, as in a network,
    /// unless it is too long: that is what the library must hear of.
    fn poll_send(
        &self,
        context: &Context<'_>,
        length: usize,
        send: impl FnOnce() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match send() {
            Err(why) if why.kind() == ErrorKind::WouldBlock => {
                self.wait(context);
                Poll::Pending
            }
            Err(why) if why.raw_os_error() == Some(TOO_LONG) => Poll::Ready(Err(why)),
            Err(_) => Poll::Ready(Ok(length)),
            sent @ Ok(_) => Poll::Ready(sent),
        }
    }

    /// Has a connection woken when the socket takes more.
    fn wait(&self, context: &Context<'_>) {
        let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            return;
        }
        waiting.push(context.waker().clone());
        if waiting.len() == 1 {
            let (socket, waiting) = (Arc::clone(&self.socket), Arc::clone(&self.waiting));
            tokio::spawn(async move {
                let _ = socket.writable().await;
                let mut waiting = waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.drain(..).for_each(Waker::wake);
            });
        }
    }
}

/// `EMSGSIZE`.
const TOO_LONG: i32 = rustix::io::Errno::MSGSIZE.raw_os_error();

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;

    const BOUNDS: UtpBounds = UtpBounds { peers_max: 10, memory_max: 128 << 20 };

    /// A port of ours, uTP on it, and what else arrives there.
    async fn end() -> (SocketAddr, Utp, mpsc::Receiver<Fact>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let addr = socket.local_addr().expect("an address");
        let (facts, received) = mpsc::channel(1);
        (addr, Utp::open([Some(&Arc::new(socket)), None], BOUNDS, &facts), received)
    }

    /// A connection, as both sides have it.
    async fn connected(ours: &Utp, other: &Utp, to: SocketAddr) -> (Stream, Stream) {
        let socket = other.calls.sockets().next().expect("it has IPv4");
        let (called, came) = tokio::join!(ours.calls.connect(to), socket.accept());
        (called.expect("it answers"), came.expect("it came").into())
    }

    #[test]
    fn packets_are_told_from_all_else_that_arrives() {
        let padded = |bytes: &[u8]| [bytes, &[0; 20]].concat();
        for kind in 0..=4 {
            assert!(is_packet(&padded(&[kind << 4 | 1, 0])));
        }
        let others = [&b"d1:ad2:id20:"[..], &[0, 0, 0, 1], &[0, 0, 0, 3], &[0x51], &[0x02]];
        for other in others {
            assert!(!is_packet(&padded(other)), "{other:?}");
        }
        assert!(!is_packet(&[0x41; 19]) && !is_packet(&[]));
    }

    #[tokio::test]
    async fn what_is_said_arrives_and_the_end_too() {
        let ((_, ours, _), (to, other, _)) = (end().await, end().await);
        let (mut called, mut came) = connected(&ours, &other, to).await;
        assert_eq!(called.transport(), crate::wire::Transport::Utp);
        let said = Bytes::from(vec![7; 300_000]);
        let sends = async {
            called.writer.write_slices(&mut VecDeque::from([said.clone()])).await?;
            called.writer.arrived().await
        };
        let hears = async {
            let mut heard = BytesMut::with_capacity(said.len());
            while heard.len() < said.len() {
                assert_ne!(came.reader.read(&mut heard, usize::MAX).await.expect("bytes"), 0);
            }
            heard
        };
        let (sent, heard) = tokio::join!(sends, hears);
        sent.expect("it is acknowledged");
        assert_eq!(heard, said);
        drop(called);
        let mut rest = BytesMut::with_capacity(8);
        assert_eq!(came.reader.read(&mut rest, usize::MAX).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn datagrams_that_nobody_takes_do_not_hold_connections_up() {
        let ((_, ours, _), (to, other, mut others)) = (end().await, end().await);
        let flood = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        for _ in 0..4 * OTHERS_QUEUED_MAX {
            flood.send_to(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae", to).await.expect("it leaves");
        }
        let (mut called, mut came) = connected(&ours, &other, to).await;
        called.writer.write(b"still here").await.expect("it leaves");
        let mut heard = BytesMut::with_capacity(16);
        came.reader.read(&mut heard, usize::MAX).await.expect("bytes");
        assert_eq!(&heard[..], b"still here");
        let Some(Fact::Datagram(from, bytes)) = others.recv().await else { panic!("a datagram") };
        assert_eq!((Some(from), &bytes[..2]), (flood.local_addr().ok(), &b"d1"[..]));
    }

    /// The first packet is lost, and the call all the same taken.
    #[tokio::test]
    async fn a_call_that_is_lost_is_repeated() {
        let (_, ours, _) = end().await;
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let to = silent.local_addr().expect("an address");
        let answers = async {
            let mut packet = [0; 64];
            silent.recv_from(&mut packet).await.expect("the first call");
            let (_, from) = silent.recv_from(&mut packet).await.expect("the second");
            // ST_STATE, for the connection and the number of that call (BEP 29).
            let mut answer = [0; HEADER_BYTES];
            (answer[0], answer[14]) = (0x21, 0x10);
            answer[2..4].copy_from_slice(&packet[2..4]);
            answer[18..20].copy_from_slice(&packet[16..18]);
            silent.send_to(&answer, from).await.expect("it leaves");
        };
        let (called, ()) = tokio::join!(ours.calls.connect(to), answers);
        called.expect("the second call was answered");
    }
}
