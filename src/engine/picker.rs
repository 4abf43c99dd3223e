//! [`Picker`]: which block next.
//!
//! Facts are told (`joined`, `has`, `received`, `checked`), one question is asked
//! ([`next`](Picker::next)). A piece is in exactly one state at any time: unwanted or had, fresh
//! (nobody was asked), open (some block was), or being checked. Open pieces are finished before
//! fresh ones are begun; among fresh ones a strategy's keys decide, through [`Rank`]. A strategy
//! can only reorder: what is asked, and whether the download ends, is decided here.
//!
//! A piece that failed its check is fetched again from one peer alone. If it fails again, that
//! peer is the liar, by proof; so nobody honest is ever banned on suspicion.

use super::PeerId;
use super::open_piece::{BlockState, OpenPiece};
use crate::torrent::{Bitfield, Block, Info, PieceIndex};
use rtor_plugin::strategy::{Ranker, Swarm};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The priority of a piece that is wanted like any other.
pub const NORMAL: u8 = 4;

/// An order of pieces: what a strategy answers, or a closure in a test.
pub trait Rank {
    /// When this number changes, all keys are to be asked for again.
    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64;
    /// Writes the keys of `pieces`, smaller first.
    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]);
}

impl Rank for Ranker {
    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        Self::epoch(self, swarm)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        Self::rank(self, swarm, pieces, keys);
    }
}

/// What became of a block that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was new; `losers` were asked for it too and need not send it any more.
    New {
        /// Others who were asked.
        losers: Vec<PeerId>,
        /// Whether it was the last one: the piece can be checked.
        whole: bool,
    },
    /// Somebody else was sooner.
    Duplicate,
}

/// Who is to blame for a piece that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// One peer sent all of it: it is proven.
    Proven(PeerId),
    /// Several did, or an earlier run; nobody is proven.
    Open,
}

/// Which block next: the state of every piece, and of every block of open pieces.
pub struct Picker {
    info: Arc<Info>,
    seed: u64,
    availability: Vec<u16>,
    priority: Vec<u8>,
    have: Bitfield,
    have_count: u32,
    wanted_left: usize,
    left_bytes: u64,
    /// Wanted pieces of which no block was asked.
    fresh: Bitfield,
    checking: Bitfield,
    open: BTreeMap<PieceIndex, OpenPiece>,
    keys: Vec<u64>,
    dirty: Vec<u32>,
    is_dirty: Bitfield,
    epoch: Option<u64>,
    playhead: u32,
}

impl Picker {
    /// A picker that has `have` and wants `wanted`.
    #[must_use]
    pub fn new(info: Arc<Info>, have: Bitfield, wanted: &Bitfield, seed: u64) -> Self {
        let count = info.layout.piece_count();
        let mut fresh = Bitfield::new(count);
        let mut priority = vec![0; count];
        let mut left_bytes = 0;
        for piece in info.layout.pieces().filter(|piece| wanted.contains(piece.at())) {
            priority[piece.at()] = NORMAL;
            if !have.contains(piece.at()) {
                fresh.insert(piece.at());
                left_bytes += u64::from(info.layout.piece_size(piece));
            }
        }
        let mut picker = Self {
            seed,
            availability: vec![0; count],
            priority,
            have_count: have.count() as u32,
            have,
            wanted_left: fresh.count(),
            left_bytes,
            checking: Bitfield::new(count),
            open: BTreeMap::new(),
            keys: vec![0; count],
            dirty: Vec::new(),
            is_dirty: Bitfield::new(count),
            epoch: None,
            playhead: 0,
            fresh,
            info,
        };
        picker.soil_all();
        picker
    }

    /// Blocks of `piece` that an earlier run left on disk, unverified. Whether they were all of
    /// it: the piece can be checked.
    pub fn resumed(&mut self, piece: PieceIndex, blocks: &[usize]) -> bool {
        if !self.fresh.remove(piece.at()) {
            return false;
        }
        let mut open = OpenPiece::new(self.info.layout.block_count(piece));
        blocks.iter().for_each(|number| open.received(*number, None));
        let whole = open.is_whole();
        if whole {
            self.checking.insert(piece.at());
        }
        self.open.insert(piece, open);
        whole
    }

    /// A peer with these pieces is here.
    pub fn joined(&mut self, has: &Bitfield) {
        for piece in has.iter() {
            self.availability[piece] = self.availability[piece].saturating_add(1);
            self.soil(piece as u32);
        }
    }

    /// A peer has one more piece.
    pub fn has(&mut self, piece: PieceIndex) {
        let held = &mut self.availability[piece.at()];
        *held = held.saturating_add(1);
        self.soil(piece.get());
    }

