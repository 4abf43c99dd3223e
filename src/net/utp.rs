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
/// What a connection may have sent us that was not read yet, and what of ours may be on its way: half
/// of it a round trip is what a long line passes, 40 MB/s at 50 ms.
const WINDOW_BYTES_MAX: usize = 2 << 20;
/// What the kernel holds of all of them while we are busy, if it lets us have that much.
const KERNEL_BYTES: usize = 4 << 20;
/// Connections beside those of peers: newcomers, calls, and those that say good-bye.
const STREAMS_MORE: usize = 128;
/// After so long without an answer the first packet of a call is sent again, and again.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(3000)];
/// After so long it will not be answered any more.
const CONNECT_WAIT: Duration = Duration::from_secs(7);
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
        peers_max: usize,
        facts: &Facts,
    ) -> Self {
        let (others, queue) = mpsc::channel(OTHERS_QUEUED_MAX);
        let token = CancellationToken::new();
        let open = |socket: &Arc<UdpSocket>| {
            fit(socket);
            let waiting = Arc::default();
            let carrier = Carrier { socket: Arc::clone(socket), others: others.clone(), waiting };
            let opts = opts(peers_max, token.clone());
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

fn opts(peers_max: usize, cancellation_token: CancellationToken) -> SocketOpts {
    SocketOpts {
        vsock_rx_bufsize_bytes: NonZeroUsize::new(WINDOW_BYTES_MAX),
        vsock_tx_bufsize_bytes_max: NonZeroUsize::new(WINDOW_BYTES_MAX),
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
