//! Turnover: when there is no room and others are known, who gives nothing makes room for them.
//!
//! Nobody who delivers, or takes what we have to give, is sent away for a stranger; and nobody
//! before he had time to show what he can do.

use super::Engine;
use super::output::{Output, Why};
use super::session::Session;
use super::time::{SECOND_US, Time};

/// How long a peer has to become of use.
const TRIAL_US: u64 = 30 * SECOND_US;
/// How long it may stall, or choke us, before its place is wanted for another.
const PATIENCE_US: u64 = 20 * SECOND_US;
/// Who delivers less than one of so many of the average is a weak one.
const WEAK_ONE_OF: u64 = 32;
/// How often somebody may have to go for a stranger that was found.
const TURN_US: u64 = SECOND_US;

/// How little a peer is of use, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Useless {
    /// Neither wants anything of the other.
    Idle,
    /// It owes blocks and is silent.
    Stalls,
    /// It chokes us, has sent nothing for a while, and is not served by us.
    Chokes,
    /// It delivers next to nothing.
    Weak,
}

impl Engine {
    /// Sends somebody useless away if a stranger waits for the place.
    pub(super) fn turn_over(&mut self, now: Time, out: &mut Vec<Output>) {
        let full = self.sessions.len() + self.pending.len() >= self.peers_max;
        if !full || self.is_complete() || now < self.turnover_at || !self.pool.has_due(now) {
            return;
        }
        self.turnover_at = now + TURN_US;
        self.make_room(now, out);
    }

    /// Sends somebody useless away, if there is one; whether there was.
    pub(super) fn make_room(&mut self, now: Time, out: &mut Vec<Output>) -> bool {
        let count = self.sessions.len().max(1) as u64;
        let weak_below = self.rate_total / count / WEAK_ONE_OF;
        let useless = self.sessions.iter().filter_map(|(peer, session)| {
            Some((useless(now, session, weak_below)?, session.joined, *peer))
        });
        let Some((.., peer)) = useless.min() else { return false };
        if let Some(session) = self.sessions.get(&peer) {
            self.pool.replaced(session.known_as);
        }
        self.hang_up(now, peer, Why::Replaced, out);
        true
    }
}

fn useless(now: Time, session: &Session, weak_below: u64) -> Option<Useless> {
    if now.since_us(session.joined) < TRIAL_US {
        return None;
    }
    let served_by_us = session.is_interested && !session.choked_by_us;
    if !session.we_are_interested {
        return (!session.is_interested).then_some(Useless::Idle);
    }
    if served_by_us && session.standing.takes() {
        return None;
    }
    if session.stalled_since.is_some_and(|since| now.since_us(since) >= PATIENCE_US) {
        return Some(Useless::Stalls);
    }
    if session.chokes_us {
        return (now.since_us(session.choke_changed) >= PATIENCE_US).then_some(Useless::Chokes);
    }
    let rate = session.pace.rate();
    (rate > 0 && rate < weak_below).then_some(Useless::Weak)
}