    /// A peer with these pieces is gone; `asked` are the blocks that it owed.
    pub fn left(&mut self, peer: PeerId, has: &Bitfield, asked: impl IntoIterator<Item = Block>) {
        for piece in has.iter() {
            self.availability[piece] = self.availability[piece].saturating_sub(1);
            self.soil(piece as u32);
        }
        asked.into_iter().for_each(|block| self.refused(peer, block));
        // A piece that only this peer may fetch is free again, from its first block.
        let stranded: Vec<PieceIndex> = self
            .open
            .iter()
            .filter(|(_, open)| open.only == Some(Some(peer)))
            .map(|(p, _)| *p)
            .collect();
        for piece in stranded.into_iter().filter(|piece| !self.checking.contains(piece.at())) {
            self.open.insert(piece, OpenPiece::alone(self.info.layout.block_count(piece)));
        }
    }

    /// `peer` was asked for `block` and will not send it.
    pub fn refused(&mut self, peer: PeerId, block: Block) {
        let piece = block.piece();
        let Some(open) = self.open.get_mut(&piece) else { return };
        open.refused(block.number(), peer);
        if open.only == Some(Some(peer)) && open.owed() == 0 && !open.is_whole() {
            // Who alone may send it does not: somebody else may, from the first block on.
            *open = OpenPiece::alone(self.info.layout.block_count(piece));
        }
        self.close_if_untouched(piece);
    }

    /// `block` came from `peer`, who was asked for it.
    pub fn received(&mut self, peer: PeerId, block: Block) -> Arrival {
        let piece = block.piece();
        if self.fresh.contains(piece.at()) {
            // It was given back, and came all the same.
            self.open_fresh(piece);
        }
        let Some(open) = self.open.get_mut(&piece).filter(|_| !self.checking.contains(piece.at()))
        else {
            return Arrival::Duplicate;
        };
        if matches!(open.only, Some(only) if only != Some(peer)) {
            // It was asked before the piece failed; only one peer's blocks may be in it now.
            return Arrival::Duplicate;
        }
        let losers = match open.state(block.number()) {
            BlockState::Received(_) => return Arrival::Duplicate,
            BlockState::Unasked => Vec::new(),
            BlockState::Asked(askers) => askers.iter().copied().filter(|p| *p != peer).collect(),
        };
        open.received(block.number(), Some(peer));
        let whole = open.is_whole();
        if whole {
            self.checking.insert(piece.at());
        }
        Arrival::New { losers, whole }
    }

    /// `piece` was whole and is good.
    pub fn verified(&mut self, piece: PieceIndex) {
        self.checking.remove(piece.at());
        self.open.remove(&piece);
        if self.have.insert(piece.at()) {
            self.have_count += 1;
            if self.priority[piece.at()] > 0 {
                self.wanted_left -= 1;
                self.left_bytes -= u64::from(self.info.layout.piece_size(piece));
            }
        }
    }

    /// `piece` was whole and is bad: it will be fetched again, from one peer alone.
    pub fn failed(&mut self, piece: PieceIndex) -> Blame {
        self.checking.remove(piece.at());
        let Some(open) = self.open.remove(&piece) else {
            return Blame::Open;
        };
        let blocks = self.info.layout.block_count(piece);
        self.open.insert(piece, OpenPiece::alone(blocks));
        open.sole_sender().map_or(Blame::Open, Blame::Proven)
    }

    /// Up to `room` blocks worth asking `peer` for, best first, appended to `out` and marked as
    /// asked of it.
    pub fn next(
        &mut self,
        rank: &mut dyn Rank,
        peer: PeerId,
        theirs: &Bitfield,
        room: usize,
        out: &mut Vec<Block>,
    ) {
        let goal = out.len() + room;
        self.next_of_open(peer, theirs, goal, out);
        while out.len() < goal {
            let Some(piece) = self.best_fresh(rank, theirs) else { break };
            self.open_fresh(piece);
            self.ask_rest_of(piece, peer, goal, out);
        }
    }

    /// Blocks of open pieces nobody was asked for yet; pieces that `peer` already works on
    /// first, then those nearest to whole.
    fn next_of_open(&mut self, peer: PeerId, theirs: &Bitfield, goal: usize, out: &mut Vec<Block>) {
        let mut loose: Vec<(bool, usize, PieceIndex)> = self
            .open
            .iter()
            .filter(|(piece, open)| open.unasked() > 0 && theirs.contains(piece.at()))
            .filter(|(_, open)| open.is_open_to(peer))
            .map(|(piece, open)| (!open.is_worked_on_by(peer), open.unasked(), *piece))
            .collect();
        loose.sort_unstable();
        for (_, _, piece) in loose {
            if out.len() >= goal {
                return;
            }
            self.ask_rest_of(piece, peer, goal, out);
        }
    }

