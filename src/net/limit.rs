//! [`Limits`]: rates that all bytes of one direction keep, shared fairly by those who send or
//! receive at once.
//!
//! Whoever moved bytes pays for them, and waits until they are paid before it moves more: so what
//! waits for a silent peer holds up nobody. One pays at a time, in the order in which they came,
//! and each for little at once: those who always have something to move get
//! equal shares, and who moves less gets all that it wants. Small messages are never held up: what they
//! cost is owed by the next who pays. A limiter may have another above it, which is paid too: that
//! of a peer that of all peers.

#![expect(clippy::disallowed_methods, reason = "rates are kept by the clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What was not used counts for so long: a timer may wake us late, and the rate is kept all the
/// same.
const UNUSED_US_MAX: u64 = 100_000;
/// A portion takes so long at the rate.
const PORTION_US: u64 = 20_000;
/// Bytes of a portion, at the least and at the most.
const PORTION_MIN: usize = 1 << 10;
const PORTION_MAX: usize = 256 << 10;
/// How soon a new rate is noticed by who waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SECOND_US: u64 = 1_000_000;

/// A rate of one direction; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Bytes a second; 0: no limit. Others may have the same.
    rate: Arc<AtomicU64>,
    /// Bytes of small messages that nobody has paid.
    owed: AtomicU64,
    bucket: Mutex<Bucket>,
    above: Option<Limiter>,
}

impl Limiter {
    fn new(rate: Arc<AtomicU64>, above: Option<Self>) -> Self {
        let (owed, bucket) = (AtomicU64::new(0), Mutex::new(Bucket::new()));
        Self(Arc::new(Inner { rate, owed, bucket, above }))
    }

    fn rate(&self) -> Option<u64> {
        Some(self.0.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// Bytes a second that are moved at most; `None`: as many as there are.
    pub(super) fn least_rate(&self) -> Option<u64> {
        let above = self.0.above.as_ref().and_then(Self::least_rate);
        [self.rate(), above].into_iter().flatten().min()
    }

    /// Bytes that should be moved at most before they are paid; `None`: any number.
    pub(super) fn portion(&self) -> Option<usize> {
        let portion = |rate| {
            let bytes = u128::from(rate) * u128::from(PORTION_US) / u128::from(SECOND_US);
            (bytes as usize).clamp(PORTION_MIN, PORTION_MAX)
        };
        let above = self.0.above.as_ref().and_then(Self::portion);
        [self.rate().map(portion), above].into_iter().flatten().min()
    }

    /// Pays for `bytes`, and waits until they are paid.
    pub(super) async fn pay(&self, bytes: usize) {
        let mut level = Some(self);
        while let Some(limiter) = level {
            limiter.pay_here(bytes as u64).await;
            level = limiter.0.above.as_ref();
        }
    }

    async fn pay_here(&self, bytes: u64) {
        if self.rate().is_none() {
            return;
        }
        let mut bucket = self.0.bucket.lock().await;
        let mut bytes = bytes + self.0.owed.swap(0, Ordering::Relaxed);
        while let Some(rate) = self.rate() {
            let wait = bucket.take(Instant::now(), rate, std::mem::take(&mut bytes));
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait.min(LOOK_EVERY)).await;
        }
        bucket.forgive();
    }

    /// `bytes` of small messages went without waiting.
    pub(super) fn owe(&self, bytes: usize) {
        if self.rate().is_some() {
            self.0.owed.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        if let Some(above) = &self.0.above {
            above.owe(bytes);
        }
    }
}

/// What may be moved, or is owed if it is negative.
#[derive(Debug)]
struct Bucket {
    /// Bytes by microseconds: exact, however often it is filled.
    level: i128,
    filled: Option<Instant>,
}

impl Bucket {
    const fn new() -> Self {
        Self { level: 0, filled: None }
    }

    /// Takes `bytes` at `now`; how long it is then until they are paid.
    fn take(&mut self, now: Instant, rate: u64, bytes: u64) -> Duration {
        let since = self.filled.replace(now).map_or(Duration::ZERO, |then| now - then);
        let rate = i128::from(rate);
        let filled = self.level + rate * since.as_micros() as i128;
        self.level = filled.min(rate * i128::from(UNUSED_US_MAX));
        self.level -= i128::from(bytes) * i128::from(SECOND_US);
        let wait_us = if self.level < 0 { (-self.level + rate - 1) / rate } else { 0 };
        Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX))
    }

