//! [`Pace`]: how much to ask of one peer at a time, and when to expect it.
//!
//! The window of requests begins like TCP's slow start: every block that arrives makes room for
//! more, until blocks wait at the peer for longer than the way takes, or its rate grows no more. From then on it follows the
//! measured rate times the round trip and a second of queue. While the window is what holds the rate back, that product is
//! larger than the window, so it still grows by itself; a slow peer holds no more than it can
//! deliver soon. All peers are given the same second, so that, when nothing is left to ask for,
//! all of them end at about the same time.

use super::time::{SECOND_US, Time};
use crate::torrent::BLOCK_LENGTH;

/// Requests at the beginning, when nothing is known: few, because what a slow peer has put into its
/// socket, no cancel reaches; but as many for each [`WINDOW_FIRST_PER_US`] of the way, up to
/// [`WINDOW_FIRST_MAX`], because each round trip of slow start costs a far peer more.
const WINDOW_FIRST: usize = 16;
const WINDOW_FIRST_PER_US: u64 = SECOND_US / 80;
const WINDOW_FIRST_MAX: usize = 512;
/// Requests at the least: one being sent, one behind it.
const WINDOW_MIN: usize = 2;
/// Requests at the most, whatever a peer announces.
const WINDOW_MAX: usize = 8192;
/// Requests that each block makes room for in slow start, beside its own: requests are small and
/// are nobody's congestion, so this may be steeper than TCP's.
const SLOW_START_GAIN: usize = 7;
/// Slow start ends when a block took so much longer than the quickest one, and half as long again:
/// it waited at the peer.
const SLOW_START_WAIT_US: u64 = SECOND_US / 20;
/// How much further the window may reach after one measurement.
const GROWTH_MAX: usize = 4;
/// Requests that a peer takes if it does not say (`reqq`, BEP 10).
pub(super) const REQQ_DEFAULT: u32 = 250;
/// Data kept queued at the peer beyond the round trip.
const QUEUE_US: u64 = SECOND_US;
/// One measurement of the rate.
const MEASURE_US: u64 = SECOND_US / 4;
/// Requests are taken back from a peer that would need so long for them. What it has put into its
/// socket comes all the same, so this is no small thing.
const OVERLOAD_US: u64 = 10 * SECOND_US;
/// A rate is known well after so many measurements in a row.
const SETTLED: u32 = 4;
/// A peer that owes blocks and sent none for this long stalls, at the soonest and the latest; and
/// at the soonest while somebody else has nothing to do.
const STALL_US_MIN: u64 = 3 * SECOND_US;
const STALL_US_MIN_WANTED: u64 = SECOND_US + SECOND_US / 2;
/// The same of a peer whose pauses are known well: so many times the longest of late, and this.
const STALL_PAUSES: u64 = 4;
const STALL_US_MIN_STEADY: u64 = SECOND_US / 2;
/// By so much of itself the longest pause becomes shorter with each measurement.
const PAUSE_FADES: u64 = 32;
const STALL_US_MAX: u64 = 30 * SECOND_US;
/// A peer from which nothing came yet stalls after this, or this.
const STALL_US_FIRST: u64 = 10 * SECOND_US;
const STALL_US_FIRST_WANTED: u64 = 5 * SECOND_US;
/// The round trip counts for no more than this in what is expected: a first block that waited
/// for a slow disk is no distance.
const TRIP_US_MAX: u64 = SECOND_US;

/// What one peer delivers, and what it may be asked for.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Bytes a second, zero until the first measurement.
    rate: u64,
    round_trip_us: Option<u64>,
    window: usize,
    slow_start: bool,
    /// When it was first asked, and what came in slow start.
    began: Option<Time>,
    began_bytes: u64,
    reqq: u32,
    measured_from: Time,
    measured_bytes: u64,
    measurements: u32,
    /// When the last block came since it last owed none.
    came: Option<Time>,
    /// The longest time between two blocks, of late.
    pause_us: u64,
    stalled: bool,
}

