//! [`Time`]: microseconds since the engine began. A number, so that a test can make it up.

use std::ops::Add;

/// Microseconds in a second.
pub const SECOND_US: u64 = 1_000_000;

/// A moment: microseconds since the engine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Microseconds since `earlier`; 0 if that is later.
    #[must_use]
    pub const fn since_us(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Time {
    type Output = Self;

    /// `us` microseconds later.
    fn add(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}
