//! Streaming: for somebody who reads while it loads.
//!
//! First comes the piece that the reader waits for, then the end of the file, where players look
//! for an index (`moov` in MP4, cues in Matroska), then a window in order; behind the window, one
//! window's length after the other, the rarest first. What is in the window is urgent, the first
//! piece at once and each further one by the time that the reader needs it at his `rate`.
//!
//! Where nobody is known to read, the reader is thought to be at the first piece that is missing.

use rtor_plugin::strategy::{Strategy, Swarm, Urgencies, Urgency};
use rtor_plugin::{Options, export_plugin};
use std::ops::Range;

/// Eight seconds at the default rate: more than peers take to be replaced.
const WINDOW: Reach = Reach::Bytes(16 << 20);
/// Pieces of a window: a key has 16 bits for a place in it.
const WINDOW_PIECES_MAX: u64 = 1 << 16;
/// The index of a long film.
const TAIL: Reach = Reach::Bytes(2 << 20);
/// Pieces of a tail: it must not crowd the window out of the list of urgent pieces.
const TAIL_PIECES_MAX: u64 = 64;
/// Bytes a second of a film in high definition. Too high costs nothing but haste.
const RATE: u64 = 2_000_000;
/// Bytes of a piece for a host that does not say.
const PIECE_LENGTH: u32 = 1 << 20;

/// The strategy `streaming`.
pub struct Streaming {
    window: Reach,
    tail: Reach,
    rate: u64,
    /// What keys are counted from and to: where the reader was a short while ago.
    counted: Range<u32>,
}

/// A length as a person gives it.
#[derive(Clone, Copy)]
enum Reach {
    Pieces(u64),
    Bytes(u64),
}

impl Reach {
    fn option(options: Options<'_>, key: &str, default: Self) -> Result<Self, String> {
        match options.value(key).map(str::parse) {
            None => Ok(default),
            Some(Ok(pieces)) => Ok(Self::Pieces(pieces)),
            Some(Err(_)) => options.bytes(key).map(|bytes| bytes.map_or(default, Self::Bytes)),
        }
    }

    fn pieces(self, swarm: &Swarm<'_>, min: u64, max: u64) -> u32 {
        let pieces = match self {
            Self::Pieces(pieces) => pieces,
            Self::Bytes(bytes) => bytes.div_ceil(u64::from(piece_length(swarm))),
        };
        pieces.clamp(min, max) as u32
    }
}

impl Streaming {
    /// Pieces in order, from the one that the reader waits for to the end of what he reads.
    fn reading(&self, swarm: &Swarm<'_>) -> Range<u32> {
        if let Some(reader) = swarm.reader() {
            return reader;
        }
        let count = swarm.piece_count() as u32;
        let from = self.counted.start.min(count);
        let Some(first) = (from..count).chain(0..from).find(|&piece| swarm.is_missing(piece))
        else {
            return 0..0;
        };
        let wanted = |&piece: &u32| swarm.priority[piece as usize] > 0;
        let end = if self.counted.contains(&first) {
            self.counted.end.min(count)
        } else {
            (first..count).find(|piece| !wanted(piece)).unwrap_or(count)
        };
        first..end
    }

    /// Follows the reader. Keys are counted anew only when he went on for a quarter of a window
    /// or jumped, since then all of them are asked for again.
    fn follow(&mut self, swarm: &Swarm<'_>) -> Range<u32> {
        let reading = self.reading(swarm);
        let Range { start, end } = self.counted;
        let went_on = start <= reading.start
            && reading.start - start <= self.window(swarm) / 4
            && !(start..reading.start).any(|piece| swarm.is_missing(piece));
        if end != reading.end || !went_on {
            self.counted = reading.clone();
        }
        reading
    }

    fn window(&self, swarm: &Swarm<'_>) -> u32 {
        self.window.pieces(swarm, 1, WINDOW_PIECES_MAX)
    }

    /// Where the tail of what ends at `end` begins.
    fn tail_start(&self, swarm: &Swarm<'_>, end: u32) -> u32 {
        end.saturating_sub(self.tail.pieces(swarm, 0, TAIL_PIECES_MAX))
    }

    fn key(&self, swarm: &Swarm<'_>, piece: u32, window: u32, tail_start: u32) -> u64 {
        let Range { start, end } = self.counted;
        let ahead = piece.wrapping_sub(start);
        // In the upper half of a key stands which group, in the lower one where in it.
        let (group, place) = if !(start..end).contains(&piece) {
            (u32::MAX, ahead)
        } else if ahead == 0 || piece >= tail_start {
            (0, ahead)
        } else if ahead < window {
            (1, ahead)
        } else {
            let holders = u32::from(swarm.availability[piece as usize]);
            (1 + ahead / window, (holders << 16) | (ahead % window))
        };
        u64::from(group) << 32 | u64::from(place)
    }

