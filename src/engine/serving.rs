//! Giving back: the engine's half that unchokes, reads and sends blocks.

use super::choker::Choker;
use super::output::Output;
use super::time::{SECOND_US, Time};
use super::{Engine, PeerId};
use crate::wire::{BlockSpec, Message};
use bytes::Bytes;

/// Blocks of one peer that are being read or wait in its socket's queue, at the beginning, at the
/// least and at the most. The rest of its requests wait as numbers: those can be cancelled.
pub(super) const SERVING_FIRST: usize = 4;
const SERVING_MIN: usize = 2;
const SERVING_MAX: usize = 64;
/// Blocks that take longer to leave are too many.
const SERVING_US: u64 = SECOND_US / 4;

impl Engine {
    /// A peer became interested: it need not wait for the next round if there is room.
    pub(super) fn serve_newcomer(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        if Choker::has_room(&self.sessions) {
            self.unchoke(now, peer, out);
        }
    }

    /// If a round of the choker is due: serves whom it chose, and nobody else.
    pub(super) fn rechoke(&mut self, now: Time, out: &mut Vec<Output>) {
        let complete = self.is_complete();
        let Some(served) = self.choker.round(now, &mut self.chance, &mut self.sessions, complete)
        else {
            return;
        };
        for (peer, session) in self.sessions.iter_mut() {
            if !session.choked_by_us && !served.contains(peer) {
                session.last_said = now;
                out.push(Output::Send(*peer, Message::Choke));
                let dropped = session.choke().into_iter().map(Message::Reject);
                out.extend(dropped.map(|reject| Output::Send(*peer, reject)));
            }
        }
        served.into_iter().for_each(|peer| self.unchoke(now, peer, out));
    }

    fn unchoke(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        if let Some(session) = self.sessions.get_mut(&peer).filter(|s| s.choked_by_us) {
            session.choked_by_us = false;
            session.last_said = now;
            out.push(Output::Send(peer, Message::Unchoke));
        }
    }

    /// Has as many of a peer's requests read as may be under way.
    pub(super) fn load_requests(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.serving == 0 {
            session.serving_from = now;
            session.served_since = 0;
        }
        while session.serving < session.serving_max {
            let Some((piece, spec)) = session.requests.pop_front() else { return };
            if self.picker.have().contains(piece.at()) {
                session.serving += 1;
                out.push(Output::Load(peer, piece, spec));
            } else if session.fast {
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
        let Some(data) = data.filter(|_| !session.choked_by_us) else {
            session.serving = session.serving.saturating_sub(1);
            if session.fast {
                out.push(Output::Send(peer, Message::Reject(spec)));
            }
            self.load_requests(now, peer, out);
            return;
        };
        let bytes = data.len() as u64;
        session.uploaded_bytes += bytes;
        session.uploaded_lately += bytes;
        session.last_said = now;
        self.tally.uploaded_bytes += bytes;
        let BlockSpec { index, offset, .. } = spec;
        out.push(Output::Send(peer, Message::Piece { index, offset, data }));
    }

    /// Blocks left for the peer's socket: the next ones may be read, as many as leave soon.
    pub(super) fn sent(&mut self, now: Time, peer: PeerId, count: usize, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.serving = session.serving.saturating_sub(count);
        session.served_since += count;
        if session.served_since >= session.serving_max {
            // As many have left as there may be at once: how long did that take?
            let quick = now.since_us(session.serving_from) <= SERVING_US;
            let most = session.serving_max;
            session.serving_max = if quick { most * 2 } else { most / 2 };
            session.serving_max = session.serving_max.clamp(SERVING_MIN, SERVING_MAX);
            session.serving_from = now;
            session.served_since = 0;
        }
        self.load_requests(now, peer, out);
    }
}
