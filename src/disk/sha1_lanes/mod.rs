//! [`Sha1Lanes`]: the SHA-1 of up to four messages of one length, side by side.
//!
//! A core's SHA unit finishes a round long after it could begin the next, and within a message
//! each round waits for the one before. Rounds of another message need not: four pieces hashed in
//! turns come 2.7 times as fast out of one core as one after the other. So this is the one file of
//! the room with `unsafe`: a call of code that needs instructions which were found at run time.
//! Without them, and for other lengths, the `sha1` crate does the same work a message at a time.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "instructions that not every processor has")
)]

use sha1::Digest as _;

/// Messages side by side: a fifth has no registers left to live in.
pub(super) const LANES_MAX: usize = 4;

/// Hashes as many messages as it was made for.
pub(super) struct Sha1Lanes(Means);

enum Means {
    Plain(Vec<sha1::Sha1>),
    #[cfg(target_arch = "x86_64")]
    Woven(Box<woven::Woven>),
}

impl Sha1Lanes {
    /// Begins `count` messages.
    ///
    /// # Panics
    /// If `count` is zero or above [`LANES_MAX`].
    pub(super) fn new(count: usize) -> Self {
        assert!((1..=LANES_MAX).contains(&count), "{count} messages side by side");
        #[cfg(target_arch = "x86_64")]
        if count > 1
            && let Some(woven) = woven::Woven::new(count)
        {
            return Self(Means::Woven(Box::new(woven)));
        }
        Self(Means::Plain(vec![sha1::Sha1::new(); count]))
    }

    /// Feeds the next bytes of each message, of any length that is the same for all.
    ///
    /// # Panics
    /// If there are not as many parts as messages, or their lengths differ.
    pub(super) fn update(&mut self, parts: &[&[u8]]) {
        let length = parts.first().map_or(0, |part| part.len());
        assert!(parts.iter().all(|part| part.len() == length), "parts of different lengths");
        match &mut self.0 {
            Means::Plain(hashers) => {
                assert_eq!(hashers.len(), parts.len(), "a part a message");
                hashers.iter_mut().zip(parts).for_each(|(hasher, part)| hasher.update(part));
            }
            #[cfg(target_arch = "x86_64")]
            Means::Woven(woven) => woven.update(parts),
        }
    }

    /// The hash of each message.
    pub(super) fn finish(self) -> Vec<[u8; 20]> {
        match self.0 {
            Means::Plain(hashers) => hashers.into_iter().map(|h| h.finalize().into()).collect(),
            #[cfg(target_arch = "x86_64")]
            Means::Woven(woven) => woven.finish(),
        }
    }
}

/// The hash of each of `messages`; neighbours of one length are hashed side by side.
pub(super) fn digests(messages: &[&[u8]]) -> Vec<[u8; 20]> {
    let runs = messages.chunk_by(|a, b| a.len() == b.len());
    let groups = runs.flat_map(|run| run.chunks(LANES_MAX));
    groups
        .flat_map(|group| {
            let mut lanes = Sha1Lanes::new(group.len());
            lanes.update(group);
            lanes.finish()
        })
        .collect()
}

