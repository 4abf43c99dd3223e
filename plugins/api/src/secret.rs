//! [`SecretChance`]: numbers that nobody else can foretell, from the run's seed; and [`Key`],
//! SipHash.
//!
//! A stranger sees much of what is drawn here (every transaction id goes to somebody), and must
//! not learn from it what is drawn next, or what a token is. So numbers are SipHash-2-4 of a
//! counter under a secret key, and not a generator whose state can be read off its output. They
//! are as secret as the seed.

/// A secret under which bytes are hashed (SipHash-2-4).
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "a secret is not to be shown")]
pub struct Key(u64, u64);

impl Key {
    /// 64 bits that only who has the key can tell.
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let Self(k0, k1) = self;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            absorb(&mut state, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = bytes.len() as u8;
        absorb(&mut state, u64::from_le_bytes(last));
        state[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut state);
        }
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

const fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

const fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

/// A stream of numbers drawn from a seed, for what strangers see and must not guess: transaction
/// ids, keys. [`Chance`](crate::Chance) is quicker.
#[allow(missing_debug_implementations, reason = "a secret is not to be shown")]
pub struct SecretChance {
    key: Key,
    drawn: u64,
}

impl SecretChance {
    /// The stream of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { key: Key(seed, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), drawn: 0 }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.key.hash(&self.drawn.to_le_bytes())
    }

    /// 32 bits.
    pub fn word(&mut self) -> u32 {
        (self.draw() >> 32) as u32
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    /// A new key.
    pub fn key(&mut self) -> Key {
        Key(self.draw(), self.draw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector in appendix A of the paper on SipHash.
    #[test]
    fn siphash_is_siphash() {
        let key = Key(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(key.hash(&bytes), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn the_same_seed_draws_the_same_numbers_and_another_one_others() {
        let draw = |seed| {
            let mut chance = SecretChance::new(seed);
            [chance.draw(), chance.draw(), u64::from(chance.word())]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
