//! [`Buffer`]: the pieces that are being put together.
//!
//! Per piece it knows which blocks are in memory, held by reference, and which lie in the piece's
//! partial file. It moves nothing itself: it says what is whole, and which blocks should go to
//! disk when memory runs short (those of the piece that waits longest).

use super::store::Whole;
use crate::torrent::{Bitfield, Block, Layout, PieceIndex};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Blocks of unfinished pieces.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pieces: BTreeMap<PieceIndex, Assembling>,
    held: u64,
    turn: u64,
}

/// One piece.
#[derive(Debug)]
struct Assembling {
    blocks: Vec<Option<Bytes>>,
    on_disk: Bitfield,
    held: u64,
    /// When the first of the blocks in memory came.
    since: u64,
}

/// What was forgotten of a piece.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    /// Bytes that were in memory.
    pub(super) held: u64,
    /// Whether there are blocks on disk.
    pub(super) on_disk: bool,
}

impl Buffer {
    /// Notes blocks of `piece` that lie in its partial file already.
    pub(super) fn on_disk(&mut self, layout: &Layout, piece: PieceIndex, map: &Bitfield) {
        let assembling = self.entry(layout, piece);
        for number in map.iter() {
            assembling.on_disk.insert(number);
        }
    }

    /// Holds `data`; whether it was new.
    ///
    /// # Panics
    /// If it has not the length of the block.
    pub(super) fn keep(&mut self, layout: &Layout, block: Block, data: Bytes) -> bool {
        assert_eq!(data.len(), block.length() as usize, "the bytes of {block:?}");
        self.turn += 1;
        let (turn, length) = (self.turn, u64::from(block.length()));
        let assembling = self.entry(layout, block.piece());
        let number = block.number();
        if assembling.on_disk.contains(number) || assembling.blocks[number].is_some() {
            return false;
        }
        if assembling.held == 0 {
            assembling.since = turn;
        }
        assembling.blocks[number] = Some(data);
        assembling.held += length;
        self.held += length;
        true
    }

    /// Bytes in memory.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// Takes `piece` out, if all of it is here or on disk.
    pub(super) fn take_whole(&mut self, piece: PieceIndex) -> Option<Whole> {
        let assembling = self.pieces.get(&piece)?;
        let whole = assembling
            .blocks
            .iter()
            .enumerate()
            .all(|(number, block)| block.is_some() || assembling.on_disk.contains(number));
        if !whole {
            return None;
        }
        let assembling = self.pieces.remove(&piece)?;
        self.held -= assembling.held;
        Some(Whole { piece, blocks: assembling.blocks })
    }

    /// Takes the blocks in memory of the piece that waits longest: they are on disk from now on.
    pub(super) fn spill_oldest(
        &mut self,
        layout: &Layout,
    ) -> Option<(PieceIndex, Vec<(Block, Bytes)>)> {
        let waiting = self.pieces.iter_mut().filter(|(_, assembling)| assembling.held > 0);
        let (piece, assembling) = waiting.min_by_key(|(_, assembling)| assembling.since)?;
        let mut blocks = Vec::new();
        for (number, held) in assembling.blocks.iter_mut().enumerate() {
            if let (Some(data), Some(block)) = (held.take(), layout.block(*piece, number)) {
                assembling.on_disk.insert(number);
                blocks.push((block, data));
            }
        }
        self.held -= assembling.held;
        assembling.held = 0;
        Some((*piece, blocks))
    }

    /// Drops what is here of `piece`.
    pub(super) fn forget(&mut self, piece: PieceIndex) -> Forgotten {
        let Some(assembling) = self.pieces.remove(&piece) else { return Forgotten::default() };
        self.held -= assembling.held;
        Forgotten { held: assembling.held, on_disk: !assembling.on_disk.is_empty() }
    }