    fn urgent(&mut self, swarm: &Swarm<'_>, urgent: &mut Urgencies<'_>) {
        let Range { start, end } = self.follow(swarm);
        let piece_us = u64::from(piece_length(swarm)) * 1_000_000 / self.rate;
        let window_end = start.saturating_add(self.window(swarm)).min(end);
        let tail_start = self.tail_start(swarm, end).max(window_end);
        let first = (start..window_end).take(1).map(|piece| (piece, 0));
        let tail = (tail_start..end).map(|piece| (piece, piece_us));
        let rest =
            (1..).zip((start..window_end).skip(1)).map(|(n, p)| (p, piece_us.saturating_mul(n)));
        for (piece, within_us) in first.chain(tail).chain(rest) {
            if swarm.is_missing(piece) {
                urgent.push(piece, within_us);
            }
        }
    }
}

fn piece_length(swarm: &Swarm<'_>) -> u32 {
    if swarm.piece_length == 0 { PIECE_LENGTH } else { swarm.piece_length }
}

impl Strategy for Streaming {
    const ID: &'static str = "streaming";
    const ABOUT: &'static str = "pieces by the time that a reader needs them";
    const URGENCY: Option<Urgency<Self>> = Some(Self::urgent);

    fn create(options: Options<'_>) -> Result<Self, String> {
        options.only(&["window", "tail", "rate"])?;
        let window = Reach::option(options, "window", WINDOW)?;
        let tail = Reach::option(options, "tail", TAIL)?;
        let rate = options.bytes("rate")?.unwrap_or(RATE);
        if rate == 0 {
            return Err("`rate=0`: nobody reads at that rate".to_owned());
        }
        Ok(Self { window, tail, rate, counted: 0..0 })
    }

    fn epoch(&mut self, swarm: &Swarm<'_>) -> u64 {
        self.follow(swarm);
        u64::from(self.counted.start) << 32 | u64::from(self.counted.end)
    }

    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]) {
        self.follow(swarm);
        let (window, tail) = (self.window(swarm), self.tail_start(swarm, self.counted.end));
        for (&piece, key) in pieces.iter().zip(keys) {
            *key = self.key(swarm, piece, window, tail);
        }
    }
}

export_plugin!(Strategy: Streaming);

#[cfg(test)]
mod tests {
    use super::*;
    use rtor_plugin::strategy::RawUrgent;

    fn streaming(options: &str) -> Streaming {
        Streaming::create(Options::new(options)).expect("good options")
    }

    /// Sixteen pieces of a million bytes: `x` had, `-` not wanted, a digit the peers that have it.
    struct Sixteen {
        availability: Vec<u16>,
        priority: Vec<u8>,
        have: u64,
    }

    impl Sixteen {
        fn new(picture: &str) -> Self {
            let digit = |letter: char| letter.to_digit(10).unwrap_or(0) as u16;
            let have = |(at, letter)| u64::from(letter == 'x') << at;
            Self {
                availability: picture.chars().map(digit).collect(),
                priority: picture.chars().map(|letter| if letter == '-' { 0 } else { 4 }).collect(),
                have: (0..).zip(picture.chars()).map(have).sum(),
            }
        }

