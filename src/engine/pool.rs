//! [`Pool`]: peers known, and when to dial which.
//!
//! Peers come from guests, the command line and torrents, in any number; the pool keeps at most
//! [`KNOWN_MAX`], dials those that failed least first, and backs off from those that fail.

use super::time::{SECOND_US, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Addresses kept; what comes beyond that is dropped.
pub(super) const KNOWN_MAX: usize = 3000;
/// Dials under way at once.
const DIALLING_MAX: usize = 32;
/// Wait after the first failure; doubled by each further one.
const RETRY_US_FIRST: u64 = 2 * SECOND_US;
const RETRY_US_MAX: u64 = 5 * 60 * SECOND_US;
/// As how many failures a broken protocol counts.
const OFFENCE_COUNTS: u32 = 4;
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
    failures: u32,
    source: String,
    kept: bool,
}

/// Peers known.
#[derive(Debug, Default)]
pub(super) struct Pool {
    known: BTreeMap<SocketAddr, Known>,
    /// Idle peers by when they may be dialled, then by failures.
    queue: BTreeSet<(Time, u32, SocketAddr)>,
    dialling: usize,
}

impl Pool {
    /// `addr` was found by `source`; `kept` ones are retried for ever. Whether it is new.
    pub(super) fn found(&mut self, now: Time, addr: SocketAddr, source: &str, kept: bool) -> bool {
        let usable = addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast();
        if !usable || self.known.len() >= KNOWN_MAX || self.known.contains_key(&addr) {
            return false;
        }
        let source = source.to_owned();
        self.known.insert(addr, Known { state: State::Idle(now), failures: 0, source, kept });
        self.queue.insert((now, 0, addr));
        true
    }

    /// The next peer to dial, if one is due; it counts as being dialled from then on.
    pub(super) fn next(&mut self, now: Time) -> Option<SocketAddr> {
        if self.dialling >= DIALLING_MAX {
            return None;
        }
        let first = *self.queue.first()?;
        let (due, _, addr) = first;
        if due > now {
            return None;
        }
        self.queue.remove(&first);
        self.known.get_mut(&addr)?.state = State::Dialling;
        self.dialling += 1;
        Some(addr)
    }

    /// When [`next`](Self::next) may have an answer, if there is room to dial.
    pub(super) fn deadline(&self) -> Option<Time> {
        let room = self.dialling < DIALLING_MAX;
        self.queue.first().filter(|_| room).map(|(due, _, _)| *due)
    }

    /// A dial succeeded, or the peer came to us.
    pub(super) fn connected(&mut self, addr: SocketAddr) {
        self.leave_state(addr);
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = State::Connected;
        }
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
        if known.failures > FAILURES_MAX && !known.kept {
            self.known.remove(&addr);
            return;
        }
        let wait_us = RETRY_US_FIRST << (known.failures - 1).min(10);
        let due = now + wait_us.min(RETRY_US_MAX);
        known.state = State::Idle(due);
        self.queue.insert((due, known.failures, addr));
    }

    /// It broke the protocol: when it is [`lost`](Self::lost), it is left alone for longer.
    pub(super) fn offended(&mut self, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.failures += OFFENCE_COUNTS;
        }
    }

    /// Never dial it again.
    pub(super) fn ban(&mut self, addr: SocketAddr) {
        self.leave_state(addr);
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = State::Banned;
        }
    }

    /// Who told us of `addr`.
    pub(super) fn source(&self, addr: SocketAddr) -> Option<&str> {
        self.known.get(&addr).map(|known| known.source.as_str())
    }

    /// Peers that are neither connected nor being dialled nor banned.
    pub(super) fn idle_count(&self) -> usize {
        self.queue.len()
    }

    fn leave_state(&mut self, addr: SocketAddr) {
        let Some(known) = self.known.get(&addr) else { return };
        match known.state {
            State::Dialling => self.dialling -= 1,
            State::Idle(due) => {
                self.queue.remove(&(due, known.failures, addr));
            }
            State::Connected | State::Banned => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 6881))
    }

    #[test]
    fn a_failing_peer_is_dialled_later_and_later() {
        let mut pool = Pool::default();
        assert!(pool.found(Time(0), addr(1), "test", false));
        assert!(!pool.found(Time(0), addr(1), "test", false));
        let mut now = Time(0);
        let mut waits = Vec::new();
        for _ in 0..3 {
            assert_eq!(pool.next(now), Some(addr(1)));
            assert_eq!(pool.next(now), None);
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
                assert_eq!(pool.next(now), Some(addr(1)));
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
        assert_eq!(pool.next(Time(0)), Some(addr(1)));
        pool.connected(addr(1));
        pool.offended(addr(1));
        pool.lost(Time(0), addr(1));
        assert_eq!(pool.deadline(), Some(Time(32 * SECOND_US)));
    }

    #[test]
    fn a_banned_peer_stays_banned() {
        let mut pool = Pool::default();
        pool.found(Time(0), addr(1), "test", true);
        assert_eq!(pool.next(Time(0)), Some(addr(1)));
        pool.connected(addr(1));
        pool.ban(addr(1));
        pool.lost(Time(1), addr(1));
        assert!(!pool.found(Time(2), addr(1), "test", true));
        assert_eq!(pool.next(Time(u64::MAX)), None);
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
}
