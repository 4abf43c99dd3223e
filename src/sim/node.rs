//! [`Node`]: one engine with its link, and a disk that remembers only what is good.

use crate::engine::picker::Digest;
use crate::engine::{Engine, PeerId, Time};
use crate::torrent::{Bitfield, Block, PieceIndex};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// A node of a [`World`](super::World).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// How a node is connected to the rest of the world.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes a second that it can send.
    pub up: u64,
    /// Bytes a second that it can receive.
    pub down: u64,
    /// From it to the middle of the network, one way.
    pub latency_us: u64,
}

/// What a node does with other people's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers them.
    Honest,
    /// Answers every one with wrong bytes.
    Liar,
    /// Answers so many, then none, and stays.
    Staller(u64),
}

/// One direction of a link: bytes leave one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipe {
    rate: u64,
    free_at: Time,
}

impl Pipe {
    pub(super) const fn new(rate: u64) -> Self {
        Self { rate, free_at: Time(0) }
    }

    /// When `bytes` that want to go at `now` are through.
    pub(super) fn pass(&mut self, now: Time, bytes: u64) -> Time {
        let rate = self.rate.max(1);
        self.free_at = self.free_at.max(now) + bytes.saturating_mul(1_000_000) / rate;
        self.free_at
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Far {
    pub(super) node: NodeId,
    pub(super) peer: PeerId,
    /// Whether the side that was dialled has been told.
    pub(super) accepted: bool,
}

pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) addr: SocketAddr,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    pub(super) latency_us: u64,
    pub(super) manner: Manner,
    pub(super) answered: u64,
    pub(super) alive: bool,
    pub(super) far: BTreeMap<PeerId, Far>,
    pub(super) deadline: Option<Time>,
    pub(super) completed_at: Option<Time>,
    pub(super) verified: Vec<(Time, PieceIndex)>,
    pub(super) failures: u64,
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
    pub(super) fn new(engine: Engine, addr: SocketAddr, link: Link, manner: Manner) -> Self {
        Self {
            engine,
            addr,
            up: Pipe::new(link.up),
            down: Pipe::new(link.down),
            latency_us: link.latency_us,
            manner,
            answered: 0,
            alive: true,
            far: BTreeMap::new(),
            deadline: None,
            completed_at: None,
            verified: Vec::new(),
            failures: 0,
            bad: BTreeSet::new(),
            kept: BTreeSet::new(),
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

    /// Pieces that are verified.
    pub(super) fn have(&self) -> &Bitfield {
        self.engine.have()
    }
}
