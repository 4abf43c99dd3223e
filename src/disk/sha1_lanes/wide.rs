//! [`Wide`]: up to eight messages, one in each 32-bit lane of an x86 core's vectors.
//!
//! Eight take as long as one. AVX-512 has instructions for a rotation and for any function of three
//! bits, also for vectors of 256 bits: with them it is a third faster than with AVX2.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

use super::fed::{BLOCK, FIRST, Kernel};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_extract_epi32, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_rol_epi32, _mm256_set_epi64x, _mm256_set1_epi32,
    _mm256_setr_epi8, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_ternarylogic_epi32, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

/// Words in a vector.
pub(super) const LANES: usize = 8;

/// The states of [`LANES`] messages: word by word, each of all messages.
pub(super) struct Wide {
    words: [[u32; LANES]; 5],
    has_avx512: bool,
}

impl Wide {
    /// `None` if this processor can't.
    pub(super) fn new() -> Option<Self> {
        let has_avx512 =
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        let words = FIRST.map(|word| [word; LANES]);
        is_x86_feature_detected!("avx2").then_some(Self { words, has_avx512 })
    }
}

impl Kernel<LANES> for Wide {
    fn take(&mut self, blocks: [&[[u8; BLOCK]]; LANES]) {
        // SAFETY: `new` found the instructions on this processor.
        unsafe {
            if self.has_avx512 {
                by_avx512::compress(&mut self.words, blocks);
            } else {
                by_avx2::compress(&mut self.words, blocks);
            }
        }
    }

    fn state(&self, lane: usize) -> [u32; 5] {
        self.words.map(|word| word[lane])
    }
}

/// Rounds of SHA-1 (FIPS 180-4, 6.1.2) with one function and one constant.
macro_rules! rounds {
    ($w:ident $abcde:ident $f:ident $k:literal: $($t:literal)*) => {
        let k = _mm256_set1_epi32(u32::cast_signed($k));
        $(
            if $t >= 16 {
                let three = parity($w[($t + 13) % 16], $w[($t + 8) % 16], $w[($t + 2) % 16]);
                $w[$t % 16] = rotated::<1, 31>(_mm256_xor_si256(three, $w[$t % 16]));
            }
            let [a, b, c, d, e] = $abcde;
            let known = _mm256_add_epi32(_mm256_add_epi32(e, k), $w[$t % 16]);
            let mixed = _mm256_add_epi32(rotated::<5, 27>(a), $f(b, c, d));
            $abcde = [_mm256_add_epi32(mixed, known), a, rotated::<30, 2>(b), c, d];
        )*
    };
}

/// A whole compression with the functions of its module.
macro_rules! compression {
    ($features:literal) => {
        /// Takes in the blocks of all messages, of each as many as of the first.
        #[target_feature(enable = $features)]
        pub(super) fn compress(words: &mut [[u32; LANES]; 5], blocks: [&[[u8; BLOCK]]; LANES]) {
            let mut state = words.map(|word| vector(word));
            let count = blocks[0].len();
            let blocks = blocks.map(|blocks| &blocks[..count]);
            for at in 0..count {
                let mut w = schedule(blocks.map(|blocks| &blocks[at]));
                let mut abcde = state;
                rounds!(w abcde choice 0x5a82_7999: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
                rounds!(w abcde parity 0x6ed9_eba1: 20 21 22 23 24 25 26 27 28 29);
                rounds!(w abcde parity 0x6ed9_eba1: 30 31 32 33 34 35 36 37 38 39);
                rounds!(w abcde majority 0x8f1b_bcdc: 40 41 42 43 44 45 46 47 48 49);
                rounds!(w abcde majority 0x8f1b_bcdc: 50 51 52 53 54 55 56 57 58 59);
                rounds!(w abcde parity 0xca62_c1d6: 60 61 62 63 64 65 66 67 68 69);
                rounds!(w abcde parity 0xca62_c1d6: 70 71 72 73 74 75 76 77 78 79);
                for (sum, word) in state.iter_mut().zip(abcde) {
                    *sum = _mm256_add_epi32(*sum, word);
                }
            }
            *words = state.map(|vector| lanes(vector));
        }
    };
}

mod by_avx512 {
    use super::*;

    compression!("avx2,avx512f,avx512vl");

    #[target_feature(enable = "avx512f,avx512vl")]
    fn rotated<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
        _mm256_rol_epi32::<LEFT>(x)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    fn choice(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_ternarylogic_epi32::<0xca>(b, c, d)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_ternarylogic_epi32::<0x96>(b, c, d)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_ternarylogic_epi32::<0xe8>(b, c, d)
    }
}

mod by_avx2 {
    use super::*;

    compression!("avx2");

    #[target_feature(enable = "avx2")]
    fn rotated<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
    }

    #[target_feature(enable = "avx2")]
    fn choice(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))
    }

    #[target_feature(enable = "avx2")]
    fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_xor_si256(b, _mm256_xor_si256(c, d))
    }

    #[target_feature(enable = "avx2")]
    fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_and_si256(b, c), _mm256_and_si256(d, _mm256_or_si256(b, c)))
    }
}

