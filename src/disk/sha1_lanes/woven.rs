//! [`Woven`]: two to four messages through the SHA unit of an x86 core.
//!
//! The unit finishes a round long after it could begin the next, and within a message each round
//! waits for the one before. Rounds of another message need not.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

use super::fed::{BLOCK, FIRST, Kernel};
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi8, _mm_set_epi32, _mm_set_epi64x,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_shuffle_epi8, _mm_xor_si128,
};

/// A fifth has no registers left to live in.
pub(super) const LANES: usize = 4;

/// The states of up to [`LANES`] messages.
pub(super) struct Woven {
    states: [[u32; 5]; LANES],
    count: usize,
}

impl Woven {
    /// Whether this processor can.
    pub(super) fn is_able() -> bool {
        is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1")
    }

    /// `count` messages, two or more; `None` if this processor can't.
    pub(super) fn new(count: usize) -> Option<Self> {
        Self::is_able().then_some(Self { states: [FIRST; LANES], count })
    }
}

impl Kernel<LANES> for Woven {
    fn take(&mut self, blocks: [&[[u8; BLOCK]]; LANES]) {
        let [a, b, c, d] = blocks;
        let [sa, sb, sc, sd] = &mut self.states;
        // SAFETY: `new` found the instructions on this processor.
        unsafe {
            match self.count {
                2 => compress([sa, sb], [a, b]),
                3 => compress([sa, sb, sc], [a, b, c]),
                _ => compress([sa, sb, sc, sd], [a, b, c, d]),
            }
        }
    }

    fn state(&self, lane: usize) -> [u32; 5] {
        self.states[lane]
    }
}

/// Takes in the blocks of `N` messages, as many of each as of the first (FIPS 180-4, 6.1.2),
/// four rounds at a time: in `abcd`, `a` is the highest word.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress<const N: usize>(states: [&mut [u32; 5]; N], blocks: [&[[u8; BLOCK]]; N]) {
    let mut abcd = [_mm_set_epi32(0, 0, 0, 0); N];
    let mut e = abcd;
    for lane in 0..N {
        let [a, b, c, d, e_word] = states[lane].map(u32::cast_signed);
        abcd[lane] = _mm_set_epi32(a, b, c, d);
        e[lane] = _mm_set_epi32(e_word, 0, 0, 0);
    }
    let count = blocks[0].len();
    let blocks = blocks.map(|blocks| &blocks[..count]);
    for (at, _) in blocks[0].iter().enumerate() {
        let (abcd_before, e_before) = (abcd, e);
        let mut w = [[e[0]; 4]; N];
        // What `e` is made of: `abcd` of the four rounds before.
        let mut older = abcd;
        for lane in 0..N {
            w[lane] = words(&blocks[lane][at]);
            e[lane] = _mm_add_epi32(e[lane], w[lane][0]);
            abcd[lane] = _mm_sha1rnds4_epu32::<0>(abcd[lane], e[lane]);
        }
        macro_rules! rounds {
            ($kind:literal: $($four:literal)*) => {$(
                for lane in 0..N {
                    if $four >= 4 {
                        extend::<{ $four % 4 }>(&mut w[lane]);
                    }
                    let next = _mm_sha1nexte_epu32(older[lane], w[lane][$four % 4]);
                    older[lane] = abcd[lane];
                    abcd[lane] = _mm_sha1rnds4_epu32::<$kind>(abcd[lane], next);
                }
            )*};
        }
        rounds!(0: 1 2 3 4);
        rounds!(1: 5 6 7 8 9);
        rounds!(2: 10 11 12 13 14);
        rounds!(3: 15 16 17 18 19);
        for lane in 0..N {
            e[lane] = _mm_sha1nexte_epu32(older[lane], e_before[lane]);
            abcd[lane] = _mm_add_epi32(abcd[lane], abcd_before[lane]);
        }
    }
    for (lane, state) in states.into_iter().enumerate() {
        let (abcd, e) = (abcd[lane], e[lane]);
        *state = [
            _mm_extract_epi32::<3>(abcd),
            _mm_extract_epi32::<2>(abcd),
            _mm_extract_epi32::<1>(abcd),
            _mm_extract_epi32::<0>(abcd),
            _mm_extract_epi32::<3>(e),
        ]
        .map(i32::cast_unsigned);
    }
}

/// The sixteen words of a block, the first the highest.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn words(block: &[u8; BLOCK]) -> [__m128i; 4] {
    let order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut words = [order; 4];
    for (four, bytes) in words.iter_mut().zip(block.as_chunks::<16>().0) {
        let whole = u128::from_le_bytes(*bytes);
        let loaded = _mm_set_epi64x((whole >> 64) as i64, whole as i64);
        *four = _mm_shuffle_epi8(loaded, order);
    }
    words
}

/// Replaces the four oldest words, at `AT`, by the next four of the message schedule.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn extend<const AT: usize>(w: &mut [__m128i; 4]) {
    let mixed = _mm_sha1msg1_epu32(w[AT], w[(AT + 1) % 4]);
    let mixed = _mm_xor_si128(mixed, w[(AT + 2) % 4]);
    w[AT] = _mm_sha1msg2_epu32(mixed, w[(AT + 3) % 4]);
}
