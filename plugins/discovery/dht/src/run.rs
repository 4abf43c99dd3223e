//! [`Run`]: one download's use of the DHT: when its torrent is looked up and announced, and where
//! the node begins.

use crate::given::Given;
use crate::id::NodeId;
use crate::krpc::Port;
use crate::node::{Node, Out};
use rtor_plugin::discovery::{Answer, Fact, Totals, Wish, Wishes};
use rtor_plugin::{Addr, Level};
use std::net::{IpAddr, SocketAddr};

/// Between two lookups of a torrent that has peers enough.
const LOOKUP_US: u64 = 5 * 60 * 1_000_000;
/// Between the first two lookups of one that has few: who comes first finds nobody yet. Doubled
/// each time.
const HURRIED_US: u64 = 10 * 1_000_000;
/// And at most: a lookup is some twenty datagrams.
const HURRIED_US_MAX: u64 = 60 * 1_000_000;
/// Fewer peers than that are few.
const PEERS_FEW: u32 = 10;
/// Between two announces: others forget a peer after half an hour.
const ANNOUNCE_US: u64 = 15 * 60 * 1_000_000;
/// How soon names are looked up again that could not be; doubled each time.
const RESOLVE_US: u64 = 30 * 1_000_000;
/// And how late at most.
const RESOLVE_US_MAX: u64 = 15 * 60 * 1_000_000;
/// Addresses of one name that are taken: a name may be anybody's.
const ADDRS_MAX: usize = 8;
/// Nodes in the table from which on peers are not asked whether they are nodes.
const NODES_ENOUGH: usize = 64;

/// A download under way.
pub(crate) struct Run {
    node: Node,
    info_hash: NodeId,
    /// Where we accept peers; `None`: nowhere.
    port: Option<Port>,
    totals: Totals,
    /// Hosts whose addresses are still to be found.
    names: Vec<Name>,
    resolve_us: u64,
    /// When names are looked up again.
    resolve_due_us: Option<u64>,
    /// The lookup under way, and whether it announces.
    lookup: Option<(u64, bool)>,
    due_us: u64,
    hurried_us: u64,
    announced_us: Option<u64>,
    /// How much it mattered that nobody answers, if somebody was told.
    complained: Option<Level>,
}

/// A bootstrap node that has a name.
struct Name {
    host: String,
    port: u16,
    state: Resolving,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Resolving {
    /// A look-up is under way. Its ticket is the name's place in the list.
    Asked,
    Failed,
    Done,
}

/// Where the torrent is announced, if we accept connections at `port`: where datagrams come from, if
/// that is the same.
const fn announced(port: u16, udp_port: u16) -> Option<Port> {
    match port {
        0 => None,
        _ if port == udp_port => Some(Port::Implied(port)),
        _ => Some(Port::Given(port)),
    }
}

impl Run {
    /// `None`, and a report, if the host's start makes no sense; `None` alone for a torrent that
    /// may not be in the DHT (BEP 27). `snapshot` is that of an earlier run, or empty.
    pub(crate) fn started(
        given: &Given,
        snapshot: &[u8],
        now_us: u64,
        fact: &Fact<'_>,
        wishes: &mut dyn Wishes,
    ) -> Option<Self> {
        let Fact::Started { info_hash, seed, port, udp_port, private, totals, .. } = fact else {
            return None;
        };
        if *private {
            return None;
        }
        // A v2 hash is cut to 20 bytes (BEP 52).
        let Some(info_hash) = info_hash.first_chunk().copied().map(NodeId) else {
            let text = "the info hash has the wrong length".into();
            wishes.push(Wish::Report { level: Level::Error, subject: SOURCE.into(), text });
            return None;
        };
        let port = announced(*port, *udp_port);
        let mut run = Self {
            node: Node::new(*seed, given.read_only),
            info_hash,
            port,
            totals: *totals,
            names: Vec::new(),
            resolve_us: RESOLVE_US,
            resolve_due_us: None,
            lookup: None,
            due_us: now_us,
            hurried_us: HURRIED_US,
            announced_us: None,
            complained: None,
        };
        wishes.push(Wish::JoinDht { answers: !given.read_only });
        if !snapshot.is_empty() && !run.node.restore(now_us, snapshot) {
            let text = "what was kept of an earlier run cannot be read: it is ignored".into();
            wishes.push(Wish::Report { level: Level::Warning, subject: SOURCE.into(), text });
        }
        for (host, port) in &given.bootstrap {
            match host.parse::<IpAddr>() {
                Ok(ip) => run.node.bootstrap(now_us, [SocketAddr::new(ip, *port)]),
                Err(_) => {
                    let (host, port) = (host.clone(), *port);
                    run.names.push(Name { host, port, state: Resolving::Failed });
                }
            }
        }
        run.resolve(wishes);
        Some(run)
    }

