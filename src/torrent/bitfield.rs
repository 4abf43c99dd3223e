//! [`Bitfield`]: one bit a piece, as BEP 3 puts it on the wire.
//!
//! Inside, bits lie least significant first in words of 64, because strategies are lent the
//! words as they are (`rtor.strategy/1`); the wire's order exists only in [`Bitfield::from_wire`]
//! and [`Bitfield::to_wire`].

/// A set of pieces of one torrent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bitfield {
    words: Vec<u64>,
    len: usize,
}

/// Why bytes from the wire are no bitfield of this torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// Not `ceil(pieces / 8)` bytes.
    #[error("a bitfield of {got} bytes where {want} are due")]
    Size {
        /// Bytes received.
        got: usize,
        /// Bytes due.
        want: usize,
    },
    /// A bit beyond the last piece is set.
    #[error("a bitfield with a spare bit set")]
    SpareBit,
}

impl Bitfield {
    /// No piece of `len`.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// Every piece of `len`.
    #[must_use]
    pub fn full(len: usize) -> Self {
        let mut full = Self { words: vec![u64::MAX; len.div_ceil(64)], len };
        if let (Some(last), 1..) = (full.words.last_mut(), len % 64) {
            *last = (1 << (len % 64)) - 1;
        }
        full
    }

    /// Reads BEP 3's `bitfield`: the first piece is the high bit of the first byte.
    ///
    /// # Errors
    /// If the size is wrong or a spare bit is set.
    pub fn from_wire(bytes: &[u8], len: usize) -> Result<Self, BitfieldError> {
        let want = len.div_ceil(8);
        if bytes.len() != want {
            return Err(BitfieldError::Size { got: bytes.len(), want });
        }
        let mut field = Self::new(len);
        for (i, byte) in bytes.iter().enumerate() {
            field.words[i / 8] |= u64::from(byte.reverse_bits()) << (i % 8 * 8);
        }
        let spare = field
            .words
            .last()
            .is_some_and(|last| !len.is_multiple_of(64) && last >> (len % 64) != 0);
        if spare { Err(BitfieldError::SpareBit) } else { Ok(field) }
    }

    /// As BEP 3's `bitfield` carries it.
    ///
    /// ```
    /// use rtor::torrent::Bitfield;
    /// let mut field = Bitfield::new(10);
    /// field.insert(0);
    /// field.insert(9);
    /// assert_eq!(field.to_wire(), [0b1000_0000, 0b0100_0000]);
    /// ```
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        (0..self.len.div_ceil(8))
            .map(|i| ((self.words[i / 8] >> (i % 8 * 8)) as u8).reverse_bits())
            .collect()
    }

    /// How many pieces the torrent has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no piece is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether every piece is in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// How many pieces are in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether piece `index` is in. One beyond the torrent is not.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Puts piece `index` in; whether it was new.
    ///
    /// # Panics
    /// If the torrent has no such piece.
    pub fn insert(&mut self, index: usize) -> bool {
        assert!(index < self.len, "piece {index} of {}", self.len);
        let word = &mut self.words[index / 64];
        let new = *word >> (index % 64) & 1 == 0;
        *word |= 1 << (index % 64);
        new
    }

    /// Takes piece `index` out; whether it was in.
    pub fn remove(&mut self, index: usize) -> bool {
        let was_in = self.contains(index);
        if was_in {
            self.words[index / 64] &= !(1 << (index % 64));
        }
        was_in
    }

    /// The pieces that are in, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    i * 64 + bit
                })
            })
        })
    }

    /// The words, least significant bit first; bits beyond the last piece are zero.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_field_has_no_spare_bit() {
        for len in [0, 1, 63, 64, 65, 1000] {
            let full = Bitfield::full(len);
            assert!(full.is_full());
            assert_eq!(full.count(), len);
            assert_eq!(Bitfield::from_wire(&full.to_wire(), len), Ok(full));
        }
    }

    #[test]
    fn a_spare_bit_or_a_wrong_size_is_refused() {
        assert_eq!(Bitfield::from_wire(&[0b0000_0001], 7), Err(BitfieldError::SpareBit));
        assert_eq!(Bitfield::from_wire(&[0, 0], 8), Err(BitfieldError::Size { got: 2, want: 1 }));
        assert_eq!(Bitfield::from_wire(&[], 1), Err(BitfieldError::Size { got: 0, want: 1 }));
    }

    proptest! {
        #[test]
        fn it_equals_a_plain_set(len in 1_usize..300, ops in prop::collection::vec((any::<bool>(), 0_usize..300), 0..200)) {
            let mut field = Bitfield::new(len);
            let mut set = std::collections::BTreeSet::new();
            for (put, index) in ops {
                let index = index % len;
                if put {
                    prop_assert_eq!(field.insert(index), set.insert(index));
                } else {
                    prop_assert_eq!(field.remove(index), set.remove(&index));
                }
            }
            prop_assert_eq!(field.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(field.count(), set.len());
            prop_assert_eq!(&Bitfield::from_wire(&field.to_wire(), len).expect("ours"), &field);
        }
    }
}
