//! [`World`]: nodes, links, and what will happen when.

use super::node::{Far, GOOD_DIGEST, Link, Manner, Node, NodeId, block_bytes};
use crate::engine::picker::Rank;
use crate::engine::{Config, Engine, Event, Guest, Input, Output, PeerId, Report, Time};
use crate::torrent::{Bitfield, Info, Layout, PieceHashes, SafePath};
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::{BlockSpec, Handshake, Message};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Hashing and writing a piece.
const CHECK_US: u64 = 2_000;
/// Reading a block.
const LOAD_US: u64 = 100;
/// Connections at once, of every node.
const PEERS_MAX: usize = 50;

/// What will happen.
#[derive(Debug)]
enum Happening {
    /// A fact reaches a node.
    Fact(NodeId, Input),
    /// The other side's handshake reaches a node.
    Greeting(NodeId, PeerId, Handshake),
    /// Bytes from afar reach a node's own link; what they carry happens when they are through.
    Reached(NodeId, u64, Box<Self>),
    /// A node's own deadline.
    Deadline(NodeId),
    /// A node is gone, from one moment to the next.
    Death(NodeId),
}

/// A swarm on virtual time.
pub struct World {
    info: Arc<Info>,
    seed: u64,
    now: Time,
    happenings: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    nodes: Vec<Node>,
    by_addr: BTreeMap<SocketAddr, NodeId>,
    outputs: Vec<Output>,
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
            now: Time(0),
            happenings: BTreeMap::new(),
            sequence: 0,
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            outputs: Vec::new(),
        }
    }

    /// Adds a node that has `have` and wants everything.
    pub fn node(
        &mut self,
        link: Link,
        manner: Manner,
        have: Bitfield,
        rank: Box<dyn Rank>,
        guests: Vec<Guest>,
    ) -> NodeId {
        let number = self.nodes.len() as u32;
        let id = NodeId(number);
        let [_, b, c, d] = (number + 1).to_be_bytes();
        let addr = SocketAddr::from(([10, b, c, d], 6881));
        let mut peer_id = *b"-RT0000-000000000000";
        peer_id[16..].copy_from_slice(&number.to_be_bytes());
        let engine = Engine::new(Config {
            info: Arc::clone(&self.info),
            peer_id,
            client: "sim".to_owned(),
            have,
            wanted: Bitfield::full(self.info.layout.piece_count()),
            partial: Vec::new(),
            trackers: Vec::new(),
            port: addr.port(),
            peers_max: PEERS_MAX,
            seed: self.seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            rank,
            guests,
        });
        self.nodes.push(Node::new(engine, addr, link, manner));
        self.by_addr.insert(addr, id);
        self.at(Time(0), Happening::Fact(id, Input::Started));
        id
    }

    /// Tells `node` of `other`, now.
    pub fn introduce(&mut self, node: NodeId, other: NodeId) {
        let addr = self.of(other).addr;
        self.at(self.now, Happening::Fact(node, Input::Named(addr)));
    }

    /// `node` dies at `time`, without a word.
    pub fn dies_at(&mut self, node: NodeId, time: Time) {
        self.at(time, Happening::Death(node));
    }

    /// Runs until `done`, or until `limit`, or until nothing will happen any more. Whether it is
    /// done.
    pub fn run_until(&mut self, limit: Time, done: impl Fn(&Self) -> bool) -> bool {
        while !done(self) {
            let Some(((time, _), happening)) = self.happenings.pop_first() else { return false };
            if time > limit {
                return false;
            }
            self.now = time;
            self.happen(happening);
        }
        true
    }

    /// Now.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// When `node` had everything, if it has.
    #[must_use]
    pub fn completed_at(&self, node: NodeId) -> Option<Time> {
        self.of(node).completed_at
    }

    /// What `node` has.
    #[must_use]
    pub fn have(&self, node: NodeId) -> &Bitfield {
        self.of(node).have()
    }

    /// The pieces that `node` verified, in order.
    pub fn verified(&self, node: NodeId) -> impl Iterator<Item = (Time, u32)> + '_ {
        self.of(node).verified.iter().map(|(time, piece)| (*time, piece.get()))
    }

    /// The address of `node`.
    #[must_use]
    pub fn addr(&self, node: NodeId) -> SocketAddr {
        self.of(node).addr
    }

    /// What `node`'s download was like.
    #[must_use]
    pub fn report(&self, node: NodeId) -> Report {
        self.of(node).engine.report(self.now)
    }

    fn of(&self, node: NodeId) -> &Node {
        &self.nodes[node.0 as usize]
    }

    fn of_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.0 as usize]
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.sequence += 1;
        self.happenings.insert((time, self.sequence), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Fact(node, input) => self.tell(node, input),
            Happening::Greeting(node, peer, handshake) => {
                let Some(far) = self.of_mut(node).far.get_mut(&peer) else { return };
                if !std::mem::replace(&mut far.accepted, true) {
                    let from = far.node;
                    let from = self.of(from).addr;
                    self.tell(node, Input::Accepted(peer, from));
                }
                self.tell(node, Input::Greeted(peer, handshake));
            }
            Happening::Reached(node, bytes, carried) => {
                let now = self.now;
                let through = self.of_mut(node).down.pass(now, bytes);
                self.at(through, *carried);
            }
            Happening::Deadline(node) => {
                if self.of(node).deadline == Some(self.now) {
                    self.of_mut(node).deadline = None;
                    self.tell(node, Input::Deadline);
                }
            }
            Happening::Death(node) => {
                self.of_mut(node).alive = false;
                let peers: Vec<PeerId> = self.of(node).far.keys().copied().collect();
                peers.into_iter().for_each(|peer| self.part(node, peer));
            }
        }
    }

    fn tell(&mut self, node: NodeId, input: Input) {
        if !self.of(node).alive {
            return;
        }
        let now = self.now;
        let mut outputs = std::mem::take(&mut self.outputs);
        self.of_mut(node).engine.handle(now, input, &mut outputs);
        for output in outputs.drain(..) {
            self.act(node, output);
        }
        self.outputs = outputs;
        let deadline = self.of_mut(node).engine.deadline().map(|time| time.max(now + 1));
        if let Some(time) = deadline.filter(|time| self.of(node).deadline != Some(*time)) {
            self.of_mut(node).deadline = Some(time);
            self.at(time, Happening::Deadline(node));
        }
    }

    fn act(&mut self, node: NodeId, output: Output) {
        match output {
            Output::Dial(peer, to) => self.dial(node, peer, to),
            Output::Greet(peer, handshake) => self.greet(node, peer, handshake),
            Output::Send(peer, message) => self.send(node, peer, message),
            Output::HangUp(peer) => self.part(node, peer),
            Output::Keep(block, data) => self.of_mut(node).keep(block, &data),
            Output::Forget(piece) => {
                let blocks = self.info.layout.blocks(piece);
                blocks.for_each(|block| self.of_mut(node).discard(block));
            }
            Output::Discard(block) => self.of_mut(node).discard(block),
            Output::Check(piece, _) => {
                let blocks = self.info.layout.blocks(piece);
                let digests = self.of_mut(node).check(blocks);
                let good = digests.iter().all(|digest| *digest == GOOD_DIGEST);
                let input = Input::Checked(piece, good, digests);
                self.at(self.now + CHECK_US, Happening::Fact(node, input));
            }
            Output::Load(peer, _, spec) => self.load(node, peer, spec),
            Output::Tell(event) => self.told(node, &event),
            Output::Datagram(..)
            | Output::HttpGet(..)
            | Output::Resolve(..)
            | Output::JoinMulticast(_) => {}
        }
    }

    fn told(&mut self, node: NodeId, event: &Event) {
        let now = self.now;
        let node = self.of_mut(node);
        match event {
            Event::Verified(piece) => node.verified.push((now, *piece)),
            Event::Failed(_) => node.failures += 1,
            Event::Completed => node.completed_at = Some(now),
            Event::Joined { .. }
            | Event::Banned { .. }
            | Event::Left { .. }
            | Event::Found { .. }
            | Event::Heard { .. }
            | Event::Report { .. }
            | Event::Farewell => {}
        }
    }

    fn one_way_us(&self, a: NodeId, b: NodeId) -> u64 {
        self.of(a).latency_us + self.of(b).latency_us
    }

    fn dial(&mut self, node: NodeId, peer: PeerId, to: SocketAddr) {
        let there = self.by_addr.get(&to).copied().filter(|there| self.of(*there).alive);
        let Some(there) = there else {
            let input = Input::Lost(peer, "connection refused".to_owned());
            self.at(self.now + 1000, Happening::Fact(node, input));
            return;
        };
        let far_peer = self.of_mut(there).engine.next_peer();
        let accepted = true;
        self.of_mut(node).far.insert(peer, Far { node: there, peer: far_peer, accepted });
        let accepted = false;
        self.of_mut(there).far.insert(far_peer, Far { node, peer, accepted });
        let back = self.now + 2 * self.one_way_us(node, there);
        self.at(back, Happening::Fact(node, Input::Dialled(peer)));
    }

    fn greet(&mut self, node: NodeId, peer: PeerId, handshake: Handshake) {
        let bytes = HANDSHAKE_BYTES as u64;
        self.carry(node, peer, bytes, |far| Happening::Greeting(far.node, far.peer, handshake));
    }

    fn send(&mut self, node: NodeId, peer: PeerId, message: Message) {
        let mut head = BytesMut::new();
        message.encode_head(&mut head);
        let bytes = (head.len() + message.body().map_or(0, Bytes::len)) as u64;
        let is_block = matches!(message, Message::Piece { .. });
        let received = |far: Far| Happening::Fact(far.node, Input::Received(far.peer, message));
        if let Some(left) = self.carry(node, peer, bytes, received).filter(|_| is_block) {
            self.at(left, Happening::Fact(node, Input::Sent(peer, 1)));
        }
    }

    /// Sends `bytes` from `node` to its `peer`, where `carried` will happen; when they have left.
    fn carry(
        &mut self,
        node: NodeId,
        peer: PeerId,
        bytes: u64,
        carried: impl FnOnce(Far) -> Happening,
    ) -> Option<Time> {
        let far = *self.of(node).far.get(&peer)?;
        let now = self.now;
        let left = self.of_mut(node).up.pass(now, bytes);
        let reaches = left + self.one_way_us(node, far.node);
        self.at(reaches, Happening::Reached(far.node, bytes, Box::new(carried(far))));
        Some(left)
    }

    fn load(&mut self, node: NodeId, peer: PeerId, spec: BlockSpec) {
        let from = self.of_mut(node);
        from.answered += 1;
        let good = from.manner != Manner::Liar;
        if matches!(from.manner, Manner::Staller(most) if from.answered > most) {
            return;
        }
        let data = Some(block_bytes(good, spec.length));
        self.at(self.now + LOAD_US, Happening::Fact(node, Input::Loaded(peer, spec, data)));
    }

    /// Ends a connection; the other side hears of it once what is on its way has arrived.
    fn part(&mut self, node: NodeId, peer: PeerId) {
        let Some(far) = self.of_mut(node).far.remove(&peer) else { return };
        self.of_mut(far.node).far.remove(&far.peer);
        let arrives = self.now + self.one_way_us(node, far.node);
        let input = Input::Lost(far.peer, "the peer closed the connection".to_owned());
        self.at(arrives, Happening::Fact(far.node, input));
    }
}
