//! [`World`]: nodes, the time, and windows of it.
//!
//! Nothing that a node does reaches another sooner than the shortest way between two nodes takes.
//! So time goes on in windows of that length, from the first thing that is to happen: within one,
//! every node is played apart from all others, on one of several threads, and letters between them
//! are delivered at its end. Whoever runs the world acts between windows, and a window ends where
//! that is wanted. Where windows begin and end, and the order of what happens at a node, depend on
//! the nodes alone: so what comes of it is the same on any number of threads. (A conservative
//! parallel simulation with lookahead: Chandy and Misra 1979, in the bounded windows of Lubachevsky
//! 1989.)

use super::crew::Crew;
use super::happening::{Happening, Order};
use super::link::Link;
use super::map::Map;
use super::node::{Going, Manner, Moved, Node, NodeId};
use super::post::Deal;
use super::queue::Queue;
use super::shard::Shard;
use super::turn::{News, Turn};
use crate::engine::picker::Rank;
use crate::engine::{Choking, Config, Encryption, Engine, Guest, Input, Report, Time, Transports};
use crate::torrent::{Bitfield, Info, Layout, PieceHashes, SafePath};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// Connections at once, of a node that does not say.
const PEERS_MAX: usize = 50;

/// What a world hands back to whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// A node has everything that it wanted, since [`World::completed_at`]: that may be a little
    /// before now, as this is heard at the end of a window.
    Completed(NodeId),
    /// The moment that [`World::cue_at`] named, and the number that was given there.
    Due(u64),
    /// A guest of a node asks a tracker, and waits for [`World::answer`].
    Asked(Asked),
}

/// What a tracker was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// When the question left; that may be a little before now.
    pub at: Time,
    /// By whom.
    pub node: NodeId,
    pub(super) life: u32,
    pub(super) guest: usize,
    pub(super) ticket: u64,
    /// An announce, with all that it says.
    pub url: String,
}

/// Where guests find the tracker.
const TRACKER_URL: &str = "http://tracker.sim/announce";

/// A swarm on virtual time.
pub struct World {
    seed: u64,
    now: Time,
    map: Arc<Map>,
    deal: Deal,
    shards: Vec<Shard>,
    crew: Crew,
    /// The two shortest latencies: no two nodes are nearer to each other than their sum.
    nearest_us: [u64; 2],
    due: Queue<u64>,
    order: Order,
    cues: VecDeque<Cue>,
    verified: u64,
    /// How often each node was banned, and hung up on for a fault.
    blamed: Vec<(u32, u32)>,
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
    /// A world without nodes, on this thread alone.
    #[must_use]
    pub fn new(info: Arc<Info>, seed: u64) -> Self {
        Self::on_threads(info, seed, 1)
    }

