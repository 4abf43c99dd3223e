//! [`Post`]: letters to nodes, shard by shard, until they are delivered.

use super::happening::Letter;
use super::node::NodeId;
use crate::engine::Time;

/// Which shard a node belongs to, and its place there: they are dealt out like cards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deal(pub(super) usize);

impl Deal {
    pub(super) const fn shard(self, node: NodeId) -> usize {
        node.at() % self.0
    }

    pub(super) const fn place(self, node: NodeId) -> usize {
        node.at() / self.0
    }
}

/// Letters that are not delivered yet.
#[derive(Debug)]
pub(super) struct Post {
    deal: Deal,
    bags: Vec<Vec<Letter>>,
    /// When the first of them is due.
    earliest: Option<Time>,
}

impl Post {
    pub(super) fn new(deal: Deal) -> Self {
        let bags = (0..deal.0).map(|_| Vec::new()).collect();
        Self { deal, bags, earliest: None }
    }

    pub(super) fn put(&mut self, letter: Letter) {
        self.earliest = Some(self.earliest.map_or(letter.time, |first| first.min(letter.time)));
        self.bags[self.deal.shard(letter.to)].push(letter);
    }

    pub(super) const fn earliest(&self) -> Option<Time> {
        self.earliest
    }

    /// Hands over the letters to `shard`, for an empty bag.
    pub(super) fn hand_over(&mut self, shard: usize, bag: &mut Vec<Letter>) {
        std::mem::swap(&mut self.bags[shard], bag);
    }

    /// All have been handed over.
    pub(super) const fn handed_over(&mut self) {
        self.earliest = None;
    }
}
