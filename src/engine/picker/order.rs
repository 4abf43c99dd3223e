//! [`Order`]: the fresh pieces, smallest key first, for any peer.
//!
//! A peer has some pieces and not others, so there is no one sorted list to take from. Instead
//! each word of 64 pieces knows a lower bound of its keys: [`first`](Order::first) passes over
//! words that cannot win, and looks into few of those that remain. Keys are asked of the strategy
//! only for pieces whose facts changed, or for all when its epoch did.

use super::Rank;
use crate::torrent::Bitfield;
use rtor_plugin::strategy::Swarm;

/// Pieces of one word.
const WORD: usize = u64::BITS as usize;

/// Wanted pieces of which no block was asked, and their keys.
#[derive(Debug)]
pub(super) struct Order {
    fresh: Bitfield,
    keys: Vec<u64>,
    /// No fresh piece of the word has a smaller key.
    least: Vec<u64>,
    /// Fresh pieces whose key is to be asked for again.
    dirty: Vec<u32>,
    is_dirty: Bitfield,
    epoch: Option<u64>,
}

impl Order {
    /// All of `fresh`, without keys yet.
    pub(super) fn new(fresh: Bitfield) -> Self {
        let count = fresh.len();
        let mut order = Self {
            keys: vec![0; count],
            least: vec![u64::MAX; count.div_ceil(WORD)],
            dirty: Vec::new(),
            is_dirty: Bitfield::new(count),
            epoch: None,
            fresh,
        };
        order.soil_all();
        order
    }

    pub(super) fn contains(&self, piece: usize) -> bool {
        self.fresh.contains(piece)
    }

    /// The piece is fresh again.
    pub(super) fn insert(&mut self, piece: u32) {
        self.fresh.insert(piece as usize);
        self.soil(piece);
    }

    /// The piece is fresh no more; whether it was.
    pub(super) fn remove(&mut self, piece: usize) -> bool {
        self.fresh.remove(piece)
    }

    /// Facts of the piece changed.
    pub(super) fn soil(&mut self, piece: u32) {
        if self.fresh.contains(piece as usize) && self.is_dirty.insert(piece as usize) {
            self.dirty.push(piece);
        }
    }

    /// Asks for the keys that are due.
    pub(super) fn refresh(&mut self, rank: &mut dyn Rank, swarm: &Swarm<'_>) {
        let epoch = rank.epoch(swarm);
        if self.epoch.replace(epoch) != Some(epoch) {
            self.soil_all();
        }
        if self.dirty.is_empty() {
            return;
        }
        let mut pieces = std::mem::take(&mut self.dirty);
        let mut keys = vec![0; pieces.len()];
        rank.rank(swarm, &pieces, &mut keys);
        for (piece, key) in pieces.iter().zip(keys) {
            let piece = *piece as usize;
            self.keys[piece] = key;
            self.is_dirty.remove(piece);
            let least = &mut self.least[piece / WORD];
            *least = (*least).min(key);
        }
        pieces.clear();
        self.dirty = pieces;
    }

    /// The fresh piece of `theirs` with the smallest key; of equals, the one with the smallest
    /// number.
    pub(super) fn first(&mut self, theirs: &Bitfield) -> Option<u32> {
        let mut best: Option<(u64, u32)> = None;
        let words = self.fresh.words().iter().zip(theirs.words());
        for ((word, (fresh, theirs)), least) in words.enumerate().zip(&mut self.least) {
            if fresh & theirs == 0 || best.is_some_and(|(key, _)| *least >= key) {
                continue;
            }
            *least = u64::MAX;
            let mut rest = *fresh;
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                let piece = word * WORD + bit as usize;
                let key = self.keys[piece];
                *least = (*least).min(key);
                if theirs >> bit & 1 == 1 && best.is_none_or(|(best, _)| key < best) {
                    best = Some((key, piece as u32));
                }
            }
        }
        best.map(|(_, piece)| piece)
    }

    fn soil_all(&mut self) {
        self.dirty.clear();
        self.dirty.extend(self.fresh.iter().map(|piece| piece as u32));
        self.is_dirty = self.fresh.clone();
        self.least.fill(u64::MAX);
    }
}
