//! [`Buffers`]: what sockets are read into, used again and counted.
//!
//! Messages are slices of a receive buffer, so a buffer can be read into again only when the last
//! of them is gone, which may be when a piece is stored. Who has no room left in a buffer gives it
//! up; it lies here until it is free, and then it is the next to be read into: its pages are
//! there already, and often still in the cache. What is counted is whole buffers, since one block
//! that is kept pins all of its buffer.

use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a buffer for a peer of which nothing is known.
pub(super) const BUFFER_BYTES_FIRST: usize = 32 << 10;
/// Bytes of a buffer for a peer that fills it again and again.
pub(super) const BUFFER_BYTES_MAX: usize = 256 << 10;
/// Bytes of free buffers that are kept for the next read.
const FREE_BYTES_MAX: usize = 4 << 20;
/// Buffers that one look for free ones looks at.
const LOOKED_AT_MAX: usize = 32;

/// The receive buffers of all connections; clones are the same.
#[derive(Clone, Debug)]
pub struct Buffers(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    bytes_max: usize,
    /// Bytes of all buffers that are read into or hold messages that are not gone.
    pinned: usize,
    /// Each with its bytes; emptied, but for slices that others hold.
    given_up: VecDeque<(usize, BytesMut)>,
    free: Vec<(usize, BytesMut)>,
    free_bytes: usize,
}

/// A buffer that a connection reads into.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: BytesMut,
    length: usize,
    home: Buffers,
}

impl Buffers {
    /// Buffers for a budget of `bytes_max`. It is the caller's to hold: from seven eighths of it
    /// on, new buffers are small.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let inner = Inner {
            bytes_max,
            pinned: 0,
            given_up: VecDeque::new(),
            free: Vec::new(),
            free_bytes: 0,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Bytes of buffers that are read into, or hold a message that somebody has.
    #[must_use]
    pub fn pinned_bytes(&self) -> u64 {
        let mut inner = self.inner();
        inner.look();
        inner.pinned as u64
    }

    /// Bytes that connections may pin beyond what they do, if there are so many of them and nobody
    /// takes their facts: each its fact and its next buffer, of the smallest size.
    #[must_use]
    pub const fn more_bytes(connections: usize) -> u64 {
        ((connections + super::FACTS_WAITING_MAX) * BUFFER_BYTES_FIRST) as u64
    }

    /// A buffer of `length`, and of `length_min` at least.
    pub(super) fn take(&self, length: usize, length_min: usize) -> Buffer {
        let mut inner = self.inner();
        inner.look();
        let short = inner.pinned + length > inner.bytes_max / 8 * 7;
        let length = if short { BUFFER_BYTES_FIRST } else { length }.max(length_min);
        let fits = inner.free.iter().rposition(|(free, _)| *free == length);
        let bytes = match fits {
            Some(at) => {
                inner.free_bytes -= length;
                inner.free.swap_remove(at).1
            }
            None => BytesMut::with_capacity(length),
        };
        inner.pinned += length;
        Buffer { bytes, length, home: self.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Looks for buffers that became free, the oldest first.
    fn look(&mut self) {
        for _ in 0..self.given_up.len().min(LOOKED_AT_MAX) {
            let Some((length, mut bytes)) = self.given_up.pop_front() else { return };
            if !bytes.try_reclaim(length) {
                self.given_up.push_back((length, bytes));
                continue;
            }
            self.pinned -= length;
            // A message of more than a buffer had one of its own length: it is let go.
            if length <= BUFFER_BYTES_MAX && self.free_bytes + length <= FREE_BYTES_MAX {
                self.free_bytes += length;
                self.free.push((length, bytes));
            }
        }
    }
}

impl Buffer {
    /// Room for another read.
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Changes it for one of `length` that has what is in it, and room for `missing` more.
    pub(super) fn renew(&mut self, length: usize, missing: usize) {
        let mut next = self.home.take(length, self.bytes.len() + missing);
        next.bytes.extend_from_slice(&self.bytes);
        *self = next;
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.home.inner().given_up.push_back((self.length, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_message_is_gone() {
        let buffers = Buffers::new(1 << 20);
        let mut buffer = buffers.take(BUFFER_BYTES_FIRST, 0);
        buffer.bytes.extend_from_slice(b"one two th");
        let at = buffer.bytes.as_ptr();
        let [one, two] = [4, 4].map(|length| buffer.bytes.split_to(length).freeze());
        buffer.renew(BUFFER_BYTES_FIRST, 3);
        assert_eq!(&buffer.bytes[..], b"th");
        assert_eq!(buffers.pinned_bytes(), 2 * BUFFER_BYTES_FIRST as u64);
        drop(one);
        assert_eq!(buffers.pinned_bytes(), 2 * BUFFER_BYTES_FIRST as u64);
        assert_eq!(&two[..], b"two ");
        drop(two);
        assert_eq!(buffers.pinned_bytes(), BUFFER_BYTES_FIRST as u64);
        let again = buffers.take(BUFFER_BYTES_FIRST, 0);
        assert_eq!((again.bytes.as_ptr(), again.room()), (at, BUFFER_BYTES_FIRST));
        drop((buffer, again));
        assert_eq!(buffers.pinned_bytes(), 0);
    }

    #[test]
    fn new_buffers_are_small_when_the_budget_is_nearly_pinned() {
        let buffers = Buffers::new(4 * BUFFER_BYTES_MAX as u64);
        let large = [(); 4].map(|()| buffers.take(BUFFER_BYTES_MAX, 0));
        let lengths = large.each_ref().map(Buffer::room);
        assert_eq!(
            lengths,
            [BUFFER_BYTES_MAX, BUFFER_BYTES_MAX, BUFFER_BYTES_MAX, BUFFER_BYTES_FIRST]
        );
        // A message that is longer has its room all the same.
        assert_eq!(buffers.take(BUFFER_BYTES_MAX, 1 << 20).room(), 1 << 20);
    }

    #[test]
    fn few_free_buffers_are_kept() {
        let buffers = Buffers::new(u64::MAX);
        let many: Vec<Buffer> = (0..40).map(|_| buffers.take(BUFFER_BYTES_MAX, 0)).collect();
        drop(many);
        // One look does not look at all.
        assert_eq!(buffers.pinned_bytes(), 8 * BUFFER_BYTES_MAX as u64);
        assert_eq!(buffers.pinned_bytes(), 0);
        assert_eq!(buffers.inner().free_bytes, FREE_BYTES_MAX);
        assert_eq!(buffers.inner().free.len() * BUFFER_BYTES_MAX, FREE_BYTES_MAX);
    }
}