    /// Drops `block`; the bytes that were in memory.
    pub(super) fn discard(&mut self, block: Block) -> u64 {
        let Some(assembling) = self.pieces.get_mut(&block.piece()) else { return 0 };
        assembling.on_disk.remove(block.number());
        let held = assembling.blocks[block.number()].take().map_or(0, |data| data.len() as u64);
        assembling.held -= held;
        self.held -= held;
        held
    }

    /// The unfinished pieces and their blocks, in memory or on disk.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (PieceIndex, Bitfield)> + '_ {
        self.pieces.iter().map(|(piece, assembling)| {
            let mut map = assembling.on_disk.clone();
            for (number, block) in assembling.blocks.iter().enumerate() {
                if block.is_some() {
                    map.insert(number);
                }
            }
            (*piece, map)
        })
    }

    fn entry(&mut self, layout: &Layout, piece: PieceIndex) -> &mut Assembling {
        self.pieces.entry(piece).or_insert_with(|| {
            let count = layout.block_count(piece);
            Assembling {
                blocks: vec![None; count],
                on_disk: Bitfield::new(count),
                held: 0,
                since: 0,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::world::World;

    #[test]
    fn the_piece_that_waits_longest_goes_first_and_only_once() {
        let world = World::contiguous(40_000, &[100_000]);
        let layout = &world.info.layout;
        let [first, second] = [0, 1].map(|i| layout.piece(i).expect("a piece"));
        let mut buffer = Buffer::default();
        for (piece, number) in [(second, 0), (first, 0), (second, 2)] {
            let (block, data) = world.block(piece, number);
            assert!(buffer.keep(layout, block, data.clone()));
            assert!(!buffer.keep(layout, block, data), "a block that is here");
        }
        assert_eq!(buffer.held(), 16_384 + 16_384 + 7_232);
        let (piece, blocks) = buffer.spill_oldest(layout).expect("something held");
        assert_eq!((piece, blocks.len(), buffer.held()), (second, 2, 16_384));
        let (block, data) = world.block(second, 0);
        assert!(!buffer.keep(layout, block, data), "a block that is on disk");
        let (block, data) = world.block(second, 1);
        assert!(buffer.keep(layout, block, data));
        // Its remaining block is younger than the other piece's.
        assert_eq!(buffer.spill_oldest(layout).expect("held").0, first);
        let whole = buffer.take_whole(second).expect("all blocks");
        assert_eq!(
            whole.blocks.iter().map(Option::is_some).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!((whole.held(), buffer.held()), (16_384, 0));
        assert!(buffer.take_whole(first).is_none(), "it has one block of three");
        assert_eq!(buffer.forget(first), Forgotten { held: 0, on_disk: true });
        assert_eq!(buffer.forget(first), Forgotten::default());
        assert!(buffer.spill_oldest(layout).is_none());
    }

    #[test]
    fn a_dropped_block_is_had_again_wherever_it_lay() {
        let world = World::contiguous(40_000, &[40_000]);
        let layout = &world.info.layout;
        let piece = layout.piece(0).expect("the piece");
        let mut buffer = Buffer::default();
        let [first, second] = [0, 1].map(|number| world.block(piece, number));
        assert!(buffer.keep(layout, first.0, first.1.clone()));
        assert_eq!((buffer.discard(first.0), buffer.discard(first.0)), (16_384, 0));
        assert_eq!(buffer.held(), 0);
        assert!(buffer.keep(layout, first.0, first.1.clone()));
        buffer.spill_oldest(layout);
        assert!(!buffer.keep(layout, first.0, first.1.clone()), "it is on disk");
        assert_eq!(buffer.discard(first.0), 0, "it is not in memory");
        assert!(buffer.keep(layout, second.0, second.1));
        assert!(buffer.take_whole(piece).is_none(), "the copy on disk does not count any more");
        assert!(buffer.keep(layout, first.0, first.1));
        assert_eq!(buffer.held(), 32_768);
    }
}
