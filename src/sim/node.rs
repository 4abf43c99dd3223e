//! [`Node`]: one engine with its link, and a disk that remembers only what is good.

use super::endpoint::{EndpointId, Endpoints};
use super::happening::{Happening, Order};
use super::link::{Downlink, Link, Uplink};
use super::queue::Queue;
use crate::engine::picker::Digest;
use crate::engine::{Engine, Input, Report, Time};
use crate::torrent::{Bitfield, Block, PieceIndex};
use bytes::Bytes;
use rtor_plugin::Chance;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// A node of a [`World`](super::World).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index into a column.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// What a node does with other people's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers them.
    Honest,
    /// Answers so many of a million with wrong bytes, drawn by chance.
    Liar(u32),
    /// Answers so many, then none, and stays.
    Staller(u64),
    /// Never lets anybody ask.
    FreeRider,
    /// Answers them, and as a seed shows each peer one piece at a time (BEP 16).
    SuperSeed,
}

/// Of a million answers, all.
pub const ALWAYS: u32 = 1_000_000;

/// How a node goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// Its connections are closed: the others hear of it.
    Closing,
    /// Without a word: packets to it are lost.
    Vanishing,
}

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Not here: who dials it is refused.
    Away,
    Here,
    /// Not here, and who dials it hears nothing at all.
    Vanished,
}

/// What a node's engines did, those before it came back too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes of blocks received, duplicates among them.
    pub downloaded_bytes: u64,
    /// Bytes of blocks sent.
    pub uploaded_bytes: u64,
    /// Bytes of blocks that were here already.
    pub duplicate_bytes: u64,
    /// Bytes of pieces that failed their check.
    pub wasted_bytes: u64,
    /// Pieces that failed their check.
    pub hash_failures: u64,
}

impl Moved {
    pub(super) const fn of(report: &Report) -> Self {
        Self {
            downloaded_bytes: report.downloaded_bytes,
            uploaded_bytes: report.uploaded_bytes,
            duplicate_bytes: report.duplicate_bytes,
            wasted_bytes: report.wasted_bytes,
            hash_failures: report.hash_failures,
        }
    }

    pub(super) const fn sum(&mut self, other: &Self) {
        self.downloaded_bytes += other.downloaded_bytes;
        self.uploaded_bytes += other.uploaded_bytes;
        self.duplicate_bytes += other.duplicate_bytes;
        self.wasted_bytes += other.wasted_bytes;
        self.hash_failures += other.hash_failures;
    }
}

pub(super) struct Node {
    pub(super) manner: Manner,
    /// For losses and lies.
    pub(super) chance: Chance,
    /// What will happen to it.
    pub(super) agenda: Queue<Happening>,
    /// When the first of that is, as its shard knows it.
    pub(super) due: Option<Time>,
    pub(super) order: Order,
    pub(super) presence: Presence,
    /// Of the last time that it was here.
    pub(super) engine: Option<Engine>,
    /// How often it came: what was meant for an earlier life does not happen.
    pub(super) life: u32,
    pub(super) up: Uplink,
    pub(super) down: Downlink,
    pub(super) endpoints: Endpoints,
    /// The soonest deadline that is in the agenda.
    pub(super) deadline: Option<Time>,
    /// Facts that nobody waits for: it hears them with the next that somebody does.
    put_off: VecDeque<Input>,
    /// When it hears them at the latest is in the agenda.
    pub(super) will_listen: bool,
    pub(super) answered: u64,
    pub(super) verified: Vec<(Time, PieceIndex)>,
    /// Multicast groups that it joined.
    pub(super) groups: BTreeSet<SocketAddr>,
    /// What its guests kept for another life.
    pub(super) states: BTreeMap<String, Vec<u8>>,
    /// Peers that each of its guests found first.
    pub(super) found: BTreeMap<String, u64>,
    pub(super) completed_at: Option<Time>,
    /// What earlier lives did.
    pub(super) before: Moved,
    /// Blocks of unfinished pieces that are bad.
    bad: BTreeSet<Block>,
    kept: BTreeSet<Block>,
}