    pub(crate) fn handle(
        &mut self,
        now_us: u64,
        fact: &Fact<'_>,
        wishes: &mut dyn Wishes,
    ) -> Answer {
        let mut out = Vec::new();
        match *fact {
            Fact::Started { .. } | Fact::Deadline => {}
            Fact::Progress(totals) | Fact::Completed(totals) | Fact::Stopped(totals) => {
                self.progressed(now_us, totals);
            }
            Fact::Datagram { from, bytes } => {
                let from = from.socket().filter(|_| bytes.first() == Some(&b'd'));
                let ours = from.is_some_and(|from| self.node.handle(now_us, from, bytes, &mut out));
                if !ours {
                    return Answer::Declined;
                }
            }
            Fact::Resolved { ticket, addrs, .. } => self.resolved(now_us, ticket, addrs, wishes),
            Fact::PeerJoined { addr, came_to_us: false, .. } => {
                // Its node, if it has one, mostly has the number of the port that we dialed.
                if let Some(addr) = addr.socket() {
                    self.heard_of(now_us, addr);
                }
            }
            Fact::Node { addr } => {
                if let Some(addr) = addr.socket() {
                    self.heard_of(now_us, addr);
                }
            }
            Fact::Mapped { addr, udp_port } => self.mapped(now_us, announced(addr.port, udp_port)),
            Fact::PeerJoined { .. } | Fact::PeerLeft { .. } => {}
            Fact::Extension { .. }
            | Fact::HttpReply { .. }
            | Fact::State { .. }
            | Fact::Woken
            | Fact::Scrape { .. } => {
                return Answer::Declined;
            }
        }
        self.go_on(now_us, &mut out, wishes);
        Answer::Mine
    }

    /// What the next run begins with, if there is anybody in it.
    pub(crate) fn keep(&self, now_us: u64, wishes: &mut dyn Wishes) {
        if self.node.nodes() > 0 {
            wishes.push(Wish::Keep { bytes: self.node.snapshot(now_us).into() });
        }
    }

    fn heard_of(&mut self, now_us: u64, addr: SocketAddr) {
        if self.node.nodes() < NODES_ENOUGH {
            self.node.heard_of(now_us, addr);
        }
    }

    pub(crate) fn deadline(&self, now_us: u64) -> Option<u64> {
        let waits = self.lookup.is_none() && self.node.is_open(now_us);
        let due = waits.then_some(self.due_us);
        [self.node.deadline(), self.resolve_due_us, due].into_iter().flatten().min()
    }

    /// What is due by now.
    fn go_on(&mut self, now_us: u64, out: &mut Vec<Out>, wishes: &mut dyn Wishes) {
        self.node.tick(now_us, out);
        if self.resolve_due_us.is_some_and(|due| now_us >= due) {
            self.resolve_due_us = None;
            self.resolve(wishes);
        }
        // What ended while datagrams came in may be the lookup that the next one waits for.
        self.grant(now_us, out, wishes);
        if self.lookup.is_none() && now_us >= self.due_us && self.node.is_open(now_us) {
            self.look_up(now_us, out);
            self.grant(now_us, out, wishes);
        }
    }

    /// Others reach us elsewhere than was announced: that is announced at once.
    fn mapped(&mut self, now_us: u64, port: Option<Port>) {
        if std::mem::replace(&mut self.port, port) != port {
            (self.announced_us, self.due_us) = (None, self.due_us.min(now_us));
        }
    }

