//! [`Swarm`]: many nodes on virtual time, some of them dead, some of them liars.
//!
//! To be cheap with ten thousand: a node is made when the first datagram reaches it, its table
//! filled from all ids that there are, as years of upkeep would have it; and only those nodes have
//! timers that are told to.

use crate::id::{ID_BITS, NodeId};
use crate::krpc::{self, Answer, Ask, Message, Port};
use crate::node::{Node, Out};
use crate::table::K;
use rtor_plugin::SecretChance;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};

/// One way takes between this and three times as long.
const LATENCY_US: u64 = 15_000;
/// Of a hundred datagrams so many are lost.
const LOST_PERCENT: u64 = 1;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Honest,
    Dead,
    /// It answers with made-up nodes and peers, every other one under a made-up id.
    Liar,
}

struct Actor {
    addr: SocketAddr,
    id: NodeId,
    kind: Kind,
    node: Option<Node>,
    /// Whether its timers run.
    ticks: bool,
    timer_us: Option<u64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Datagram { to: usize, from: SocketAddr, bytes: Vec<u8> },
    Timer(usize),
}

/// How a lookup went.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Peers, and how many had been asked when they were found.
    pub(super) found: Vec<(SocketAddr, u32)>,
    pub(super) asked: u32,
    pub(super) took_us: u64,
}

/// Everybody.
pub(super) struct Swarm {
    actors: Vec<Actor>,
    by_addr: BTreeMap<SocketAddr, usize>,
    /// All ids, sorted.
    ids: Vec<(NodeId, usize)>,
    /// Whether nodes have ids that fit and full tables, or have all that to learn.
    pub(super) is_settled: bool,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sent: u64,
    pub(super) now_us: u64,
    pub(super) chance: SecretChance,
    /// Of the lookup under way.
    outcome: Outcome,
    ended: Option<(usize, u64)>,
}

impl Swarm {
    pub(super) fn new(seed: u64, count: usize, dead_percent: u64, liars_percent: u64) -> Self {
        let mut chance = SecretChance::new(seed);
        let (mut actors, mut by_addr) = (Vec::new(), BTreeMap::new());
        while actors.len() < count {
            let [a, b, c, d, ..] = chance.draw().to_be_bytes();
            // Between 16 and 79 no network is anything special.
            let addr = SocketAddr::new(IpAddr::from([16 + a % 64, b, c, d]), 6881);
            if by_addr.insert(addr, actors.len()).is_none() {
                let id = NodeId::at(addr.ip(), NodeId::drawn(&mut chance));
                let kind = match chance.draw() % 100 {
                    draw if draw < dead_percent => Kind::Dead,
                    draw if draw < dead_percent + liars_percent => Kind::Liar,
                    _ => Kind::Honest,
                };
                actors.push(Actor { addr, id, kind, node: None, ticks: false, timer_us: None });
            }
        }
        let mut ids: Vec<_> = actors.iter().map(|actor| actor.id).zip(0..).collect();
        ids.sort_unstable();
        Self {
            actors,
            by_addr,
            ids,
            is_settled: true,
            events: BinaryHeap::new(),
            sent: 0,
            now_us: 1,
            chance,
            outcome: Outcome::default(),
            ended: None,
        }
    }

    pub(super) fn addr(&self, who: usize) -> SocketAddr {
        self.actors[who].addr
    }

    /// An honest one, drawn by chance.
    pub(super) fn somebody(&mut self) -> usize {
        loop {
            let who = self.chance.below(self.actors.len());
            if self.actors[who].kind == Kind::Honest {
                return who;
            }
        }
    }

    /// Node `who`, made if it is not there yet.
    pub(super) fn node(&mut self, who: usize) -> &mut Node {
        if self.actors[who].node.is_none() {
            let mut node = Node::new(self.chance.draw(), false);
            if self.is_settled {
                node.sides[0].renamed(self.now_us, self.actors[who].id);
                for other in self.neighbours(who) {
                    let Actor { id, addr, .. } = self.actors[other];
                    node.sides[0].table.replied(self.now_us, id, addr);
                }
                node.sides[0].votes.placed();
                // Its upkeep is done.
                node.sides[0].upkeep_us = None;
            }
            self.actors[who].node = Some(node);
        }
        self.actors[who].node.as_mut().expect("it was just made")
    }

    /// Whom `who` has in its table: eight, drawn by chance, for each number of shared bits.
    fn neighbours(&mut self, who: usize) -> Vec<usize> {
        let own = self.actors[who].id;
        let has_bit = |id: &NodeId, bit: usize| id.0[bit / 8] & (0x80 >> (bit % 8)) != 0;
        let (mut range, mut neighbours) = (0..self.ids.len(), Vec::new());
        for bit in 0..ID_BITS {
            let ids = &self.ids[range.clone()];
            let split = range.start + ids.partition_point(|(id, _)| !has_bit(id, bit));
            let halves = (range.start..split, split..range.end);
            let (ours, theirs) =
                if has_bit(&own, bit) { (halves.1, halves.0) } else { (halves.0, halves.1) };
            let mut drawn: Vec<usize> = theirs.clone().collect();
            if drawn.len() > K {
                let draws = (0..3 * K).map(|_| theirs.start + self.chance.below(theirs.len()));
                drawn = draws.collect();
                drawn.sort_unstable();
                drawn.dedup();
                let first = self.chance.below(drawn.len());
                drawn.rotate_left(first);
                drawn.truncate(K);
            }
            neighbours.extend(drawn.into_iter().map(|at| self.ids[at].1));
            range = ours;
            if range.len() <= 1 {
                break;
            }
        }
        neighbours
    }