    fn ask_rest_of(&mut self, piece: PieceIndex, peer: PeerId, goal: usize, out: &mut Vec<Block>) {
        let Some(open) = self.open.get_mut(&piece) else { return };
        while out.len() < goal {
            let Some(number) = open.ask_next(peer) else { return };
            out.extend(self.info.layout.block(piece, number));
        }
    }

    /// Whether `block`, which one other peer owes, may be asked of `peer` too.
    #[must_use]
    pub fn may_be_asked_again(&self, peer: PeerId, block: Block) -> bool {
        self.open.get(&block.piece()).is_some_and(|open| {
            let lone = matches!(open.state(block.number()), BlockState::Asked(askers) if askers.len() == 1 && askers[0] != peer);
            lone && open.only.is_none()
        })
    }

    /// `peer` is asked for `block` as well: a declared duplicate.
    pub fn asked_too(&mut self, peer: PeerId, block: Block) {
        if let Some(open) = self.open.get_mut(&block.piece()) {
            open.ask(block.number(), peer);
        }
    }

    /// Whether `theirs` has a piece that is still to come.
    #[must_use]
    pub fn is_interesting(&self, theirs: &Bitfield) -> bool {
        let fresh = self.fresh.words().iter().zip(theirs.words()).any(|(a, b)| a & b != 0);
        fresh || self.open.keys().any(|piece| theirs.contains(piece.at()))
    }

    /// Verified pieces.
    #[must_use]
    pub const fn have(&self) -> &Bitfield {
        &self.have
    }

    /// How many pieces are had.
    #[must_use]
    pub const fn have_count(&self) -> u32 {
        self.have_count
    }

    /// Bytes of wanted pieces that are still to come.
    #[must_use]
    pub const fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    /// Wanted pieces that are still to come.
    #[must_use]
    pub const fn wanted_left(&self) -> usize {
        self.wanted_left
    }

    fn open_fresh(&mut self, piece: PieceIndex) {
        self.fresh.remove(piece.at());
        self.open.insert(piece, OpenPiece::new(self.info.layout.block_count(piece)));
    }

    fn soil(&mut self, piece: u32) {
        if self.fresh.contains(piece as usize) && self.is_dirty.insert(piece as usize) {
            self.dirty.push(piece);
        }
    }

    fn soil_all(&mut self) {
        self.dirty.clear();
        self.is_dirty = self.fresh.clone();
        self.dirty.extend(self.fresh.iter().map(|piece| piece as u32));
    }

    fn close_if_untouched(&mut self, piece: PieceIndex) {
        let untouched = |open: &OpenPiece| open.is_untouched() && open.only.is_none();
        if self.open.get(&piece).is_some_and(untouched) {
            self.open.remove(&piece);
            self.fresh.insert(piece.at());
            self.soil(piece.get());
        }
    }

    fn best_fresh(&mut self, rank: &mut dyn Rank, theirs: &Bitfield) -> Option<PieceIndex> {
        self.refresh_keys(rank);
        let words = self.fresh.words().iter().zip(theirs.words()).enumerate();
        let mut best: Option<(u64, u32)> = None;
        for (i, (fresh, theirs)) in words {
            let mut rest = fresh & theirs;
            while rest != 0 {
                let piece = (i * 64) as u32 + rest.trailing_zeros();
                rest &= rest - 1;
                let candidate = (self.keys[piece as usize], piece);
                if best.is_none_or(|best| candidate < best) {
                    best = Some(candidate);
                }
            }
        }
        best.and_then(|(_, piece)| self.info.layout.piece(piece))
    }

    fn refresh_keys(&mut self, rank: &mut dyn Rank) {
        let epoch = rank.epoch(&self.swarm());
        if self.epoch.replace(epoch) != Some(epoch) {
            self.soil_all();
        }
        if self.dirty.is_empty() {
            return;
        }
        let pieces = std::mem::take(&mut self.dirty);
        let mut keys = vec![0; pieces.len()];
        rank.rank(&self.swarm(), &pieces, &mut keys);
        for (piece, key) in pieces.iter().zip(keys) {
            self.keys[*piece as usize] = key;
            self.is_dirty.remove(*piece as usize);
        }
        self.dirty = pieces;
        self.dirty.clear();
    }

    fn swarm(&self) -> Swarm<'_> {
        Swarm::new(
            &self.availability,
            &self.priority,
            self.have.words(),
            self.seed,
            self.have_count,
            self.playhead,
        )
    }
}
