//! [`Datagrams`]: the one UDP port that trackers, DHT and uTP share, for both families.

use super::{Fact, Facts};
use bytes::Bytes;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Bytes that one datagram may have; longer ones are cut, and then understood by nobody.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// The UDP port; dropping it closes it.
#[derive(Debug)]
pub struct Datagrams {
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
    tasks: Vec<AbortHandle>,
}

impl Datagrams {
    /// Opens `port` on `ip`, or on any address of both families if `ip` is unspecified. What
    /// cannot be opened is left out: without UDP, HTTP trackers and TCP peers still work.
    #[must_use]
    pub fn open(ip: IpAddr, port: u16, facts: &Facts) -> Self {
        let open = |ip: IpAddr| {
            let at = |port| bind(SocketAddr::new(ip, port)).map(Arc::new);
            at(port).or_else(|_| at(0)).ok()
        };
        let v4 = match ip {
            IpAddr::V6(ip) if !ip.is_unspecified() => None,
            IpAddr::V6(_) => open(Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V4(_) => open(ip),
        };
        let v6 = match ip {
            IpAddr::V4(ip) if !ip.is_unspecified() => None,
            IpAddr::V4(_) => open(Ipv6Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => open(ip),
        };
        let receive = |socket: &Arc<UdpSocket>| {
            tokio::spawn(receive(Arc::clone(socket), facts.clone())).abort_handle()
        };
        let tasks = [&v4, &v6].into_iter().flatten().map(receive).collect();
        Self { v4, v6, tasks }
    }

    /// Sends, or drops it as a network may.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        if let Some(socket) = socket {
            // Past tokio, which believes that a new socket can't be written to yet.
            let _ = SockRef::from(&**socket).send_to(bytes, &to.into());
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn bind(addr: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

async fn receive(socket: Arc<UdpSocket>, facts: Facts) {
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    loop {
        // An error here is an ICMP answer to something sent earlier; the socket goes on.
        let Ok((size, from)) = socket.recv_from(&mut buffer).await else { continue };
        let bytes = Bytes::copy_from_slice(&buffer[..size]);
        if facts.send(Fact::Datagram(from, bytes)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn the_very_first_datagram_leaves_and_the_answer_arrives() {
        let (facts_from, mut facts) = mpsc::channel(4);
        let ours = Datagrams::open(Ipv4Addr::LOCALHOST.into(), 0, &facts_from);
        let other = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        ours.send(other.local_addr().expect("an address"), b"ping");
        let mut buffer = [0; 16];
        let wait = Duration::from_secs(5);
        let ping = tokio::time::timeout(wait, other.recv_from(&mut buffer)).await;
        let (size, from) = ping.expect("it left at once").expect("a datagram");
        assert_eq!(&buffer[..size], b"ping");
        other.send_to(b"pong", from).await.expect("it leaves");
        let Some(Fact::Datagram(_, bytes)) = facts.recv().await else { panic!("no datagram") };
        assert_eq!(&bytes[..], b"pong");
    }
}