    /// A world without nodes, which are to be played on so many threads, at least one.
    #[must_use]
    pub fn on_threads(info: Arc<Info>, seed: u64, threads: usize) -> Self {
        let deal = Deal(threads.max(1));
        Self {
            seed,
            now: Time(0),
            map: Arc::new(Map::new(info)),
            deal,
            shards: (0..deal.0).map(|number| Shard::new(number, deal)).collect(),
            crew: Crew::new(deal.0),
            nearest_us: [u64::MAX; 2],
            due: Queue::new(),
            order: Order::FIRST,
            cues: VecDeque::new(),
            verified: 0,
            blamed: Vec::new(),
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
        // Between windows no thread has it, so this copies nothing.
        let id = Arc::make_mut(&mut self.map).place(link);
        let [nearest, second] = &mut self.nearest_us;
        *second = link.latency_us.max(*nearest).min(*second);
        *nearest = link.latency_us.min(*nearest);
        let node = Node::new(id, link, manner, self.seed);
        self.shards[self.deal.shard(id)].place(node);
        self.blamed.push((0, 0));
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
        mut guests: Vec<Guest>,
    ) {
        let of = self.of(node);
        for guest in &mut guests {
            guest.state = of.states.get(&guest.id).cloned();
        }
        let mut peer_id = *b"-RT0000-000000000000";
        peer_id[12..16].copy_from_slice(&of.life.to_be_bytes());
        peer_id[16..].copy_from_slice(&node.0.to_be_bytes());
        let salt =
            (u64::from(of.life) << 32 | u64::from(node.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let engine = Engine::new(Config {
            info: Arc::clone(&self.map.info),
            peer_id,
            client: "sim".to_owned(),
            have,
            wanted: Bitfield::full(self.map.info.layout.piece_count()),
            partial: of.partial(),
            trackers: vec![vec![TRACKER_URL.to_owned()]],
            nodes: Vec::new(),
            port: node.addr().port(),
            udp_port: node.addr().port(),
            peers_max,
            encryption: Encryption::Off,
            transports: Transports::Tcp,
            seed: self.seed ^ salt,
            rank,
            guests,
            looks_only: false,
            choking: Choking::default(),
            super_seed: of.manner == Manner::SuperSeed,
        });
        self.turn(node, |turn| turn.come(engine));
    }

    /// `node` goes, now.
    pub fn go(&mut self, node: NodeId, going: Going) {
        self.turn(node, |turn| turn.go(going));
    }

    fn turn(&mut self, node: NodeId, take: impl FnOnce(&mut Turn<'_>)) {
        self.shards[self.deal.shard(node)].turn(&self.map, self.now, node, take);
        self.gather();
    }

    /// Tells `node` of `other`, now.
    pub fn introduce(&mut self, node: NodeId, other: NodeId) {
        self.introduce_at(self.now, node, other);
    }

    /// Tells `node` of `other` at `time`, if it is here then.
    pub fn introduce_at(&mut self, time: Time, node: NodeId, other: NodeId) {
        let (time, order) = (time.max(self.now), self.order.next());
        self.shards[self.deal.shard(node)].plan(node, time, order, Happening::Named(other));
    }

    /// [`Cue::Due`] with `number` comes at `time`, or now if that is over.
    pub fn cue_at(&mut self, time: Time, number: u64) {
        self.due.push(time.max(self.now), self.order.next(), number);
    }

    /// Runs until `done`, or until `limit`, or until nothing will happen any more. Whether it is
    /// done; that is asked between windows. Cues are passed over.
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

    /// Plays one window, or finds a cue that is due; neither after `limit`.
    fn step(&mut self, limit: Time) -> bool {
        let first = self.shards.iter_mut().filter_map(Shard::next).min();
        let due = self.due.next();
        let Some(start) = first.into_iter().chain(due).min() else { return false };
        if start > limit {
            self.now = limit.max(self.now);
            return false;
        }
        if let Some((time, number)) = self.due.pop_before(start + 1) {
            self.now = time;
            self.cues.push_back(Cue::Due(number));
            return true;
        }
        let end = (start + self.window_us()).min(limit + 1);
        self.play(due.map_or(end, |due| due.min(end)));
        true
    }

    /// What a node does reaches no other sooner.
    fn window_us(&self) -> u64 {
        let [nearest, second] = self.nearest_us;
        nearest.saturating_add(second).max(1)
    }

    fn play(&mut self, end: Time) {
        self.deliver();
        self.crew.run_before(&mut self.shards, &self.map, end);
        self.now = Time(end.0 - 1);
        self.gather();
    }

    /// Letters come to the shards that they are for.
    fn deliver(&mut self) {
        for from in 0..self.shards.len() {
            for to in (0..self.shards.len()).filter(|to| *to != from) {
                let pair = self.shards.get_disjoint_mut([from, to]);
                let [from, to] = pair.expect("two different shards");
                from.hand_over(to);
            }
            self.shards[from].keep_own();
        }
    }

    /// Hears what the nodes have to tell.
    fn gather(&mut self) {
        let (mut completions, mut questions) = (Vec::new(), Vec::new());
        for shard in &mut self.shards {
            let News { completed, banned, faulty, verified, asked } = shard.news();
            completions.extend(completed);
            questions.extend(asked);
            banned.into_iter().for_each(|node| self.blamed[node.at()].0 += 1);
            faulty.into_iter().for_each(|node| self.blamed[node.at()].1 += 1);
            self.verified += verified;
        }
        completions.sort_unstable();
        self.cues.extend(completions.into_iter().map(|(_, node)| Cue::Completed(node)));
        questions.sort_unstable();
        self.cues.extend(questions.into_iter().map(Cue::Asked));
    }

    /// The answer of a tracker, a bencoded dictionary, is there at `time`.
    pub fn answer(&mut self, asked: Asked, time: Time, body: Bytes) {
        let Asked { node, life, guest, ticket, .. } = asked;
        let told = Input::HttpReplied(guest, ticket, Ok((200, body)));
        let (time, order) = (time.max(self.now), self.order.next());
        self.shards[self.deal.shard(node)].plan(node, time, order, Happening::Told(life, told));
    }

    /// Peers that each guest of `node` found first, all the times that it was here.
    #[must_use]
    pub fn found(&self, node: NodeId) -> &BTreeMap<String, u64> {
        &self.of(node).found
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
        node.addr()
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
        self.blamed[node.at()]
    }

    fn of(&self, node: NodeId) -> &Node {
        self.shards[self.deal.shard(node)].node(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtor_plugin::strategy::Swarm;

    struct InOrder;

    impl Rank for InOrder {
        fn epoch(&mut self, _swarm: &Swarm<'_>) -> u64 {
            0
        }

        fn rank(&mut self, _swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
            pieces.iter().zip(keys).for_each(|(piece, key)| *key = u64::from(*piece));
        }
    }

    /// 40 ms from one to the other.
    const LINK: Link = Link { up: 1_000_000, down: 1_000_000, latency_us: 20_000, loss_ppm: 0 };

    /// A seed, and a leech that is told of it at once.
    fn pair() -> (World, NodeId, NodeId) {
        let mut world = World::on_threads(torrent_of(4, 64 << 10), 1, 2);
        let mut node = |have| world.node(LINK, Manner::Honest, have, Box::new(InOrder), Vec::new());
        let (seed, leech) = (node(Bitfield::full(4)), node(Bitfield::new(4)));
        world.introduce(leech, seed);
        (world, seed, leech)
    }

    fn run_to(world: &mut World, ms: u64) {
        assert!(!world.run_until(Time(ms * 1000), |_| false));
    }

    #[test]
    fn a_dial_takes_a_round_trip_and_each_greeting_half_a_one() {
        let (mut world, seed, leech) = pair();
        let peers = |world: &World, node| world.report(node).peers.len();
        run_to(&mut world, 119);
        assert_eq!((peers(&world, seed), peers(&world, leech)), (0, 0));
        run_to(&mut world, 121);
        assert_eq!((peers(&world, seed), peers(&world, leech)), (1, 0));
        run_to(&mut world, 161);
        assert_eq!((peers(&world, seed), peers(&world, leech)), (1, 1));
    }

    #[test]
    fn who_goes_before_its_dial_is_answered_leaves_nothing_behind() {
        for going in [Going::Closing, Going::Vanishing] {
            let (mut world, seed, leech) = pair();
            run_to(&mut world, 50);
            assert_eq!(world.of(seed).endpoints.open_count(), 1, "it was knocked at");
            world.go(leech, going);
            run_to(&mut world, 1000);
            assert_eq!(world.of(leech).endpoints.open_count(), 0);
            // To who vanished nothing can be said, and it says nothing.
            let left = usize::from(going == Going::Vanishing);
            assert_eq!(world.of(seed).endpoints.open_count(), left);
            assert_eq!(world.report(seed).peers.len(), 0);
        }
    }

    #[test]
    fn who_is_away_refuses_and_who_vanished_does_not_answer() {
        for (going, open) in [(Going::Closing, 0), (Going::Vanishing, 1)] {
            let (mut world, seed, leech) = pair();
            world.go(seed, going);
            run_to(&mut world, 79);
            assert_eq!(world.of(leech).endpoints.open_count(), 1);
            run_to(&mut world, 81);
            assert_eq!(world.of(leech).endpoints.open_count(), open, "{going:?}");
        }
    }

    #[test]
    fn a_connection_is_closed_at_both_ends_when_one_goes() {
        let (mut world, seed, leech) = pair();
        run_to(&mut world, 300);
        world.go(seed, Going::Closing);
        run_to(&mut world, 1000);
        let open = [seed, leech].map(|node| world.of(node).endpoints.open_count());
        assert_eq!(open, [0, 0]);
        assert_eq!(
            world.report(leech).peers[0].left.as_deref(),
            Some("the peer closed the connection")
        );
    }
}
