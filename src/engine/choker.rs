//! [`Choker`]: whom to serve.
//!
//! Every [`ROUND_US`] anew (BEP 3, "choking and optimistic unchoking"). Until we have everything:
//! tit for tat, so those who gave us most in the last two rounds, and in one slot of eight
//! somebody by chance for three rounds, who can show there what he has; those who were never
//! served are the likeliest, those who were and gave nothing are the least. Who owes us blocks and sends none has given nothing, and so
//! keeps no slot that somebody else earns. Once we have everything, there is nothing to be got: either everybody has a
//! turn after the other, of [`TURN_US`] or [`TURN_BYTES`], or those who take fastest are served,
//! which spreads pieces sooner and favours the strong.
//!
//! The number of slots follows the rate: what we can give is to be shared by so many that each
//! gets enough to be worth its while, and all of it is used.

use super::PeerId;
use super::session::Session;
use super::sessions::Sessions;
use super::time::{SECOND_US, Time};
use rtor_plugin::Chance;
use std::cmp::Reverse;

/// How long a choice holds.
const ROUND_US: u64 = 10 * SECOND_US;
/// For so many rounds somebody drawn by chance is served.
const OPTIMISTIC_ROUNDS: u32 = 3;
/// One slot of so many, and one at least, goes by chance.
const OPTIMISTIC_ONE_OF: usize = 8;
/// How likely it is that somebody is drawn: who was never served; who was, and gave something
/// once; who had a chance to show what he has, and gave nothing.
const NEW_WEIGHT: u64 = 6;
const GAVE_WEIGHT: u64 = 4;
const TOOK_WEIGHT: u64 = 1;
/// Slots at the least if nobody said what we can give, and if somebody did.
const SLOTS_MIN: usize = 8;
const SLOTS_MIN_LIMITED: usize = 2;
/// Slots at the most, unless the user wants more.
const SLOTS_MAX: usize = 100;
/// Slots are the root of the rate by this: 15 for 1 MB/s, 49 for 10 MB/s.
const SLOTS_RATE: u64 = 4096;
/// A turn ends after so long, or so many bytes, if somebody waits.
const TURN_US: u64 = 30 * SECOND_US;
const TURN_BYTES: u64 = 32 << 20;

/// Whom a seed serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeedChoke {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Those who take fastest.
    Fastest,
}

/// How many are served, and whom a seed prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choking {
    /// Peers served at once; `None`: by the rate.
    pub slots: Option<usize>,
    /// Bytes a second that we may give, if there is a limit.
    pub limit: Option<u64>,
    /// For when we have everything.
    pub seed: SeedChoke,
}

/// What passed between a peer and us of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Bytes of blocks that it sent, in this round and in the one before.
    gave: [u64; 2],
    /// It sent some, once.
    has_given: bool,
    /// Bytes of blocks that it got.
    took: [u64; 2],
    /// Since when it is served, and what it had in this turn.
    served_from: Option<Time>,
    turn_bytes: u64,
    /// When its last turn ended.
    turn_ended: Option<Time>,
}

impl Standing {
    /// It sent so many bytes of blocks.
    pub(super) const fn gave(&mut self, bytes: u64) {
        self.has_given = true;
        self.gave[0] += bytes;
    }

    /// It got so many.
    pub(super) const fn took(&mut self, bytes: u64) {
        self.took[0] += bytes;
        self.turn_bytes += bytes;
    }

    /// Whether it got anything in this round or the one before.
    pub(super) const fn takes(&self) -> bool {
        self.took[0] + self.took[1] > 0
    }

    /// It is served from now on, or no longer.
    pub(super) fn serve(&mut self, now: Time, on: bool) {
        if on {
            self.served_from = Some(now);
            self.turn_bytes = 0;
        } else if self.served_from.take().is_some() {
            self.turn_ended = Some(now);
        }
    }

    const fn round_ended(&mut self) {
        self.gave = [0, self.gave[0]];
        self.took = [0, self.took[0]];
    }

    /// Whether it is being served and has not had its share.
    fn is_in_turn(&self, now: Time) -> bool {
        let in_time = self.served_from.is_some_and(|from| now.since_us(from) < TURN_US);
        in_time && self.turn_bytes < TURN_BYTES
    }
}

#[derive(Debug)]
pub(super) struct Choker {
    choking: Choking,
    slots: usize,
    next_round: Time,
    rounds: u32,
    /// Served by chance.
    lucky: Vec<PeerId>,
}

/// The place of somebody in the queue for slots; the least is served first.
type Place = (Reverse<u64>, bool, Option<Time>, u64);

impl Choker {
    pub(super) fn new(choking: Choking) -> Self {
        let mut choker =
            Self { choking, slots: 0, next_round: Time(0), rounds: 0, lucky: Vec::new() };
        choker.count_slots(0);
        choker
    }

