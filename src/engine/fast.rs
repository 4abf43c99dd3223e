//! The fast extension (BEP 6) beyond its messages: which pieces a choked peer may have from us,
//! and what we ask of one that chokes us or suggests something.
//!
//! Allowed pieces are a way in for those who have nothing to give yet, so both sides use them only
//! until ten pieces are had. We suggest none ourselves: what lies in our memory is what others
//! have just had from us, and rarest first is the better advice.

use super::output::Output;
use super::picker::Asker;
use super::scheduler::spec_of;
use super::time::Time;
use super::{Engine, PeerId};
use crate::torrent::{Bitfield, PieceIndex};
use crate::wire::Message;
use crate::wire::allowed_fast::{ALLOWED_FAST_COUNT, allowed_fast};
use std::net::IpAddr;

/// Blocks that a peer that chokes us may owe.
const CHOKED_WINDOW: usize = 8;

impl Engine {
    /// A peer became interested and is choked: if it has next to nothing, it may have a few pieces
    /// all the same. BEP 6 has them follow from an IPv4 address.
    pub(super) fn allow_fast(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let layout = &self.info.layout;
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let IpAddr::V4(addr) = session.addr.ip() else { return };
        let needs = session.fast && session.choked_by_us && !session.upload.has_allowance();
        if !needs
            || session.theirs.count() >= ALLOWED_FAST_COUNT
            || self.super_seed.is_some()
            || self.sated
        {
            return;
        }
        let info_hash = &self.handshake.info_hash;
        let count = layout.piece_count() as u32;
        let numbers = allowed_fast(addr, info_hash, count, ALLOWED_FAST_COUNT);
        let pieces = numbers.into_iter().filter_map(|number| layout.piece(number));
        let have = self.picker.have();
        let pieces: Vec<PieceIndex> = pieces.filter(|piece| have.contains(piece.at())).collect();
        let bytes = pieces.iter().map(|piece| u64::from(layout.piece_size(*piece))).sum();
        session.upload.allow(&pieces, bytes);
        session.last_said = now;
        let messages = pieces.into_iter().map(|piece| Message::AllowedFast(piece.get()));
        out.extend(messages.map(|message| Output::Send(peer, message)));
    }

    /// Asks a peer that chokes us for pieces that it allows us.
    pub(super) fn ask_allowed(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        if self.stopping || self.picker.have_count() as usize >= ALLOWED_FAST_COUNT {
            return;
        }
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let room = CHOKED_WINDOW.min(session.window()).saturating_sub(session.asked.len());
        if !session.chokes_us || !session.we_are_interested || room == 0 {
            return;
        }
        let missing = |piece| self.picker.is_missing(piece);
        if let Some(pieces) = session.allowed.among(&session.theirs, missing) {
            self.ask_among(now, peer, &pieces, room, out);
        }
    }

    /// Asks a peer for up to `room` blocks of pieces that it suggested.
    pub(super) fn ask_suggested(
        &mut self,
        now: Time,
        peer: PeerId,
        room: usize,
        out: &mut Vec<Output>,
    ) -> usize {
        let Some(session) = self.sessions.get_mut(&peer) else { return 0 };
        if session.suggested.is_empty() {
            return 0;
        }
        let missing = |piece| self.picker.is_missing(piece);
        match session.suggested.among(&session.theirs, missing) {
            Some(pieces) => self.ask_among(now, peer, &pieces, room, out),
            None => 0,
        }
    }

    /// Asks a peer for up to `room` blocks of `pieces`; for how many it was.
    fn ask_among(
        &mut self,
        now: Time,
        peer: PeerId,
        pieces: &Bitfield,
        room: usize,
        out: &mut Vec<Output>,
    ) -> usize {
        let mut blocks = Vec::new();
        let asker = Asker { peer, theirs: pieces, room, may: &|_| true };
        self.picker.next(&mut *self.rank, asker, &mut blocks);
        let Some(session) = self.sessions.get_mut(&peer) else { return 0 };
        for block in &blocks {
            session.ask(now, *block);
            out.push(Output::Send(peer, Message::Request(spec_of(*block))));
        }
        blocks.len()
    }
}