        fn swarm(&self) -> Swarm<'_> {
            let have = std::slice::from_ref(&self.have);
            let count = self.have.count_ones();
            Swarm::new(&self.availability, &self.priority, have, 7, count, 0).of_pieces(1_000_000)
        }
    }

    /// Missing pieces in the order of their keys.
    fn order(strategy: &mut Streaming, swarm: &Swarm<'_>) -> Vec<u32> {
        let mut pieces: Vec<u32> = (0..16).filter(|&piece| swarm.is_missing(piece)).collect();
        let mut keys = vec![0; pieces.len()];
        strategy.rank(swarm, &pieces, &mut keys);
        let mut keyed: Vec<(u64, u32)> = keys.into_iter().zip(pieces).collect();
        keyed.sort_unstable();
        pieces = keyed.into_iter().map(|(_, piece)| piece).collect();
        pieces
    }

    /// Urgent pieces with the seconds that they have.
    fn urgent(strategy: &mut Streaming, swarm: &Swarm<'_>) -> Vec<(u32, u64)> {
        let mut list = [RawUrgent::NONE; 16];
        let mut urgencies = Urgencies::new(&mut list);
        strategy.urgent(swarm, &mut urgencies);
        let pushed = 16 - urgencies.room();
        list[..pushed].iter().map(|urgent| (urgent.piece, urgent.within_us / 1_000_000)).collect()
    }

    const OPTIONS: &str = "window=4,tail=2,rate=1M";

    #[test]
    fn the_first_piece_comes_first_then_the_tail_the_window_and_behind_it_the_rarest() {
        let sixteen = Sixteen::new("9999432143211111");
        assert_eq!(
            order(&mut streaming(OPTIONS), &sixteen.swarm()),
            [0, 14, 15, 1, 2, 3, 7, 6, 5, 4, 11, 10, 9, 8, 12, 13]
        );
    }

    #[test]
    fn the_window_is_urgent_each_piece_when_it_is_read() {
        let sixteen = Sixteen::new("x111111111111111");
        let mut strategy = streaming(OPTIONS);
        let expected = [(1, 0), (14, 1), (15, 1), (2, 1), (3, 2), (4, 3)];
        assert_eq!(urgent(&mut strategy, &sixteen.swarm()), expected);
        let sixteen = Sixteen::new("x1x11111111111xx");
        assert_eq!(urgent(&mut strategy, &sixteen.swarm()), [(1, 0), (3, 2), (4, 3)]);
        let sixteen = Sixteen::new("xxxxxxxxxxxxxx11");
        assert_eq!(urgent(&mut strategy, &sixteen.swarm()), [(14, 0), (15, 1)]);
        let sixteen = Sixteen::new("xxxxxxxxxxxxxxxx");
        assert_eq!(urgent(&mut strategy, &sixteen.swarm()), []);
    }

    #[test]
    fn a_reader_who_jumps_is_followed() {
        let sixteen = Sixteen::new("1111111111111111");
        let mut strategy = streaming(OPTIONS);
        let at = |piece| sixteen.swarm().read(&(piece..10));
        let before = strategy.epoch(&at(0));
        assert_eq!(order(&mut strategy, &at(0))[..4], [0, 8, 9, 1]);
        assert_ne!(before, strategy.epoch(&at(5)));
        assert_eq!(
            order(&mut strategy, &at(5)),
            [5, 8, 9, 6, 7, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4],
            "other files, and what he left out, come last"
        );
        assert_eq!(urgent(&mut strategy, &at(5)), [(5, 0), (9, 1), (6, 1), (7, 2), (8, 3)]);
    }

    #[test]
    fn keys_are_asked_for_again_once_in_a_quarter_of_a_window() {
        let mut strategy = streaming("window=8,tail=0");
        let epochs: Vec<u64> = (0..=6)
            .map(|had| {
                let sixteen = Sixteen::new(&("x".repeat(had) + &"1".repeat(16 - had)));
                strategy.epoch(&sixteen.swarm()) >> 32
            })
            .collect();
        assert_eq!(epochs, [0, 0, 0, 3, 3, 3, 6]);
    }

    #[test]
    fn with_some_files_wanted_the_tail_is_that_of_the_first() {
        let sixteen = Sixteen::new("--111111---11111");
        let mut strategy = streaming(OPTIONS);
        assert_eq!(order(&mut strategy, &sixteen.swarm())[..4], [2, 6, 7, 3]);
        let sixteen = Sixteen::new("--xxxxxx---11111");
        assert_eq!(order(&mut strategy, &sixteen.swarm()), [11, 14, 15, 12, 13]);
    }

    #[test]
    fn lengths_are_pieces_or_bytes() {
        let sixteen = Sixteen::new("1111111111111111");
        let swarm = sixteen.swarm();
        let pieces = |options| {
            let strategy = streaming(options);
            (strategy.window(&swarm), 16 - strategy.tail_start(&swarm, 16))
        };
        assert_eq!(pieces(""), (17, 3));
        assert_eq!(pieces("window=5,tail=0"), (5, 0));
        assert_eq!(pieces("window=5M,tail=1"), (5, 1));
        assert_eq!(pieces("window=0,tail=1B"), (1, 1));
        let refused = |options| Streaming::create(Options::new(options)).err();
        assert_eq!(refused("rate=0").as_deref(), Some("`rate=0`: nobody reads at that rate"));
        let sentence = "`window=big` is no size: 16MiB is one";
        assert_eq!(refused("window=big").as_deref(), Some(sentence));
        assert!(refused("speed=1").is_some());
    }
}
