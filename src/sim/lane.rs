//! [`Lane`]: one direction of a connection, and what is on its way.
//!
//! As in TCP, everything arrives, and in the order in which it was sent. A lost packet costs
//! time: a round trip if something follows that shows the gap, and a timer's patience if not;
//! and what was sent behind it waits for it. And as for TCP, loss limits the rate: a connection
//! that loses packets is not faster than [`rate_under_loss`].

use super::node::NodeId;
use crate::engine::time::SECOND_US;
use crate::engine::{PeerId, Time};
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::{Handshake, Message};
use bytes::{Bytes, BytesMut};
use rtor_plugin::Chance;
use std::collections::VecDeque;

/// Bytes of data in a packet.
pub(super) const PACKET_BYTES: u64 = 1448;
/// How long TCP waits for an acknowledgement at the least (Linux, `TCP_RTO_MIN`).
const TIMER_US_MIN: u64 = SECOND_US / 5;
/// Packets in a million.
const MILLION: u64 = 1_000_000;

/// The number of a lane; the other direction's is `.0 ^ 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LaneId(pub(super) u32);

impl LaneId {
    pub(super) const fn back(self) -> Self {
        Self(self.0 ^ 1)
    }

    pub(super) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// What goes over a lane.
#[derive(Debug)]
pub(super) enum Parcel {
    /// The first bytes.
    Greeting(Box<Handshake>),
    /// A message.
    Message(Message),
    /// Nothing more will come.
    End,
}

impl Parcel {
    pub(super) const fn is_block(&self) -> bool {
        matches!(self, Self::Message(Message::Piece { .. }))
    }

    /// Bytes on the wire. `scratch` is empty before and after.
    pub(super) fn bytes(&self, scratch: &mut BytesMut) -> u64 {
        match self {
            Self::Greeting(_) => HANDSHAKE_BYTES as u64,
            Self::End => 0,
            Self::Message(message) => {
                message.encode_head(scratch);
                let bytes = scratch.len() + message.body().map_or(0, Bytes::len);
                scratch.clear();
                bytes as u64
            }
        }
    }
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) from: NodeId,
    /// What `from` calls the connection.
    pub(super) from_peer: PeerId,
    pub(super) to: NodeId,
    /// What `to` calls it.
    pub(super) to_peer: PeerId,
    /// First what is on its way, then what waits to be sent.
    pub(super) parcels: VecDeque<Parcel>,
    pub(super) on_the_way: usize,
    /// Bursts on their way that took their turn; what is small must not overtake them.
    pub(super) heavy: u32,
    /// It has a turn at the uplink to come, or its burst is being sent.
    pub(super) in_turn: bool,
    /// Somebody listens at its end.
    pub(super) open: bool,
    /// The side that was dialled has been told (only of the dialler's lane).
    pub(super) announced: bool,
    pub(super) one_way_us: u64,
    loss_ppm: u64,
    /// Bytes a second at the most, if packets are lost.
    rate_max: Option<u64>,
    /// It may not send before, so that it keeps to `rate_max`.
    pub(super) rests_until: Time,
    /// Nothing that is sent from now on arrives before.
    arrives_after: Time,
}

impl Lane {
    pub(super) fn new(
        (from, from_peer): (NodeId, PeerId),
        (to, to_peer): (NodeId, PeerId),
        one_way_us: u64,
        loss_ppm: u64,
    ) -> Self {
        Self {
            from,
            from_peer,
            to,
            to_peer,
            parcels: VecDeque::new(),
            on_the_way: 0,
            heavy: 0,
            in_turn: false,
            open: true,
            announced: false,
            one_way_us,
            loss_ppm,
            rate_max: rate_under_loss(2 * one_way_us, loss_ppm),
            rests_until: Time(0),
            arrives_after: Time(0),
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.parcels.len() > self.on_the_way
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

    /// Nobody listens any more: what is on its way is gone.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.parcels = VecDeque::new();
        self.on_the_way = 0;
    }
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

    fn lane(loss_ppm: u64) -> Lane {
        let end = |n| (NodeId(n), PeerId(1));
        Lane::new(end(0), end(1), 40_000, loss_ppm)
    }

    #[test]
    fn what_is_behind_a_lost_packet_waits_for_it() {
        let mut chance = Chance::new(1);
        let mut lane = lane(20_000);
        let mut before = Time(0);
        let mut late = 0;
        for n in 0..1000_u64 {
            let now = Time(n * 10_000);
            let arrives = lane.arrival(now, 16_384, true, &mut chance);
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
        let mut lane = lane(0);
        assert_eq!(lane.arrival(Time(7), 16_384, false, &mut chance), Time(40_007));
        lane.rest_after(Time(7), 16_384);
        assert_eq!(lane.rests_until, Time(0));
    }

    #[test]
    fn loss_limits_the_rate_as_it_does_for_tcp() {
        // 1 % at 80 ms: 1448 / 0.08 * 12.25.
        assert_eq!(rate_under_loss(80_000, 10_000), Some(221_678));
        assert_eq!(rate_under_loss(80_000, 0), None);
        assert_eq!(loss_of_both(10_000, 10_000), 19_900);
    }
}
