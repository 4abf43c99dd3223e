//! What is due by the clock alone: silent peers, keep-alives, rounds of the choker, progress.

use super::output::{Event, Output, Why};
use super::session::Session;
use super::time::{SECOND_US, Time};
use super::{Engine, PeerId};
use crate::wire::Message;
use rtor_plugin::Level;
use rtor_plugin::discovery::Fact;

/// How often this room looks around.
const UPKEEP_US: u64 = SECOND_US / 4;
/// How often guests are told how far it is.
const PROGRESS_US: u64 = 5 * SECOND_US;
/// A connection or a handshake that takes longer is given up.
const ANSWER_US_MAX: u64 = 10 * SECOND_US;
/// A peer that says nothing for longer is gone (BEP 3: "generally sent once every two minutes").
const SILENCE_US_MAX: u64 = 150 * SECOND_US;
/// How often peers are told of new pieces: many in one write cost less than each alone, here and
/// there, and no swarm that was simulated became slower by it.
const HAVES_US: u64 = SECOND_US / 5;
/// A keep-alive is sent after this much silence of ours.
const KEEP_ALIVE_US: u64 = 100 * SECOND_US;

impl Engine {
    pub(super) fn upkeep(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.started {
            return;
        }
        self.with_guests(now, out, |guests, wished| guests.deadline_passed(now, wished));
        if now >= self.progress_at && !self.stopping {
            self.progress_at = now + PROGRESS_US;
            let fact = Fact::Progress(self.totals());
            self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
        }
        if self.stopping && !self.farewell_told && self.guests.all_finished() {
            self.farewell_told = true;
            out.push(Output::Tell(Event::Farewell));
        }
        if now < self.upkeep_at {
            return;
        }
        self.upkeep_at = now + UPKEEP_US;
        for guest in self.guests.newly_poisoned() {
            let text = "it broke and is left out".to_owned();
            let (level, subject) = (Level::Warning, String::new());
            out.push(Output::Tell(Event::Report { level, guest, subject, text }));
        }
        self.drop_the_silent(now, out);
        self.mind_metadata(now, out);
        self.mind_hashes(now, out);
        self.relieve_stalled(now, out);
        self.relieve_slow(now, out);
        self.hurry_late(now, out);
        self.measure_rates();
        self.turn_over(now, out);
        self.rechoke(now, out);
        self.mind_super_seed(now, out);
        let peers: Vec<PeerId> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.mind_interest(now, peer, out);
        }
        self.sessions.values_mut().for_each(|session| session.mind_idle(now));
        self.keep_alive(now, out);
        self.all_hungry();
    }

    fn drop_the_silent(&mut self, now: Time, out: &mut Vec<Output>) {
        let unanswered = self.pending.iter().filter(|(_, p)| now.since_us(p.since) > ANSWER_US_MAX);
        let silent =
            self.sessions.iter().filter(|(_, s)| now.since_us(s.last_heard) > SILENCE_US_MAX);
        let complete = self.is_complete();
        let wants_nothing = |s: &Session| s.is_seed() || s.upload_only;
        let useless = self.sessions.iter().filter(|(_, s)| complete && wants_nothing(s));
        let leaving: Vec<(PeerId, Why)> = unanswered
            .map(|(peer, _)| (*peer, Why::Unanswered))
            .chain(silent.map(|(peer, _)| (*peer, Why::Silent)))
            .chain(useless.map(|(peer, _)| (*peer, Why::BothComplete)))
            .collect();
        for (peer, why) in leaving {
            if let Some(session) = self.sessions.get(&peer).filter(|_| why == Why::BothComplete) {
                // There is no hurry to meet again.
                self.pool.replaced(session.known_as);
            }
            self.hang_up(now, peer, why, out);
        }
    }

    /// Tells everyone of the pieces that were verified, a few times a second at most.
    pub(super) fn tell_haves(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.haves.is_empty() || now < self.haves_at {
            return;
        }
        self.haves_at = now + HAVES_US;
        for (peer, session) in self.sessions.iter_mut() {
            // BEP 3: a peer that has it need not be told.
            for piece in self.haves.iter().filter(|piece| !session.theirs.contains(piece.at())) {
                session.last_said = now;
                out.push(Output::Send(*peer, Message::Have(piece.get())));
            }
        }
        self.haves.clear();
    }

    fn keep_alive(&mut self, now: Time, out: &mut Vec<Output>) {
        for (peer, session) in self.sessions.iter_mut() {
            if now.since_us(session.last_said) > KEEP_ALIVE_US {
                session.last_said = now;
                out.push(Output::Send(*peer, Message::KeepAlive));
            }
        }
    }
}
