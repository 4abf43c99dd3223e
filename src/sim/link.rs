//! [`Link`]: how a node is connected; and the two queues at its ends, [`Uplink`] and [`Downlink`].
//!
//! The way up is shared fairly: its connections take turns, a block's worth each, as TCP
//! connections of one host share its uplink over any longer time. The way down is one queue, as
//! at the provider's end of a line: that is right as long as nobody asks for much more than the
//! line carries in a second, and a window of requests is what holds that. What is lost is late
//! (see [`path`](super::path)). Headers of TCP and IP, its slow start and the way of its
//! acknowledgements are not modelled.

use super::endpoint::{Burst, EndpointId};
use crate::engine::Time;
use crate::engine::time::SECOND_US;
use std::collections::VecDeque;

/// How a node is connected to the rest of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bytes a second that it can send.
    pub up: u64,
    /// Bytes a second that it can receive.
    pub down: u64,
    /// From it to the middle of the network, one way.
    pub latency_us: u64,
    /// Of a million packets that pass, either way, so many are lost.
    pub loss_ppm: u32,
}

/// How long bytes take at a rate, to the last fraction: what is left over of a microsecond
/// counts for the next ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    bytes_a_second: u64,
    rest: u64,
    /// Bytes that went past the others and still have to be paid for.
    owed: u64,
}

impl Rate {
    const fn new(bytes_a_second: u64) -> Self {
        let bytes_a_second = if bytes_a_second == 0 { 1 } else { bytes_a_second };
        Self { bytes_a_second, rest: 0, owed: 0 }
    }

    /// How long `bytes` take, and what was owed before them.
    pub(super) const fn take_us(&mut self, bytes: u64) -> u64 {
        let bytes = bytes + std::mem::replace(&mut self.owed, 0);
        let whole = bytes.saturating_mul(SECOND_US).saturating_add(self.rest);
        self.rest = whole % self.bytes_a_second;
        whole / self.bytes_a_second
    }

    /// A few bytes go past the others, who pay for them.
    pub(super) const fn owe(&mut self, bytes: u64) {
        self.owed += bytes;
    }
}

/// How long `bytes` take if nothing is before them.
pub(super) const fn alone_us(bytes: u64, bytes_a_second: u64) -> u64 {
    bytes * SECOND_US / if bytes_a_second == 0 { 1 } else { bytes_a_second }
}

/// The way up: connections take turns.
#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) rate: Rate,
    /// Ends with something to send, in the order of their turns.
    pub(super) turns: VecDeque<EndpointId>,
    pub(super) sending: Option<Burst>,
}

impl Uplink {
    pub(super) const fn new(bytes_a_second: u64) -> Self {
        Self { rate: Rate::new(bytes_a_second), turns: VecDeque::new(), sending: None }
    }
}

/// The way down: one queue.
#[derive(Debug)]
pub(super) struct Downlink {
    pub(super) rate: Rate,
    free_at: Time,
}

impl Downlink {
    pub(super) const fn new(bytes_a_second: u64) -> Self {
        Self { rate: Rate::new(bytes_a_second), free_at: Time(0) }
    }

    /// When `bytes` that come at `now` are through.
    pub(super) fn pass(&mut self, now: Time, bytes: u64) -> Time {
        self.free_at = self.free_at.max(now) + self.rate.take_us(bytes);
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_however_small_the_pieces() {
        let mut down = Downlink::new(3_000_000);
        let mut through = Time(0);
        for _ in 0..3_000_000 / 17 {
            through = down.pass(Time(0), 17);
        }
        assert_eq!(through.0, 999_996);
    }

    #[test]
    fn what_slips_past_is_paid_for_by_the_next() {
        let mut up = Rate::new(1_000_000);
        up.owe(100);
        assert_eq!(alone_us(100, 1_000_000), 100);
        assert_eq!(up.take_us(1000), 1100);
        assert_eq!(up.take_us(1000), 1000);
    }
}
