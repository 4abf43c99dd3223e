//! [`Wants`]: what a leech asks for next.
//!
//! Pieces come in an order of its own, which is no order of the disk, and blocks within a piece one
//! after the other, as of a client that takes the rarest pieces first. Once it had all it begins
//! anew: what came was dropped anyway.

use crate::content::{BLOCK_LENGTH, Content};
use std::collections::VecDeque;

/// Requests that are sent at once, if so many may be: one write of many, as a client's is that
/// reads much at once.
const ASKED_AT_ONCE: usize = 16;
/// The step from piece to piece is near this part of them: the golden ratio, which spreads them.
const STEP: f64 = 0.618;

/// A block: piece, offset, length.
pub(crate) type Block = (u32, u32, u32);

/// What one leech still wants.
#[derive(Debug)]
pub(crate) struct Wants {
    asked: VecDeque<Block>,
    /// Those of them that a choke took back.
    again: Vec<Block>,
    /// Blocks of pieces that are still to come, by piece; 0: none was asked for, or all came.
    missing: Vec<u32>,
    piece: u32,
    offset: u32,
    step: u32,
}

impl Wants {
    /// Of the `nth` of the leeches.
    pub(crate) fn new(content: &Content, nth: u64) -> Self {
        let pieces = content.pieces();
        let mut step = ((f64::from(pieces) * STEP) as u32).max(1);
        while common_divisor(step, pieces) > 1 {
            step += 1;
        }
        Self {
            asked: VecDeque::new(),
            again: Vec::new(),
            missing: vec![0; pieces as usize],
            piece: (nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) % u64::from(pieces)) as u32,
            offset: 0,
            step,
        }
    }

    /// Blocks to ask for now, so that `most` are under way; none, if few would be.
    pub(crate) fn next(&mut self, content: &Content, most: usize) -> Vec<Block> {
        let room = most.saturating_sub(self.asked.len());
        if room < ASKED_AT_ONCE.min(most) {
            return Vec::new();
        }
        let blocks: Vec<Block> = (0..room).map(|_| self.next_block(content)).collect();
        self.asked.extend(&blocks);
        blocks
    }

    fn next_block(&mut self, content: &Content) -> Block {
        if let Some(block) = self.again.pop() {
            return block;
        }
        let size = content.piece_size(self.piece);
        let block = (self.piece, self.offset, BLOCK_LENGTH.min(size - self.offset));
        self.missing[self.piece as usize] += 1;
        self.offset += block.2;
        if self.offset >= size {
            self.offset = 0;
            self.piece = (self.piece + self.step) % content.pieces();
        }
        block
    }

    /// A block came: whether it was asked for, and whether its piece is whole now.
    pub(crate) fn came(&mut self, block: Block) -> (bool, bool) {
        let Some(at) = self.asked.iter().position(|asked| *asked == block) else {
            return (false, false);
        };
        self.asked.remove(at);
        let missing = &mut self.missing[block.0 as usize];
        *missing -= 1;
        // The rest of the piece that it works on was not asked for yet.
        let begun = block.0 == self.piece && self.offset > 0;
        (true, *missing == 0 && !begun)
    }

    /// It was choked: what it asked for will not come.
    pub(crate) fn choked(&mut self) {
        self.again.extend(self.asked.drain(..).rev());
    }
}

const fn common_divisor(mut one: u32, mut other: u32) -> u32 {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u32 = 1 << 10;

    fn content() -> Content {
        Content::open(None, u64::from(7 * 64 * KIB + 20 * KIB), 64 * KIB).expect("no file")
    }

    #[test]
    fn every_block_is_asked_for_once_a_round() {
        let content = content();
        let mut wants = Wants::new(&content, 3);
        let (mut all, mut whole) = (Vec::new(), 0);
        while all.len() < 7 * 4 + 2 {
            let blocks = wants.next(&content, 1);
            let (asked, piece_whole) = wants.came(blocks[0]);
            assert!(asked);
            whole += u32::from(piece_whole);
            all.extend(blocks);
        }
        let first = all[0];
        assert_eq!(whole, 8);
        assert!(all.contains(&(7, 16 * KIB, 4 * KIB)));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 30);
        assert_eq!(wants.next(&content, 1), [first]);
    }

    #[test]
    fn what_a_choke_took_back_is_asked_for_again_in_its_order() {
        let content = content();
        let mut wants = Wants::new(&content, 0);
        let asked = wants.next(&content, 20);
        assert_eq!(asked.len(), 20);
        wants.came(asked[0]);
        assert!(wants.next(&content, 20).is_empty(), "many at once or none");
        wants.choked();
        assert_eq!(wants.came(asked[1]), (false, false));
        assert_eq!(wants.next(&content, 19), asked[1..]);
    }
}
