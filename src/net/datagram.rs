//! [`Datagrams`]: the one UDP port that trackers, DHT and uTP share, for both families; or, with a
//! proxy, the way through that.

use super::association::Associations;
use super::multicast::Groups;
use super::utp::{Calls, Utp, UtpBounds};
use super::{Fact, Facts, LocalAddrs, Proxy};
use bytes::Bytes;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Bytes that one datagram may have; longer ones are cut, and then understood by nobody.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Ports that are tried if the one that is wanted cannot be had for both families.
const ANY_PORT_TRIES: usize = 8;

/// Where a host is, or why that is not known.
pub type LookUp = Pin<Box<dyn Future<Output = Result<Vec<SocketAddr>, String>> + Send>>;

/// The UDP port, or what stands in for one; dropping it closes it.
#[derive(Debug)]
pub struct Datagrams(Way);

#[derive(Debug)]
enum Way {
    /// A port of our own.
    Port(Port),
    /// Through a proxy, and nothing past it.
    Proxy(Associations),
    /// Nothing is received, and what is sent is dropped.
    Nowhere,
}

#[derive(Debug)]
struct Port {
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
    port: u16,
    groups: Groups,
    /// Who reads the sockets, if connections come by them too.
    utp: Option<Utp>,
    /// Who reads them if not.
    tasks: Vec<AbortHandle>,
}

impl Datagrams {
    /// Opens `port` on the addresses `local`; another port, the same for both families, if that one is
    /// taken. What cannot be opened is left out: without UDP, HTTP trackers and TCP peers still work. With
    /// uTP, if there may be any.
    #[must_use]
    pub fn open(local: LocalAddrs, port: u16, utp: Option<UtpBounds>, facts: &Facts) -> Self {
        let tries = std::iter::once(port).chain(std::iter::repeat_n(0, ANY_PORT_TRIES));
        let pair = tries.map(|port| Pair::open(local, port)).find(|pair| !pair.is_taken);
        let Pair { v4, v6, port, .. } = pair.unwrap_or_default();
        let receive = |socket: &Arc<UdpSocket>| {
            tokio::spawn(receive(Arc::clone(socket), facts.clone())).abort_handle()
        };
        let sockets = [v4.as_ref(), v6.as_ref()];
        let utp = utp.map(|bounds| Utp::open(sockets, bounds, facts));
        let read = if utp.is_none() { sockets } else { [None; 2] };
        let tasks = read.into_iter().flatten().map(receive).collect();
        let groups = Groups::new(local, facts.clone());
        Self(Way::Port(Port { v4, v6, port, groups, utp, tasks }))
    }

    /// By which uTP is spoken; there is none without [`open`](Self::open) with it.
    #[must_use]
    pub fn utp(&self) -> Calls {
        match &self.0 {
            Way::Port(Port { utp: Some(utp), .. }) => utp.calls.clone(),
            Way::Port(_) | Way::Proxy(_) | Way::Nowhere => Calls::default(),
        }
    }

    /// No port: what is sent goes through `proxy`, or nowhere if that is no kind of proxy that
    /// relays datagrams.
    #[must_use]
    pub fn through(proxy: &Proxy, facts: &Facts) -> Self {
        match proxy.is_socks() {
            true => Self(Way::Proxy(Associations::new(proxy.clone(), facts.clone()))),
            false => Self(Way::Nowhere),
        }
    }

    /// The port; 0: there is none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match &self.0 {
            Way::Port(own) => own.port,
            Way::Proxy(_) | Way::Nowhere => 0,
        }
    }

    /// Hears what is sent to a multicast group, from now on.
    ///
    /// # Errors
    /// Why it cannot, in one sentence.
    pub fn join(&mut self, group: SocketAddr) -> Result<(), String> {
        match &mut self.0 {
            Way::Port(own) => own.groups.join(group),
            Way::Proxy(_) | Way::Nowhere => Err("there is no UDP port to hear it at".to_owned()),
        }
    }

    /// Looks up where datagrams for a host go. With a proxy that is its affair, and no resolver
    /// hears of the name.
    pub fn look_up(&mut self, host: String, port: u16) -> LookUp {
        match &mut self.0 {
            Way::Port(_) => Box::pin(async move {
                let found = tokio::net::lookup_host((host, port)).await;
                found.map(Iterator::collect).map_err(|error| error.to_string())
            }),
            Way::Proxy(associations) => Box::pin(associations.look_up(host, port)),
            Way::Nowhere => {
                let why = "names are not looked up past the proxy".to_owned();
                Box::pin(std::future::ready(Err(why)))
            }
        }
    }

    /// Sends, or drops it as a network may.
    pub fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        match &mut self.0 {
            Way::Port(own) => own.send(to, bytes),
            Way::Proxy(associations) => associations.send(to, bytes),
            Way::Nowhere => {}
        }
    }
}

