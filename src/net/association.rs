//! [`Associations`]: datagrams through a SOCKS 5 proxy, and nothing past it (RFC 1928, §7).
//!
//! Names are the proxy's to look up. Who asks for the address of one gets a stand-in of each
//! family, from networks in which nobody is: what is sent there goes to the name, through an
//! association of the name's own, so that whatever comes by that is from it, and comes from the
//! stand-in of the family over which the proxy reached it. Addresses share one association. Each is
//! opened when it is first needed, and anew when the connection that it hangs on ended. Datagrams
//! that nobody can take now are dropped, as a network may.

use super::socks::{self, Association, Relayed, Target};
use super::{Fact, Facts, Proxy};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// How long an association may take to open.
const OPEN_WAIT: Duration = Duration::from_secs(10);
/// After one that could not be opened, none is tried for so long.
const REST: Duration = Duration::from_secs(10);
/// Names with an association of their own: each costs a connection to the proxy, and a torrent
/// names as many trackers as it likes.
const NAMES_MAX: usize = 64;
/// Datagrams that wait for an association to open.
const QUEUED_MAX: usize = 64;
/// Bytes of a datagram with its header.
const DATAGRAM_BYTES_MAX: usize = 4096 + 300;

/// The networks of stand-ins: reserved (RFC 1112, §4), and for traffic to be discarded (RFC 6666).
const STAND_IN_V4: [u8; 2] = [240, 0];
const STAND_IN_V6: [u16; 7] = [0x100, 0, 0, 0, 0, 0, 0];

/// Whether `proxy` relays datagrams now, or why not.
///
/// # Errors
/// With the reason.
pub(super) async fn probe(proxy: &Proxy) -> Result<(), String> {
    open(proxy).await.map(drop)
}

async fn open(proxy: &Proxy) -> Result<Association, String> {
    match timeout(OPEN_WAIT, socks::associate(proxy)).await {
        Ok(opened) => opened,
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// The associations with one proxy; dropping them ends them.
#[derive(Debug)]
pub(super) struct Associations {
    proxy: Proxy,
    facts: Facts,
    /// By the name that they lead to; `None`: to addresses.
    ways: BTreeMap<Option<String>, Way>,
    /// Names by the number of their stand-ins.
    names: Vec<String>,
}

#[derive(Debug)]
struct Way {
    jobs: mpsc::Sender<Job>,
    task: AbortHandle,
}

enum Job {
    /// Say when the association is open, or why it is not.
    Tell(oneshot::Sender<Result<(), String>>),
    Send(SocketAddr, Bytes),
}

impl Associations {
    pub(super) const fn new(proxy: Proxy, facts: Facts) -> Self {
        Self { proxy, facts, ways: BTreeMap::new(), names: Vec::new() }
    }

    /// Sends to an address, or to the name that it stands for.
    pub(super) fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        let name = match number(to.ip()) {
            None => None,
            Some(number) => match self.names.get(usize::from(number)) {
                Some(name) => Some(name.clone()),
                // It stands for nobody.
                None => return,
            },
        };
        // A queue that is full drops it.
        let _ = self.way(name).try_send(Job::Send(to, Bytes::copy_from_slice(bytes)));
    }

    /// Where `host` can be sent to: the address that it is, or its stand-ins, as soon as the proxy
    /// relays what is sent there.
    pub(super) fn look_up(
        &mut self,
        host: String,
        port: u16,
    ) -> impl Future<Output = Result<Vec<SocketAddr>, String>> + Send + use<> {
        let found = self.stand_ins(host, port);
        async move {
            let (jobs, addrs) = found?;
            let (tell, told) = oneshot::channel();
            let gone = |_| "the proxy is not asked any more".to_owned();
            jobs.send(Job::Tell(tell)).await.map_err(|_| gone(()))?;
            let opened = told.await.map_err(|_| gone(()))?;
            opened.map(|()| addrs).map_err(|why| format!("through the proxy: {why}"))
        }
    }

    fn stand_ins(
        &mut self,
        host: String,
        port: u16,
    ) -> Result<(mpsc::Sender<Job>, Vec<SocketAddr>), String> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok((self.way(None), vec![SocketAddr::new(ip, port)]));
        }
        let host = host.to_ascii_lowercase();
        let known = self.names.iter().position(|name| *name == host);
        let number = known.unwrap_or(self.names.len());
        if number >= NAMES_MAX || !socks::is_name(&host) {
            return Err("too many names for the proxy, or too long a one".to_owned());
        }
        if known.is_none() {
            self.names.push(host.clone());
        }
        let number = number as u16;
        let addrs = [false, true].map(|v6| SocketAddr::new(stand_in(number, v6), port));
        Ok((self.way(Some(host)), addrs.to_vec()))
    }

    fn way(&mut self, name: Option<String>) -> mpsc::Sender<Job> {
        let Self { proxy, facts, names, .. } = self;
        let way = self.ways.entry(name).or_insert_with_key(|name| {
            let (jobs, queue) = mpsc::channel(QUEUED_MAX);
            let number = names.iter().position(|known| name.as_ref() == Some(known));
            let leads_to = name.clone().zip(number.map(|number| number as u16));
            let relaying = Relaying { proxy: proxy.clone(), leads_to, facts: facts.clone() };
            Way { jobs, task: tokio::spawn(relaying.run(queue)).abort_handle() }
        });
        way.jobs.clone()
    }
}

