//! [`Path`]: the way from one end of a connection to the other.
//!
//! As in TCP, everything arrives, and in the order in which it was sent. A lost packet costs
//! time: a round trip if something follows that shows the gap, and a timer's patience if not;
//! and what was sent behind it waits for it. And as for TCP, loss limits the rate: a connection
//! that loses packets is not faster than [`rate_under_loss`].

use super::link::{Link, alone_us};
use super::parcel::PACKET_BYTES;
use crate::engine::Time;
use crate::engine::time::SECOND_US;
use rtor_plugin::Chance;

/// How long TCP waits for an acknowledgement at the least (Linux, `TCP_RTO_MIN`).
const TIMER_US_MIN: u64 = SECOND_US / 5;
/// Packets in a million.
const MILLION: u64 = 1_000_000;

/// The way from one end of a connection to the other.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) one_way_us: u64,
    /// Bytes a second of the uplink at its beginning, and of the downlink at its end.
    up: u64,
    down: u64,
    loss_ppm: u64,
    /// Bytes a second at the most, if packets are lost.
    rate_max: Option<u64>,
    /// Nothing may be sent before, so that it keeps to `rate_max`.
    pub(super) rests_until: Time,
    /// Nothing that is sent from now on arrives before.
    arrives_after: Time,
}

impl Path {
    pub(super) fn between(near: &Link, far: &Link) -> Self {
        let one_way_us = one_way_us(near, far);
        let loss_ppm = loss_of_both(near.loss_ppm, far.loss_ppm);
        Self {
            one_way_us,
            up: near.up,
            down: far.down,
            loss_ppm,
            rate_max: rate_under_loss(2 * one_way_us, loss_ppm),
            rests_until: Time(0),
            arrives_after: Time(0),
        }
    }

    /// `bytes` leave at `now` past all that has its turn: when they are there.
    pub(super) fn slipped(&mut self, now: Time, bytes: u64, chance: &mut Chance) -> Time {
        let links_us = alone_us(bytes, self.up) + alone_us(bytes, self.down);
        self.arrival(now + links_us, bytes, false, chance)
    }

    /// `bytes` have left at `now`: when they arrive. `followed`: whether more is sent behind
    /// them, so that a gap would be noticed soon.
    pub(super) fn arrival(
        &mut self,
        now: Time,
        bytes: u64,
        followed: bool,
        chance: &mut Chance,
    ) -> Time {
        let mut late_us = 0;
        if self.loss_ppm > 0 {
            let packets = bytes.div_ceil(PACKET_BYTES).max(1);
            let lost = (0..packets).rev().find(|_| chance.below(MILLION) < self.loss_ppm);
            let round_trip_us = 2 * self.one_way_us;
            late_us = match lost {
                None => 0,
                // Three packets behind it tell the sender at once (RFC 5681).
                Some(packet) if followed || packet + 3 < packets => round_trip_us,
                Some(_) => TIMER_US_MIN + round_trip_us,
            };
        }
        self.arrives_after = self.arrives_after.max(now + self.one_way_us + late_us);
        self.arrives_after
    }

    /// A burst of `bytes` begins at `now`.
    pub(super) fn rest_after(&mut self, now: Time, bytes: u64) {
        if let Some(rate) = self.rate_max {
            self.rests_until = now + bytes * SECOND_US / rate;
        }
    }
}

/// From one node to another: never 0, so that nothing is there before it left.
pub(super) fn one_way_us(a: &Link, b: &Link) -> u64 {
    (a.latency_us + b.latency_us).max(1)
}

/// Bytes a second that TCP reaches over `round_trip_us` when it loses `loss_ppm` packets in a
/// million: `(packet / round trip) * sqrt(3/2) / sqrt(loss)` (Mathis, Semke, Mahdavi, Ott 1997).
fn rate_under_loss(round_trip_us: u64, loss_ppm: u64) -> Option<u64> {
    if loss_ppm == 0 {
        return None;
    }
    // A square root is exact by IEEE 754, so it is the same everywhere.
    let loss = loss_ppm as f64 / MILLION as f64;
    let packets_a_second = SECOND_US as f64 / round_trip_us.max(1) as f64 * (1.5 / loss).sqrt();
    Some(((PACKET_BYTES as f64 * packets_a_second) as u64).max(1))
}

/// Packets in a million that are lost on two links one after the other.
pub(super) const fn loss_of_both(a: u32, b: u32) -> u64 {
    let (a, b) = (a as u64, b as u64);
    a + b - a * b / MILLION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(loss_ppm: u32) -> Path {
        let link = Link { up: 1_000_000, down: 1_000_000, latency_us: 20_000, loss_ppm };
        Path::between(&link, &Link { loss_ppm: 0, ..link })
    }

    #[test]
    fn what_is_behind_a_lost_packet_waits_for_it() {
        let mut chance = Chance::new(1);
        let mut path = path(20_000);
        let mut before = Time(0);
        let mut late = 0;
        for n in 0..1000_u64 {
            let now = Time(n * 10_000);
            let arrives = path.arrival(now, 16_384, true, &mut chance);
            assert!(arrives >= before, "{arrives:?} overtakes {before:?}");
            late += u64::from(arrives > now + 40_000);
            before = arrives;
        }
        // One burst of 12 packets in five loses one, and the eight behind it wait too.
        assert!((300..950).contains(&late), "{late} of 1000 were late");
    }

    #[test]
    fn nothing_is_late_where_nothing_is_lost() {
        let mut chance = Chance::new(1);
        let mut path = path(0);
        assert_eq!(path.arrival(Time(7), 16_384, false, &mut chance), Time(40_007));
        path.rest_after(Time(7), 16_384);
        assert_eq!(path.rests_until, Time(0));
    }

    #[test]
    fn loss_limits_the_rate_as_it_does_for_tcp() {
        // 1 % at 80 ms: 1448 / 0.08 * 12.25.
        assert_eq!(rate_under_loss(80_000, 10_000), Some(221_678));
        assert_eq!(rate_under_loss(80_000, 0), None);
        assert_eq!(loss_of_both(10_000, 10_000), 19_900);
    }
}