    fn look_up(&mut self, now_us: u64, out: &mut Vec<Out>) {
        let is_due = |since: u64| now_us >= since.saturating_add(ANNOUNCE_US);
        let announce = self.port.filter(|_| self.announced_us.is_none_or(is_due));
        let announces = announce.is_some();
        if !announces && self.totals.peers_wanted == 0 {
            self.due_us = now_us.saturating_add(self.pause_us());
            return;
        }
        let number = self.node.lookup(now_us, self.info_hash, announce, out);
        self.lookup = Some((number, announces));
    }

    /// Turns what the node wants into wishes.
    fn grant(&mut self, now_us: u64, out: &mut Vec<Out>, wishes: &mut dyn Wishes) {
        for out in out.drain(..) {
            match out {
                Out::Send { to, bytes } => {
                    wishes.push(Wish::SendDatagram { to: to.into(), bytes: bytes.into() });
                }
                Out::Found { peers, .. } => {
                    let addrs: Vec<Addr> = peers.into_iter().map(Addr::from).collect();
                    wishes.push(Wish::Found { source: SOURCE.into(), addrs: addrs.into() });
                }
                Out::Ended { lookup, asked, answered } => {
                    self.ended(now_us, lookup, asked, answered, wishes);
                }
            }
        }
    }

    fn ended(
        &mut self,
        now_us: u64,
        number: u64,
        asked: u32,
        answered: u32,
        wishes: &mut dyn Wishes,
    ) {
        let Some((_, announced)) = self.lookup.take_if(|(ours, _)| *ours == number) else {
            return;
        };
        self.due_us = now_us.saturating_add(self.pause_us());
        self.hurried_us = (self.hurried_us * 2).min(HURRIED_US_MAX);
        if answered > 0 {
            self.complained = None;
            if announced {
                self.announced_us = Some(now_us);
            }
        } else {
            self.complain(true, &format!("no node of the DHT answers, {asked} were asked"), wishes);
        }
    }

    /// Says what is wrong, once, and once more when it begins to matter: with peers from elsewhere,
    /// or before it is `sure`, it is worth no warning.
    fn complain(&mut self, sure: bool, text: &str, wishes: &mut dyn Wishes) {
        let matters = sure && self.totals.peers == 0;
        let level = if matters { Level::Warning } else { Level::Info };
        if self.complained < Some(level) {
            self.complained = Some(level);
            let (subject, text) = (SOURCE.into(), text.into());
            wishes.push(Wish::Report { level, subject, text });
        }
    }

    fn progressed(&mut self, now_us: u64, totals: Totals) {
        self.totals = totals;
        if self.lookup.is_none() {
            // Peers may have run out since the pause was set.
            self.due_us = self.due_us.min(now_us.saturating_add(self.pause_us()));
        }
    }

    const fn pause_us(&self) -> u64 {
        let few = self.totals.peers < PEERS_FEW && self.totals.peers_wanted > 0;
        if few { self.hurried_us } else { LOOKUP_US }
    }

    /// Has all names looked up that could not be so far.
    fn resolve(&mut self, wishes: &mut dyn Wishes) {
        for (ticket, name) in (0..).zip(&mut self.names) {
            if name.state == Resolving::Failed {
                name.state = Resolving::Asked;
                let (host, port) = (name.host.as_str().into(), name.port);
                wishes.push(Wish::Resolve { ticket, host, port });
            }
        }
    }

    fn resolved(&mut self, now_us: u64, ticket: u64, addrs: &[Addr], wishes: &mut dyn Wishes) {
        let name = usize::try_from(ticket).ok().and_then(|at| self.names.get_mut(at));
        let Some(name) = name.filter(|name| name.state == Resolving::Asked) else { return };
        name.state = if addrs.is_empty() { Resolving::Failed } else { Resolving::Done };
        self.node.bootstrap(now_us, addrs.iter().filter_map(Addr::socket).take(ADDRS_MAX));
        let all = |state| self.names.iter().all(|name| name.state == state);
        if all(Resolving::Failed) {
            self.resolve_due_us = Some(now_us.saturating_add(self.resolve_us));
            let again = self.resolve_us > RESOLVE_US;
            self.resolve_us = (self.resolve_us * 2).min(RESOLVE_US_MAX);
            let sure = again && !self.node.is_open(now_us);
            self.complain(sure, "no bootstrap node's name could be looked up", wishes);
        }
    }
}

/// Where peers are from, for people.
const SOURCE: &str = "dht";
