//! Who fetches what: the engine's half that asks for blocks and takes them in.
//!
//! A peer is asked for as much as its [`Pace`](super::pace::Pace) allows, of open pieces first.
//! When nothing is left that nobody was asked for, a block is asked again of a peer that will
//! have it clearly sooner than the one that owes it; whoever loses gets a cancel.

use super::output::Output;
use super::picker::Arrival;
use super::session::Session;
use super::time::{SECOND_US, Time};
use super::{Engine, PeerId};
use crate::torrent::{BLOCK_LENGTH, Block};
use crate::wire::{BlockSpec, Message};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A block is asked twice only if the second peer should have it sooner by this much and by half.
const SOONER_US: u64 = SECOND_US / 4;
/// Blocks that may be asked twice in a whole download: so many, and one of so many that are
/// wanted. A cancel often comes too late, since peers fill their sockets early, so each may come
/// twice, and no more than one of a hundred shall.
const DUPLICATES_MIN: u64 = 2;
const DUPLICATES_ONE_OF: u64 = 128;

impl Engine {
    pub(super) fn all_hungry(&mut self) {
        let ready = self.sessions.iter().filter(|(_, s)| !s.chokes_us && s.we_are_interested);
        self.hungry.extend(ready.map(|(peer, _)| *peer));
    }

    /// Asks every hungry peer for as much as it may owe.
    pub(super) fn ask_hungry(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.stopping {
            return;
        }
        let mut blocks = Vec::new();
        let stalls = |peer: &PeerId| self.sessions.get(peer).is_some_and(|s| s.pace.is_stalled());
        // Who stalls takes what the others leave.
        let (last, first): (Vec<PeerId>, Vec<PeerId>) =
            std::mem::take(&mut self.hungry).into_iter().partition(stalls);
        for peer in first.into_iter().chain(last) {
            self.ask(now, peer, &mut blocks, out);
        }
    }

    fn ask(&mut self, now: Time, peer: PeerId, blocks: &mut Vec<Block>, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.chokes_us || !session.we_are_interested {
            return;
        }
        let window = session.pace.window();
        let room = window.saturating_sub(session.asked.len());
        // Requests go out in bunches of a quarter of the window: fewer, larger writes.
        if room < (window / 4).max(1) {
            return;
        }
        blocks.clear();
        self.picker.next(&mut *self.rank, peer, &session.theirs, room, blocks);
        for block in blocks.iter() {
            session.ask(now, *block);
            out.push(Output::Send(peer, Message::Request(spec_of(*block))));
        }
        if blocks.len() < room {
            self.ask_again(now, peer, room - blocks.len(), out);
        }
    }

    /// Asks `peer` for blocks that others owe and will deliver clearly later.
    fn ask_again(&mut self, now: Time, peer: PeerId, room: usize, out: &mut Vec<Output>) {
        let room = room.min(self.duplicates_left());
        if room == 0 {
            return;
        }
        let mut late = self.owed_by_others(now, peer);
        late.sort_unstable_by_key(|(expected_us, block)| (u64::MAX - expected_us, *block));
        for (theirs_us, block) in late.into_iter().take(room) {
            let Some(session) = self.sessions.get_mut(&peer) else { return };
            let queued = (session.asked.len() as u64 + 1) * u64::from(BLOCK_LENGTH);
            let Some(ours_us) = session.pace.expected_us(queued) else { return };
            if theirs_us < ours_us + ours_us / 2 + SOONER_US {
                return;
            }
            self.asked_twice += 1;
            self.picker.asked_too(peer, block);
            session.ask(now, block);
            out.push(Output::Send(peer, Message::Request(spec_of(block))));
        }
    }

    /// How many blocks may still be asked twice.
    fn duplicates_left(&self) -> usize {
        let blocks = self.wanted_bytes / u64::from(BLOCK_LENGTH);
        let most = DUPLICATES_MIN + blocks / DUPLICATES_ONE_OF;
        most.saturating_sub(self.asked_twice) as usize
    }

    /// Blocks that others alone owe and `peer` could send, with how long they will take.
    fn owed_by_others(&self, now: Time, peer: PeerId) -> Vec<(u64, Block)> {
        let Some(theirs) = self.sessions.get(&peer).map(|session| &session.theirs) else {
            return Vec::new();
        };
        let mut owed = BTreeMap::new();
        for (_, session) in self.sessions.iter().filter(|(other, _)| **other != peer) {
            let mut queued = 0;
            for asked in &session.asked {
                queued += u64::from(asked.block.length());
                let waited_us = now.since_us(asked.at);
                let patience_us = session.pace.patience_us().saturating_sub(waited_us);
                let expected_us = session.pace.expected_us(queued).unwrap_or(patience_us);
                // What is overdue is no sooner for it.
                let expected_us = expected_us.max(waited_us.saturating_sub(expected_us));
                if theirs.contains(asked.block.piece().at())
                    && self.picker.may_be_asked_again(peer, asked.block)
                {
                    owed.insert(asked.block, expected_us);
                }
            }
        }
        owed.into_iter().map(|(block, expected_us)| (expected_us, block)).collect()
    }

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
            session.downloaded_lately += u64::from(length);
            self.pool.served(session.addr);
        }
        self.hungry.insert(peer);
        self.take_in(peer, block, data, out);
    }

    /// A block came that had been given up: no reason to waste it.
    pub(super) fn late_block_came(
        &mut self,
        peer: PeerId,
        block: Block,
        data: Bytes,
        out: &mut Vec<Output>,
    ) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.downloaded_bytes += u64::from(block.length());
        }
        self.take_in(peer, block, data, out);
    }

    fn take_in(&mut self, peer: PeerId, block: Block, data: Bytes, out: &mut Vec<Output>) {
        self.tally.downloaded_bytes += u64::from(block.length());
        match self.picker.received(peer, block) {
            Arrival::Duplicate => self.tally.duplicate_bytes += u64::from(block.length()),
            Arrival::New { losers, whole } => {
                for loser in losers {
                    if self.sessions.get_mut(&loser).is_some_and(|s| s.give_up(block)) {
                        out.push(Output::Send(loser, Message::Cancel(spec_of(block))));
                        self.hungry.insert(loser);
                    }
                }
                out.push(Output::Keep(block, data));
                if whole {
                    out.push(Output::Check(block.piece()));
                }
            }
        }
    }

    /// A peer owes blocks and is silent: others may have them. It is asked for one as a probe,
    /// anew each time that its patience ends, because a request that it lost is never answered.
    pub(super) fn relieve_stalled(&mut self, now: Time) {
        let silent = |session: &Session| session.patience_ends().is_some_and(|end| end <= now);
        let stalled: Vec<PeerId> =
            self.sessions.iter().filter(|(_, s)| silent(s)).map(|(peer, _)| *peer).collect();
        for peer in stalled {
            let Some(session) = self.sessions.get_mut(&peer) else { continue };
            session.pace.stalled();
            let owed: Vec<Block> = session.asked.iter().map(|asked| asked.block).collect();
            for block in owed {
                session.give_up(block);
                self.picker.refused(peer, block);
            }
            self.all_hungry();
        }
    }
}

fn spec_of(block: Block) -> BlockSpec {
    BlockSpec { index: block.piece().get(), offset: block.offset(), length: block.length() }
}
