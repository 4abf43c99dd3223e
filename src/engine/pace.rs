//! [`Pace`]: how much to ask of one peer at a time, and when to expect it.
//!
//! The window of requests follows the peer's measured rate times its round trip and a second of
//! queue. While the window is what holds the rate back, that product is larger than the window,
//! so it grows by itself until the rate does not; a slow peer holds no more than it can deliver
//! soon.

use super::time::{SECOND_US, Time};
use crate::torrent::BLOCK_LENGTH;

/// Requests at the beginning, when nothing is known.
const WINDOW_FIRST: usize = 16;
/// Requests at the least: one being sent, one behind it.
const WINDOW_MIN: usize = 2;
/// Requests at the most, whatever a peer announces.
const WINDOW_MAX: usize = 8192;
/// How much further the window may reach after one measurement.
const GROWTH_MAX: usize = 4;
/// Requests that a peer takes if it does not say (`reqq`, BEP 10).
pub(super) const REQQ_DEFAULT: u32 = 250;
/// Data kept queued at the peer beyond the round trip.
const QUEUE_US: u64 = SECOND_US;
/// One measurement of the rate.
const MEASURE_US: u64 = SECOND_US / 4;
/// A peer that owes blocks and sent none for this long stalls, at the soonest and the latest.
const STALL_US_MIN: u64 = 3 * SECOND_US;
const STALL_US_MAX: u64 = 30 * SECOND_US;
/// A peer from which nothing came yet stalls after this.
const STALL_US_FIRST: u64 = 10 * SECOND_US;

/// What one peer delivers, and what it may be asked for.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Bytes a second, zero until the first measurement.
    rate: u64,
    round_trip_us: Option<u64>,
    window: usize,
    reqq: u32,
    measured_from: Time,
    measured_bytes: u64,
    stalled: bool,
}

impl Pace {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            rate: 0,
            round_trip_us: None,
            window: WINDOW_FIRST,
            reqq: REQQ_DEFAULT,
            measured_from: now,
            measured_bytes: 0,
            stalled: false,
        }
    }

    /// The peer said how many requests it queues.
    pub(super) const fn announced(&mut self, reqq: u32) {
        self.reqq = reqq;
    }

    /// Requests went out while none was under way: the measurement begins here, so that idle
    /// time does not count against the peer.
    pub(super) const fn resumed(&mut self, now: Time) {
        self.measured_from = now;
        self.measured_bytes = 0;
    }

    /// A block came that was asked at `asked`.
    pub(super) fn arrived(&mut self, now: Time, asked: Time, bytes: u32) {
        let trip_us = now.since_us(asked);
        self.round_trip_us = Some(self.round_trip_us.map_or(trip_us, |best| best.min(trip_us)));
        self.measured_bytes += u64::from(bytes);
        if self.stalled {
            self.stalled = false;
            self.window = WINDOW_MIN;
        }
        let span_us = now.since_us(self.measured_from);
        if span_us < MEASURE_US {
            if self.rate == 0 {
                self.window = (self.window + 1).min(WINDOW_MAX);
            }
            return;
        }
        let sample = self.measured_bytes * SECOND_US / span_us;
        self.rate = if self.rate == 0 { sample } else { (self.rate + sample) / 2 };
        self.resumed(now);
        let reach_us = self.round_trip_us.unwrap_or(0) + QUEUE_US;
        let wanted = (self.rate * reach_us / SECOND_US / u64::from(BLOCK_LENGTH)) as usize;
        self.window = wanted.clamp(WINDOW_MIN, (self.window * GROWTH_MAX).min(WINDOW_MAX));
    }

    /// The peer owed blocks and sent none: it keeps one request, as a probe.
    pub(super) const fn stalled(&mut self) {
        self.stalled = true;
        self.rate = 0;
    }

    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// How many requests may be under way.
    pub(super) fn window(&self) -> usize {
        // A sixteenth is left: a peer that counts one request more than we do drops it silently.
        let queued_max = (self.reqq - self.reqq / 16).max(1) as usize;
        if self.stalled { 1 } else { self.window.min(queued_max) }
    }

    /// How long until the last of `queued` bytes should be here, if anything is known.
    pub(super) fn expected_us(&self, queued: u64) -> Option<u64> {
        (self.rate > 0).then(|| {
            let trip_us = self.round_trip_us.unwrap_or(0).min(SECOND_US);
            (queued.saturating_mul(SECOND_US) / self.rate).saturating_add(trip_us)
        })
    }

    /// How long a peer that owes blocks may be silent.
    pub(super) fn patience_us(&self) -> u64 {
        match self.expected_us(u64::from(BLOCK_LENGTH)) {
            None => STALL_US_FIRST,
            Some(expected_us) => expected_us.saturating_mul(4).clamp(STALL_US_MIN, STALL_US_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers `blocks` at `rate` with `trip_us` of latency, window always full.
    fn deliver(pace: &mut Pace, blocks: u64, rate: u64, trip_us: u64) -> Time {
        let mut now = Time(0);
        pace.resumed(now);
        for _ in 0..blocks {
            let by_rate = u64::from(BLOCK_LENGTH) * SECOND_US / rate;
            let by_window = trip_us / pace.window() as u64;
            now = now + by_rate.max(by_window);
            pace.arrived(now, Time(now.0.saturating_sub(trip_us)), BLOCK_LENGTH);
        }
        now
    }

    #[test]
    fn a_far_fast_peer_is_kept_full() {
        let mut pace = Pace::new(Time(0));
        pace.announced(2000);
        let rate = 62_500_000;
        deliver(&mut pace, 10_000, rate, SECOND_US / 5);
        let in_flight = pace.window() as u64 * u64::from(BLOCK_LENGTH);
        assert!(in_flight >= rate / 5, "{in_flight} bytes under way of {}", rate / 5);
    }

    #[test]
    fn a_slow_peer_holds_only_what_it_delivers_soon() {
        let mut pace = Pace::new(Time(0));
        deliver(&mut pace, 100, 50_000, 20_000);
        assert!(pace.window() <= 4, "{}", pace.window());
    }

    #[test]
    fn reqq_is_respected_and_a_stalled_peer_has_one_probe() {
        let mut pace = Pace::new(Time(0));
        pace.announced(5);
        deliver(&mut pace, 1000, 10_000_000, 1000);
        assert_eq!(pace.window(), 5);
        pace.stalled();
        assert_eq!(pace.window(), 1);
        pace.arrived(Time(60 * SECOND_US), Time(59 * SECOND_US), BLOCK_LENGTH);
        assert!(!pace.is_stalled());
    }
}
