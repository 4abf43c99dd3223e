//! Late blocks: the engine's half that asks for a block again, takes requests back, and gives up
//! on peers that are silent.
//!
//! When a peer has room and nothing is left that nobody was asked for, it is asked for blocks
//! that others owe and will deliver clearly later; whoever loses gets a cancel. That is all that
//! there is of an endgame.

use super::output::Output;
use super::scheduler::spec_of;
use super::session::Session;
use super::sessions::Sessions;
use super::time::{SECOND_US, Time};
use super::{Engine, PeerId};
use crate::torrent::{BLOCK_LENGTH, Block};
use crate::wire::Message;
use std::cmp::Reverse;

/// A block is asked twice only if the second peer should have it sooner by this much and by half.
const SOONER_US: u64 = SECOND_US / 4;
/// A block is deep in a peer's queue, so that a cancel will reach it, if so many come before it and
/// it takes longer, beyond two round trips, than any queue that a peer is given: it was asked
/// blindly, or the peer became slow.
const DEEP_BLOCKS: usize = 4;
const DEEP_US: u64 = SECOND_US + SECOND_US / 4;
/// The same of a peer from which nothing came yet.
const DEEP_US_UNKNOWN: u64 = SECOND_US;
/// Blocks that a peer which was fast may have given to its connection, where no cancel reaches them:
/// libtorrent gives it up to 500 KiB.
const SENDING_BLOCKS: usize = 32;
/// Blocks are asked twice of peers that have nothing left to do in two round trips and this.
const SOON_IDLE_US: u64 = SECOND_US / 10;
/// Blocks that may be asked twice in a whole download: so many, and one of so many that are wanted.
/// Those of which the slower peer says that it did not send them (BEP 6) do not count: a cancel
/// often comes too late, and no more than one block of a hundred shall come twice.
const DUPLICATES_MIN: u64 = 2;
const DUPLICATES_ONE_OF: u64 = 200;
/// So many of the last ones of all may be asked twice in any case.
const DUPLICATES_LAST: u64 = 2;

/// A block that one peer owes.
struct Owed {
    /// How long it will take.
    in_us: u64,
    block: Block,
    by: PeerId,
    /// How many come before it.
    depth: usize,
    /// Whether it can be taken back.
    is_deep: bool,
    /// Whether who owes it is known to be silent.
    by_a_staller: bool,
}

impl Engine {
    /// Asks `peer` for up to `room` blocks that others owe and will deliver clearly later, the
    /// latest first. Those that are far down in another's queue are taken from it, the others asked
    /// twice.
    pub(super) fn ask_again(
        &mut self,
        now: Time,
        peer: PeerId,
        room: usize,
        out: &mut Vec<Output>,
    ) {
        let next_us = |sessions: &Sessions| sessions.get(&peer).and_then(Session::next_expected_us);
        let Some(ours_us) = next_us(&self.sessions).filter(|_| room > 0) else { return };
        let mut late = self.owed_later_than(now, peer, clearly_later(ours_us));
        late.sort_unstable_by_key(|owed| Reverse((owed.in_us, owed.depth, owed.block)));
        let soon_idle = ours_us <= self.sessions.get(&peer).map_or(0, soon_idle_us);
        let mut left = room;
        for owed in late {
            if left == 0 || next_us(&self.sessions).is_none_or(|us| owed.in_us < clearly_later(us))
            {
                return;
            }
            if owed.is_deep {
                self.ask_too(now, peer, owed.block, out);
                self.take_back(now, owed.by, owed.block, out);
            } else if soon_idle && (owed.by_a_staller || self.duplicates_left() > 0) {
                // What a staller owes is a probe, one block: hardly ever will it come twice.
                self.asked_twice += u64::from(!owed.by_a_staller);
                self.ask_too(now, peer, owed.block, out);
            } else {
                continue;
            }
            left -= 1;
        }
    }

    /// Asks the soonest peer for urgent blocks that another would deliver too late, and clearly
    /// later, even while there is other work for it.
    pub(super) fn hurry_late(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.picker.is_in_a_hurry() {
            return;
        }
        for (expected_us, block) in self.owed_too_late(now) {
            let ready = self.sessions.iter().filter(|(peer, session)| {
                session.is_ready()
                    && session.theirs.contains(block.piece().at())
                    && self.picker.may_be_asked_again(**peer, block)
            });
            let soonest = ready.filter_map(|(peer, s)| Some((s.next_expected_us()?, *peer))).min();
            let Some((ours_us, peer)) = soonest else { continue };
            if self.duplicates_left() > 0 && expected_us >= clearly_later(ours_us) {
                self.asked_twice += 1;
                self.ask_too(now, peer, block, out);
            }
        }
    }

    /// Urgent blocks that will not be here in time, with how long they will take.
    fn owed_too_late(&self, now: Time) -> Vec<(u64, Block)> {
        let mut late = Vec::new();
        for session in self.sessions.values() {
            let mut queued = 0;
            for asked in &session.asked {
                queued += u64::from(asked.block.length());
                let Some(by) = self.picker.urgent_by(asked.block.piece()) else { continue };
                let expected_us = session.expected_from(now, queued);
                if now + expected_us > by {
                    late.push((expected_us, asked.block));
                }
            }
        }
        late
    }

