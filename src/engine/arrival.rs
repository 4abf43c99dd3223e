//! What comes in: the engine's half that takes blocks and verdicts.

use super::output::{Event, Output, Why};
use super::picker::{Arrival, Digest};
use super::scheduler::spec_of;
use super::time::Time;
use super::{Engine, Gone, PeerId};
use crate::torrent::{Block, PieceIndex};
use crate::wire::Message;
use bytes::Bytes;

impl Engine {
    /// A block came that was owed.
    pub(super) fn block_came(
        &mut self,
        now: Time,
        peer: PeerId,
        block: Block,
        asked: Time,
        data: Bytes,
        out: &mut Vec<Output>,
    ) {
        let length = block.length();
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.pace.arrived(now, asked, length);
            session.downloaded_bytes += u64::from(length);
            session.standing.gave(u64::from(length));
            if !session.served {
                session.served = true;
                self.pool.served(session.known_as);
            }
        }
        self.hungry.insert(peer);
        self.take_in(now, peer, block, data, out);
        self.ask_allowed(now, peer, out);
    }

    /// A block came that had been given up: no reason to waste it.
    pub(super) fn late_block_came(
        &mut self,
        now: Time,
        peer: PeerId,
        block: Block,
        data: Bytes,
        out: &mut Vec<Output>,
    ) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.downloaded_bytes += u64::from(block.length());
            session.pace.came(now, block.length());
        }
        self.hungry.insert(peer);
        self.take_in(now, peer, block, data, out);
    }

    fn take_in(
        &mut self,
        now: Time,
        peer: PeerId,
        block: Block,
        data: Bytes,
        out: &mut Vec<Output>,
    ) {
        self.tally.downloaded_bytes += u64::from(block.length());
        match self.picker.received(peer, block) {
            Arrival::Duplicate => self.tally.duplicate_bytes += u64::from(block.length()),
            Arrival::New { losers, whole } => {
                for loser in losers {
                    if self.sessions.get_mut(&loser).is_some_and(|s| s.give_up(now, block, true)) {
                        out.push(Output::Send(loser, Message::Cancel(spec_of(block))));
                        self.hungry.insert(loser);
                    }
                }
                out.push(Output::Keep(block, data));
                if whole {
                    let piece = block.piece();
                    out.push(Output::Check(piece, self.picker.wants_digests(piece)));
                }
            }
        }
    }

    /// A piece was hashed; a good one is stored.
    pub(super) fn checked(
        &mut self,
        now: Time,
        piece: PieceIndex,
        good: bool,
        digests: Vec<Digest>,
        out: &mut Vec<Output>,
    ) {
        if good {
            for sender in self.picker.senders(piece) {
                if let Some(session) = self.sessions.get_mut(&sender).filter(|s| !s.is_proven) {
                    session.is_proven = true;
                    self.hungry.insert(sender);
                }
            }
            let liars = self.picker.verified(piece, &digests);
            self.tally.progressed(now, self.picker.wanted_left(), self.wanted_at_start);
            out.push(Output::Tell(Event::Verified(piece)));
            self.haves.push(piece);
            liars.into_iter().for_each(|liar| self.condemn(now, liar, out));
            return;
        }
        self.tally.hash_failures += 1;
        self.tally.wasted_bytes += u64::from(self.info.layout.piece_size(piece));
        out.push(Output::Tell(Event::Failed(piece)));
        if let Some(liar) = self.picker.failed(piece, digests) {
            self.condemn(now, liar, out);
        }
        self.all_hungry();
    }

    /// `peer` is proven to have sent bad bytes: it is gone for good, and what it sent of
    /// unfinished pieces with it.
    pub(super) fn condemn(&mut self, now: Time, liar: PeerId, out: &mut Vec<Output>) {
        if self.sessions.get(&liar).is_some() {
            self.hang_up(now, liar, Why::Poisoned, out);
        }
        // Whoever went long ago, or was banned already, is not here any more.
        let Some(Gone { addr, known_as }) = self.gone.remove(&liar) else { return };
        self.pool.ban(known_as, true);
        out.push(Output::Tell(Event::Banned { peer: liar, addr }));
        for block in self.picker.disowned(liar) {
            self.tally.wasted_bytes += u64::from(block.length());
            out.push(Output::Discard(block));
        }
        self.all_hungry();
    }
}
