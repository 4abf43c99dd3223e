//! [`Turn`]: a node at its turn: what happens to it, what its engine makes of that, and what
//! becomes of what the engine wants.
//!
//! It reaches its own node and the [`Map`], and nothing of any other node: what it wants of those
//! it writes into letters, and what the world is to know into [`News`]. So nodes can take their
//! turns at the same time, on different threads.

use super::endpoint::EndpointId;
use super::happening::{Happening, Letter};
use super::map::Map;
use super::node::{GOOD_DIGEST, Manner, Node, NodeId, block_bytes};
use super::parcel::{Parcel, Spares};
use super::post::Post;
use super::world::Asked;
use crate::engine::{Engine, Event, Input, Output, PeerId, Time, Why};
use crate::wire::{BlockSpec, Message};
use bytes::BytesMut;
use std::collections::VecDeque;

/// Hashing and writing a piece.
const CHECK_US: u64 = 2_000;
/// Of a million answers, a liar's lies are so many.
const MILLION: u64 = 1_000_000;

/// What the world hears of its nodes.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Who has everything that it wanted, and since when.
    pub(super) completed: Vec<(Time, NodeId)>,
    /// Who was banned by somebody.
    pub(super) banned: Vec<NodeId>,
    /// Who was hung up on because it broke the protocol.
    pub(super) faulty: Vec<NodeId>,
    /// Pieces that were verified.
    pub(super) verified: u64,
    /// What trackers were asked.
    pub(super) asked: Vec<Asked>,
}

/// What every turn needs, one after the other. Facts, outputs and what is touched are empty between.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) facts: VecDeque<Input>,
    outputs: Vec<Output>,
    pub(super) touched: Vec<EndpointId>,
    pub(super) scratch: BytesMut,
    pub(super) spares: Spares,
    pub(super) post: Post,
    pub(super) news: News,
}

impl Desk {
    pub(super) fn new(post: Post) -> Self {
        Self {
            facts: VecDeque::new(),
            outputs: Vec::new(),
            touched: Vec::new(),
            scratch: BytesMut::new(),
            spares: Spares::default(),
            post,
            news: News::default(),
        }
    }
}

/// A node at its turn.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) id: NodeId,
    pub(super) node: &'a mut Node,
    pub(super) map: &'a Map,
    pub(super) desk: &'a mut Desk,
}

