//! [`Line`]: a wire with a rate, a delay and a router's buffer, as arithmetic on nanoseconds.
//!
//! It knows no clock: a chunk goes in with the time, and out comes when its last byte arrives.
//! Chunks leave one after another at the rate, so nothing bursts: a token bucket whose depth is
//! one chunk. What waits to leave is the router's buffer, and [`Line::room_at`] is when that takes
//! another chunk; until then nobody reads from the sender, whose TCP then fills up, as it would
//! before a router that drops nothing.

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;
/// What waits in a router before a full line, as time of that line. Home routers hold more
/// (bufferbloat), good ones less.
const BUFFER_NS: u64 = 50_000_000;
/// A router's buffer is no smaller, however slow the line.
const BUFFER_BYTES_MIN: u64 = 64 * 1024;
/// A chunk is what a line carries in this time, for what arrives at once is a burst.
const CHUNK_NS: u64 = 2_000_000;
/// A chunk has at least a full packet's payload,
const CHUNK_BYTES_MIN: u64 = 1448;
/// and at most this.
const CHUNK_BYTES_MAX: u64 = 64 * 1024;
/// What a line without a rate may have under way: 100 ms at 640 MiB/s.
const UNDER_WAY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One direction of a wire. All connections through it share the rate and the buffer.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    bytes_per_second: Option<u64>,
    delay_ns: u64,
    /// When the last chunk will have left.
    free_at_ns: u64,
    /// Bytes that may still pass, where there is an end to them.
    left_bytes: Option<u64>,
    passed_bytes: u64,
}

impl Line {
    /// An idle line. A rate of 0 is none; so is an end (`ends_after_bytes`) that is left out.
    pub(crate) fn new(bytes_per_second: u64, delay_ns: u64, ends_after_bytes: Option<u64>) -> Self {
        Self {
            bytes_per_second: (bytes_per_second > 0).then_some(bytes_per_second),
            delay_ns,
            free_at_ns: 0,
            left_bytes: ends_after_bytes,
            passed_bytes: 0,
        }
    }

    /// Bytes to read at most at once; 0 when nothing passes any more.
    pub(crate) fn chunk_bytes(&self) -> usize {
        let chunk = self.bytes_per_second.map_or(CHUNK_BYTES_MAX, |rate| {
            scaled(rate, CHUNK_NS, SECOND_NS).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
        });
        usize::try_from(chunk.min(self.left_bytes.unwrap_or(u64::MAX))).unwrap_or(usize::MAX)
    }

    /// When the router's buffer takes another chunk: at `now_ns` or later.
    pub(crate) fn room_at(&self, now_ns: u64) -> u64 {
        let buffer_ns = self
            .bytes_per_second
            .map_or(0, |rate| BUFFER_NS.max(scaled(BUFFER_BYTES_MIN, SECOND_NS, rate)));
        now_ns.max(self.free_at_ns.saturating_sub(buffer_ns))
    }

    /// Sends `bytes` at `now_ns`: when the last of them arrives.
    pub(crate) fn pass(&mut self, now_ns: u64, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        self.passed_bytes += bytes;
        if let Some(left) = &mut self.left_bytes {
            *left = left.saturating_sub(bytes);
        }
        let takes_ns = self.bytes_per_second.map_or(0, |rate| scaled(bytes, SECOND_NS, rate));
        self.free_at_ns = now_ns.max(self.free_at_ns) + takes_ns;
        self.free_at_ns + self.delay_ns
    }

    /// What one connection may have read and not yet delivered: what is on the wire and in the
    /// router. More only gathers when the receiver does not read.
    pub(crate) fn under_way_bytes_max(&self) -> u64 {
        self.bytes_per_second.map_or(UNDER_WAY_BYTES_MAX, |rate| {
            scaled(rate, self.delay_ns + BUFFER_NS, SECOND_NS) + BUFFER_BYTES_MIN + CHUNK_BYTES_MAX
        })
    }

    /// What went through so far.
    pub(crate) fn passed_bytes(&self) -> u64 {
        self.passed_bytes
    }

    /// From one end to the other.
    pub(crate) fn delay_ns(&self) -> u64 {
        self.delay_ns
    }
}

/// `value * times / over`, without overflow in between.
fn scaled(value: u64, times: u64, over: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(times) / u128::from(over)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn an_idle_line_only_delays() {
        let mut line = Line::new(0, 100 * MS, None);
        assert_eq!(line.pass(0, 1_000_000), 100 * MS);
        assert_eq!(line.pass(7 * MS, 1), 107 * MS);
        assert_eq!(line.room_at(7 * MS), 7 * MS);
        assert_eq!(line.passed_bytes(), 1_000_001);
    }

    #[test]
    fn a_full_line_carries_its_rate_and_not_more() {
        const RATE: u64 = 62_500_000;
        let mut line = Line::new(RATE, 100 * MS, None);
        let (mut now, mut sent, mut last) = (0, 0, 0);
        while sent < 10 * RATE {
            now = line.room_at(now);
            let chunk = line.chunk_bytes();
            let arrives = line.pass(now, chunk);
            assert!(arrives > last, "in order");
            assert!(arrives - last <= 100 * MS + CHUNK_NS, "smooth: {} ns apart", arrives - last);
            (sent, last) = (sent + chunk as u64, arrives);
            assert!(line.free_at_ns - now <= BUFFER_NS + CHUNK_NS, "the buffer has an end");
        }
        let expected = scaled(sent, SECOND_NS, RATE) + 100 * MS;
        assert!(last.abs_diff(expected) < MS, "{last} ns, not {expected}");
    }

    #[test]
    fn a_line_that_was_idle_does_not_catch_up() {
        let mut line = Line::new(1_000_000, 0, None);
        assert_eq!(line.pass(0, 1000), MS);
        assert_eq!(line.pass(500 * MS, 1000), 501 * MS);
        assert_eq!(line.pass(500 * MS, 1000), 502 * MS);
    }

    #[test]
    fn a_slow_line_has_small_chunks_and_a_buffer_all_the_same() {
        let line = Line::new(10_000, 0, None);
        assert_eq!(line.chunk_bytes(), 1448);
        let mut line = Line::new(1_000_000, 0, None);
        assert_eq!(line.chunk_bytes(), 2000);
        // 65.5 ms of the line, more than 50 ms.
        while line.room_at(0) == 0 {
            line.pass(0, 2000);
        }
        assert_eq!(line.passed_bytes().div_ceil(2000), BUFFER_BYTES_MIN.div_ceil(2000));
    }

    #[test]
    fn a_line_ends_to_the_byte() {
        let mut line = Line::new(0, 0, Some(100_000));
        let mut passed = 0;
        while line.chunk_bytes() > 0 {
            passed += line.chunk_bytes();
            line.pass(0, line.chunk_bytes());
        }
        assert_eq!(passed, 100_000);
    }
}
