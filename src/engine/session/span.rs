//! [`Span`]: how long something has been so.

use crate::engine::time::Time;

/// Time in a state: how long so far, and since when, if it is in it now.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Span {
    us: u64,
    since: Option<Time>,
}

impl Span {
    /// It is in the state from now on, or is not.
    pub(super) fn set(&mut self, now: Time, on: bool) {
        match (self.since, on) {
            (None, true) => self.since = Some(now),
            (Some(since), false) => {
                self.us += now.since_us(since);
                self.since = None;
            }
            _ => {}
        }
    }

    /// Microseconds in the state.
    pub(in crate::engine) fn total_us(&self, now: Time) -> u64 {
        self.us + self.since.map_or(0, |since| now.since_us(since))
    }
}