impl Turn<'_> {
    /// All that is before `end`.
    pub(super) fn run_before(&mut self, end: Time) {
        while let Some((time, happening)) = self.node.agenda.pop_before(end) {
            self.now = time;
            self.happen(happening);
        }
    }

    /// The node is here from now on.
    pub(super) fn come(&mut self, engine: Engine) {
        self.node.came(engine);
        self.tell(Input::Started);
    }

    /// It will happen to this node.
    pub(super) fn plan(&mut self, time: Time, happening: Happening) {
        let order = self.node.order.next();
        self.node.agenda.push(time, order, happening);
    }

    /// It will happen to that node.
    pub(super) fn post(&mut self, to: NodeId, time: Time, what: Happening) {
        if to == self.id {
            return self.plan(time, what);
        }
        let order = self.node.order.next();
        self.desk.post.put(Letter { to, time, order, what });
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Named(other) => self.tell(Input::Named(other.addr())),
            Happening::Knocked(by) => self.knocked(by),
            Happening::Answered(endpoint, by) => self.answered(endpoint, by),
            Happening::Refused(endpoint) => self.refused(endpoint),
            Happening::Reached(endpoint, parcels, bytes) => self.reached(endpoint, parcels, bytes),
            Happening::Slipped(endpoint, parcels, bytes) => self.slipped(endpoint, parcels, bytes),
            Happening::Silenced(endpoint) => self.silenced(endpoint),
            Happening::Sent => self.sent(),
            Happening::Rested(endpoint) => self.queue_up(endpoint),
            Happening::Through(endpoint) => self.through(endpoint),
            Happening::Checked(life, piece, digests) if self.node.life == life => {
                let good = digests.iter().all(|digest| *digest == GOOD_DIGEST);
                self.tell(Input::Checked(piece, good, digests));
            }
            Happening::Told(life, input) if self.node.life == life => self.tell(input),
            Happening::Checked(..) | Happening::Told(..) => {}
            Happening::Datagram(from, bytes) => self.tell(Input::Datagram(from, bytes)),
            Happening::Multicast(group, from, bytes) => self.hear_group(group, from, bytes),
            Happening::Deadline => self.deadline(),
            Happening::Listens => {
                self.node.will_listen = false;
                self.hear();
            }
        }
    }

    fn deadline(&mut self) {
        if self.node.deadline != Some(self.now) {
            return;
        }
        self.node.deadline = None;
        let due = self.node.engine.as_mut().and_then(Engine::deadline);
        // It is put off by whatever happened since; then this was only a look at the clock.
        match due {
            Some(due) if due > self.now => self.mind_deadline(),
            Some(_) => self.tell(Input::Deadline),
            None => {}
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.desk.facts.push_back(input);
        self.hear();
    }

    /// The engine hears all that is in `facts`, and what follows is done.
    pub(super) fn hear(&mut self) {
        if !self.node.is_here() {
            self.desk.facts.clear();
            return;
        }
        self.node.catch_up(&mut self.desk.facts);
        if self.desk.facts.is_empty() {
            return;
        }
        let mut outputs = std::mem::take(&mut self.desk.outputs);
        while !self.desk.facts.is_empty() {
            if let Some(engine) = self.node.engine.as_mut() {
                engine.handle_all(self.now, self.desk.facts.drain(..), &mut outputs);
            }
            for output in outputs.drain(..) {
                self.act(output);
            }
        }
        self.desk.outputs = outputs;
        self.depart();
        self.mind_deadline();
    }

    fn mind_deadline(&mut self) {
        let Some(due) = self.node.engine.as_mut().and_then(Engine::deadline) else { return };
        let due = due.max(self.now + 1);
        if self.node.deadline.is_none_or(|known| known > due) {
            self.node.deadline = Some(due);
            self.plan(due, Happening::Deadline);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            // What is on a line is nobody's to read here.
            Output::Dial(peer, to, _) => self.dial(peer, to),
            Output::Greet(peer, handshake) => {
                self.send(peer, Parcel::Greeting(Box::new(handshake)));
            }
            Output::Send(_, Message::Unchoke | Message::AllowedFast(_))
                if self.node.manner == Manner::FreeRider => {}
            Output::Send(peer, message) => self.send(peer, Parcel::Message(message)),
            Output::HangUp(peer) => self.hang_up(peer),
            Output::Keep(block, data) => self.node.keep(block, &data),
            Output::Forget(piece) => {
                let blocks = self.map.info.layout.blocks(piece);
                blocks.for_each(|block| self.node.discard(block));
            }
            Output::Discard(block) => self.node.discard(block),
            Output::Check(piece, _) => {
                let digests = self.node.check(self.map.info.layout.blocks(piece));
                let checked = Happening::Checked(self.node.life, piece, digests);
                self.plan(self.now + CHECK_US, checked);
            }
            Output::Load(peer, _, spec) => self.load(peer, spec),
            Output::Tell(event) => self.told(&event),
            // Every torrent is known from the start.
            Output::Learned(_) | Output::Layers(_) => {}
            Output::Datagram(..)
            | Output::HttpGet(..)
            | Output::Resolve(..)
            | Output::FindNode(..)
            | Output::KeepState(..)
            | Output::JoinMulticast(_) => self.act_outside(output),
        }
    }

    fn told(&mut self, event: &Event) {
        let news = &mut self.desk.news;
        match event {
            Event::Verified(piece) => {
                news.verified += 1;
                self.node.verified.push((self.now, *piece));
            }
            Event::Completed => {
                self.node.completed_at.get_or_insert(self.now);
                news.completed.push((self.now, self.id));
            }
            Event::Banned { addr, .. } => news.banned.extend(self.map.at(*addr)),
            Event::Left { addr, why: Why::Fault(_), .. } => news.faulty.extend(self.map.at(*addr)),
            Event::Found { guest, new, .. } => {
                *self.node.found.entry(guest.clone()).or_default() += *new as u64;
            }
            Event::Left { .. }
            | Event::Joined { .. }
            | Event::Failed(_)
            | Event::Metadata(_)
            | Event::Heard { .. }
            | Event::Report { .. }
            | Event::Farewell => {}
        }
    }

    fn load(&mut self, peer: PeerId, spec: BlockSpec) {
        self.node.answered += 1;
        let good = match self.node.manner {
            Manner::Liar(lies) => self.node.chance.below(MILLION) >= u64::from(lies),
            Manner::Staller(most) if self.node.answered > most => return,
            Manner::Staller(_) | Manner::Honest | Manner::FreeRider | Manner::SuperSeed => true,
        };
        // It is in memory already: reading takes no time.
        let data = block_bytes(good, spec.length);
        self.desk.facts.push_back(Input::Loaded(peer, spec, Some(data)));
    }
}