#[cfg(target_arch = "x86_64")]
mod woven {
    use super::LANES_MAX;
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi8, _mm_set_epi32, _mm_set_epi64x,
        _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
        _mm_shuffle_epi8, _mm_xor_si128,
    };

    /// Bytes that SHA-1 takes in at a time.
    const BLOCK: usize = 64;
    /// SHA-1's state at the beginning (FIPS 180-4, 5.3.1).
    const FIRST: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

    /// Messages on a processor that has the instructions.
    pub(super) struct Woven {
        states: [[u32; 5]; LANES_MAX],
        /// Bytes of each that make no whole block yet.
        rests: [[u8; BLOCK]; LANES_MAX],
        count: usize,
        length: u64,
    }

    impl Woven {
        /// `None` if this processor can't.
        pub(super) fn new(count: usize) -> Option<Self> {
            let able = is_x86_feature_detected!("sha")
                && is_x86_feature_detected!("ssse3")
                && is_x86_feature_detected!("sse4.1");
            let (states, rests) = ([FIRST; LANES_MAX], [[0; BLOCK]; LANES_MAX]);
            able.then_some(Self { states, rests, count, length: 0 })
        }

        pub(super) fn update(&mut self, parts: &[&[u8]]) {
            assert_eq!(self.count, parts.len(), "a part a message");
            let mut rest = [&[][..]; LANES_MAX];
            rest[..parts.len()].copy_from_slice(parts);
            let length = parts[0].len();
            let filled = (self.length % BLOCK as u64) as usize;
            self.length += length as u64;
            let mut taken = 0;
            if filled > 0 {
                taken = length.min(BLOCK - filled);
                for (kept, part) in self.rests.iter_mut().zip(parts) {
                    kept[filled..filled + taken].copy_from_slice(&part[..taken]);
                }
                if filled + taken < BLOCK {
                    return;
                }
                self.take_rests();
            }
            let blocks = rest.map(|part| part.get(taken..).unwrap_or_default().as_chunks().0);
            self.take(blocks);
            taken += blocks[0].len() * BLOCK;
            for (kept, part) in self.rests.iter_mut().zip(parts) {
                kept[..length - taken].copy_from_slice(&part[taken..]);
            }
        }

        pub(super) fn finish(mut self) -> Vec<[u8; 20]> {
            let bits = (self.length * 8).to_be_bytes();
            let filled = (self.length % BLOCK as u64) as usize;
            for rest in &mut self.rests {
                rest[filled] = 0x80;
                rest[filled + 1..].fill(0);
            }
            if filled + 1 + bits.len() > BLOCK {
                self.take_rests();
                self.rests = [[0; BLOCK]; LANES_MAX];
            }
            for rest in &mut self.rests {
                rest[BLOCK - bits.len()..].copy_from_slice(&bits);
            }
            self.take_rests();
            let hash = |state: &[u32; 5]| {
                let mut hash = [0; 20];
                let words = hash.as_chunks_mut().0;
                words.iter_mut().zip(state).for_each(|(to, word)| *to = word.to_be_bytes());
                hash
            };
            self.states[..self.count].iter().map(hash).collect()
        }

        fn take_rests(&mut self) {
            let rests = self.rests;
            self.take(rests.each_ref().map(std::slice::from_ref));
        }

        fn take(&mut self, blocks: [&[[u8; BLOCK]]; LANES_MAX]) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(lane: usize, length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 251 + lane * 7) as u8).collect()
    }

    proptest! {
        /// Any number of messages of any length, fed in any parts: the hashes of the `sha1` crate.
        #[test]
        fn side_by_side_or_alone_a_hash_is_the_same(
            count in 1..=LANES_MAX,
            length in prop_oneof![0_usize..200, Just(20_000_usize)],
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let messages: Vec<Vec<u8>> = (0..count).map(|lane| message(lane, length)).collect();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
            ends.push(length);
            ends.sort_unstable();
            let mut lanes = Sha1Lanes::new(count);
            let mut from = 0;
            for to in ends {
                lanes.update(&messages.iter().map(|m| &m[from..to]).collect::<Vec<_>>());
                from = to;
            }
            let plain: Vec<[u8; 20]> =
                messages.iter().map(|m| sha1::Sha1::digest(m).into()).collect();
            prop_assert_eq!(lanes.finish(), plain);
        }
    }

    #[test]
    fn of_a_list_each_message_is_hashed_in_its_place() {
        let messages: Vec<Vec<u8>> = [9, 9, 9, 9, 9, 9, 4, 0, 0, 7]
            .iter()
            .enumerate()
            .map(|(i, n)| message(i, *n))
            .collect();
        let slices: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let plain: Vec<[u8; 20]> = messages.iter().map(|m| sha1::Sha1::digest(m).into()).collect();
        assert_eq!(digests(&slices), plain);
        assert_eq!(digests(&[]), Vec::<[u8; 20]>::new());
    }

    /// FIPS 180-2, appendix A.1, in every lane.
    #[test]
    fn abc_is_what_the_standard_says() {
        let abc = "a9993e364706816aba3e25717850c26c9cd0d89d";
        for count in 1..=LANES_MAX {
            let mut lanes = Sha1Lanes::new(count);
            lanes.update(&vec![&b"abc"[..]; count]);
            for hash in lanes.finish() {
                let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hex, abc);
            }
        }
    }

    #[test]
    #[should_panic(expected = "parts of different lengths")]
    fn parts_of_different_lengths_are_refused() {
        Sha1Lanes::new(2).update(&[b"a", b"bc"]);
    }
}
