//! [`Chance`]: numbers that look random, from the run's seed.

/// A stream of numbers drawn from a seed (splitmix64). Not for secrets.
///
/// ```
/// let draw = |seed| rtor_plugin::Chance::new(seed).draw();
/// assert_eq!(draw(7), draw(7));
/// assert_ne!(draw(7), draw(8));
/// ```
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// 32 bits.
    pub const fn word(&mut self) -> u32 {
        (self.draw() >> 32) as u32
    }

    /// A number below `bound`; 0 if `bound` is 0.
    ///
    /// ```
    /// let mut chance = rtor_plugin::Chance::new(1);
    /// assert!((0..1000).all(|_| chance.below(3) < 3));
    /// assert_eq!(chance.below(0), 0);
    /// ```
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is uniform to within bound / 2^64.
        ((self.draw() as u128 * bound as u128) >> 64) as u64
    }

    /// Puts `items` into an order drawn by chance (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1);
            items.swap(last, other as usize);
        }
    }
}