    /// What we may give changed.
    pub(super) fn limited(&mut self, limit: Option<u64>) {
        self.choking.limit = limit;
        self.count_slots(0);
    }

    /// Peers served at once.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    fn count_slots(&mut self, rate: u64) {
        let (rate, least) = match self.choking.limit {
            Some(limit) => (limit, SLOTS_MIN_LIMITED),
            None => (rate, SLOTS_MIN),
        };
        let by_rate = (rate / SLOTS_RATE).isqrt() as usize;
        self.slots = self.choking.slots.unwrap_or_else(|| by_rate.clamp(least, SLOTS_MAX));
    }

    /// Whether somebody more could be served at once. Who wants nothing just now keeps his slot to
    /// the end of the round: others would else be served who have not earned it.
    pub(super) fn has_room(&self, sessions: &Sessions) -> bool {
        sessions.values().filter(|session| !session.choked_by_us).count() < self.slots
    }

    /// Who is next, of those who are not served.
    pub(super) fn next(
        &self,
        now: Time,
        chance: &mut Chance,
        sessions: &Sessions,
        complete: bool,
    ) -> Option<PeerId> {
        let waiting = sessions.iter().filter(|(_, s)| s.is_interested && s.choked_by_us);
        let places =
            waiting.map(|(peer, session)| (self.place(now, chance, session, complete), *peer));
        places.min().map(|(_, peer)| peer)
    }

    /// If a round is due: who is to be served from now on.
    pub(super) fn round(
        &mut self,
        now: Time,
        chance: &mut Chance,
        sessions: &mut Sessions,
        complete: bool,
    ) -> Option<Vec<PeerId>> {
        if now < self.next_round {
            return None;
        }
        self.next_round = now + ROUND_US;
        self.rounds += 1;
        let taken: u64 = sessions.values().map(|session| session.standing.took[0]).sum();
        self.count_slots(taken * SECOND_US / ROUND_US);
        let interested = || sessions.iter().filter(|(_, session)| session.is_interested);
        let mut queue: Vec<(Place, PeerId)> = interested()
            .map(|(peer, session)| (self.place(now, chance, session, complete), *peer))
            .collect();
        queue.sort_unstable();
        let by_turns = complete && self.choking.seed == SeedChoke::RoundRobin;
        let lucky = if by_turns { 0 } else { (self.slots / OPTIMISTIC_ONE_OF).max(1) };
        let regular = self.slots.saturating_sub(lucky).max(1);
        let mut served: Vec<PeerId> = queue.iter().take(regular).map(|(_, peer)| *peer).collect();
        let rest: Vec<PeerId> = queue.iter().skip(regular).map(|(_, peer)| *peer).collect();
        self.draw(chance, sessions, &rest, self.slots.saturating_sub(served.len()).min(lucky));
        served.extend(&self.lucky);
        sessions.values_mut().for_each(|session| session.standing.round_ended());
        Some(served)
    }

    /// Where `session` stands in the queue.
    fn place(&self, now: Time, chance: &mut Chance, session: &Session, complete: bool) -> Place {
        let standing = &session.standing;
        let worth = match (complete, self.choking.seed) {
            (false, _) => standing.gave.iter().sum(),
            (true, SeedChoke::Fastest) => standing.took.iter().sum(),
            (true, SeedChoke::RoundRobin) => 0,
        };
        // Of equals those stay who have their turn; then come those who were never served, then
        // those who waited longest.
        let in_turn = standing.is_in_turn(now);
        let waits_since = if session.choked_by_us { standing.turn_ended } else { Some(now) };
        (Reverse(worth), !in_turn, waits_since.filter(|_| !in_turn), chance.draw())
    }

    /// Draws `count` of `rest`; who was drawn keeps that for a while.
    fn draw(&mut self, chance: &mut Chance, sessions: &Sessions, rest: &[PeerId], count: usize) {
        if self.rounds % OPTIMISTIC_ROUNDS == 1 {
            self.lucky.clear();
        }
        self.lucky.retain(|peer| rest.contains(peer));
        self.lucky.truncate(count);
        let weight = |peer: &PeerId| match sessions.get(peer).map(|session| &session.standing) {
            Some(standing) if standing.has_given => GAVE_WEIGHT,
            Some(Standing { served_from: None, turn_ended: None, .. }) => NEW_WEIGHT,
            _ => TOOK_WEIGHT,
        };
        let mut hat: Vec<(PeerId, u64)> = rest
            .iter()
            .filter(|peer| !self.lucky.contains(peer))
            .map(|peer| (*peer, weight(peer)))
            .collect();
        while self.lucky.len() < count && !hat.is_empty() {
            let mut at = chance.below(hat.iter().map(|(_, weight)| weight).sum());
            let drawn = hat.iter().position(|(_, weight)| {
                let hit = at < *weight;
                at = at.saturating_sub(*weight);
                hit
            });
            self.lucky.extend(drawn.map(|drawn| hat.swap_remove(drawn).0));
        }
    }
}
