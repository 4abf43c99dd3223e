//! [`Pool`]: peers known, and when to dial which.
//!
//! Peers come from guests, the command line and torrents, in any number; the pool keeps at most
//! [`KNOWN_MAX`], dials those that failed least first, in the order in which they became due, and
//! backs off from those that fail. It remembers of each which kind of connection it took
//! ([`Calling`]), and tries the other kinds with who declined one: at once, once, and as no failure.

use super::calling::{Allowed, Calling};
use super::encryption::Kind;
use super::time::{SECOND_US, Time};
use crate::wire::{Race, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Addresses kept; what comes beyond that is dropped.
pub(super) const KNOWN_MAX: usize = 3000;
/// Dials under way at once.
const DIALLING_MAX: usize = 32;
/// Wait after the first failure; doubled by each further one.
const RETRY_US_FIRST: u64 = 2 * SECOND_US;
const RETRY_US_MAX: u64 = 5 * 60 * SECOND_US;
/// As how many failures a broken protocol counts, and having been of no use.
const OFFENCE_COUNTS: u32 = 4;
const USELESS_COUNTS: u32 = 3;
/// Finders of one address that are remembered: more than there are guests.
const FINDERS_MAX: usize = 8;
/// The finder of those that came to us.
pub(super) const CAME: &str = "incoming";
/// Failures in a row after which an address is forgotten, unless the user named it.
const FAILURES_MAX: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// May be dialled from this moment on.
    Idle(Time),
    Dialling,
    Connected,
    /// A proven liar, or ourselves.
    Banned,
}

#[derive(Clone, Debug)]
struct Known {
    state: State,
    calling: Calling,
    failures: u32,
    /// The first of them first.
    found_by: Vec<String>,
    kept: bool,
}

/// Peers known.
#[derive(Debug, Default)]
pub(super) struct Pool {
    allowed: Allowed,
    known: BTreeMap<SocketAddr, Known>,
    /// Idle peers by when they may be dialled.
    waiting: BTreeSet<(Time, SocketAddr)>,
    /// None of them may be dialled before.
    soonest: Time,
    /// Idle peers that may be dialled now, by failures, then by when that was so.
    due: BTreeSet<(u32, Time, SocketAddr)>,
    dialling: usize,
    /// Hosts of liars. Whoever comes from there may be the liar again, from another port; others
    /// behind the same one may still be dialled.
    banned: BTreeSet<IpAddr>,
}

impl Pool {
    pub(super) fn new(allowed: Allowed) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// `addr` was found by `finder`; `kept` ones are retried for ever. Whether it is new.
    pub(super) fn found(&mut self, now: Time, addr: SocketAddr, finder: &str, kept: bool) -> bool {
        if let Some(known) = self.known.get_mut(&addr) {
            let found_by = &mut known.found_by;
            if found_by.len() < FINDERS_MAX && found_by.iter().all(|other| other != finder) {
                found_by.push(finder.to_owned());
            }
            return false;
        }
        let usable = addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast();
        if !usable || self.known.len() >= KNOWN_MAX {
            return false;
        }
        let known = Known {
            state: State::Idle(now),
            calling: Calling::new(self.allowed),
            failures: 0,
            found_by: vec![finder.to_owned()],
            kept,
        };
        self.known.insert(addr, known);
        self.wait(now, addr);
        true
    }

    /// The next peer to dial, if one is due, and how; it counts as being dialled from then on.
    pub(super) fn next(&mut self, now: Time) -> Option<(SocketAddr, Kind, Race)> {
        if self.dialling >= DIALLING_MAX || !self.has_due(now) {
            return None;
        }
        let (_, _, addr) = self.due.pop_first()?;
        let known = self.known.get_mut(&addr)?;
        known.state = State::Dialling;
        self.dialling += 1;
        let (kind, race) = known.calling.call(self.allowed);
        Some((addr, kind, race))
    }

