//! Giving back: the engine's half that unchokes, reads and sends blocks.

use super::output::Output;
use super::session::Session;
use super::time::Time;
use super::{Engine, PeerId};
use crate::torrent::BLOCK_LENGTH;
use crate::wire::{BlockSpec, Message};
use bytes::Bytes;

/// Blocks of all peers together that are being read or wait in sockets' queues: more makes nothing
/// faster, and this much memory is in use at the most.
const UNDER_WAY_MAX: usize = (32 << 20) / BLOCK_LENGTH as usize;

impl Engine {
    /// A peer became interested, or one who was served is gone: nobody need wait for the next round
    /// if there is room.
    pub(super) fn fill_slots(&mut self, now: Time, out: &mut Vec<Output>) {
        let complete = self.is_complete();
        while !self.sated && self.choker.has_room(&self.sessions) {
            let next = self.choker.next(now, &mut self.chance, &self.sessions, complete);
            let Some(peer) = next else { return };
            self.unchoke(now, peer, out);
        }
    }

    /// If a round of the choker is due: serves whom it chose, and nobody else.
    pub(super) fn rechoke(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.sated {
            return;
        }
        let complete = self.is_complete();
        let Some(served) = self.choker.round(now, &mut self.chance, &mut self.sessions, complete)
        else {
            return;
        };
        for (peer, session) in self.sessions.iter_mut() {
            if !served.contains(peer) {
                choke(now, *peer, session, out);
            }
        }
        served.into_iter().for_each(|peer| self.unchoke(now, peer, out));
    }

    /// Enough was given: nobody is served any more, but for blocks that are on their way.
    pub(super) fn sate(&mut self, now: Time, out: &mut Vec<Output>) {
        self.sated = true;
        for (peer, session) in self.sessions.iter_mut() {
            session.upload.allow_nothing();
            choke(now, *peer, session, out);
        }
    }

    fn unchoke(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        if let Some(session) = self.sessions.get_mut(&peer).filter(|s| s.choked_by_us) {
            session.unchoke(now);
            session.last_said = now;
            out.push(Output::Send(peer, Message::Unchoke));
        }
    }

    /// Has as many of a peer's requests read as may be under way.
    pub(super) fn load_requests(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let most = UNDER_WAY_MAX / self.choker.slots().max(1);
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        while let Some((piece, spec)) = session.upload.next(now, most) {
            if self.picker.have().contains(piece.at()) {
                out.push(Output::Load(peer, piece, spec));
                continue;
            }
            session.upload.dropped();
            if session.fast {
                // What we do not have is not read; the request was a mistake of the peer's own.
                out.push(Output::Send(peer, Message::Reject(spec)));
            }
        }
    }

    /// A block was read.
    pub(super) fn loaded(
        &mut self,
        now: Time,
        peer: PeerId,
        spec: BlockSpec,
        data: Option<Bytes>,
        out: &mut Vec<Output>,
    ) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let piece = self.info.layout.piece(spec.index);
        let allowed = || piece.is_some_and(|piece| session.upload.allows(piece));
        // What was read when it was enough is still sent.
        let is_served = !session.choked_by_us || self.sated;
        let Some(data) = data.filter(|_| is_served || allowed()) else {
            session.upload.dropped();
            if session.fast {
                out.push(Output::Send(peer, Message::Reject(spec)));
            }
            self.load_requests(now, peer, out);
            return;
        };
        let bytes = data.len() as u64;
        session.uploaded_bytes += bytes;
        session.standing.took(bytes);
        session.last_said = now;
        self.tally.uploaded_bytes += bytes;
        let BlockSpec { index, offset, .. } = spec;
        out.push(Output::Send(peer, Message::Piece { index, offset, data }));
    }

    /// Blocks left for the peer's socket: the next ones may be read, as many as leave soon.
    pub(super) fn sent(&mut self, now: Time, peer: PeerId, count: usize, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.upload.sent(now, count);
        self.load_requests(now, peer, out);
    }
}

/// Answers no requests of the peer any more, if it was served.
fn choke(now: Time, peer: PeerId, session: &mut Session, out: &mut Vec<Output>) {
    if session.choked_by_us {
        return;
    }
    session.last_said = now;
    out.push(Output::Send(peer, Message::Choke));
    let dropped = session.choke(now).into_iter().map(Message::Reject);
    out.extend(dropped.map(|reject| Output::Send(peer, reject)));
}