    /// Node `who` begins with `others`, and its timers run from now on.
    pub(super) fn joins(&mut self, who: usize, others: &[usize]) {
        let addrs: Vec<_> = others.iter().map(|other| self.addr(*other)).collect();
        let now_us = self.now_us;
        self.node(who).bootstrap(now_us, addrs);
        self.actors[who].ticks = true;
        self.set_timer(who);
    }

    /// Node `who` looks `info_hash` up, and the world goes on until it is done.
    pub(super) fn lookup(&mut self, who: usize, info_hash: NodeId, port: Option<u16>) -> Outcome {
        let started_us = self.now_us;
        let mut out = Vec::new();
        let announce = port.map(Port::Given);
        let number = self.node(who).lookup(started_us, info_hash, announce, &mut out);
        self.actors[who].ticks = true;
        self.follow(who, out);
        while self.ended != Some((who, number)) && self.advance(u64::MAX) {}
        self.actors[who].ticks = !self.is_settled;
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.took_us = self.now_us - started_us;
        // Announces arrive, and their answers.
        self.pass(self.now_us + 6 * LATENCY_US);
        outcome
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, until_us: u64) {
        while self.advance(until_us) {}
        self.now_us = until_us;
    }

    /// The next event, if there is one by then.
    fn advance(&mut self, until_us: u64) -> bool {
        if self.events.peek().is_none_or(|Reverse((due_us, ..))| *due_us > until_us) {
            return false;
        }
        let Some(Reverse((due_us, _, event))) = self.events.pop() else { return false };
        self.now_us = self.now_us.max(due_us);
        let now_us = self.now_us;
        let mut out = Vec::new();
        let who = match event {
            Event::Datagram { to, from, bytes } => {
                match self.actors[to].kind {
                    Kind::Dead => {}
                    Kind::Liar => self.lie(to, from, &bytes),
                    Kind::Honest => {
                        self.node(to).handle(now_us, from, &bytes, &mut out);
                    }
                }
                to
            }
            Event::Timer(who) => {
                self.actors[who].timer_us = None;
                if self.actors[who].ticks {
                    self.node(who).tick(now_us, &mut out);
                }
                who
            }
        };
        self.follow(who, out);
        true
    }

    fn follow(&mut self, who: usize, out: Vec<Out>) {
        for out in out {
            match out {
                Out::Send { to, bytes } => {
                    let is_step = matches!(
                        krpc::read(&bytes),
                        Some(Message::Query(query)) if matches!(query.ask, Ask::GetPeers(_))
                    );
                    if is_step {
                        // There is one at a time.
                        self.outcome.asked += 1;
                    }
                    self.send(self.addr(who), to, bytes);
                }
                Out::Found { peers, .. } => {
                    let outcome = &mut self.outcome;
                    outcome.found.extend(peers.iter().map(|peer| (*peer, outcome.asked)));
                }
                Out::Ended { lookup, .. } => {
                    self.ended = Some((who, lookup));
                }
            }
        }
        self.set_timer(who);
    }

    fn set_timer(&mut self, who: usize) {
        let actor = &mut self.actors[who];
        let due = actor.node.as_ref().filter(|_| actor.ticks).and_then(Node::deadline);
        if let Some(due) = due.filter(|due| actor.timer_us.is_none_or(|timer| *due < timer)) {
            actor.timer_us = Some(due);
            self.sent += 1;
            self.events.push(Reverse((due, self.sent, Event::Timer(who))));
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let draw = self.chance.draw();
        let Some(&to) = self.by_addr.get(&to).filter(|_| draw % 100 >= LOST_PERCENT) else {
            return;
        };
        let arrives_us = self.now_us + LATENCY_US + (draw >> 16) % (2 * LATENCY_US);
        self.sent += 1;
        let event = Event::Datagram { to, from, bytes };
        self.events.push(Reverse((arrives_us, self.sent, event)));
    }

    /// A liar answers: nodes just beside the target that nobody is, and peers that nobody is.
    fn lie(&mut self, who: usize, to: SocketAddr, bytes: &[u8]) {
        let Some(Message::Query(query)) = krpc::read(bytes) else { return };
        let target = match query.ask {
            Ask::FindNode(target) | Ask::GetPeers(target) => target,
            Ask::Ping | Ask::AnnouncePeer { .. } => query.sender,
        };
        let peers = [made_up(&mut self.chance), made_up(&mut self.chance)];
        let addrs: [SocketAddr; K] = std::array::from_fn(|_| made_up(&mut self.chance));
        let fits = self.chance.draw().is_multiple_of(2);
        let nodes = addrs.map(|addr| {
            let near = target.beside(100, &mut self.chance);
            (if fits { NodeId::at(addr.ip(), near) } else { near }, addr)
        });
        let Actor { addr, id, .. } = self.actors[who];
        let sender = if who.is_multiple_of(2) { id } else { NodeId::drawn(&mut self.chance) };
        let answer = Answer {
            transaction: query.transaction,
            sender,
            ip: Some(made_up(&mut self.chance)),
            token: Some(b"liar"),
            nodes: [Some(&nodes), None],
            peers: &peers,
        };
        let bytes = krpc::answer(&answer);
        self.send(addr, to, bytes);
    }
}

/// Where nobody is, most likely.
fn made_up(chance: &mut SecretChance) -> SocketAddr {
    let [a, b, c, d, ..] = chance.draw().to_be_bytes();
    SocketAddr::new(IpAddr::from([16 + a % 64, b, c, d]), 1)
}