    fn ask_too(&mut self, now: Time, peer: PeerId, block: Block, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        self.picker.asked_too(peer, block);
        session.ask(now, block);
        out.push(Output::Send(peer, Message::Request(spec_of(block))));
    }

    /// `peer` need not send `block` any more.
    fn take_back(&mut self, now: Time, peer: PeerId, block: Block, out: &mut Vec<Output>) {
        let owed = self.sessions.get_mut(&peer).is_some_and(|s| s.give_up(now, block, false));
        if owed {
            out.push(Output::Send(peer, Message::Cancel(spec_of(block))));
            self.refused(peer, block, out);
        }
    }

    /// How many blocks may still be asked twice.
    fn duplicates_left(&self) -> usize {
        let blocks = self.wanted_bytes / u64::from(BLOCK_LENGTH);
        let most = DUPLICATES_MIN + blocks / DUPLICATES_ONE_OF;
        let to_come = self.picker.to_come_bytes().div_ceil(u64::from(BLOCK_LENGTH));
        let last = if to_come <= DUPLICATES_LAST { DUPLICATES_LAST } else { 0 };
        (most + last).saturating_sub(self.asked_twice) as usize
    }

    /// Blocks that one other peer alone owes and `peer` could send, if they will take `least_us` or
    /// longer.
    fn owed_later_than(&self, now: Time, peer: PeerId, least_us: u64) -> Vec<Owed> {
        let Some(theirs) = self.sessions.get(&peer).map(|session| &session.theirs) else {
            return Vec::new();
        };
        let mut owed = Vec::new();
        for (by, session) in self.sessions.iter().filter(|(other, _)| **other != peer) {
            let deep_us = session.pace.trip_us().map_or(DEEP_US_UNKNOWN, |us| 2 * us + DEEP_US);
            let mut queued = session.asked_bytes();
            for (depth, asked) in session.asked.iter().enumerate().rev() {
                let in_us = session.expected_from(now, queued);
                if in_us < least_us {
                    // Those before it will be here even sooner.
                    break;
                }
                queued -= u64::from(asked.block.length());
                let block = asked.block;
                if theirs.contains(block.piece().at())
                    && self.picker.may_be_asked_again(peer, block)
                {
                    let is_deep = depth >= DEEP_BLOCKS && in_us >= deep_us;
                    let by_a_staller = session.pace.is_stalled();
                    owed.push(Owed { in_us, block, by: *by, depth, is_deep, by_a_staller });
                }
            }
        }
        owed
    }

    /// Takes the last requests back from peers that became slower than they were when asked:
    /// others may have them. Those that may be on their way by now stay, as they would come twice.
    pub(super) fn relieve_slow(&mut self, now: Time, out: &mut Vec<Output>) {
        let slow = self.sessions.iter().filter(|(_, s)| s.pace.is_overloaded(s.asked_bytes()));
        let slow: Vec<PeerId> = slow.map(|(peer, _)| *peer).collect();
        for peer in slow {
            let Some(session) = self.sessions.get_mut(&peer) else { continue };
            let given_up = session.give_up_beyond(now, session.pace.window() + SENDING_BLOCKS);
            if given_up.is_empty() {
                continue;
            }
            for block in given_up {
                out.push(Output::Send(peer, Message::Cancel(spec_of(block))));
                self.refused(peer, block, out);
            }
            self.all_hungry();
        }
    }

    /// A peer owes blocks and is silent: others may have them. It is asked for one as a probe,
    /// anew each time that its patience ends, because a request that it lost is never answered.
    pub(super) fn relieve_stalled(&mut self, now: Time, out: &mut Vec<Output>) {
        let wanted = self.sessions.values().any(Session::has_nothing_to_do);
        let silent = |s: &Session| s.patience_ends(wanted).is_some_and(|end| end <= now);
        let stalled: Vec<PeerId> =
            self.sessions.iter().filter(|(_, s)| silent(s)).map(|(peer, _)| *peer).collect();
        for peer in stalled {
            let Some(session) = self.sessions.get_mut(&peer) else { continue };
            session.stalled(now);
            for block in session.give_up_beyond(now, 0) {
                out.push(Output::Send(peer, Message::Cancel(spec_of(block))));
                self.refused(peer, block, out);
            }
            self.all_hungry();
        }
    }

    /// `peer` was asked for `block` and will not send it.
    pub(super) fn refused(&mut self, peer: PeerId, block: Block, out: &mut Vec<Output>) {
        out.extend(self.picker.refused(peer, block).map(Output::Forget));
    }
}

/// A peer that needs no longer for all that it owes has nothing to do soon.
fn soon_idle_us(session: &Session) -> u64 {
    2 * session.pace.trip_us().unwrap_or(0) + SOON_IDLE_US
}

const fn clearly_later(us: u64) -> u64 {
    us.saturating_add(us / 2).saturating_add(SOONER_US)
}
