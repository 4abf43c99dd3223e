//! [`ReadAhead`]: parts of stored pieces that were read to be sent to peers.
//!
//! Who asks for a block asks for the next one soon, and so do others: a part of
//! [`PART_LENGTH`] (less, if memory is short) is read at once, and blocks are slices of it, by reference. One trip to a
//! worker serves sixteen blocks, and a block that hundreds ask for is read once. The parts that
//! nobody asked for longest make room. Those whose blocks lie in sockets' queues live on there; what
//! the others lay in is read into again, as asking for memory and clearing it cost a sixth of all that
//! giving costs.

use super::DiskError;
use crate::torrent::{BLOCK_LENGTH, PieceIndex};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;

/// Bytes that are read at once.
pub(super) const PART_LENGTH: u32 = 256 << 10;
/// Bytes that are kept at the most; the budget may allow less.
pub(super) const KEPT_BYTES_MAX: u64 = 16 << 20;
/// Buffers that wait to be read into again: one for so many parts that are kept. As many parts come
/// as go, but several may be on their way.
const SPARE_ONE_OF: u64 = 8;

/// What a block is a part of: the number of a part of a piece.
type Key = (PieceIndex, u32);

/// A block that waits for its part.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    from: u32,
    length: u32,
}

#[derive(Debug)]
enum Part {
    /// It is being read.
    Coming(Vec<Waiting>),
    /// It was read; when somebody last asked, by a count of all that were asked.
    There { data: Bytes, asked: u64 },
}

/// What becomes of a block that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Here it is.
    There(Bytes),
    /// It will come with a part that is being read.
    Waits,
    /// This part, of so many bytes, is to be read first.
    Read { offset: u32, length: u32 },
}

/// Parts that were read or are being read.
#[derive(Debug)]
pub(super) struct ReadAhead {
    parts: BTreeMap<Key, Part>,
    /// Those that are there, by when somebody last asked.
    by_age: BTreeMap<u64, Key>,
    asked: u64,
    part_length: u32,
    kept: u64,
    kept_max: u64,
    /// Bytes of parts that were dropped and not yet told.
    dropped: u64,
    /// What dropped parts lay in, not told either.
    spare: Vec<BytesMut>,
    spare_max: usize,
}

impl ReadAhead {
    /// Keeps at most `kept_max` bytes.
    pub(super) fn new(kept_max: u64) -> Self {
        let kept_max = kept_max.min(KEPT_BYTES_MAX);
        // A few parts at least should find room.
        let blocks = kept_max / 4 / u64::from(BLOCK_LENGTH);
        let part_length = (blocks as u32 * BLOCK_LENGTH).clamp(BLOCK_LENGTH, PART_LENGTH);
        Self {
            parts: BTreeMap::new(),
            by_age: BTreeMap::new(),
            asked: 0,
            part_length,
            kept: 0,
            kept_max,
            dropped: 0,
            spare: Vec::new(),
            spare_max: (kept_max / u64::from(part_length) / SPARE_ONE_OF) as usize,
        }
    }

    /// `length` bytes from `offset` of a piece of `piece_size`, for `ticket`.
    pub(super) fn ask(
        &mut self,
        ticket: u64,
        piece: PieceIndex,
        offset: u32,
        length: u32,
        piece_size: u32,
    ) -> Asked {
        let begins = offset / self.part_length * self.part_length;
        // A block that lies in two parts makes the first of them longer.
        let ends = (begins + self.part_length).min(piece_size).max(offset + length);
        let (key, from) = ((piece, begins), offset - begins);
        self.asked += 1;
        let waiting = Waiting { ticket, from, length };
        match self.parts.get_mut(&key) {
            Some(Part::There { data, asked }) if data.len() >= (from + length) as usize => {
                self.by_age.remove(asked);
                self.by_age.insert(self.asked, key);
                *asked = self.asked;
                Asked::There(data.slice(from as usize..(from + length) as usize))
            }
            Some(Part::Coming(waiters)) => {
                waiters.push(waiting);
                Asked::Waits
            }
            Some(Part::There { .. }) | None => {
                self.drop_part(key);
                self.parts.insert(key, Part::Coming(vec![waiting]));
                Asked::Read { offset: begins, length: ends - begins }
            }
        }
    }

