//! [`Chance`]: numbers that look like chance and are the same on every machine (splitmix64).

/// A stream of them, from its seed.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// One of 0 up to but not `end`.
    ///
    /// # Panics
    /// If there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    /// `count` different ones of 0 up to but not `end`, in order.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn some_below(&mut self, count: usize, end: u64) -> std::collections::BTreeSet<u64> {
        assert!(count as u64 <= end, "{count} of {end}");
        let mut some = std::collections::BTreeSet::new();
        while some.len() < count {
            some.insert(self.below(end));
        }
        some
    }

    /// One of `these`.
    ///
    /// # Panics
    /// If there is none.
    pub fn one_of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[self.below(these.len() as u64) as usize]
    }
}
