//! [`World`]: nodes, links, and what will happen when.

use super::lane::{Lane, LaneId, Parcel};
use super::link::Link;
use super::node::{GOOD_DIGEST, Going, Manner, Moved, Node, NodeId, Presence, block_bytes};
use super::queue::Queue;
use crate::engine::picker::{Digest, Rank};
use crate::engine::{Config, Engine, Event, Guest, Input, Output, PeerId, Report, Time, Why};
use crate::torrent::{Bitfield, Info, Layout, PieceHashes, PieceIndex, SafePath};
use crate::wire::{BlockSpec, Message};
use bytes::BytesMut;
use rtor_plugin::Chance;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// Hashing and writing a piece.
const CHECK_US: u64 = 2_000;
/// Connections at once, of a node that does not say.
const PEERS_MAX: usize = 50;
/// Of a million answers, a liar's lies are so many.
const MILLION: u64 = 1_000_000;

/// What will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// The user named a peer to a node.
    Named(NodeId, NodeId),
    /// The dialler's lane is there.
    Dialled(LaneId),
    /// In this life of a node a dial was refused.
    Refused(NodeId, u32, PeerId),
    /// A node's uplink has sent its burst.
    Sent(NodeId),
    /// A lane has kept to its rate for long enough.
    Rested(LaneId),
    /// So many parcels, and bytes, of a lane reach the downlink of its end.
    Reached(LaneId, u32, u32),
    /// So many parcels of a lane are through.
    Through(LaneId, u32, Weight),
    /// In this life of a node a piece was hashed.
    Checked(NodeId, u32, PieceIndex, Vec<Digest>),
    /// A node's own deadline.
    Deadline(NodeId),
    /// A node hears what it was not told at once.
    Listens(NodeId),
    /// A node goes.
    Goes(NodeId, Going),
    /// Whoever runs the world wants to know.
    Cue(Cue),
}

/// Whether parcels took their turn at the links, or slipped past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Heavy,
    Light,
}

/// What a world hands back to whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// A node has everything that it wanted.
    Completed(NodeId),
    /// The moment that [`World::cue_at`] named, and the number that was given there.
    Due(u64),
}

/// A swarm on virtual time.
pub struct World {
    info: Arc<Info>,
    seed: u64,
    pub(super) chance: Chance,
    pub(super) now: Time,
    pub(super) queue: Queue<Happening>,
    pub(super) nodes: Vec<Node>,
    pub(super) lanes: Vec<Lane>,
    pub(super) by_addr: BTreeMap<SocketAddr, NodeId>,
    verified: u64,
    cues: VecDeque<Cue>,
    /// Empty between turns.
    pub(super) facts: VecDeque<Input>,
    outputs: Vec<Output>,
    pub(super) touched: Vec<LaneId>,
    pub(super) scratch: BytesMut,
}

/// A torrent of one file that no world has: its hashes are never looked at.
#[must_use]
pub fn torrent_of(piece_count: u32, piece_length: u32) -> Arc<Info> {
    torrent_of_bytes(u64::from(piece_count) * u64::from(piece_length), piece_length)
}

/// As [`torrent_of`], of `length` bytes.
#[must_use]
pub fn torrent_of_bytes(length: u64, piece_length: u32) -> Arc<Info> {
    let path = SafePath::from_components([&b"content"[..]]).expect("a plain name");
    let layout = Layout::contiguous(u64::from(piece_length), [(path, length, false)])
        .expect("a layout of a simulated torrent");
    let pieces = PieceHashes::V1(vec![[0; 20]; layout.piece_count()]);
    Arc::new(Info::of_parts(layout, pieces))
}

impl World {
    /// A world without nodes.
    #[must_use]
    pub fn new(info: Arc<Info>, seed: u64) -> Self {
        Self {
            info,
            seed,
            chance: Chance::new(!seed),
            now: Time(0),
            queue: Queue::new(),
            nodes: Vec::new(),
            lanes: Vec::new(),
            by_addr: BTreeMap::new(),
            verified: 0,
            cues: VecDeque::new(),
            facts: VecDeque::new(),
            outputs: Vec::new(),
            touched: Vec::new(),
            scratch: BytesMut::new(),
        }
    }

    /// Adds a node that has `have` and wants everything, and is here.
    pub fn node(
        &mut self,
        link: Link,
        manner: Manner,
        have: Bitfield,
        rank: Box<dyn Rank>,
        guests: Vec<Guest>,
    ) -> NodeId {
        let node = self.place(link, manner);
        self.come(node, have, PEERS_MAX, rank, guests);
        node
    }

