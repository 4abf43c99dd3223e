//! [`OpenPiece`]: the blocks of one piece that is being fetched.

use super::PeerId;
use smallvec::SmallVec;

/// Where a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BlockState {
    /// Nobody was asked.
    Unasked,
    /// These were asked, in this order.
    Asked(SmallVec<[PeerId; 2]>),
    /// It is here, from this peer or from an earlier run.
    Received(Option<PeerId>),
}

/// The blocks of one piece.
#[derive(Clone, Debug)]
pub(super) struct OpenPiece {
    blocks: Vec<BlockState>,
    unasked: usize,
    received: usize,
    /// Blocks before this one are not unasked.
    first_unasked: usize,
    /// `Some`: only one peer may send it, and which, once somebody took it.
    pub(super) only: Option<Option<PeerId>>,
}

impl OpenPiece {
    /// A piece of `count` blocks that any peer may send.
    pub(super) fn new(count: usize) -> Self {
        let blocks = vec![BlockState::Unasked; count];
        Self { blocks, unasked: count, received: 0, first_unasked: 0, only: None }
    }

    /// A piece that one peer alone may send, whoever takes it first.
    pub(super) fn alone(count: usize) -> Self {
        Self { only: Some(None), ..Self::new(count) }
    }

    pub(super) const fn unasked(&self) -> usize {
        self.unasked
    }

    /// Blocks that somebody was asked for and has not sent.
    pub(super) fn owed(&self) -> usize {
        self.blocks.len() - self.unasked - self.received
    }

    pub(super) fn is_whole(&self) -> bool {
        self.received == self.blocks.len()
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.unasked == self.blocks.len()
    }

    pub(super) fn is_open_to(&self, peer: PeerId) -> bool {
        self.only.is_none_or(|only| only.is_none_or(|only| only == peer))
    }

    pub(super) fn is_worked_on_by(&self, peer: PeerId) -> bool {
        // The last block that was asked tells enough, and costs one look.
        match self.first_unasked.checked_sub(1).map(|last| &self.blocks[last]) {
            Some(BlockState::Asked(askers)) => askers.contains(&peer),
            Some(BlockState::Received(from)) => *from == Some(peer),
            Some(BlockState::Unasked) | None => false,
        }
    }

    pub(super) fn state(&self, number: usize) -> &BlockState {
        &self.blocks[number]
    }

    /// The next block nobody was asked for, marked as asked of `peer`.
    pub(super) fn ask_next(&mut self, peer: PeerId) -> Option<usize> {
        if self.unasked == 0 {
            return None;
        }
        let number = (self.first_unasked..self.blocks.len())
            .find(|number| self.blocks[*number] == BlockState::Unasked)?;
        self.ask(number, peer);
        self.first_unasked = number + 1;
        if self.only == Some(None) {
            self.only = Some(Some(peer));
        }
        Some(number)
    }

    pub(super) fn ask(&mut self, number: usize, peer: PeerId) {
        match &mut self.blocks[number] {
            BlockState::Asked(askers) => askers.push(peer),
            state @ BlockState::Unasked => {
                *state = BlockState::Asked(SmallVec::from_slice(&[peer]));
                self.unasked -= 1;
            }
            BlockState::Received(_) => {}
        }
    }

    pub(super) fn refused(&mut self, number: usize, peer: PeerId) {
        let BlockState::Asked(askers) = &mut self.blocks[number] else { return };
        askers.retain(|asker| *asker != peer);
        if askers.is_empty() {
            self.blocks[number] = BlockState::Unasked;
            self.unasked += 1;
            self.first_unasked = self.first_unasked.min(number);
        }
    }

    pub(super) fn received(&mut self, number: usize, from: Option<PeerId>) {
        match std::mem::replace(&mut self.blocks[number], BlockState::Received(from)) {
            BlockState::Unasked => self.unasked -= 1,
            BlockState::Asked(_) => {}
            BlockState::Received(_) => return,
        }
        self.received += 1;
    }

    /// The one peer that sent every block, if it was one.
    pub(super) fn sole_sender(&self) -> Option<PeerId> {
        let mut senders = self.blocks.iter().map(|state| match state {
            BlockState::Received(from) => *from,
            BlockState::Unasked | BlockState::Asked(_) => None,
        });
        let first = senders.next()??;
        senders.all(|sender| sender == Some(first)).then_some(first)
    }
}