impl Port {
    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let Some(socket) = socket else { return };
        // Past tokio, which believes that a new socket can't be written to yet.
        let socket = SockRef::from(&**socket);
        if to.ip().is_multicast() {
            self.groups.send(socket, to, bytes);
        } else {
            drop(socket.send_to(bytes, &to.into()));
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The port on the families that there are.
#[derive(Default)]
struct Pair {
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
    port: u16,
    /// One of them has it no more.
    is_taken: bool,
}

impl Pair {
    fn open(local: LocalAddrs, port: u16) -> Self {
        let mut pair = Self { port, ..Self::default() };
        pair.v4 = local.of_family(false).and_then(|ip| pair.bind(ip));
        pair.v6 = local.of_family(true).and_then(|ip| pair.bind(ip));
        pair
    }

    fn bind(&mut self, ip: IpAddr) -> Option<Arc<UdpSocket>> {
        let bound = bind(SocketAddr::new(ip, self.port), false);
        let bound = bound.and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        match bound {
            Ok((port, socket)) => {
                self.port = port;
                Some(Arc::new(socket))
            }
            Err(why) => {
                self.is_taken |= why.kind() == ErrorKind::AddrInUse;
                None
            }
        }
    }
}

/// A socket at `addr`; `shared` with other programs that listen there too.
pub(super) fn bind(addr: SocketAddr, shared: bool) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if shared {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

/// Turns what `socket` hears into facts, until nobody takes them.
pub(super) async fn receive(socket: Arc<UdpSocket>, facts: Facts) {
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
    use std::net::Ipv4Addr;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn at(ip: Ipv4Addr) -> LocalAddrs {
        LocalAddrs::only(ip.into())
    }

    #[tokio::test]
    async fn the_very_first_datagram_leaves_and_the_answer_arrives() {
        let (facts_from, mut facts) = mpsc::channel(4);
        let mut ours = Datagrams::open(at(Ipv4Addr::LOCALHOST), 0, None, &facts_from);
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

    #[tokio::test]
    async fn a_port_that_one_family_cannot_have_is_taken_by_neither() {
        let (facts, _) = mpsc::channel(4);
        let taken = UdpSocket::bind("[::1]:0").await.expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let ours = Datagrams::open(at(Ipv4Addr::UNSPECIFIED), port, None, &facts);
        assert_ne!(ours.port(), port);
        let Way::Port(own) = &ours.0 else { panic!("it is no port") };
        let ports = [&own.v4, &own.v6].map(|socket| {
            let socket = socket.as_ref().expect("there are both families");
            socket.local_addr().expect("an address").port()
        });
        assert_eq!(ports, [ours.port(); 2]);
    }

    #[tokio::test]
    async fn what_is_sent_to_a_group_is_heard_by_all_that_joined() {
        let ip = Ipv4Addr::LOCALHOST;
        let group = "239.192.152.143:6771".parse().expect("literal");
        let (facts_from, mut facts) = mpsc::channel(4);
        let (others_from, mut others_facts) = mpsc::channel(4);
        let mut ours = Datagrams::open(at(ip), 0, None, &facts_from);
        let mut other = Datagrams::open(at(ip), 0, None, &others_from);
        ours.join(group).expect("there is a way");
        other.join(group).expect("the port is shared");
        ours.send(group, b"BT-SEARCH");
        for facts in [&mut facts, &mut others_facts] {
            let fact = tokio::time::timeout(Duration::from_secs(5), facts.recv()).await;
            let Ok(Some(Fact::Datagram(from, bytes))) = fact else { panic!("no datagram") };
            assert_eq!(from, SocketAddr::from((ip, ours.port())));
            assert_eq!(&bytes[..], b"BT-SEARCH");
        }
    }

    #[tokio::test]
    async fn what_is_no_group_cannot_be_joined() {
        let (facts, _) = mpsc::channel(4);
        let mut ours = Datagrams::open(at(Ipv4Addr::LOCALHOST), 0, None, &facts);
        let addr = "10.0.0.1:6771".parse().expect("literal");
        assert_eq!(ours.join(addr), Err("`10.0.0.1:6771` is no group, or one too many".to_owned()));
        let other_family = "[ff15::efc0:988f]:6771".parse().expect("literal");
        let why = ours.join(other_family).expect_err("we are at an IPv4 address");
        assert_eq!(why, "no interface leads to `[ff15::efc0:988f]:6771`");
    }
}