    /// Adds a node that is not here yet.
    pub fn place(&mut self, link: Link, manner: Manner) -> NodeId {
        let number = self.nodes.len() as u32;
        let id = NodeId(number);
        let [_, b, c, d] = (number + 1).to_be_bytes();
        let addr = SocketAddr::from(([10, b, c, d], 6881));
        self.nodes.push(Node::new(addr, link, manner));
        self.by_addr.insert(addr, id);
        id
    }

    /// `node` comes, or comes back, with `have`, wants everything, and holds at most `peers_max`
    /// connections. What was on its disk of unfinished pieces is there still.
    pub fn come(
        &mut self,
        node: NodeId,
        have: Bitfield,
        peers_max: usize,
        rank: Box<dyn Rank>,
        guests: Vec<Guest>,
    ) {
        let of = self.of(node);
        let mut peer_id = *b"-RT0000-000000000000";
        peer_id[12..16].copy_from_slice(&of.life.to_be_bytes());
        peer_id[16..].copy_from_slice(&node.0.to_be_bytes());
        let salt =
            (u64::from(of.life) << 32 | u64::from(node.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let engine = Engine::new(Config {
            info: Arc::clone(&self.info),
            peer_id,
            client: "sim".to_owned(),
            have,
            wanted: Bitfield::full(self.info.layout.piece_count()),
            partial: of.partial(),
            trackers: Vec::new(),
            nodes: Vec::new(),
            port: of.addr.port(),
            udp_port: 0,
            peers_max,
            seed: self.seed ^ salt,
            rank,
            guests,
            looks_only: false,
        });
        self.of_mut(node).came(engine);
        self.tell(node, Input::Started);
    }

    /// Tells `node` of `other`, now.
    pub fn introduce(&mut self, node: NodeId, other: NodeId) {
        self.introduce_at(self.now, node, other);
    }

    /// Tells `node` of `other` at `time`, if it is here then.
    pub fn introduce_at(&mut self, time: Time, node: NodeId, other: NodeId) {
        self.queue.push(time, Happening::Named(node, other));
    }

    /// `node` dies at `time`; its connections are closed.
    pub fn dies_at(&mut self, node: NodeId, time: Time) {
        self.goes_at(node, time, Going::Closing);
    }

    /// `node` goes at `time`.
    pub fn goes_at(&mut self, node: NodeId, time: Time, going: Going) {
        self.queue.push(time, Happening::Goes(node, going));
    }

    /// [`Cue::Due`] with `number` comes at `time`.
    pub fn cue_at(&mut self, time: Time, number: u64) {
        self.queue.push(time, Happening::Cue(Cue::Due(number)));
    }

    /// Runs until `done`, or until `limit`, or until nothing will happen any more. Whether it is
    /// done. Cues are passed over.
    pub fn run_until(&mut self, limit: Time, done: impl Fn(&Self) -> bool) -> bool {
        while !done(self) {
            if !self.step(limit) {
                return false;
            }
            self.cues.clear();
        }
        true
    }

    /// Runs until the next cue; `None` at `limit`, or when nothing will happen any more.
    pub fn run_to_cue(&mut self, limit: Time) -> Option<Cue> {
        while self.cues.is_empty() && self.step(limit) {}
        self.cues.pop_front()
    }

    fn step(&mut self, limit: Time) -> bool {
        let Some((time, happening)) = self.queue.pop() else { return false };
        if time > limit {
            self.now = limit;
            return false;
        }
        self.now = time;
        self.happen(happening);
        true
    }

    /// Now.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Whether `node` is here.
    #[must_use]
    pub fn is_here(&self, node: NodeId) -> bool {
        self.of(node).is_here()
    }

    /// When `node` had everything, if it has.
    #[must_use]
    pub fn completed_at(&self, node: NodeId) -> Option<Time> {
        self.of(node).completed_at
    }

    /// What `node` has.
    ///
    /// # Panics
    /// If it never came.
    #[must_use]
    pub fn have(&self, node: NodeId) -> &Bitfield {
        self.of(node).have().expect("a node that has been here")
    }

    /// The pieces that `node` verified, in order.
    pub fn verified(&self, node: NodeId) -> impl DoubleEndedIterator<Item = (Time, u32)> + '_ {
        self.of(node).verified.iter().map(|(time, piece)| (*time, piece.get()))
    }

    /// Pieces that were verified by anybody so far.
    #[must_use]
    pub const fn verified_count(&self) -> u64 {
        self.verified
    }

    /// The address of `node`.
    #[must_use]
    pub fn addr(&self, node: NodeId) -> SocketAddr {
        self.of(node).addr
    }

    /// What `node`'s download was like, since it last came.
    ///
    /// # Panics
    /// If it never came.
    #[must_use]
    pub fn report(&self, node: NodeId) -> Report {
        self.of(node).engine.as_ref().expect("a node that has been here").report(self.now)
    }

    /// What `node` moved, all the times that it was here.
    #[must_use]
    pub fn moved(&self, node: NodeId) -> Moved {
        let node = self.of(node);
        let mut moved = node.before;
        if let Some(engine) = node.engine.as_ref().filter(|_| node.is_here()) {
            moved.sum(&Moved::of(&engine.report(self.now)));
        }
        moved
    }

    /// How often somebody banned `node`, and how often somebody hung up on it because it broke
    /// the protocol.
    #[must_use]
    pub fn blamed(&self, node: NodeId) -> (u32, u32) {
        (self.of(node).banned, self.of(node).faults)
    }

    pub(super) fn of(&self, node: NodeId) -> &Node {
        &self.nodes[node.at()]
    }

    pub(super) fn of_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.at()]
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Named(node, other) => {
                let addr = self.of(other).addr;
                self.tell(node, Input::Named(addr));
            }
            Happening::Dialled(lane) => {
                let Lane { from, from_peer, open, .. } = self.lanes[lane.at()];
                // Its own half is open while it has not hung up.
                if open && self.lanes[lane.back().at()].open {
                    self.tell(from, Input::Dialled(from_peer));
                }
            }
            Happening::Refused(node, life, peer) if self.of(node).life == life => {
                self.tell(node, Input::Lost(peer, "connection refused".to_owned()));
            }
            Happening::Checked(node, life, piece, digests) if self.of(node).life == life => {
                let good = digests.iter().all(|digest| *digest == GOOD_DIGEST);
                self.tell(node, Input::Checked(piece, good, digests));
            }
            Happening::Refused(..) | Happening::Checked(..) => {}
            Happening::Sent(node) => self.sent(node),
            Happening::Rested(lane) => self.queue_up(lane),
            Happening::Reached(lane, count, bytes) => {
                let Lane { open, to, .. } = self.lanes[lane.at()];
                if open {
                    let now = self.now;
                    let through = self.of_mut(to).down.pass(now, u64::from(bytes));
                    self.queue.push(through, Happening::Through(lane, count, Weight::Heavy));
                }
            }
            Happening::Through(lane, count, weight) => self.arrive(lane, count, weight),
            Happening::Deadline(node) => self.deadline(node),
            Happening::Listens(node) => {
                self.of_mut(node).will_listen = false;
                self.turn(node);
            }
            Happening::Goes(node, going) => self.go(node, going),
            Happening::Cue(cue) => self.cues.push_back(cue),
        }
    }

    fn deadline(&mut self, node: NodeId) {
        let now = self.now;
        let of = self.of_mut(node);
        if of.deadline != Some(now) {
            return;
        }
        of.deadline = None;
        let due = of.engine.as_mut().and_then(Engine::deadline);
        // It is put off by whatever happened since; then this was only a look at the clock.
        match due {
            Some(due) if due > now => self.mind_deadline(node),
            Some(_) => self.tell(node, Input::Deadline),
            None => {}
        }
    }

    fn tell(&mut self, node: NodeId, input: Input) {
        self.facts.push_back(input);
        self.turn(node);
    }

    /// Tells `node` all that is in `facts`, and does what follows.
    pub(super) fn turn(&mut self, node: NodeId) {
        if !self.of(node).is_here() {
            self.facts.clear();
            return;
        }
        let now = self.now;
        self.nodes[node.at()].catch_up(&mut self.facts);
        if self.facts.is_empty() {
            return;
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        while !self.facts.is_empty() {
            let mut facts = std::mem::take(&mut self.facts);
            if let Some(engine) = self.of_mut(node).engine.as_mut() {
                engine.handle_all(now, facts.drain(..), &mut outputs);
            }
            self.facts = facts;
            for output in outputs.drain(..) {
                self.act(node, output);
            }
        }
        self.outputs = outputs;
        self.depart(node);
        self.mind_deadline(node);
    }

    fn mind_deadline(&mut self, node: NodeId) {
        let now = self.now;
        let of = self.of_mut(node);
        let Some(due) = of.engine.as_mut().and_then(Engine::deadline) else { return };
        let due = due.max(now + 1);
        if of.deadline.is_none_or(|known| known > due) {
            of.deadline = Some(due);
            self.queue.push(due, Happening::Deadline(node));
        }
    }

    fn act(&mut self, node: NodeId, output: Output) {
        match output {
            Output::Dial(peer, to) => self.dial(node, peer, to),
            Output::Greet(peer, handshake) => {
                self.send(node, peer, Parcel::Greeting(Box::new(handshake)))
            }
            Output::Send(_, Message::Unchoke) if self.of(node).manner == Manner::FreeRider => {}
            Output::Send(peer, message) => self.send(node, peer, Parcel::Message(message)),
            Output::HangUp(peer) => self.hang_up(node, peer),
            Output::Keep(block, data) => self.of_mut(node).keep(block, &data),
            Output::Forget(piece) => {
                let blocks = self.info.layout.blocks(piece);
                blocks.for_each(|block| self.of_mut(node).discard(block));
            }
            Output::Discard(block) => self.of_mut(node).discard(block),
            Output::Check(piece, _) => {
                let blocks = self.info.layout.blocks(piece);
                let of = self.of_mut(node);
                let checked = Happening::Checked(node, of.life, piece, of.check(blocks));
                self.queue.push(self.now + CHECK_US, checked);
            }
            Output::Load(peer, _, spec) => self.load(node, peer, spec),
            Output::Tell(event) => self.told(node, &event),
            // Every torrent is known from the start, and no discovery guest runs here yet: this is where a simulated tracker and a network
            // of datagrams will answer.
            Output::Learned(_)
            | Output::Datagram(..)
            | Output::HttpGet(..)
            | Output::Resolve(..)
            | Output::FindNode(..)
            | Output::KeepState(..)
            | Output::JoinMulticast(_) => {}
        }
    }

    fn told(&mut self, node: NodeId, event: &Event) {
        let now = self.now;
        match event {
            Event::Verified(piece) => {
                self.verified += 1;
                self.of_mut(node).verified.push((now, *piece));
            }
            Event::Completed => {
                self.of_mut(node).completed_at.get_or_insert(now);
                self.cues.push_back(Cue::Completed(node));
            }
            Event::Banned { addr, .. } => {
                if let Some(other) = self.by_addr.get(addr).copied() {
                    self.of_mut(other).banned += 1;
                }
            }
            Event::Left { addr, why: Why::Fault(_), .. } => {
                if let Some(other) = self.by_addr.get(addr).copied() {
                    self.of_mut(other).faults += 1;
                }
            }
            Event::Left { .. }
            | Event::Joined { .. }
            | Event::Failed(_)
            | Event::Metadata(_)
            | Event::Found { .. }
            | Event::Heard { .. }
            | Event::Report { .. }
            | Event::Farewell => {}
        }
    }

    fn load(&mut self, node: NodeId, peer: PeerId, spec: BlockSpec) {
        let drawn = self.chance_of(node);
        let from = self.of_mut(node);
        from.answered += 1;
        let good = match from.manner {
            Manner::Liar(lies) => drawn >= u64::from(lies),
            Manner::Staller(most) if from.answered > most => return,
            Manner::Staller(_) | Manner::Honest | Manner::FreeRider => true,
        };
        // It is in memory already: reading takes no time.
        self.facts.push_back(Input::Loaded(peer, spec, Some(block_bytes(good, spec.length))));
    }

    /// A number below a million, if `node` needs one.
    fn chance_of(&mut self, node: NodeId) -> u64 {
        match self.of(node).manner {
            Manner::Liar(_) => self.chance.below(MILLION),
            Manner::Honest | Manner::Staller(_) | Manner::FreeRider => 0,
        }
    }

    fn go(&mut self, node: NodeId, going: Going) {
        if !self.of(node).is_here() {
            return;
        }
        let presence = match going {
            Going::Closing => Presence::Away,
            Going::Vanishing => Presence::Vanished,
        };
        let now = self.now;
        for id in self.of_mut(node).went(now, presence) {
            match going {
                Going::Closing => {
                    self.end(id);
                    self.touched.push(id);
                }
                Going::Vanishing => {
                    self.lanes[id.back().at()].close();
                    self.forget_waiting(id);
                }
            }
        }
        self.depart(node);
    }
}