    /// What a part of `length` bytes is to be read into; whatever stands there now.
    pub(super) fn buffer(&mut self, length: u32) -> BytesMut {
        let mut buffer = self.spare.pop().unwrap_or_default();
        self.dropped += buffer.len() as u64;
        buffer.resize(length as usize, 0);
        buffer
    }

    /// A part was read, or could not be: the blocks that waited for it. Those that lie beyond its
    /// end have nothing.
    pub(super) fn read(
        &mut self,
        piece: PieceIndex,
        offset: u32,
        result: Result<Bytes, DiskError>,
    ) -> Vec<(u64, Option<Bytes>)> {
        let key = (piece, offset);
        let Some(Part::Coming(waiters)) = self.parts.remove(&key) else { return Vec::new() };
        let data = result.ok();
        let block = |waiting: &Waiting| {
            let range = waiting.from as usize..(waiting.from + waiting.length) as usize;
            data.as_ref().filter(|data| data.len() >= range.end).map(|data| data.slice(range))
        };
        let blocks = waiters.iter().map(|waiting| (waiting.ticket, block(waiting))).collect();
        if let Some(data) = data {
            self.asked += 1;
            self.kept += data.len() as u64;
            self.by_age.insert(self.asked, key);
            self.parts.insert(key, Part::There { data, asked: self.asked });
        }
        blocks
    }

    /// Drops the oldest parts until no more is kept than may be; how many bytes are kept no longer
    /// since this was asked last.
    pub(super) fn make_room(&mut self) -> u64 {
        while self.kept > self.kept_max {
            let Some((_, key)) = self.by_age.first_key_value() else { break };
            self.drop_part(*key);
        }
        std::mem::take(&mut self.dropped)
    }