impl Drop for Associations {
    fn drop(&mut self) {
        self.ways.values().for_each(|way| way.task.abort());
    }
}

fn stand_in(number: u16, v6: bool) -> IpAddr {
    if v6 {
        let [a, b, c, d, e, f, g] = STAND_IN_V6;
        return Ipv6Addr::new(a, b, c, d, e, f, g, number).into();
    }
    let ([a, b], [c, d]) = (STAND_IN_V4, number.to_be_bytes());
    Ipv4Addr::new(a, b, c, d).into()
}

/// The number of the name that an address stands for.
fn number(ip: IpAddr) -> Option<u16> {
    let number = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [_, _, c, d] = ip.octets();
            u16::from_be_bytes([c, d])
        }
        IpAddr::V6(ip) => ip.segments()[7],
    };
    (stand_in(number, ip.to_canonical().is_ipv6()) == ip.to_canonical()).then_some(number)
}

/// What one way's task works with.
struct Relaying {
    proxy: Proxy,
    /// A name, and the number of its stand-ins.
    leads_to: Option<(String, u16)>,
    facts: Facts,
}

impl Relaying {
    /// Opens the association whenever there is something to do and none, until nobody has a job.
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut failed: Option<(Instant, String)> = None;
        while let Some(job) = jobs.recv().await {
            if let Some((_, why)) = failed.as_ref().filter(|(until, _)| Instant::now() < *until) {
                job.refuse(why);
                continue;
            }
            match open(&self.proxy).await {
                Ok(association) => {
                    failed = None;
                    self.relay(association, job, &mut jobs).await;
                }
                Err(why) => {
                    job.refuse(&why);
                    failed = Some((Instant::now() + REST, why));
                }
            }
        }
    }

    /// Relays until the connection that the association hangs on ends, or nobody has a job.
    async fn relay(&self, association: Association, first: Job, jobs: &mut mpsc::Receiver<Job>) {
        let Association { mut control, relay } = association;
        let (mut datagram, mut said) = (vec![0; DATAGRAM_BYTES_MAX], [0; 64]);
        let mut job = Some(first);
        loop {
            match job.take() {
                Some(Job::Tell(tell)) => drop(tell.send(Ok(()))),
                Some(Job::Send(to, bytes)) => {
                    if let Some(bytes) = self.wrapped(to, &bytes) {
                        // What cannot leave is lost, as on any network.
                        let _ = relay.send(&bytes).await;
                    }
                }
                None => {}
            }
            tokio::select! {
                next = jobs.recv() => match next {
                    Some(next) => job = Some(next),
                    None => return,
                },
                read = control.read(&mut said) => if matches!(read, Ok(0) | Err(_)) {
                    return;
                },
                received = relay.recv(&mut datagram) => {
                    // An error is an ICMP answer to something sent earlier.
                    let Ok(size) = received else { continue };
                    let Some((from, data)) = self.unwrapped(&datagram[..size]) else { continue };
                    let fact = Fact::Datagram(from, Bytes::copy_from_slice(data));
                    if self.facts.send(fact).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn wrapped(&self, to: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let target = match &self.leads_to {
            Some((name, _)) => Target::Name(name, to.port()),
            None => Target::Addr(to),
        };
        socks::wrap(target, bytes)
    }

    /// `None` if nobody can have sent that: only the proxy stands for a name.
    fn unwrapped<'a>(&self, bytes: &'a [u8]) -> Option<(SocketAddr, &'a [u8])> {
        let Relayed { ip, port, data } = socks::unwrap(bytes)?;
        let ip = match &self.leads_to {
            Some((_, number)) => {
                stand_in(*number, ip.is_some_and(|ip| ip.to_canonical().is_ipv6()))
            }
            None => ip.map(|ip| ip.to_canonical()).filter(|ip| number(*ip).is_none())?,
        };
        Some((SocketAddr::new(ip, port), data))
    }
}

impl Job {
    fn refuse(self, why: &str) {
        match self {
            Self::Tell(tell) => drop(tell.send(Err(why.to_owned()))),
            Self::Send(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream, UdpSocket};

    /// A proxy that relays nothing by itself: a test does.
    struct Relay {
        listener: TcpListener,
        socket: UdpSocket,
    }

    impl Relay {
        async fn new() -> (Self, Proxy) {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let proxy = format!("socks5://{}", listener.local_addr().expect("an address"));
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            (Self { listener, socket }, proxy.parse().expect("a proxy"))
        }

        /// Opens the association that is asked for next.
        async fn open(&self) -> TcpStream {
            let (mut control, _) = self.listener.accept().await.expect("a client");
            let port = self.socket.local_addr().expect("an address").port().to_be_bytes();
            for (asked, reply) in
                [(3, vec![5, 0]), (10, [&[5, 0, 0, 1, 0, 0, 0, 0], &port[..]].concat())]
            {
                control.read_exact(&mut vec![0; asked]).await.expect("a message");
                control.write_all(&reply).await.expect("it is read");
            }
            control
        }

        /// The next datagram with its header, and who sent it.
        async fn heard(&self) -> (Vec<u8>, SocketAddr) {
            let mut bytes = vec![0; 1000];
            let (size, from) = self.socket.recv_from(&mut bytes).await.expect("a datagram");
            bytes.truncate(size);
            (bytes, from)
        }
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn a_name_has_a_stand_in_of_each_family_and_answers_from_that_of_its_own() {
        let (relay, proxy) = Relay::new().await;
        let (facts_from, mut facts) = mpsc::channel(4);
        let mut ours = Associations::new(proxy, facts_from);
        let found = ours.look_up("T.example".to_owned(), 80);
        let (found, _control) = tokio::join!(found, relay.open());
        let found = found.expect("the proxy relays");
        assert_eq!(found, [addr("240.0.0.0:80"), addr("[100::]:80")]);
        ours.send(found[1], b"hi");
        let (heard, us) = relay.heard().await;
        assert_eq!(heard, b"\0\0\0\x03\x09t.example\0\x50hi");
        for (from, stand_in) in [("10.0.0.1:80", found[0]), ("[fd00::1]:80", found[1])] {
            let reply = socks::wrap(Target::Addr(addr(from)), b"ho").expect("it is short");
            relay.socket.send_to(&reply, us).await.expect("it leaves");
            let Some(Fact::Datagram(from, bytes)) = facts.recv().await else { panic!("nothing") };
            assert_eq!((from, &bytes[..]), (stand_in, &b"ho"[..]));
        }
        // Another stands for nobody, and nothing is sent to it.
        ours.send(addr("240.0.0.1:80"), b"nobody");
        ours.send(found[0], b"somebody");
        assert!(relay.heard().await.0.ends_with(b"somebody"));
    }

    #[tokio::test]
    async fn an_association_that_ended_is_opened_anew_and_addresses_share_one() {
        let (relay, proxy) = Relay::new().await;
        let (facts_from, mut facts) = mpsc::channel(4);
        let mut ours = Associations::new(proxy, facts_from);
        ours.send(addr("10.0.0.1:80"), b"one");
        ours.send(addr("[fd00::1]:80"), b"two");
        let control = relay.open().await;
        let (first, us) = relay.heard().await;
        assert_eq!(first, b"\0\0\0\x01\x0a\0\0\x01\0\x50one");
        assert!(relay.heard().await.0.ends_with(b"two"));
        // Nobody can pretend to be a name.
        for from in ["240.0.0.0:80", "10.0.0.1:80"] {
            let reply = socks::wrap(Target::Addr(addr(from)), b"ho").expect("it is short");
            relay.socket.send_to(&reply, us).await.expect("it leaves");
        }
        let Some(Fact::Datagram(from, _)) = facts.recv().await else { panic!("nothing") };
        assert_eq!(from, addr("10.0.0.1:80"));
        drop(control);
        let again = async {
            loop {
                // It may not have noticed yet, and then this is lost.
                ours.send(addr("10.0.0.1:80"), b"again");
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = relay.open() => {}
            () = again => {}
        }
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_not_asked_again_at_once() {
        let (relay, proxy) = Relay::new().await;
        let (facts_from, _facts) = mpsc::channel(4);
        let mut ours = Associations::new(proxy, facts_from);
        let refuse = async {
            let (mut control, _) = relay.listener.accept().await.expect("a client");
            control.read_exact(&mut [0; 3]).await.expect("a greeting");
            control.write_all(&[5, 0xff]).await.expect("it is read");
        };
        let (found, ()) = tokio::join!(ours.look_up("a".to_owned(), 1), refuse);
        let why = "through the proxy: it wants another login";
        assert_eq!(found, Err(why.to_owned()));
        assert_eq!(ours.look_up("a".to_owned(), 1).await, Err(why.to_owned()), "from memory");
        let long = ours.look_up("a".repeat(256), 1).await;
        assert_eq!(long, Err("too many names for the proxy, or too long a one".to_owned()));
    }
}
