//! [`Picker`]: which block next.
//!
//! Facts are told (`joined`, `has`, `received`, `verified`), one question is asked
//! ([`next`](Picker::next)). A wanted piece is in exactly one state at any time: had, fresh
//! (nobody was asked), open (some block was), or being checked. A peer finishes what it began;
//! then a strategy's keys decide, through [`Rank`], between the open pieces of others and fresh
//! ones, unless much is open already: then open pieces are finished first, so that there are
//! never many. Before all come those that the strategy calls urgent. A strategy can only reorder:
//! what is asked, and whether the download ends, is decided here.
//!
//! A piece that failed its check is fetched again from one peer alone. If it fails again, that
//! peer is the liar, by proof; if it is good, so are the liars of the first copy, block by block.
//! Nobody honest is ever banned on suspicion.

mod columns;
mod evidence;
mod hurry;
mod open_piece;
mod open_pieces;
mod order;
mod search;

pub use evidence::Digest;
pub use search::{Asker, Candidate, OPEN_FEW, OPEN_FEW_BYTES, OPEN_MAX};

use super::PeerId;
use super::time::Time;
use crate::torrent::{Bitfield, Block, Info, PieceIndex};
use columns::Columns;
use evidence::Evidence;
use hurry::Hurry;
use open_piece::{BlockState, OpenPiece};
use open_pieces::OpenPieces;
use order::Order;
use rtor_plugin::strategy::{Ranker, Swarm, Urgent};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The priority of a piece that is wanted like any other.
pub const NORMAL: u8 = 4;
/// An order of pieces: what a strategy answers, or a closure in a test.
pub trait Rank: Send {
    /// When this number changes, all keys are to be asked for again.
    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64;
    /// Writes the keys of `pieces`, smaller first.
    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]);
    /// Whether it can call pieces urgent.
    fn has_urgency(&self) -> bool {
        false
    }
    /// Makes `out` the pieces that are wanted by a certain time, soonest first. Asked again when
    /// the epoch, the pieces had, or what is read changed.
    fn urgent(&mut self, _swarm: &Swarm<'_>, out: &mut Vec<Urgent>) {
        out.clear();
    }
}

impl Rank for Ranker {
    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        Self::epoch(self, swarm)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        Self::rank(self, swarm, pieces, keys);
    }

    fn has_urgency(&self) -> bool {
        Self::has_urgency(self)
    }

    fn urgent(&mut self, swarm: &Swarm<'_>, out: &mut Vec<Urgent>) {
        Self::urgent(self, swarm, out);
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
    /// It is here already, or not wanted from this peer.
    Duplicate,
}

/// Which block next: the state of every piece, and of every block of open pieces.
pub struct Picker {
    info: Arc<Info>,
    columns: Columns,
    /// Wanted and not had.
    missing: Bitfield,
    missing_count: usize,
    left_bytes: u64,
    /// Wanted pieces of which no block was asked.
    order: Order,
    checking: Bitfield,
    open: OpenPieces,
    /// The piece that a peer was last asked for blocks of.
    current: BTreeMap<PeerId, PieceIndex>,
    hurry: Hurry,
    evidence: Evidence,
}

impl Picker {
    /// A picker that has `have` and wants `wanted`.
    #[must_use]
    pub fn new(info: Arc<Info>, have: Bitfield, wanted: &Bitfield, seed: u64) -> Self {
        let count = info.layout.piece_count();
        let mut missing = Bitfield::new(count);
        let mut priority = vec![0; count];
        let mut left_bytes = 0;
        for piece in info.layout.pieces().filter(|piece| wanted.contains(piece.at())) {
            priority[piece.at()] = NORMAL;
            if !have.contains(piece.at()) {
                missing.insert(piece.at());
                left_bytes += u64::from(info.layout.piece_size(piece));
            }
        }
        let (availability, have_count) = (vec![0; count], have.count() as u32);
        Self {
            columns: Columns {
                availability,
                priority,
                have,
                have_count,
                seed,
                piece_length: info.layout.piece_length(),
                reads: 0..0,
            },
            missing_count: missing.count(),
            left_bytes,
            order: Order::new(missing.clone()),
            missing,
            checking: Bitfield::new(count),
            open: OpenPieces::default(),
            current: BTreeMap::new(),
            hurry: Hurry::default(),
            evidence: Evidence::default(),
            info,
        }
    }

    /// Bytes of pieces that are not had, wanted or not: what trackers call `left` (BEP 3), since who
    /// has all he wants of a torrent is no seed of it.
    pub(super) fn absent_bytes(&self) -> u64 {
        let layout = &self.info.layout;
        let absent = layout.pieces().filter(|piece| !self.columns.have.contains(piece.at()));
        absent.map(|piece| u64::from(layout.piece_size(piece))).sum()
    }

