//! [`RoundTrips`]: how long an answer takes, and so how long to wait for one.

/// Before anything was measured: most of the world answers sooner.
const FIRST_US: u64 = 1_000_000;
/// An answer that takes longer than usual is not waited for before somebody else is asked, but
/// never before this: a busy home line takes that long.
const SLOW_US_MIN: u64 = 250_000;
/// And never after this: one dead node must not hold a lookup up.
const SLOW_US_MAX: u64 = 1_500_000;
/// So many times as long an answer is still believed.
const PATIENCE: u64 = 3;

/// A mean and how far off it single answers are (RFC 6298).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrips {
    mean_us: Option<u64>,
    deviation_us: u64,
}

impl RoundTrips {
    /// An answer took so long.
    pub(crate) fn measured(&mut self, took_us: u64) {
        match self.mean_us {
            None => (self.mean_us, self.deviation_us) = (Some(took_us), took_us / 2),
            Some(mean_us) => {
                let off_us = mean_us.abs_diff(took_us);
                self.deviation_us = (self.deviation_us * 3).saturating_add(off_us) / 4;
                self.mean_us = Some((mean_us * 7).saturating_add(took_us) / 8);
            }
        }
    }

    /// After how long somebody else is asked too.
    pub(crate) fn slow_us(&self) -> u64 {
        let usual_us = self.mean_us.map(|mean| mean.saturating_add(self.deviation_us * 4));
        usual_us.unwrap_or(FIRST_US).clamp(SLOW_US_MIN, SLOW_US_MAX)
    }

    /// After how long there is no answer.
    pub(crate) fn dead_us(&self) -> u64 {
        self.slow_us() * PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_follows_what_was_measured_within_its_bounds() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.slow_us(), FIRST_US);
        for _ in 0..50 {
            trips.measured(100_000);
        }
        assert_eq!(trips.slow_us(), SLOW_US_MIN);
        for _ in 0..50 {
            trips.measured(600_000);
        }
        assert!((600_000..700_000).contains(&trips.slow_us()), "{trips:?}");
        for _ in 0..50 {
            trips.measured(u64::MAX / 16);
        }
        assert_eq!(trips.dead_us(), SLOW_US_MAX * PATIENCE);
    }
}