    fn drop_part(&mut self, key: Key) {
        if let Some(Part::There { data, asked }) = self.parts.remove(&key) {
            self.kept -= data.len() as u64;
            self.by_age.remove(&asked);
            let bytes = data.len() as u64;
            // Not while a block of it waits in a socket's queue.
            match data.try_into_mut() {
                Ok(buffer) if self.spare.len() < self.spare_max => self.spare.push(buffer),
                _ => self.dropped += bytes,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::world::World;

    const BLOCK: u32 = BLOCK_LENGTH;
    const MIB: u32 = 1 << 20;

    fn piece(index: u32) -> PieceIndex {
        let world = World::contiguous(u64::from(MIB), &[u64::from(4 * MIB)]);
        world.info.layout.piece(index).expect("a piece")
    }

    fn bytes(length: u32) -> Result<Bytes, DiskError> {
        Ok((0..length).map(|at| (at / BLOCK) as u8).collect::<Vec<u8>>().into())
    }

    #[test]
    fn a_part_is_read_once_for_all_who_ask() {
        let mut parts = ReadAhead::new(KEPT_BYTES_MAX);
        let first = piece(0);
        let ask = |parts: &mut ReadAhead, ticket, number: u32| {
            parts.ask(ticket, first, number * BLOCK, BLOCK, MIB)
        };
        assert_eq!(
            ask(&mut parts, 1, 17),
            Asked::Read { offset: PART_LENGTH, length: PART_LENGTH }
        );
        assert_eq!(ask(&mut parts, 2, 18), Asked::Waits);
        assert_eq!(ask(&mut parts, 3, 0), Asked::Read { offset: 0, length: PART_LENGTH });
        let blocks = parts.read(first, PART_LENGTH, bytes(PART_LENGTH));
        let firsts: Vec<_> =
            blocks.iter().map(|(ticket, data)| (*ticket, data.as_ref().map(|d| d[0]))).collect();
        assert_eq!(firsts, [(1, Some(1)), (2, Some(2))]);
        let Asked::There(data) = ask(&mut parts, 4, 31) else { panic!("it was read") };
        assert_eq!((data.len(), data[0]), (BLOCK as usize, 15));
        assert_eq!(parts.make_room(), 0);
    }

    #[test]
    fn who_waits_for_what_cannot_be_read_is_told_and_may_ask_again() {
        let mut parts = ReadAhead::new(KEPT_BYTES_MAX);
        let first = piece(0);
        parts.ask(1, first, 0, BLOCK, MIB);
        let refused = parts.read(first, 0, Err(DiskError::Worker));
        assert_eq!(refused, [(1, None)]);
        assert!(matches!(parts.ask(2, first, 0, BLOCK, MIB), Asked::Read { .. }));
    }

    #[test]
    fn what_nobody_asked_for_longest_makes_room() {
        let mut parts = ReadAhead::new(u64::from(4 * PART_LENGTH));
        let read = |parts: &mut ReadAhead, number: u32| {
            let asked = parts.ask(1, piece(0), number * PART_LENGTH, BLOCK, 4 * MIB);
            let reads = matches!(asked, Asked::Read { .. });
            if reads {
                parts.read(piece(0), number * PART_LENGTH, bytes(PART_LENGTH));
            }
            (reads, parts.make_room())
        };
        for number in 0..4 {
            assert_eq!(read(&mut parts, number), (true, 0));
        }
        assert_eq!(read(&mut parts, 0), (false, 0));
        assert_eq!(read(&mut parts, 4), (true, u64::from(PART_LENGTH)));
        assert_eq!(read(&mut parts, 0), (false, 0), "it was asked for of late");
        assert_eq!(read(&mut parts, 1), (true, u64::from(PART_LENGTH)));
    }

    #[test]
    fn what_no_block_lies_in_is_read_into_again_and_counts_until_then() {
        let mut parts = ReadAhead::new(u64::from(16 * PART_LENGTH));
        let part = u64::from(PART_LENGTH);
        // What stood in its buffer, its block, and the bytes that are no longer kept.
        let mut read = |number: u8| {
            let offset = u32::from(number) * PART_LENGTH;
            let asked = parts.ask(1, piece(0), offset, BLOCK, 8 * MIB);
            assert!(matches!(asked, Asked::Read { .. }));
            let mut buffer = parts.buffer(PART_LENGTH);
            let stood = buffer[0];
            buffer.fill(number + 1);
            let mut blocks = parts.read(piece(0), offset, Ok(buffer.freeze()));
            let block = blocks.pop().and_then(|(_, data)| data).expect("it was read");
            (stood, block, parts.make_room())
        };
        let waits_in_a_queue = read(0).1;
        for number in 1..16 {
            let (stood, _, left) = read(number);
            assert_eq!((stood, left), (0, 0));
        }
        let mut next = |number| {
            let (stood, block, left) = read(number);
            assert_eq!(block[..], [number + 1; BLOCK as usize]);
            (stood, left)
        };
        assert_eq!(next(16), (0, part), "a block of the first waits");
        assert_eq!(next(17), (0, 0), "the second is spare");
        assert_eq!(next(18), (2, part), "it is read into again, and the third is spare");
        assert_eq!(waits_in_a_queue[..], [1; BLOCK as usize]);
    }

    #[test]
    fn with_little_memory_little_is_read_ahead_and_no_block_is_cut() {
        let mut parts = ReadAhead::new(0);
        assert_eq!(
            parts.ask(1, piece(0), 3, BLOCK, MIB),
            Asked::Read { offset: 0, length: BLOCK + 3 }
        );
        let blocks = parts.read(piece(0), 0, bytes(BLOCK + 3));
        assert_eq!(blocks[0].1.as_ref().map(Bytes::len), Some(BLOCK as usize));
        assert_eq!(parts.make_room(), u64::from(BLOCK + 3));
    }
}