    /// Nothing is owed any more.
    const fn forgive(&mut self) {
        *self = Self::new();
    }
}

/// Bytes a second; `None` or 0: as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Received, of all peers.
    pub down: Option<u64>,
    /// Sent, to all peers.
    pub up: Option<u64>,
    /// Received, of each peer.
    pub peer_down: Option<u64>,
    /// Sent, to each peer.
    pub peer_up: Option<u64>,
}

/// The limits of a run; clones are the same.
#[derive(Clone, Debug)]
pub struct Limits {
    all: Way<Limiter>,
    /// Of each peer.
    peer: Way<Arc<AtomicU64>>,
}

/// What there is of both directions.
#[derive(Clone, Debug)]
pub(super) struct Way<T> {
    pub(super) down: T,
    pub(super) up: T,
}

impl Limits {
    /// These rates, until they are [`set`](Self::set) anew.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let cell = || Arc::new(AtomicU64::new(0));
        let all = || Limiter::new(cell(), None);
        let limits =
            Self { all: Way { down: all(), up: all() }, peer: Way { down: cell(), up: cell() } };
        limits.set(rates);
        limits
    }

    /// From now on these rates.
    pub fn set(&self, rates: Rates) {
        let Self { all, peer } = self;
        let cells = [&all.down.0.rate, &all.up.0.rate, &peer.down, &peer.up];
        let rates = [rates.down, rates.up, rates.peer_down, rates.peer_up];
        for (cell, rate) in cells.into_iter().zip(rates) {
            cell.store(rate.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Bytes a second that may be sent, if there is a limit.
    #[must_use]
    pub fn up(&self) -> Option<u64> {
        self.all.up.rate()
    }

    /// For one more peer.
    pub(super) fn of_peer(&self) -> Way<Limiter> {
        let Self { all, peer } = self;
        Way {
            down: Limiter::new(Arc::clone(&peer.down), Some(all.down.clone())),
            up: Limiter::new(Arc::clone(&peer.up), Some(all.up.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is taken and however late one wakes, the rate is kept.
        #[test]
        fn the_rate_is_kept(
            rate in 1_000_u64..1_000_000_000,
            steps in prop::collection::vec((0.01_f64..1.0, 0_u64..50_000), 50..200),
        ) {
            let mut bucket = Bucket::new();
            let begun = Instant::now();
            let mut now = begun;
            let (mut taken, mut late) = (0, 0.0);
            for (share, late_us) in steps {
                let bytes = ((rate / 50) as f64 * share) as u64 + 1;
                taken += bytes;
                late += late_us as f64 / 1e6;
                now += bucket.take(now, rate, bytes) + Duration::from_micros(late_us);
            }
            let ideal = taken as f64 / rate as f64;
            let took = (now - begun).as_secs_f64();
            prop_assert!(took >= ideal - 1e-4, "{} s instead of {}", took, ideal);
            // Each wait is rounded up to a microsecond.
            prop_assert!(took <= ideal + late + 1e-3, "{} s instead of {}", took, ideal);
        }
    }

    #[test]
    fn who_was_late_is_not_held_up_twice() {
        let mut bucket = Bucket::new();
        let mut now = Instant::now();
        let begun = now;
        for _ in 0..100 {
            // Two milliseconds at 1 MB/s, of which the timer makes five.
            now += bucket.take(now, 1_000_000, 2_000);
            now += Duration::from_millis(if bucket.level < 0 { 3 } else { 0 });
        }
        let took = (now - begun).as_secs_f64();
        assert!((0.199..0.207).contains(&took), "{took}");
    }

    #[test]
    fn portions_are_small_at_a_low_rate_and_there_is_none_without_a_limit() {
        let limits = Limits::new(Rates::default());
        let one = limits.of_peer().up;
        assert_eq!((one.portion(), limits.up()), (None, None));
        limits.set(Rates { up: Some(20_000), ..Rates::default() });
        assert_eq!((one.portion(), limits.up()), (Some(PORTION_MIN), Some(20_000)));
        limits.set(Rates { up: Some(100_000_000), ..Rates::default() });
        assert_eq!(one.portion(), Some(PORTION_MAX));
        limits.set(Rates { up: Some(100_000_000), peer_up: Some(1_000_000), ..Rates::default() });
        assert_eq!(one.portion(), Some(20_000));
        assert_eq!(limits.of_peer().down.portion(), None);
    }
}
