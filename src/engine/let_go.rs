//! [`LetGo`]: blocks that a peer was asked for and need not send any more, but still may.
//!
//! What it had already put into its socket, no cancel reaches: it comes late, and everything that
//! the peer is asked for afterwards comes behind it. A peer that speaks BEP 6 says of the others
//! that it dropped them. Blocks come in the order of their requests, so once one came that was asked
//! after others were let go, those will not come.

use super::time::{SECOND_US, Time};
use crate::torrent::Block;
use std::collections::VecDeque;

/// Blocks that are remembered; older ones are forgotten, and would be a fault if they came.
const LET_GO_MAX: usize = 10_000;
/// After so long they are thought to have been dropped, whatever the peer says.
const ON_THE_WAY_US_MAX: u64 = 30 * SECOND_US;

/// Blocks that were let go, in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct LetGo {
    blocks: VecDeque<Gone>,
    /// The first of them that may be on their way.
    first: usize,
    /// Bytes from there on.
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    block: Block,
    at: Time,
    sent_by_another: bool,
}

impl LetGo {
    /// One more.
    pub(super) fn add(&mut self, now: Time, block: Block, sent_by_another: bool) {
        if self.blocks.len() >= LET_GO_MAX {
            self.remove(0);
        }
        self.blocks.push_back(Gone { block, at: now, sent_by_another });
        self.bytes += u64::from(block.length());
        self.passed(Time(now.0.saturating_sub(ON_THE_WAY_US_MAX)));
    }

    /// Takes `block` out, if it is among them: whether another had sent it.
    pub(super) fn take(&mut self, block: Block) -> Option<bool> {
        let at = self.blocks.iter().position(|gone| gone.block == block)?;
        self.remove(at).map(|gone| gone.sent_by_another)
    }

    /// A block came that was asked at `asked`: what was let go before that is not on its way.
    pub(super) fn passed(&mut self, asked: Time) {
        while let Some(gone) = self.blocks.get(self.first).filter(|gone| gone.at < asked) {
            self.bytes -= u64::from(gone.block.length());
            self.first += 1;
        }
    }

    /// Bytes that may still be on their way.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn remove(&mut self, at: usize) -> Option<Gone> {
        let gone = self.blocks.remove(at)?;
        if at < self.first {
            self.first -= 1;
        } else {
            self.bytes -= u64::from(gone.block.length());
        }
        Some(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{BLOCK_LENGTH, Layout, SafePath};

    const BYTES: u64 = BLOCK_LENGTH as u64;

    fn blocks() -> Vec<Block> {
        let path = SafePath::from_components([&b"x"[..]]).expect("a path");
        let layout = Layout::contiguous(4 * BYTES, [(path, 4 * BYTES, false)]).expect("a layout");
        layout.pieces().flat_map(|piece| layout.blocks(piece).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn what_was_let_go_is_on_its_way_until_a_later_request_is_answered() {
        let blocks = blocks();
        let mut gone = LetGo::default();
        gone.add(Time(10), blocks[0], false);
        gone.add(Time(10), blocks[1], true);
        gone.add(Time(20), blocks[2], false);
        assert_eq!(gone.bytes(), 3 * BYTES);
        gone.passed(Time(10));
        assert_eq!(gone.bytes(), 3 * BYTES, "that one was asked before");
        gone.passed(Time(15));
        assert_eq!(gone.bytes(), BYTES);
        assert_eq!(gone.take(blocks[1]), Some(true), "it may come all the same");
        assert_eq!(gone.bytes(), BYTES);
        assert_eq!(gone.take(blocks[2]), Some(false));
        assert_eq!(gone.bytes(), 0);
        assert_eq!(gone.take(blocks[2]), None);
        gone.add(Time(30), blocks[3], false);
        gone.passed(Time(40));
        assert_eq!((gone.bytes(), gone.take(blocks[0])), (0, Some(false)));
    }

    #[test]
    fn nothing_is_on_its_way_for_ever_and_not_everything_is_remembered() {
        let blocks = blocks();
        let mut gone = LetGo::default();
        gone.add(Time(0), blocks[0], false);
        gone.add(Time(ON_THE_WAY_US_MAX + 1), blocks[1], false);
        assert_eq!(gone.bytes(), BYTES);
        for _ in 0..LET_GO_MAX {
            gone.add(Time(ON_THE_WAY_US_MAX + 2), blocks[2], false);
        }
        assert_eq!(gone.bytes(), LET_GO_MAX as u64 * BYTES);
        assert_eq!(gone.take(blocks[0]), None);
    }
}