    /// Whether somebody could be dialled.
    pub(super) fn has_due(&mut self, now: Time) -> bool {
        if now < self.soonest {
            return !self.due.is_empty();
        }
        while let Some(&(time, addr)) = self.waiting.first().filter(|(time, _)| *time <= now) {
            self.waiting.pop_first();
            let failures = self.known.get(&addr).map_or(0, |known| known.failures);
            self.due.insert((failures, time, addr));
        }
        self.soonest = self.waiting.first().map_or(Time(u64::MAX), |(time, _)| *time);
        !self.due.is_empty()
    }

    /// When [`next`](Self::next) may have an answer, if there is room to dial.
    pub(super) fn deadline(&self) -> Option<Time> {
        let due = self.due.first().map(|(_, time, _)| *time);
        let next = due.or_else(|| self.waiting.first().map(|(time, _)| *time));
        next.filter(|_| self.dialling < DIALLING_MAX)
    }

    /// A dial succeeded, or the peer came to us.
    pub(super) fn connected(&mut self, addr: SocketAddr) {
        self.leave_state(addr);
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = State::Connected;
        }
    }

    /// It took our call, `by` that.
    pub(super) fn took(&mut self, addr: SocketAddr, by: Transport) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.calling.took(by);
        }
    }

    /// It came to us like this, and so it takes that.
    pub(super) fn takes(&mut self, addr: SocketAddr, encrypted: bool, by: Transport) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.calling.came(self.allowed, encrypted, by);
        }
    }

    /// It took our call, `by` that, and closed the connection before its handshake: as some do that want
    /// another kind of connection. It is dialled with that as soon as there is room; if it declines
    /// them all, it is [`lost`](Self::lost).
    pub(super) fn declined(&mut self, now: Time, addr: SocketAddr, by: Transport) {
        let known = self.known.get_mut(&addr).filter(|known| known.state == State::Dialling);
        if !known.is_some_and(|known| known.calling.declined(self.allowed, by)) {
            return self.lost(now, addr);
        }
        self.leave_state(addr);
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = State::Idle(now);
            self.wait(now, addr);
        }
    }

    /// It said nothing.
    pub(super) fn unanswered(&mut self, now: Time, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.calling.unanswered(self.allowed);
        }
        self.lost(now, addr);
    }

    /// A peer that came to us listens at `addr`: it is not dialled while it is here. Whether it is
    /// this peer's address, and not that of another that is here or is being dialled.
    pub(super) fn came(&mut self, now: Time, addr: SocketAddr) -> bool {
        self.found(now, addr, CAME, false);
        let idle = |known: &&Known| matches!(known.state, State::Idle(_));
        let is_idle = self.known.get(&addr).filter(idle).is_some();
        if is_idle {
            self.connected(addr);
        }
        is_idle
    }

    /// The peer was of use: earlier failures are forgiven.
    pub(super) fn served(&mut self, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.failures = 0;
        }
    }

    /// A dial failed, or a connection ended.
    pub(super) fn lost(&mut self, now: Time, addr: SocketAddr) {
        self.leave_state(addr);
        let Some(known) = self.known.get_mut(&addr).filter(|known| known.state != State::Banned)
        else {
            return;
        };
        known.failures += 1;
        known.calling.failed();
        if known.failures > FAILURES_MAX && !known.kept {
            self.known.remove(&addr);
            return;
        }
        let wait_us = RETRY_US_FIRST << (known.failures - 1).min(10);
        let due = now + wait_us.min(RETRY_US_MAX);
        known.state = State::Idle(due);
        self.wait(due, addr);
    }

    /// It broke the protocol: when it is [`lost`](Self::lost), it is left alone for longer.
    pub(super) fn offended(&mut self, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.failures += OFFENCE_COUNTS;
        }
    }

    /// It was of no use, and others wait: when it is [`lost`](Self::lost), they come first.
    pub(super) fn replaced(&mut self, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.failures += USELESS_COUNTS;
        }
    }

    /// Never dial it again, nor let anybody in from its host, if that is said.
    pub(super) fn ban(&mut self, addr: SocketAddr, its_host_too: bool) {
        if its_host_too && self.banned.len() < KNOWN_MAX {
            self.banned.insert(addr.ip());
        }
        self.leave_state(addr);
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = State::Banned;
        }
    }

    /// Forgets those that wait to be dialled and were found by certain finders.
    pub(super) fn forget(&mut self, found_by: impl Fn(&[String]) -> bool) {
        let waits =
            |known: &Known| matches!(known.state, State::Idle(_)) && found_by(&known.found_by);
        let found = self.known.iter().filter(|(_, known)| waits(known)).map(|(addr, _)| *addr);
        for addr in found.collect::<Vec<_>>() {
            self.leave_state(addr);
            self.known.remove(&addr);
        }
    }

    /// Whether a peer that comes from `addr` is to be sent away.
    pub(super) fn is_banned(&self, addr: SocketAddr) -> bool {
        self.banned.contains(&addr.ip())
    }

    /// Who told us of `addr`, the first of them first.
    pub(super) fn finders(&self, addr: SocketAddr) -> &[String] {
        self.known.get(&addr).map_or(&[], |known| &known.found_by)
    }

    /// Peers that are neither connected nor being dialled nor banned.
    pub(super) fn idle_count(&self) -> usize {
        self.waiting.len() + self.due.len()
    }

    fn wait(&mut self, until: Time, addr: SocketAddr) {
        self.waiting.insert((until, addr));
        self.soonest = self.soonest.min(until);
    }

    fn leave_state(&mut self, addr: SocketAddr) {
        let Some(known) = self.known.get(&addr) else { return };
        match known.state {
            State::Dialling => self.dialling -= 1,
            State::Idle(time) => {
                self.waiting.remove(&(time, addr));
                self.due.remove(&(known.failures, time, addr));
            }
            State::Connected | State::Banned => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calling::Transports;
    use crate::engine::encryption::Encryption;

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 6881))
    }

    /// The next to be dialled, and with which encryption.
    fn called(pool: &mut Pool, now: Time) -> Option<(SocketAddr, Kind)> {
        pool.next(now).map(|(addr, kind, _)| (addr, kind))
    }

    /// The next to be dialled, however.
    fn next(pool: &mut Pool, now: Time) -> Option<SocketAddr> {
        pool.next(now).map(|(addr, ..)| addr)
    }

    #[test]
    fn a_failing_peer_is_dialled_later_and_later() {
        let mut pool = Pool::default();
        assert!(pool.found(Time(0), addr(1), "test", false));
        assert!(!pool.found(Time(0), addr(1), "test", false));
        let mut now = Time(0);
        let mut waits = Vec::new();
        for _ in 0..3 {
            assert_eq!(next(&mut pool, now), Some(addr(1)));
            assert_eq!(next(&mut pool, now), None);
            pool.lost(now, addr(1));
            let due = pool.deadline().expect("it is retried");
            waits.push(due.since_us(now) / SECOND_US);
            now = due;
        }
        assert_eq!(waits, [2, 4, 8]);
    }

    #[test]
    fn an_address_that_nobody_answers_at_is_forgotten_but_not_the_users_own() {
        for (kept, retried) in [(false, false), (true, true)] {
            let mut pool = Pool::default();
            pool.found(Time(0), addr(1), "test", kept);
            let mut now = Time(0);
            for _ in 0..=FAILURES_MAX {
                assert_eq!(next(&mut pool, now), Some(addr(1)));
                pool.lost(now, addr(1));
                now = pool.deadline().unwrap_or(now);
            }
            assert_eq!(pool.next(now).is_some(), retried);
        }
    }

    #[test]
    fn who_broke_the_protocol_is_left_alone_for_longer() {
        let mut pool = Pool::default();
        pool.found(Time(0), addr(1), "test", true);
        assert_eq!(next(&mut pool, Time(0)), Some(addr(1)));
        pool.connected(addr(1));
        pool.offended(addr(1));
        pool.lost(Time(0), addr(1));
        assert_eq!(pool.deadline(), Some(Time(32 * SECOND_US)));
    }

    #[test]
    fn everyone_who_found_a_peer_is_remembered_once_and_in_order() {
        let mut pool = Pool::default();
        for finder in ["pex", "dht", "pex", "tracker"] {
            pool.found(Time(0), addr(1), finder, false);
        }
        assert!(pool.came(Time(0), addr(1)));
        assert_eq!(pool.finders(addr(1)), ["pex", "dht", "tracker", "incoming"]);
        assert!(pool.finders(addr(2)).is_empty());
        for finder in 0..20 {
            pool.found(Time(0), addr(3), &finder.to_string(), false);
        }
        assert_eq!(pool.finders(addr(3)).len(), FINDERS_MAX);
    }

    #[test]
    fn a_banned_peer_stays_banned() {
        let mut pool = Pool::default();
        pool.found(Time(0), addr(1), "test", true);
        assert_eq!(next(&mut pool, Time(0)), Some(addr(1)));
        pool.connected(addr(1));
        pool.ban(addr(1), false);
        pool.lost(Time(1), addr(1));
        assert!(!pool.found(Time(2), addr(1), "test", true));
        assert_eq!(pool.next(Time(u64::MAX)), None);
    }

    #[test]
    fn who_failed_least_comes_first_and_who_was_of_no_use_last() {
        let mut pool = Pool::default();
        for n in 1..=3 {
            pool.found(Time(0), addr(n), "test", false);
        }
        for n in 1..=3 {
            assert_eq!(next(&mut pool, Time(0)), Some(addr(n)));
            pool.connected(addr(n));
        }
        pool.replaced(addr(1));
        pool.lost(Time(0), addr(1));
        pool.lost(Time(SECOND_US), addr(2));
        pool.lost(Time(SECOND_US), addr(2));
        pool.lost(Time(2 * SECOND_US), addr(3));
        let later = Time(3600 * SECOND_US);
        let order: Vec<_> = std::iter::from_fn(|| next(&mut pool, later)).collect();
        assert_eq!(order, [addr(3), addr(2), addr(1)]);
    }

    #[test]
    fn a_liar_may_not_come_from_another_port() {
        let mut pool = Pool::default();
        pool.ban(addr(1), true);
        pool.ban(addr(2), false);
        assert!(pool.is_banned(SocketAddr::new(addr(1).ip(), 9)));
        assert!(!pool.is_banned(addr(2)), "its neighbours may come");
    }

    #[test]
    fn addresses_that_nobody_can_have_are_not_kept() {
        let mut pool = Pool::default();
        for bad in ["0.0.0.0:1", "10.0.0.1:0", "224.0.0.1:5", "[::]:1"] {
            assert!(!pool.found(Time(0), bad.parse().expect("an address"), "test", false), "{bad}");
        }
        for n in 0..KNOWN_MAX as u32 + 10 {
            pool.found(Time(0), SocketAddr::from((n.to_be_bytes().map(|b| b | 1), 1)), "x", false);
        }
        assert!(pool.known.len() <= KNOWN_MAX);
    }

    /// A pool that knows one peer, and the peer.
    fn one(encryption: Encryption) -> (Pool, SocketAddr) {
        let mut pool = Pool::new(Allowed { encryption, transports: Transports::Tcp });
        pool.found(Time(0), addr(1), "test", false);
        (pool, addr(1))
    }

    #[test]
    fn who_declines_one_kind_is_dialled_with_the_other_at_once() {
        for (encryption, first, second) in [
            (Encryption::Allow, Kind::Plain, Kind::Encrypted),
            (Encryption::Prefer, Kind::Encrypted, Kind::Plain),
        ] {
            let (mut pool, peer) = one(encryption);
            assert_eq!(called(&mut pool, Time(0)), Some((peer, first)));
            pool.declined(Time(0), peer, Transport::Tcp);
            assert_eq!(called(&mut pool, Time(0)), Some((peer, second)));
            // It takes that, and so it is dialled with that ever after.
            pool.connected(peer);
            pool.took(peer, Transport::Tcp);
            pool.lost(Time(0), peer);
            assert_eq!(pool.deadline(), Some(Time(RETRY_US_FIRST)), "declining was no failure");
            assert_eq!(called(&mut pool, Time(RETRY_US_FIRST)), Some((peer, second)));
            // Unless it has changed its mind.
            pool.declined(Time(RETRY_US_FIRST), peer, Transport::Tcp);
            assert_eq!(called(&mut pool, Time(RETRY_US_FIRST)), Some((peer, first)));
        }
    }

    #[test]
    fn who_declines_both_kinds_has_failed_once() {
        let (mut pool, peer) = one(Encryption::Allow);
        for wait_us in [RETRY_US_FIRST, 2 * RETRY_US_FIRST] {
            let now = pool.deadline().expect("it is dialled");
            assert_eq!(called(&mut pool, now), Some((peer, Kind::Plain)));
            pool.declined(now, peer, Transport::Tcp);
            assert_eq!(called(&mut pool, now), Some((peer, Kind::Encrypted)));
            pool.declined(now, peer, Transport::Tcp);
            assert_eq!(called(&mut pool, now), None);
            assert_eq!(pool.deadline(), Some(now + wait_us));
        }
    }

    #[test]
    fn with_one_kind_alone_who_declines_has_failed() {
        for (encryption, kind) in
            [(Encryption::Off, Kind::Plain), (Encryption::Require, Kind::Encrypted)]
        {
            let (mut pool, peer) = one(encryption);
            for _ in 0..2 {
                let now = pool.deadline().expect("it is dialled");
                assert_eq!(called(&mut pool, now), Some((peer, kind)));
                pool.declined(now, peer, Transport::Tcp);
                assert_eq!(called(&mut pool, now), None);
            }
            let now = pool.deadline().expect("it is dialled");
            assert_eq!(called(&mut pool, now), Some((peer, kind)));
            pool.unanswered(now, peer);
            assert_eq!(called(&mut pool, Time(u64::MAX)), Some((peer, kind)));
        }
    }

    #[test]
    fn who_is_silent_at_one_kind_is_dialled_with_the_other_next_time() {
        let (mut pool, peer) = one(Encryption::Allow);
        for kind in [Kind::Plain, Kind::Encrypted, Kind::Plain] {
            let now = pool.deadline().expect("it is dialled");
            assert_eq!(called(&mut pool, now), Some((peer, kind)));
            pool.unanswered(now, peer);
            assert_eq!(called(&mut pool, now), None, "silence is a failure");
        }
    }

    #[test]
    fn a_dial_that_never_came_to_be_says_nothing_of_kinds() {
        let (mut pool, peer) = one(Encryption::Allow);
        for _ in 0..3 {
            let now = pool.deadline().expect("it is dialled");
            assert_eq!(called(&mut pool, now), Some((peer, Kind::Plain)));
            pool.lost(now, peer);
            assert_eq!(called(&mut pool, now), None);
        }
    }

    #[test]
    fn who_came_encrypted_is_dialled_so() {
        let (mut pool, peer) = one(Encryption::Allow);
        assert!(pool.came(Time(0), peer));
        pool.takes(peer, true, Transport::Tcp);
        pool.lost(Time(0), peer);
        assert_eq!(called(&mut pool, Time(RETRY_US_FIRST)), Some((peer, Kind::Encrypted)));
    }
}
