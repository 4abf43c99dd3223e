//! [`Source`]: a peer that is asked for parts of something, and for how long it is trusted to send
//! them: of the info dictionary, of layers of hashes.

use super::time::{SECOND_US, Time};
use std::collections::BTreeSet;

/// How long a peer may send nothing of what it was asked.
pub(super) const PATIENCE_US: u64 = 4 * SECOND_US;
/// How long a peer that refused or was silent is not asked.
pub(super) const REST_US: u64 = 3 * SECOND_US;
/// After so many silences and refusals in a row a peer is given up.
pub(super) const FAILURES_MAX: u32 = 5;

/// A peer that may have it.
#[derive(Debug)]
pub(super) struct Source {
    /// Numbers of the parts that it was asked for and has not answered.
    pub(super) asked: BTreeSet<u32>,
    /// Of the last answer, or of the first question after one.
    since: Time,
    rests_until: Time,
    failures: u32,
    /// It is not asked any more.
    pub(super) given_up: bool,
}

impl Source {
    pub(super) const fn new(now: Time) -> Self {
        let asked = BTreeSet::new();
        Self { asked, since: now, rests_until: Time(0), failures: 0, given_up: false }
    }

    /// Whether it may be asked.
    pub(super) fn is_ready(&self, now: Time) -> bool {
        !self.given_up && now >= self.rests_until
    }

    /// It is asked for `part`.
    pub(super) fn ask(&mut self, now: Time, part: u32) {
        if self.asked.is_empty() {
            self.since = now;
        }
        self.asked.insert(part);
    }

    /// It sent `part`. Whether it was asked for it.
    pub(super) fn answered(&mut self, now: Time, part: u32) -> bool {
        let asked = self.asked.remove(&part);
        if asked {
            (self.since, self.failures) = (now, 0);
        }
        asked
    }

    /// Whether it has been silent for too long.
    pub(super) fn is_silent(&self, now: Time) -> bool {
        !self.asked.is_empty() && now.since_us(self.since) >= PATIENCE_US
    }

    /// It did not send what it was asked for; of several failures at once, one counts. Whether that
    /// was one too many.
    pub(super) fn failed(&mut self, now: Time) -> bool {
        if now >= self.rests_until {
            self.failures += 1;
        }
        self.rests_until = now + REST_US;
        self.failures >= FAILURES_MAX
    }
}