#[target_feature(enable = "avx2")]
fn vector(words: [u32; LANES]) -> __m256i {
    let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
    _mm256_setr_epi32(a, b, c, d, e, f, g, h)
}

#[target_feature(enable = "avx2")]
fn lanes(vector: __m256i) -> [u32; LANES] {
    [
        _mm256_extract_epi32::<0>(vector),
        _mm256_extract_epi32::<1>(vector),
        _mm256_extract_epi32::<2>(vector),
        _mm256_extract_epi32::<3>(vector),
        _mm256_extract_epi32::<4>(vector),
        _mm256_extract_epi32::<5>(vector),
        _mm256_extract_epi32::<6>(vector),
        _mm256_extract_epi32::<7>(vector),
    ]
    .map(i32::cast_unsigned)
}

/// The sixteen words of a block, each of all messages.
#[target_feature(enable = "avx2")]
#[inline]
fn schedule(blocks: [&[u8; BLOCK]; LANES]) -> [__m256i; 16] {
    let mut words = [_mm256_setzero_si256(); 16];
    for (half, eight) in words.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut rows = [_mm256_setzero_si256(); LANES];
        for (row, block) in rows.iter_mut().zip(blocks) {
            let mut four = [0; 4];
            let bytes = block[half * 32..].as_chunks::<8>().0;
            four.iter_mut().zip(bytes).for_each(|(to, from)| *to = i64::from_le_bytes(*from));
            *row = _mm256_set_epi64x(four[3], four[2], four[1], four[0]);
        }
        *eight = transposed(rows);
    }
    words
}

/// Eight rows of eight words, as columns; each word with its bytes turned round.
#[target_feature(enable = "avx2")]
#[inline]
fn transposed([r0, r1, r2, r3, r4, r5, r6, r7]: [__m256i; LANES]) -> [__m256i; LANES] {
    let low = |a, b| _mm256_unpacklo_epi32(a, b);
    let high = |a, b| _mm256_unpackhi_epi32(a, b);
    let [a0, a2, a4, a6] = [low(r0, r1), low(r2, r3), low(r4, r5), low(r6, r7)];
    let [a1, a3, a5, a7] = [high(r0, r1), high(r2, r3), high(r4, r5), high(r6, r7)];
    let low = |a, b| _mm256_unpacklo_epi64(a, b);
    let high = |a, b| _mm256_unpackhi_epi64(a, b);
    let [b0, b1, b2, b3] = [low(a0, a2), high(a0, a2), low(a1, a3), high(a1, a3)];
    let [b4, b5, b6, b7] = [low(a4, a6), high(a4, a6), low(a5, a7), high(a5, a7)];
    let low = |a, b| _mm256_permute2x128_si256::<0x20>(a, b);
    let high = |a, b| _mm256_permute2x128_si256::<0x31>(a, b);
    let mut columns = [
        low(b0, b4),
        low(b1, b5),
        low(b2, b6),
        low(b3, b7),
        high(b0, b4),
        high(b1, b5),
        high(b2, b6),
        high(b3, b7),
    ];
    let order = _mm256_setr_epi8(
        3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, //
        3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
    );
    for column in &mut columns {
        *column = _mm256_shuffle_epi8(*column, order);
    }
    columns
}