/// What a good block hashes to, and one that is not.
pub(super) const GOOD_DIGEST: Digest = [0; 20];
const BAD_DIGEST: Digest = [1; 20];

/// A block's bytes: all zeros if it is good, all ones if it is not.
pub(super) fn block_bytes(good: bool, length: u32) -> Bytes {
    static GOOD: [u8; 128 << 10] = [0; 128 << 10];
    static BAD: [u8; 128 << 10] = [1; 128 << 10];
    let bytes = if good { &GOOD } else { &BAD };
    Bytes::from_static(&bytes[..length as usize])
}

impl Node {
    /// Node `id` of a run of `seed`.
    pub(super) fn new(id: NodeId, link: Link, manner: Manner, seed: u64) -> Self {
        Self {
            manner,
            // Drawn, as seeds that are near each other give streams that overlap.
            chance: Chance::new(Chance::new(!seed ^ u64::from(id.0)).draw()),
            agenda: Queue::new(),
            due: None,
            order: Order::of(id),
            presence: Presence::Away,
            engine: None,
            life: 0,
            up: Uplink::new(link.up),
            down: Downlink::new(link.down),
            endpoints: Endpoints::default(),
            deadline: None,
            put_off: VecDeque::new(),
            will_listen: false,
            answered: 0,
            verified: Vec::new(),
            groups: BTreeSet::new(),
            states: BTreeMap::new(),
            found: BTreeMap::new(),
            completed_at: None,
            before: Moved::default(),
            bad: BTreeSet::new(),
            kept: BTreeSet::new(),
        }
    }

    pub(super) fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    /// It is here, and this is its engine.
    pub(super) fn came(&mut self, engine: Engine) {
        self.presence = Presence::Here;
        self.groups.clear();
        self.engine = Some(engine);
        self.life += 1;
        self.deadline = None;
    }

    /// It is gone; the ends of connections that it had.
    pub(super) fn went(&mut self, now: Time, presence: Presence) -> Vec<EndpointId> {
        self.presence = presence;
        self.put_off.clear();
        if let Some(engine) = &self.engine {
            self.before.sum(&Moved::of(&engine.report(now)));
        }
        self.endpoints.part_all()
    }

    /// It need not hear these `facts` now.
    pub(super) fn put_off(&mut self, facts: &mut VecDeque<Input>) {
        self.put_off.append(facts);
    }

    /// Puts what was put off before `facts`.
    pub(super) fn catch_up(&mut self, facts: &mut VecDeque<Input>) {
        if !self.put_off.is_empty() {
            self.put_off.append(facts);
            std::mem::swap(&mut self.put_off, facts);
        }
    }

    /// Keeps a block of an unfinished piece; the first one kept counts, as on a real disk.
    pub(super) fn keep(&mut self, block: Block, data: &Bytes) {
        if self.kept.insert(block) && data.first() != Some(&0) {
            self.bad.insert(block);
        }
    }

    /// Drops a block that was kept.
    pub(super) fn discard(&mut self, block: Block) {
        self.kept.remove(&block);
        self.bad.remove(&block);
    }

    /// The digests of the piece's blocks; forgets them.
    ///
    /// # Panics
    /// If a block was not kept: the engine asked for a check too early.
    pub(super) fn check(&mut self, blocks: impl Iterator<Item = Block>) -> Vec<Digest> {
        let mut digest = |block| {
            assert!(self.kept.remove(&block), "{block:?} was never kept");
            if self.bad.remove(&block) { BAD_DIGEST } else { GOOD_DIGEST }
        };
        blocks.map(&mut digest).collect()
    }

    /// Blocks of unfinished pieces that are on its disk, piece by piece.
    pub(super) fn partial(&self) -> Vec<(PieceIndex, Vec<usize>)> {
        let mut partial = BTreeMap::<PieceIndex, Vec<usize>>::new();
        for block in &self.kept {
            partial.entry(block.piece()).or_default().push(block.number());
        }
        partial.into_iter().collect()
    }

    /// Pieces that are verified.
    pub(super) fn have(&self) -> Option<&Bitfield> {
        self.engine.as_ref().map(Engine::have)
    }
}
