//! Who fetches what: the engine's half that asks for blocks.
//!
//! **The best available peer gets the next needed block.** A peer is asked for as much as its
//! [`Pace`](super::pace::Pace) allows, but near the end for no more than it delivers before the
//! others could have everything: the [`Horizon`]. So the tail is no mode of its own, slow peers
//! hold no piece hostage, and few blocks have to be asked for again (see `late`). A piece that
//! nobody else would have sooner is exempt.

use super::output::Output;
use super::picker::{Asker, Candidate};
use super::session::Session;
use super::sessions::Sessions;
use super::time::{SECOND_US, Time};
use super::{Engine, PeerId};
use crate::torrent::{BLOCK_LENGTH, Block};
use crate::wire::{BlockSpec, Message};
use smallvec::SmallVec;

/// How far beyond the horizon a peer may still be asked: measurements are no better than this.
const HORIZON_SLACK_US: u64 = SECOND_US / 20;
/// Blocks that a peer may owe beyond the horizon, or with a near one although nothing is known
/// of it: enough to keep it from waiting for our next request.
const BEYOND_ROOM: usize = 4;
const HORIZON_NEAR_US: u64 = 5 * SECOND_US;
/// A peer of which nothing is known is asked for no more than one of so many blocks that are still to
/// come, less half of what others owe of which nothing is known, unless there is no other peer:
/// it may all turn out to sit with slow ones.
const BLIND_ONE_OF: usize = 8;
/// A piece that one peer alone may send is for one of the fastest: nobody who has it delivers
/// more than so many times as much.
const ALONE_FACTOR: u64 = 2;

/// When all peers together could have delivered everything that is still to come, the way from
/// the nearest one included.
struct Horizon {
    now: Time,
    in_us: u64,
}

impl Engine {
    pub(super) fn all_hungry(&mut self) {
        let ready = self.sessions.iter().filter(|(_, session)| session.has_room());
        self.hungry.extend(ready.map(|(peer, _)| *peer));
    }

    /// Asks every hungry peer for as much as it may owe.
    pub(super) fn ask_hungry(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.stopping || self.hungry.is_empty() || !self.knows_metadata() {
            return;
        }
        self.picker.hurry(now, &mut *self.rank);
        let horizon = self.horizon(now);
        let stalls = |peer: &PeerId| self.sessions.get(peer).is_some_and(|s| s.pace.is_stalled());
        // Who stalls takes what the others leave.
        let last: SmallVec<[PeerId; 8]> =
            self.hungry.iter().copied().filter(|peer| stalls(peer)).collect();
        last.iter().for_each(|peer| {
            self.hungry.remove(peer);
        });
        let mut blocks = std::mem::take(&mut self.blocks);
        let first = std::mem::take(&mut self.hungry);
        for peer in first.into_iter().chain(last) {
            self.ask(&horizon, peer, &mut blocks, out);
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.mind_idle(now);
            }
        }
        self.blocks = blocks;
    }

    fn ask(
        &mut self,
        horizon: &Horizon,
        peer: PeerId,
        blocks: &mut Vec<Block>,
        out: &mut Vec<Output>,
    ) {
        let sessions = &self.sessions;
        let Some(session) = sessions.get(&peer).filter(|session| session.is_ready()) else {
            return;
        };
        let window = session.window();
        let room = window.saturating_sub(session.asked.len());
        // Requests go out in bunches of a quarter of the window: fewer, larger writes.
        if room < (window / 4).max(1) {
            return;
        }
        let in_time = room.min(self.room_in_time(horizon, session));
        if !session.suggested.is_empty() && self.ask_suggested(horizon.now, peer, in_time, out) > 0
        {
            // The rest of the window is for the next turn.
            self.hungry.insert(peer);
            return;
        }
        let sessions = &self.sessions;
        let Some(session) = sessions.get(&peer) else { return };
        blocks.clear();
        let beyond = BEYOND_ROOM.saturating_sub(session.asked.len()).min(room);
        for (in_time, room) in [(true, in_time), (false, beyond.saturating_sub(in_time))] {
            let may = |candidate| horizon.allows(sessions, session, in_time, candidate);
            let asker = Asker { peer, theirs: &session.theirs, room, may: &may };
            if room > 0 {
                self.picker.next(&mut *self.rank, asker, blocks);
            }
        }
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        for block in blocks.iter() {
            session.ask(horizon.now, *block);
            out.push(Output::Send(peer, Message::Request(spec_of(*block))));
        }
        if blocks.len() < in_time {
            self.ask_again(horizon.now, peer, room - blocks.len(), out);
        }
    }

    /// How many more blocks `session` can deliver before everything could be here.
    fn room_in_time(&self, horizon: &Horizon, session: &Session) -> usize {
        let most = if session.pace.rate() > 0 {
            session.pace.deliverable(horizon.in_us)
        } else if horizon.in_us > HORIZON_NEAR_US {
            self.blind_room()
        } else {
            BEYOND_ROOM
        };
        most.saturating_sub(session.blocks_ahead())
    }

    /// How many blocks a peer of which nothing is known may owe.
    fn blind_room(&self) -> usize {
        let ready = || self.sessions.values().filter(|session| session.is_ready());
        if ready().nth(1).is_none() {
            return usize::MAX;
        }
        let unknown = ready().filter(|session| session.pace.rate() == 0);
        let owed: usize = unknown.map(|session| session.asked.len()).sum();
        let blocks = (self.picker.to_come_bytes() / u64::from(BLOCK_LENGTH)) as usize;
        (blocks / BLIND_ONE_OF).saturating_sub(owed / 2).max(BEYOND_ROOM)
    }

    fn horizon(&self, now: Time) -> Horizon {
        let to_come = self.picker.to_come_bytes();
        let in_us = to_come.saturating_mul(SECOND_US).checked_div(self.rate_total);
        let slack_us = HORIZON_SLACK_US + self.trip_us;
        Horizon { now, in_us: in_us.unwrap_or(u64::MAX).saturating_add(slack_us) }
    }

    /// Adds the rates of all peers that can be asked up anew, and finds the nearest of them.
    pub(super) fn measure_rates(&mut self) {
        let ready = || self.sessions.values().filter(|session| session.is_ready());
        self.rate_total = ready().map(|session| session.pace.rate()).sum();
        self.trip_us = ready().filter_map(|session| session.pace.trip_us()).min().unwrap_or(0);
    }
}

impl Horizon {
    /// Whether `session` is the one to ask for blocks of a piece: if it can deliver them
    /// `in_time` and there is no hurry, or if nobody else would have them sooner.
    fn allows(
        &self,
        sessions: &Sessions,
        session: &Session,
        in_time: bool,
        candidate: Candidate,
    ) -> bool {
        if candidate.holders < 2 {
            return true;
        }
        let rival = |better: &dyn Fn(&Session) -> bool| {
            sessions.values().any(|other| {
                other.is_ready() && other.theirs.contains(candidate.piece.at()) && better(other)
            })
        };
        if candidate.alone {
            let enough = session.pace.rate().saturating_mul(ALONE_FACTOR);
            return !rival(&|other| other.pace.rate() > enough);
        }
        let Some(ours_us) = session.next_expected_us() else { return true };
        let in_time = in_time && candidate.by.is_none_or(|by| self.now + ours_us <= by);
        in_time || !rival(&|other| other.next_expected_us().is_some_and(|us| us < ours_us))
    }
}

pub(super) fn spec_of(block: Block) -> BlockSpec {
    BlockSpec { index: block.piece().get(), offset: block.offset(), length: block.length() }
}
