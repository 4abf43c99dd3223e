//! [`Search`]: finds what comes behind padding of a length that nobody says.

use super::{Fault, PAD_BYTES_MAX};
use bytes::{Buf as _, BytesMut};

/// A search for `SIZE` bytes, behind at most [`PAD_BYTES_MAX`] others.
#[derive(Debug)]
pub(super) struct Search<const SIZE: usize> {
    pattern: [u8; SIZE],
    skipped: usize,
}

impl<const SIZE: usize> Search<SIZE> {
    pub(super) const fn new(pattern: [u8; SIZE]) -> Self {
        Self { pattern, skipped: 0 }
    }

    /// Takes padding off, and the pattern, if it is there; whether it was. Otherwise fewer than
    /// `SIZE` bytes are left.
    pub(super) fn find(&mut self, received: &mut BytesMut) -> Result<bool, Fault> {
        let may_skip = PAD_BYTES_MAX - self.skipped;
        let mut windows = received.windows(SIZE).take(may_skip + 1);
        if let Some(at) = windows.position(|window| *window == self.pattern) {
            received.advance(at + SIZE);
            return Ok(true);
        }
        let looked_at = (received.len() + 1).saturating_sub(SIZE);
        if looked_at > may_skip {
            return Err(Fault::Padding);
        }
        received.advance(looked_at);
        self.skipped += looked_at;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `pad` bytes and the pattern, in pieces of `step`.
    fn find(pad: usize, step: usize) -> Result<bool, Fault> {
        let mut search = Search::new(*b"here");
        let mut bytes = vec![b'h'; pad];
        bytes.extend_from_slice(b"here and on");
        let mut received = BytesMut::new();
        for piece in bytes.chunks(step) {
            received.extend_from_slice(piece);
            if search.find(&mut received)? {
                assert!(b" and on".starts_with(&received));
                return Ok(true);
            }
            assert!(received.len() < 4);
        }
        Ok(false)
    }

    #[test]
    fn it_is_found_behind_the_longest_pad_and_no_longer_one() {
        for step in [1, 3, 100, 1000] {
            for pad in [0, 1, 511, PAD_BYTES_MAX] {
                assert_eq!(find(pad, step), Ok(true), "{pad} bytes in steps of {step}");
            }
            assert_eq!(find(PAD_BYTES_MAX + 1, step), Err(Fault::Padding), "steps of {step}");
        }
    }
}
