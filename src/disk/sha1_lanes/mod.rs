//! [`Sha1Lanes`]: the SHA-1 of up to eight messages of one length, side by side.
//!
//! Within a message each round waits for the one before; rounds of another message need not. There
//! are two ways: through the SHA unit in turns (`woven`), and one message in each lane of a vector
//! (`wide`). Which is the best for how many messages differs from processor to processor by more
//! than a factor of two: one core weaves four at 5.1 GiB/s, another, an Ice Lake, at 1.4, and has
//! eight wide at 2.8. So it is measured when it is first needed, which takes half a millisecond.
//! Where neither is possible, and for a message alone, the `sha1` crate does the work.

mod fed;
mod plan;
#[cfg(target_arch = "x86_64")]
mod wide;
#[cfg(target_arch = "x86_64")]
mod woven;

pub(super) use plan::worthwhile;

#[cfg(target_arch = "x86_64")]
use fed::Fed;
use plan::Way;
use sha1::Digest as _;

/// Messages side by side.
pub(super) const LANES_MAX: usize = 8;

/// Hashes as many messages as it was made for.
pub(super) struct Sha1Lanes {
    /// Each with how many messages it has.
    groups: Vec<(usize, Means)>,
}

enum Means {
    Alone(sha1::Sha1),
    #[cfg(target_arch = "x86_64")]
    Woven(Box<Fed<woven::Woven, { woven::LANES }>>),
    #[cfg(target_arch = "x86_64")]
    Wide(Box<Fed<wide::Wide, { wide::LANES }>>),
}

impl Sha1Lanes {
    /// Begins `count` messages.
    ///
    /// # Panics
    /// If `count` is zero or above [`LANES_MAX`].
    pub(super) fn new(count: usize) -> Self {
        Self::by(plan::best(count), count)
    }

    /// Begins `count` messages, in this way as far as it goes.
    fn by(way: Way, count: usize) -> Self {
        assert!((1..=LANES_MAX).contains(&count), "{count} messages side by side");
        let mut groups = Vec::new();
        let mut left = count;
        while left > 0 {
            let (taken, means) = Means::of(way, left);
            groups.push((taken, means));
            left -= taken;
        }
        Self { groups }
    }

    /// Feeds the next bytes of each message, of any length that is the same for all.
    ///
    /// # Panics
    /// If there are not as many parts as messages, or their lengths differ.
    pub(super) fn update(&mut self, mut parts: &[&[u8]]) {
        let length = parts.first().map_or(0, |part| part.len());
        assert!(parts.iter().all(|part| part.len() == length), "parts of different lengths");
        let count: usize = self.groups.iter().map(|(count, _)| count).sum();
        assert_eq!(count, parts.len(), "a part a message");
        for (count, means) in &mut self.groups {
            let (own, rest) = parts.split_at(*count);
            parts = rest;
            match means {
                Means::Alone(hasher) => hasher.update(own[0]),
                #[cfg(target_arch = "x86_64")]
                Means::Woven(fed) => fed.update(own),
                #[cfg(target_arch = "x86_64")]
                Means::Wide(fed) => fed.update(own),
            }
        }
    }

    /// The hash of each message.
    pub(super) fn finish(self) -> Vec<[u8; 20]> {
        let mut hashes = Vec::new();
        for (_, means) in self.groups {
            match means {
                Means::Alone(hasher) => hashes.push(hasher.finalize().into()),
                #[cfg(target_arch = "x86_64")]
                Means::Woven(fed) => hashes.extend(fed.finish()),
                #[cfg(target_arch = "x86_64")]
                Means::Wide(fed) => hashes.extend(fed.finish()),
            }
        }
        hashes
    }
}

impl Means {
    /// For as many of `left` messages as go together in this way, and how many those are.
    #[cfg(target_arch = "x86_64")]
    fn of(way: Way, left: usize) -> (usize, Self) {
        let count = left.min(woven::LANES);
        match way {
            Way::Woven if count > 1 => {
                if let Some(kernel) = woven::Woven::new(count) {
                    return (count, Self::Woven(Box::new(Fed::new(kernel, count))));
                }
            }
            Way::Wide => {
                if let Some(kernel) = wide::Wide::new() {
                    return (left, Self::Wide(Box::new(Fed::new(kernel, left))));
                }
            }
            Way::Woven | Way::Alone => {}
        }
        (1, Self::Alone(sha1::Sha1::new()))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of(_: Way, _: usize) -> (usize, Self) {
        (1, Self::Alone(sha1::Sha1::new()))
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
            way in prop::sample::select(Way::ALL.to_vec()),
            count in 1..=LANES_MAX,
            length in prop_oneof![0_usize..200, Just(20_000_usize)],
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let messages: Vec<Vec<u8>> = (0..count).map(|lane| message(lane, length)).collect();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
            ends.push(length);
            ends.sort_unstable();
            let mut lanes = Sha1Lanes::by(way, count);
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
        let every = Way::ALL.into_iter().flat_map(|way| (1..=LANES_MAX).map(move |n| (way, n)));
        for (way, count) in every {
            let mut lanes = Sha1Lanes::by(way, count);
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
