//! [`Fed`]: messages of one length that come in parts of any length, for a [`Kernel`] that takes whole
//! blocks of 64 bytes; and their padding (FIPS 180-4, 5.1.1).

/// Bytes that SHA-1 takes in at a time.
pub(super) const BLOCK: usize = 64;
/// SHA-1's state at the beginning (FIPS 180-4, 5.3.1).
pub(super) const FIRST: [u32; 5] =
    [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The states of `N` messages.
pub(super) trait Kernel<const N: usize> {
    /// Takes in the blocks of each message, of all as many as of the first.
    fn take(&mut self, blocks: [&[[u8; BLOCK]]; N]);
    /// The state of one message.
    fn state(&self, lane: usize) -> [u32; 5];
}

/// Up to `N` messages, side by side.
pub(super) struct Fed<K, const N: usize> {
    kernel: K,
    /// Bytes of each that make no whole block yet.
    rests: [[u8; BLOCK]; N],
    count: usize,
    length: u64,
}

impl<K: Kernel<N>, const N: usize> Fed<K, N> {
    pub(super) const fn new(kernel: K, count: usize) -> Self {
        Self { kernel, rests: [[0; BLOCK]; N], count, length: 0 }
    }

    /// Feeds the next bytes of each; all are of one length. Lanes without a message repeat the first.
    pub(super) fn update(&mut self, parts: &[&[u8]]) {
        assert_eq!(self.count, parts.len(), "a part a message");
        let mut lanes = [parts[0]; N];
        lanes[..parts.len()].copy_from_slice(parts);
        let length = parts[0].len();
        let filled = (self.length % BLOCK as u64) as usize;
        self.length += length as u64;
        let mut taken = 0;
        if filled > 0 {
            taken = length.min(BLOCK - filled);
            for (kept, part) in self.rests.iter_mut().zip(lanes) {
                kept[filled..filled + taken].copy_from_slice(&part[..taken]);
            }
            if filled + taken < BLOCK {
                return;
            }
            self.take_rests();
        }
        let blocks = lanes.map(|part| part[taken..].as_chunks().0);
        self.kernel.take(blocks);
        taken += blocks[0].len() * BLOCK;
        for (kept, part) in self.rests.iter_mut().zip(lanes) {
            kept[..length - taken].copy_from_slice(&part[taken..]);
        }
    }

    /// The hash of each.
    pub(super) fn finish(mut self) -> impl Iterator<Item = [u8; 20]> {
        let bits = (self.length * 8).to_be_bytes();
        let filled = (self.length % BLOCK as u64) as usize;
        for rest in &mut self.rests {
            rest[filled] = 0x80;
            rest[filled + 1..].fill(0);
        }
        if filled + 1 + bits.len() > BLOCK {
            self.take_rests();
            self.rests = [[0; BLOCK]; N];
        }
        for rest in &mut self.rests {
            rest[BLOCK - bits.len()..].copy_from_slice(&bits);
        }
        self.take_rests();
        (0..self.count).map(move |lane| {
            let mut hash = [0; 20];
            let words = hash.as_chunks_mut().0;
            let state = self.kernel.state(lane);
            words.iter_mut().zip(state).for_each(|(to, word)| *to = word.to_be_bytes());
            hash
        })
    }

    fn take_rests(&mut self) {
        self.kernel.take(self.rests.each_ref().map(std::slice::from_ref));
    }
}
