//! [`OpenPiece`]: the blocks of one piece that is being fetched.

use super::PeerId;
use crate::torrent::BLOCK_LENGTH;
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

/// Who may send the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Senders {
    /// Anyone.
    Many,
    /// One peer alone: this one, or whoever takes it first.
    One(Option<PeerId>),
}

/// The blocks of one piece.
#[derive(Clone, Debug)]
pub(super) struct OpenPiece {
    /// Bytes of the piece.
    size: u32,
    blocks: Vec<BlockState>,
    unasked: usize,
    received: usize,
    /// Blocks before this one are not unasked.
    first_unasked: usize,
    pub(super) senders: Senders,
}

impl OpenPiece {
    /// A piece of `size` bytes that any peer may send.
    pub(super) fn new(size: u32) -> Self {
        let count = size.div_ceil(BLOCK_LENGTH) as usize;
        Self {
            size,
            blocks: vec![BlockState::Unasked; count],
            unasked: count,
            received: 0,
            first_unasked: 0,
            senders: Senders::Many,
        }
    }

    /// A piece that one peer alone may send, whoever takes it first.
    pub(super) fn alone(size: u32) -> Self {
        Self { senders: Senders::One(None), ..Self::new(size) }
    }

    pub(super) const fn unasked(&self) -> usize {
        self.unasked
    }

    /// Bytes of the blocks that are here.
    pub(super) fn received_bytes(&self) -> u64 {
        let whole = self.received as u64 * u64::from(BLOCK_LENGTH);
        let last_is_here = matches!(self.blocks.last(), Some(BlockState::Received(_)));
        let cut = self.blocks.len() as u64 * u64::from(BLOCK_LENGTH) - u64::from(self.size);
        if last_is_here { whole - cut } else { whole }
    }

    /// Blocks that somebody was asked for and has not sent.
    pub(super) const fn owed(&self) -> usize {
        self.blocks.len() - self.unasked - self.received
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.received == self.blocks.len()
    }

    pub(super) const fn is_untouched(&self) -> bool {
        self.unasked == self.blocks.len()
    }

    /// Whether `peer` may send blocks of it.
    pub(super) fn is_open_to(&self, peer: PeerId) -> bool {
        match self.senders {
            Senders::Many | Senders::One(None) => true,
            Senders::One(Some(one)) => one == peer,
        }
    }

    /// Whether it is `peer` alone who sends it.
    pub(super) fn is_held_by(&self, peer: PeerId) -> bool {
        self.senders == Senders::One(Some(peer))
    }

    /// Whether nobody has taken it who may then send it alone.
    pub(super) fn waits_for_one(&self) -> bool {
        self.senders == Senders::One(None)
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
        if self.waits_for_one() {
            self.senders = Senders::One(Some(peer));
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
            self.set_unasked(number);
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

    /// Gives up the blocks that came from `peer`: their numbers.
    pub(super) fn disown(&mut self, peer: PeerId) -> Vec<usize> {
        let sent = BlockState::Received(Some(peer));
        let numbers: Vec<usize> =
            (0..self.blocks.len()).filter(|number| self.blocks[*number] == sent).collect();
        for number in &numbers {
            self.received -= 1;
            self.set_unasked(*number);
        }
        numbers
    }

    /// Who sent each block, as far as it came from a peer of this run.
    pub(super) fn sent_by(&self) -> Vec<Option<PeerId>> {
        let sender = |state: &BlockState| match state {
            BlockState::Received(from) => *from,
            BlockState::Unasked | BlockState::Asked(_) => None,
        };
        self.blocks.iter().map(sender).collect()
    }

    fn set_unasked(&mut self, number: usize) {
        self.blocks[number] = BlockState::Unasked;
        self.unasked += 1;
        self.first_unasked = self.first_unasked.min(number);
    }
}
