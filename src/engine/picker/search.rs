//! The question: which blocks to ask a peer for.
//!
//! Of urgent pieces first, then of the one that the peer works on, then of open ones that matter
//! more than any fresh one, of the fresh one with the smallest key, and of the other open ones.
//! Once much is open, open pieces come before all fresh ones.

use super::{PeerId, Picker, Rank};
use crate::engine::time::Time;
use crate::torrent::{Bitfield, Block, PieceIndex};
use smallvec::SmallVec;

/// Open pieces at most: beyond that no fresh one is begun, whatever the peers have.
pub const OPEN_MAX: usize = 4096;
/// While open pieces are fewer than this, or than [`OPEN_FEW_BYTES`], a fresh piece may come
/// before an open one that matters less.
pub const OPEN_FEW: usize = 2;
/// See [`OPEN_FEW`].
pub const OPEN_FEW_BYTES: u64 = 32 << 20;

/// Who is asked.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The peer.
    pub peer: PeerId,
    /// What it has.
    pub theirs: &'a Bitfield,
    /// For how many blocks at most.
    pub room: usize,
    /// Has a veto on each piece, but for the one that only this peer may send.
    pub may: &'a dyn Fn(Candidate) -> bool,
}

/// A piece of which a peer could be asked for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub piece: PieceIndex,
    /// Until when the strategy would like to have it, if it is urgent.
    pub by: Option<Time>,
    /// Whether the peer would have to send all of it alone.
    pub alone: bool,
    /// How many connected peers have it.
    pub holders: u16,
}

/// The blocks of one question, as they are found.
struct Found<'a> {
    out: &'a mut Vec<Block>,
    goal: usize,
}

impl Found<'_> {
    const fn room(&self) -> usize {
        self.goal - self.out.len()
    }
}

impl Picker {
    /// Up to `room` blocks worth asking `asker` for, best first, appended to `out` and marked as
    /// asked of it. A fresh piece that is vetoed is the last that is looked at.
    pub fn next(&mut self, rank: &mut dyn Rank, asker: Asker<'_>, out: &mut Vec<Block>) {
        let goal = out.len() + asker.room;
        let mut found = Found { out, goal };
        self.next_urgent(asker, &mut found);
        self.next_current(asker, &mut found);
        while found.room() > 0 {
            self.order.refresh(rank, &self.columns.swarm());
            let fresh = self.order.first(asker.theirs).and_then(|n| self.info.layout.piece(n));
            let fresh = fresh.filter(|_| self.open.len() < OPEN_MAX);
            self.next_open(asker, fresh, &mut found);
            let Some(piece) = fresh.filter(|_| found.room() > 0) else { return };
            if !(asker.may)(self.candidate(piece, None)) {
                return self.next_open(asker, None, &mut found);
            }
            self.open_fresh(piece);
            self.ask_rest_of(piece, asker.peer, &mut found);
        }
    }

    /// Blocks of urgent pieces, soonest first.
    fn next_urgent(&mut self, asker: Asker<'_>, found: &mut Found<'_>) {
        for at in 0.. {
            let Some((piece, by)) = self.hurry.nth(at).filter(|_| found.room() > 0) else { return };
            let has_more = match self.open.get(piece) {
                Some(open) => open.unasked() > 0 && open.is_open_to(asker.peer),
                None => self.order.contains(piece.at()),
            };
            let wanted = has_more && asker.theirs.contains(piece.at());
            if wanted && (asker.may)(self.candidate(piece, Some(by))) {
                self.open_fresh(piece);
                self.ask_rest_of(piece, asker.peer, found);
            }
        }
    }

    /// The rest of the piece that `asker` works on.
    fn next_current(&mut self, asker: Asker<'_>, found: &mut Found<'_>) {
        let Some(piece) = self.current.get(&asker.peer).copied() else { return };
        if found.room() > 0 && self.has_loose_for(asker, piece) {
            self.ask_rest_of(piece, asker.peer, found);
        }
    }

    /// Blocks of open pieces that nobody was asked for, nearest to whole first; while there are
    /// few, only of those that matter no less than the `fresh` one.
    fn next_open(&mut self, asker: Asker<'_>, fresh: Option<PieceIndex>, found: &mut Found<'_>) {
        let key_max = fresh.filter(|_| self.open_is_little()).map(|p| self.order.key(p.at()));
        let mut room = found.room();
        let mut chosen = SmallVec::<[PieceIndex; 4]>::new();
        for (piece, open) in self.open.loose() {
            if room == 0 {
                break;
            }
            let matters = key_max.is_none_or(|max| self.order.key(piece.at()) <= max);
            if matters && self.has_loose_for(asker, piece) {
                room = room.saturating_sub(open.unasked());
                chosen.push(piece);
            }
        }
        for piece in chosen {
            self.ask_rest_of(piece, asker.peer, found);
        }
    }

    /// Whether the open `piece` has blocks that `asker` may be asked for.
    fn has_loose_for(&self, asker: Asker<'_>, piece: PieceIndex) -> bool {
        self.open.get(piece).is_some_and(|open| {
            open.unasked() > 0
                && asker.theirs.contains(piece.at())
                && open.is_open_to(asker.peer)
                && (open.is_held_by(asker.peer) || (asker.may)(self.candidate(piece, None)))
        })
    }

    fn ask_rest_of(&mut self, piece: PieceIndex, peer: PeerId, found: &mut Found<'_>) {
        let layout = &self.info.layout;
        self.open.change(piece, |open| {
            while found.room() > 0 {
                let Some(number) = open.ask_next(peer) else { return };
                found.out.extend(layout.block(piece, number));
            }
        });
        self.current.insert(peer, piece);
    }

    fn open_is_little(&self) -> bool {
        let open = self.open.len();
        open < OPEN_FEW || open as u64 * u64::from(self.columns.piece_length) < OPEN_FEW_BYTES
    }

    fn candidate(&self, piece: PieceIndex, by: Option<Time>) -> Candidate {
        let alone = self.open.get(piece).is_some_and(super::OpenPiece::waits_for_one);
        Candidate { piece, by, alone, holders: self.columns.availability[piece.at()] }
    }
}