impl Pace {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            rate: 0,
            round_trip_us: None,
            window: WINDOW_FIRST,
            slow_start: true,
            began: None,
            began_bytes: 0,
            reqq: REQQ_DEFAULT,
            measured_from: now,
            measured_bytes: 0,
            measurements: 0,
            came: None,
            pause_us: 0,
            stalled: false,
        }
    }

    /// Its handshake came so long after ours was sent: how far away it is, more or less.
    pub(super) fn greeted_after(&mut self, us: u64) {
        let times = (us / WINDOW_FIRST_PER_US) as usize;
        self.window = (WINDOW_FIRST * times).clamp(WINDOW_FIRST, WINDOW_FIRST_MAX);
    }

    /// The peer said how many requests it queues.
    pub(super) const fn announced(&mut self, reqq: u32) {
        self.reqq = reqq;
    }

    /// Requests went out while none was under way: the measurement begins here, so that idle
    /// time does not count against the peer.
    pub(super) fn resumed(&mut self, now: Time) {
        self.began.get_or_insert(now);
        self.measured_from = now;
        self.measured_bytes = 0;
        self.came = None;
    }

    /// A block came that was asked at `asked`.
    pub(super) fn arrived(&mut self, now: Time, asked: Time, bytes: u32) {
        let trip_us = now.since_us(asked);
        let least_us = self.round_trip_us.map_or(trip_us, |best| best.min(trip_us));
        self.round_trip_us = Some(least_us);
        self.slow_start &= trip_us - least_us < SLOW_START_WAIT_US.max(least_us / 2);
        if self.slow_start && !self.stalled {
            self.began_bytes += u64::from(bytes);
            let steep = (self.window + SLOW_START_GAIN).min(WINDOW_MAX);
            self.window = steep.min(self.promised(now)).max(self.window);
        }
        self.came(now, bytes);
    }

    /// Requests for half as much again as would come, by all that came in slow start, in the time
    /// that a window is for: who sends in bursts is not taken for faster than it is.
    fn promised(&self, now: Time) -> usize {
        let span_us = now.since_us(self.began.unwrap_or(now)).max(1);
        let bytes = self.began_bytes.saturating_mul(self.reach_us()) / span_us;
        (bytes.saturating_mul(3) / 2 / u64::from(BLOCK_LENGTH)) as usize
    }

    /// The time that a window is for.
    fn reach_us(&self) -> u64 {
        self.round_trip_us.unwrap_or(0) + QUEUE_US
    }

    /// Bytes came of a block, which may be one that was given up: they took the same line.
    pub(super) fn came(&mut self, now: Time, bytes: u32) {
        if std::mem::take(&mut self.stalled) {
            self.window = WINDOW_MIN;
        }
        if let Some(last) = self.came.replace(now) {
            self.pause_us = self.pause_us.max(now.since_us(last));
        }
        self.measured_bytes += u64::from(bytes);
        let span_us = now.since_us(self.measured_from);
        // Before one round trip has passed, nothing that was asked later can be here.
        if span_us >= MEASURE_US.max(self.trip_us().unwrap_or(0)) {
            self.measured(self.measured_bytes * SECOND_US / span_us);
            self.measured_from = now;
            self.measured_bytes = 0;
        }
    }

    /// The rate was `sample` lately.
    fn measured(&mut self, sample: u64) {
        let grows = self.rate == 0 || self.slow_start;
        self.slow_start &= sample > self.rate + self.rate / 4;
        self.measurements = self.measurements.saturating_add(1);
        self.pause_us -= self.pause_us / PAUSE_FADES;
        self.rate = if grows { sample } else { (self.rate + sample) / 2 };
        let wanted = (self.rate * self.reach_us() / SECOND_US / u64::from(BLOCK_LENGTH)) as usize;
        let least = if self.slow_start { self.window } else { WINDOW_MIN };
        self.window = wanted.clamp(least, (self.window * GROWTH_MAX).min(WINDOW_MAX));
    }

    /// The peer owed blocks and sent none: it keeps one request, as a probe.
    pub(super) const fn stalled(&mut self) {
        self.stalled = true;
        self.slow_start = false;
        self.measurements = 0;
        self.rate = 0;
    }

    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Bytes a second; zero if nothing is known.
    pub(super) const fn rate(&self) -> u64 {
        self.rate
    }

    /// The round trip, if anything came; at most [`TRIP_US_MAX`].
    pub(super) fn trip_us(&self) -> Option<u64> {
        self.round_trip_us.map(|us| us.min(TRIP_US_MAX))
    }

    /// How many requests may be under way.
    pub(super) fn window(&self) -> usize {
        // A sixteenth is left: a peer that counts one request more than we do drops it silently.
        let queued_max = (self.reqq - self.reqq / 16).max(1) as usize;
        if self.stalled { 1 } else { self.window.min(queued_max) }
    }

    /// Whether `owed` bytes are more than it will deliver soon, by a rate that is known well: it
    /// became slower than it was when it was asked.
    pub(super) fn is_overloaded(&self, owed: u64) -> bool {
        self.measurements >= SETTLED && self.expected_us(owed).is_some_and(|us| us > OVERLOAD_US)
    }

    /// How long until the last of `queued` bytes should be here, if anything is known.
    pub(super) fn expected_us(&self, queued: u64) -> Option<u64> {
        (self.rate > 0).then(|| {
            let queue_us = queued.saturating_mul(SECOND_US) / self.rate;
            queue_us.saturating_add(self.trip_us().unwrap_or(0))
        })
    }

    /// How many blocks it can deliver within `span_us`; none are promised of a peer of which
    /// nothing is known.
    pub(super) fn deliverable(&self, span_us: u64) -> usize {
        let trip_us = self.trip_us().unwrap_or(0);
        let bytes = self.rate.saturating_mul(span_us.saturating_sub(trip_us)) / SECOND_US;
        (bytes / u64::from(BLOCK_LENGTH)) as usize
    }

    /// How long a peer that owes blocks may be silent; less long if they are `wanted` by another
    /// that has nothing to do.
    pub(super) fn patience_us(&self, wanted: bool) -> u64 {
        let least_us = match wanted {
            true if self.measurements >= SETTLED => {
                (STALL_PAUSES * self.pause_us).clamp(STALL_US_MIN_STEADY, STALL_US_MIN)
            }
            true => STALL_US_MIN_WANTED,
            false => STALL_US_MIN,
        };
        match self.expected_us(u64::from(BLOCK_LENGTH)) {
            None if wanted => STALL_US_FIRST_WANTED,
            None => STALL_US_FIRST,
            Some(expected_us) => expected_us.saturating_mul(4).clamp(least_us, STALL_US_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that answers at `rate`, `trip_us` away, for `span_us`: blocks that arrived.
    fn deliver(pace: &mut Pace, span_us: u64, rate: u64, trip_us: u64) -> u64 {
        let block_us = u64::from(BLOCK_LENGTH) * SECOND_US / rate;
        let mut asked = std::collections::VecDeque::new();
        let (mut now, mut free_at, mut blocks) = (Time(0), Time(0), 0);
        pace.resumed(now);
        while now.0 < span_us {
            while asked.len() < pace.window() {
                free_at = free_at.max(now + trip_us) + block_us;
                asked.push_back((now, free_at));
            }
            let Some((at, arrives)) = asked.pop_front() else { break };
            now = arrives;
            pace.arrived(now, at, BLOCK_LENGTH);
            blocks += 1;
        }
        blocks
    }

    #[test]
    fn a_far_fast_peer_is_full_after_a_few_round_trips_and_stays_so() {
        let (rate, trip_us) = (62_500_000, SECOND_US / 5);
        let mut pace = Pace::new(Time(0));
        pace.greeted_after(trip_us);
        pace.announced(2000);
        let span_us = 5 * SECOND_US;
        let blocks = deliver(&mut pace, span_us, rate, trip_us);
        let could = (span_us - trip_us) * rate / SECOND_US / u64::from(BLOCK_LENGTH);
        // Two round trips of ramp are a twelfth.
        assert!(blocks * 12 >= could * 11, "{blocks} blocks of {could}");
        let in_flight = pace.window() as u64 * u64::from(BLOCK_LENGTH);
        assert!(in_flight >= rate / 5, "{in_flight} bytes under way of {}", rate / 5);
    }

    #[test]
    fn a_slow_peer_holds_only_what_it_delivers_soon() {
        let mut pace = Pace::new(Time(0));
        deliver(&mut pace, 30 * SECOND_US, 50_000, 20_000);
        assert!(pace.window() <= 4, "{}", pace.window());
    }

    #[test]
    fn a_peer_that_becomes_slow_has_its_last_requests_taken_back() {
        let mut pace = Pace::new(Time(0));
        deliver(&mut pace, 5 * SECOND_US, 5_000_000, 20_000);
        let owed = pace.window() as u64 * u64::from(BLOCK_LENGTH);
        assert!(!pace.is_overloaded(owed));
        deliver(&mut pace, 20 * SECOND_US, 50_000, 20_000);
        assert!(pace.is_overloaded(owed), "{owed} bytes at {}", pace.rate());
    }

    #[test]
    fn reqq_is_respected_and_a_stalled_peer_has_one_probe() {
        let mut pace = Pace::new(Time(0));
        pace.announced(5);
        deliver(&mut pace, 5 * SECOND_US, 10_000_000, 1000);
        assert_eq!(pace.window(), 5);
        pace.stalled();
        assert_eq!(pace.window(), 1);
        pace.arrived(Time(60 * SECOND_US), Time(59 * SECOND_US), BLOCK_LENGTH);
        assert!(!pace.is_stalled());
    }

    #[test]
    fn patience_is_a_few_of_the_pauses_that_a_peer_makes() {
        let mut steady = Pace::new(Time(0));
        assert_eq!(steady.patience_us(true), STALL_US_FIRST_WANTED);
        deliver(&mut steady, 5 * SECOND_US, 20_000_000, 1000);
        assert_eq!(steady.patience_us(true), STALL_US_MIN_STEADY);
        assert_eq!(steady.patience_us(false), STALL_US_MIN, "nobody is in want");
        // Another sends for a second, then nothing for half a second.
        let (mut bursts, mut now) = (Pace::new(Time(0)), 0);
        for _ in 0..10 {
            for _ in 0..100 {
                now += SECOND_US / 100;
                bursts.arrived(Time(now), Time(now - 1000), BLOCK_LENGTH);
            }
            now += SECOND_US / 2;
        }
        let patience_us = bursts.patience_us(true);
        assert!((3 * SECOND_US / 2..=STALL_US_MIN).contains(&patience_us), "{patience_us}");
    }

    #[test]
    fn what_can_be_delivered_in_time_leaves_out_the_way() {
        let mut pace = Pace::new(Time(0));
        assert_eq!(pace.deliverable(SECOND_US), 0);
        deliver(&mut pace, 30 * SECOND_US, 1_638_400, SECOND_US / 5);
        let blocks = pace.deliverable(SECOND_US);
        assert!((77..=81).contains(&blocks), "{blocks} of 80");
        assert_eq!(pace.deliverable(SECOND_US / 10), 0);
    }
}
