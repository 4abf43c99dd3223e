//! [`Order`]: the keys of the pieces that are still to come, and the fresh ones among them,
//! smallest key first, for any peer.
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

/// Wanted pieces that are not had, and their keys.
#[derive(Debug)]
pub(super) struct Order {
    missing: Bitfield,
    /// Those of which no block was asked.
    fresh: Bitfield,
    keys: Vec<u64>,
    /// No fresh piece of the word has a smaller key.
    least: Vec<u64>,
    /// Words whose least key may be gone: the bound holds, but could be better.
    loose: Bitfield,
    /// Pieces whose key is to be asked for again.
    dirty: Vec<u32>,
    is_dirty: Bitfield,
    epoch: Option<u64>,
}

impl Order {
    /// All of `missing` are fresh, and have no keys yet.
    pub(super) fn new(missing: Bitfield) -> Self {
        let count = missing.len();
        let mut order = Self {
            keys: vec![0; count],
            least: vec![u64::MAX; count.div_ceil(WORD)],
            loose: Bitfield::new(count.div_ceil(WORD)),
            dirty: Vec::new(),
            is_dirty: Bitfield::new(count),
            epoch: None,
            fresh: missing.clone(),
            missing,
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

    /// The piece is had.
    pub(super) fn had(&mut self, piece: usize) {
        self.missing.remove(piece);
    }

    /// The key of a piece that is still to come, as it was when keys were last asked for.
    pub(super) fn key(&self, piece: usize) -> u64 {
        self.keys[piece]
    }

    /// The piece is fresh no more; whether it was.
    pub(super) fn remove(&mut self, piece: usize) -> bool {
        if self.keys[piece] == self.least[piece / WORD] {
            self.loose.insert(piece / WORD);
        }
        self.fresh.remove(piece)
    }

    /// Facts of the piece changed.
    pub(super) fn soil(&mut self, piece: u32) {
        if self.missing.contains(piece as usize) && self.is_dirty.insert(piece as usize) {
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
            if self.keys[piece] == self.least[piece / WORD] {
                self.loose.insert(piece / WORD);
            }
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
        for word in 0..self.least.len() {
            let fits = self.fresh.words()[word] & theirs.words()[word];
            if fits == 0 || best.is_some_and(|(key, _)| self.least[word] >= key) {
                continue;
            }
            if self.loose.remove(word) {
                self.least[word] = self.least_of(word, self.fresh.words()[word]).0;
            }
            let (key, piece) = self.least_of(word, fits);
            if best.is_none_or(|(best, _)| key < best) {
                best = Some((key, piece));
            }
        }
        best.map(|(_, piece)| piece)
    }

    /// The smallest key of those pieces of the word whose bit is in `bits`, and whose it is.
    fn least_of(&self, word: usize, mut bits: u64) -> (u64, u32) {
        let mut least = (u64::MAX, u32::MAX);
        while bits != 0 {
            let piece = word * WORD + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if self.keys[piece] < least.0 || least.1 == u32::MAX {
                least = (self.keys[piece], piece as u32);
            }
        }
        least
    }

    fn soil_all(&mut self) {
        self.dirty.clear();
        self.dirty.extend(self.missing.iter().map(|piece| piece as u32));
        self.is_dirty = self.missing.clone();
        self.least.fill(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Several words, the last one cut.
    const PIECES: usize = 300;

    struct Keys(Vec<u64>, u64);

    impl Rank for Keys {
        fn epoch(&mut self, _: &Swarm<'_>) -> u64 {
            self.1
        }

        fn rank(&mut self, _: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
            pieces.iter().zip(keys).for_each(|(piece, key)| *key = self.0[*piece as usize]);
        }
    }

    fn bits(of: &[usize]) -> Bitfield {
        let mut bits = Bitfield::new(PIECES);
        of.iter().for_each(|bit| {
            bits.insert(*bit);
        });
        bits
    }

    proptest! {
        #[test]
        fn the_first_is_what_a_look_at_all_keys_finds(
            keys in vec(0..50_u64, PIECES),
            turns in vec((0..4_u8, vec(0..PIECES, 1..40), 0..PIECES, 0..50_u64), 1..40),
        ) {
            let columns = ([0; PIECES], [4; PIECES], [0; 5]);
            let swarm = Swarm::new(&columns.0, &columns.1, &columns.2, 0, 0, 0);
            let mut keys = Keys(keys, 0);
            let mut order = Order::new(Bitfield::full(PIECES));
            let mut fresh: Vec<usize> = (0..PIECES).collect();
            for (what, theirs, piece, key) in turns {
                match what {
                    0 => {
                        prop_assert_eq!(order.remove(piece), fresh.contains(&piece));
                        fresh.retain(|other| *other != piece);
                    }
                    1 if !fresh.contains(&piece) => {
                        order.insert(piece as u32);
                        fresh.push(piece);
                    }
                    2 => {
                        keys.0[piece] = key;
                        order.soil(piece as u32);
                    }
                    _ => {
                        keys.0.rotate_left(piece);
                        keys.1 += 1;
                    }
                }
                order.refresh(&mut keys, &swarm);
                let candidates = fresh.iter().filter(|piece| theirs.contains(piece));
                let least = candidates.map(|piece| (keys.0[*piece], *piece as u32)).min();
                prop_assert_eq!(order.first(&bits(&theirs)), least.map(|(_, piece)| piece));
            }
        }
    }
}
