//! [`SuperSeed`]: a seed that says it has nothing, and shows each peer one piece at a time
//! (BEP 16).
//!
//! A peer is shown another piece when the last one is seen with somebody else: so every piece
//! leaves a slow seed about once before any leaves it twice. Where that can't be seen, because
//! nobody else is here or the peer does not share, it is shown another after [`WAIT_US`].

use super::output::Output;
use super::time::{SECOND_US, Time};
use super::{Engine, PeerId};
use crate::torrent::{Bitfield, PieceIndex};
use crate::wire::Message;
use rtor_plugin::Chance;
use std::collections::BTreeMap;

/// How long a peer that has the piece that it was shown waits for the next, if nobody else gets
/// that from it.
const WAIT_US: u64 = 30 * SECOND_US;

/// What a peer was shown last.
#[derive(Clone, Copy, Debug)]
struct Shown {
    piece: PieceIndex,
    /// Since when it has it.
    had: Option<Time>,
}

/// What was shown to whom.
#[derive(Debug)]
pub(super) struct SuperSeed {
    /// How often each piece was shown.
    times: Vec<u32>,
    shown: BTreeMap<PeerId, Shown>,
}

impl SuperSeed {
    pub(super) fn new(piece_count: usize) -> Self {
        Self { times: vec![0; piece_count], shown: BTreeMap::new() }
    }

    /// The next piece for a peer that has `theirs`: one of those that were shown least often, and
    /// of these one that fewest have.
    fn next(
        &mut self,
        chance: &mut Chance,
        peer: PeerId,
        theirs: &Bitfield,
        availability: &[u16],
        pieces: impl Iterator<Item = PieceIndex>,
    ) -> Option<PieceIndex> {
        let missing = pieces.filter(|piece| !theirs.contains(piece.at()));
        let place = |piece: &PieceIndex| {
            let (times, holders) = (self.times[piece.at()], availability[piece.at()]);
            (times + u32::from(holders), holders, chance.draw())
        };
        let piece = missing.min_by_key(place)?;
        self.times[piece.at()] += 1;
        self.shown.insert(peer, Shown { piece, had: None });
        Some(piece)
    }

    /// `by` has `piece` now: who has earned to be shown another.
    fn seen(&mut self, now: Time, piece: PieceIndex, by: PeerId) -> Vec<PeerId> {
        if let Some(shown) = self.shown.get_mut(&by).filter(|shown| shown.piece == piece) {
            shown.had.get_or_insert(now);
        }
        let others = self.shown.iter().filter(|(peer, s)| **peer != by && s.piece == piece);
        others.map(|(peer, _)| *peer).collect()
    }

    /// Who waited for long enough.
    fn waited(&self, now: Time, alone: bool) -> Vec<PeerId> {
        let wait_us = if alone { 0 } else { WAIT_US };
        let over = |shown: &Shown| shown.had.is_some_and(|had| now.since_us(had) >= wait_us);
        self.shown.iter().filter(|(_, shown)| over(shown)).map(|(peer, _)| *peer).collect()
    }

    pub(super) fn left(&mut self, peer: PeerId) {
        self.shown.remove(&peer);
    }
}

impl Engine {
    /// Shows a peer one more piece that it has not.
    pub(super) fn show_piece(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let (Some(super_seed), Some(session)) =
            (&mut self.super_seed, self.sessions.get_mut(&peer))
        else {
            return;
        };
        let (chance, theirs) = (&mut self.chance, &session.theirs);
        let (availability, pieces) = (self.picker.availability(), self.info.layout.pieces());
        if let Some(piece) = super_seed.next(chance, peer, theirs, availability, pieces) {
            session.last_said = now;
            out.push(Output::Send(peer, Message::Have(piece.get())));
        }
    }

    /// A peer has `piece`: whoever was shown it is shown another.
    pub(super) fn seen_with(
        &mut self,
        now: Time,
        piece: PieceIndex,
        by: PeerId,
        out: &mut Vec<Output>,
    ) {
        let Some(super_seed) = &mut self.super_seed else { return };
        for peer in super_seed.seen(now, piece, by) {
            self.show_piece(now, peer, out);
        }
    }

    /// Shows another piece to those who waited for it in vain, and a first one to newcomers.
    pub(super) fn mind_super_seed(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(super_seed) = &self.super_seed else { return };
        let leeches = self.sessions.values().filter(|session| !session.is_seed()).count();
        let new = self.sessions.keys().filter(|peer| !super_seed.shown.contains_key(peer));
        let mut next = super_seed.waited(now, leeches < 2);
        next.extend(new);
        next.into_iter().for_each(|peer| self.show_piece(now, peer, out));
    }
}