    /// Blocks of `piece` that an earlier run left on disk, unverified. Whether they were all of
    /// it: the piece can be checked.
    pub fn resumed(&mut self, piece: PieceIndex, blocks: &[usize]) -> bool {
        if !self.order.remove(piece.at()) {
            return false;
        }
        let mut open = self.untouched(piece);
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
            self.columns.gained(piece);
            self.order.soil(piece as u32);
        }
    }

    /// A peer has one more piece.
    pub fn has(&mut self, piece: PieceIndex) {
        self.columns.gained(piece.at());
        self.order.soil(piece.get());
    }

    /// A peer with these pieces is gone; `asked` are the blocks that it owed. The pieces that
    /// begin anew, without what was received of them.
    #[must_use]
    pub fn left(
        &mut self,
        peer: PeerId,
        has: &Bitfield,
        asked: impl IntoIterator<Item = Block>,
    ) -> Vec<PieceIndex> {
        for piece in has.iter() {
            self.columns.lost(piece);
            self.order.soil(piece as u32);
        }
        let refused = asked.into_iter().filter_map(|block| self.refused(peer, block));
        let mut anew: Vec<PieceIndex> = refused.collect();
        self.current.remove(&peer);
        // A piece that only this peer may send is free again, from its first block.
        let held = self.open.iter().filter(|(_, open)| open.is_held_by(peer) && !open.is_whole());
        let stranded: Vec<PieceIndex> = held.map(|(piece, _)| piece).collect();
        for piece in stranded {
            self.fetch_alone(piece);
            anew.push(piece);
        }
        anew
    }

    /// `peer` was asked for `block` and will not send it. Its piece, if that begins anew, without
    /// what was received of it.
    #[must_use]
    pub fn refused(&mut self, peer: PeerId, block: Block) -> Option<PieceIndex> {
        let piece = block.piece();
        self.open.change(piece, |open| open.refused(block.number(), peer));
        let open = self.open.get(piece)?;
        if open.is_held_by(peer) && open.owed() == 0 && !open.is_whole() {
            // Who alone may send it does not: somebody else may, from the first block on.
            self.fetch_alone(piece);
            return Some(piece);
        }
        self.close_if_untouched(piece);
        None
    }

    /// `block` came from `peer`, who was asked for it.
    pub fn received(&mut self, peer: PeerId, block: Block) -> Arrival {
        let piece = block.piece();
        if self.checking.contains(piece.at()) {
            return Arrival::Duplicate;
        }
        if self.order.remove(piece.at()) {
            // It was given back, and came all the same.
            self.open.insert(piece, self.untouched(piece));
        }
        let number = block.number();
        let arrival = self.open.change(piece, |open| {
            if open.waits_for_one() || !open.is_open_to(peer) {
                // Asked before the piece failed; only one peer's blocks may be in it now.
                return Arrival::Duplicate;
            }
            let losers = match open.state(number) {
                BlockState::Received(_) => return Arrival::Duplicate,
                BlockState::Unasked => Vec::new(),
                BlockState::Asked(by) => by.iter().copied().filter(|p| *p != peer).collect(),
            };
            open.received(number, Some(peer));
            Arrival::New { losers, whole: open.is_whole() }
        });
        if matches!(arrival, Some(Arrival::New { whole: true, .. })) {
            self.checking.insert(piece.at());
        }
        arrival.unwrap_or(Arrival::Duplicate)
    }

    /// Whether the digests of a good copy of `piece` would prove who sent a bad one.
    #[must_use]
    pub fn wants_digests(&self, piece: PieceIndex) -> bool {
        self.evidence.waits_for(piece)
    }

    /// `piece` was whole and is good; `digests` are those of its blocks, if they were
    /// [wanted](Self::wants_digests). Who is proven to have sent bad blocks of it before.
    pub fn verified(&mut self, piece: PieceIndex, digests: &[Digest]) -> BTreeSet<PeerId> {
        self.checking.remove(piece.at());
        self.open.remove(piece);
        self.order.had(piece.at());
        if self.columns.have.insert(piece.at()) {
            self.columns.have_count += 1;
        }
        if self.missing.remove(piece.at()) {
            self.missing_count -= 1;
            self.left_bytes -= u64::from(self.info.layout.piece_size(piece));
        }
        self.evidence.proven_by(piece, digests)
    }

    /// Who sent blocks of `piece`, which is open or being checked.
    #[must_use]
    pub fn senders(&self, piece: PieceIndex) -> BTreeSet<PeerId> {
        let open = self.open.get(piece);
        open.map(|open| open.sent_by().into_iter().flatten().collect()).unwrap_or_default()
    }

    /// `piece` was whole and is bad: it will be fetched again, from one peer alone. The peer that
    /// sent all of it, if it was one: it is proven a liar.
    pub fn failed(&mut self, piece: PieceIndex, digests: Vec<Digest>) -> Option<PeerId> {
        self.checking.remove(piece.at());
        let senders = self.open.get(piece)?.sent_by();
        self.fetch_alone(piece);
        let first = *senders.first()?;
        if first.is_some() && senders.iter().all(|sender| *sender == first) {
            return first;
        }
        self.evidence.failed(piece, senders, digests);
        None
    }

    /// `peer` is a proven liar: its blocks of unfinished pieces are to be had again. Which.
    pub fn disowned(&mut self, peer: PeerId) -> Vec<Block> {
        let open = self.open.iter().map(|(piece, _)| piece);
        let unchecked = open.filter(|piece| !self.checking.contains(piece.at()));
        let mut blocks = Vec::new();
        for piece in unchecked.collect::<Vec<_>>() {
            let numbers = self.open.change(piece, |open| open.disown(peer)).unwrap_or_default();
            blocks.extend(numbers.into_iter().filter_map(|n| self.info.layout.block(piece, n)));
            self.close_if_untouched(piece);
        }
        blocks
    }

    /// Asks the strategy which pieces are urgent, if that may have changed.
    pub fn hurry(&mut self, now: Time, rank: &mut dyn Rank) {
        self.hurry.refresh(now, rank, &self.columns.swarm(), &self.info.layout);
    }

    /// Somebody reads `pieces`, and waits for the first of them; an empty range: nobody does.
    pub fn read(&mut self, pieces: Range<u32>) {
        self.columns.reads = pieces;
    }

    /// Whether any piece is urgent.
    #[must_use]
    pub const fn is_in_a_hurry(&self) -> bool {
        !self.hurry.is_empty()
    }

    /// By when the strategy wants `piece`, if it is urgent.
    #[must_use]
    pub fn urgent_by(&self, piece: PieceIndex) -> Option<Time> {
        self.hurry.by(piece)
    }

    /// Whether `block`, which one other peer owes, may be asked of `peer` too.
    #[must_use]
    pub fn may_be_asked_again(&self, peer: PeerId, block: Block) -> bool {
        let Some(open) = self.open.get(block.piece()) else { return false };
        let lone = |askers: &[PeerId]| askers.len() == 1 && askers[0] != peer;
        let owed_by_one =
            matches!(open.state(block.number()), BlockState::Asked(askers) if lone(askers));
        owed_by_one && open.senders == open_piece::Senders::Many
    }

    /// `peer` is asked for `block` as well: a declared duplicate.
    pub fn asked_too(&mut self, peer: PeerId, block: Block) {
        self.open.change(block.piece(), |open| open.ask(block.number(), peer));
    }

    /// Whether `theirs` has a piece that is still to come.
    #[must_use]
    pub fn is_interesting(&self, theirs: &Bitfield) -> bool {
        self.missing.words().iter().zip(theirs.words()).any(|(a, b)| a & b != 0)
    }

    /// Whether `piece` is still to come.
    #[must_use]
    pub fn is_missing(&self, piece: PieceIndex) -> bool {
        self.missing.contains(piece.at())
    }

    /// Pieces that are open or being checked.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// How many peers have each piece.
    #[must_use]
    pub fn availability(&self) -> &[u16] {
        &self.columns.availability
    }

    /// Verified pieces.
    #[must_use]
    pub const fn have(&self) -> &Bitfield {
        &self.columns.have
    }

    /// How many pieces are had.
    #[must_use]
    pub const fn have_count(&self) -> u32 {
        self.columns.have_count
    }

    /// Bytes of wanted pieces that are still to come.
    #[must_use]
    pub const fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    /// Bytes of wanted pieces that nobody has sent yet.
    #[must_use]
    pub const fn to_come_bytes(&self) -> u64 {
        self.left_bytes - self.open.received_bytes()
    }

    /// Wanted pieces that are still to come.
    #[must_use]
    pub const fn wanted_left(&self) -> usize {
        self.missing_count
    }

    fn untouched(&self, piece: PieceIndex) -> OpenPiece {
        OpenPiece::new(self.info.layout.piece_size(piece))
    }

    fn open_fresh(&mut self, piece: PieceIndex) {
        if self.order.remove(piece.at()) {
            self.open.insert(piece, self.untouched(piece));
        }
    }

    /// Nothing of it was asked or received: it is fresh again.
    fn close_if_untouched(&mut self, piece: PieceIndex) {
        let untouched = |open: &OpenPiece| open.is_untouched() && !open.waits_for_one();
        if self.open.get(piece).is_some_and(untouched) {
            self.open.remove(piece);
            self.order.insert(piece.get());
        }
    }

    fn fetch_alone(&mut self, piece: PieceIndex) {
        self.open.insert(piece, OpenPiece::alone(self.info.layout.piece_size(piece)));
    }
}
