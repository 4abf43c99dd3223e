//! What goes between nodes: connections, and the way of every parcel from lane to lane.
//!
//! A node's engine says things in one turn; then they set out together. What is small slips past
//! at once, one happening for all of it; the rest takes its turn at the uplink, crosses the
//! network, and queues at the downlink of its end.

use super::lane::{Lane, LaneId, PACKET_BYTES, Parcel, loss_of_both};
use super::link::Burst;
use super::node::{NodeId, Presence};
use super::world::{Happening, Weight, World};
use crate::engine::{Input, PeerId};
use crate::torrent::BLOCK_LENGTH;
use crate::wire::Message;
use std::net::SocketAddr;

/// A lane's turn at the uplink ends when it has sent so much: one block and what goes with it.
const TURN_BYTES: u64 = BLOCK_LENGTH as u64;

/// Nothing is put off for longer.
const PUT_OFF_US_MAX: u64 = 10_000;

impl World {
    pub(super) fn dial(&mut self, node: NodeId, peer: PeerId, to: SocketAddr) {
        let there = self.by_addr.get(&to).copied();
        let presence = there.map_or(Presence::Away, |there| self.of(there).presence);
        let a = self.of(node).link;
        let Some((there, link)) = there.map(|there| (there, self.of(there).link)) else { return };
        let one_way_us = (a.latency_us + link.latency_us).max(1);
        let back = self.now + 2 * one_way_us;
        match presence {
            Presence::Vanished => {}
            Presence::Away => {
                self.queue.push(back, Happening::Refused(node, self.of(node).life, peer));
            }
            Presence::Here => {
                let Some(engine) = self.of_mut(there).engine.as_mut() else { return };
                let far_peer = engine.next_peer();
                let (near, far) = ((node, peer), (there, far_peer));
                let loss = loss_of_both(a.loss_ppm, link.loss_ppm);
                let lane = LaneId(self.lanes.len() as u32);
                self.lanes.push(Lane::new(near, far, one_way_us, loss));
                self.lanes.push(Lane::new(far, near, one_way_us, loss));
                self.of_mut(node).set_lane(peer, Some(lane));
                self.of_mut(there).set_lane(far_peer, Some(lane.back()));
                self.queue.push(back, Happening::Dialled(lane));
            }
        }
    }

    pub(super) fn send(&mut self, node: NodeId, peer: PeerId, parcel: Parcel) {
        let Some(id) = self.of(node).lane(peer) else { return };
        let lane = &mut self.lanes[id.at()];
        if !lane.open {
            return;
        }
        lane.parcels.push_back(parcel);
        self.touched.push(id);
    }

    /// What a turn has said sets out: a little of it at once, the rest when its turn comes.
    pub(super) fn depart(&mut self, node: NodeId) {
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            let lane = &self.lanes[id.at()];
            if lane.in_turn || !lane.has_waiting() {
                continue;
            }
            if !self.slips_past(id) {
                self.queue_up(id);
            }
        }
        self.touched = touched;
        self.serve(node);
    }

    /// Sends what waits in a lane past the turns of others if it is no more than a packet, as
    /// fair queues let thin flows pass. Whether it was.
    fn slips_past(&mut self, id: LaneId) -> bool {
        let lane = &mut self.lanes[id.at()];
        if lane.heavy > 0 {
            return false;
        }
        let mut bytes = 0;
        for parcel in lane.parcels.iter().skip(lane.on_the_way) {
            bytes += parcel.bytes(&mut self.scratch);
            if bytes > PACKET_BYTES {
                return false;
            }
        }
        let count = lane.parcels.len() - lane.on_the_way;
        lane.on_the_way += count;
        let (from, to) = (lane.from, lane.to);
        let up_us = self.nodes[from.at()].up.rate.slip_us(bytes);
        let down_us = self.nodes[to.at()].down.rate.slip_us(bytes);
        let through = lane.arrival(self.now + up_us + down_us, bytes, false, &mut self.chance);
        self.queue.push(through, Happening::Through(id, count as u32, Weight::Light));
        true
    }

    /// A lane has something to send: it gets its turns.
    pub(super) fn queue_up(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id.at()];
        if lane.rests_until > self.now {
            lane.in_turn = true;
            let until = lane.rests_until;
            self.queue.push(until, Happening::Rested(id));
            return;
        }
        lane.in_turn = lane.has_waiting();
        if lane.in_turn {
            let from = lane.from;
            self.of_mut(from).up.turns.push_back(id);
            self.serve(from);
        }
    }

    /// Sends the next burst, if the uplink is free.
    fn serve(&mut self, node: NodeId) {
        let up = &mut self.nodes[node.at()].up;
        while up.sending.is_none() {
            let Some(id) = up.turns.pop_front() else { return };
            let lane = &mut self.lanes[id.at()];
            let (mut bytes, mut count, mut blocks) = (0, 0, 0);
            for parcel in lane.parcels.iter().skip(lane.on_the_way) {
                bytes += parcel.bytes(&mut self.scratch);
                count += 1;
                blocks += u32::from(parcel.is_block());
                if bytes >= TURN_BYTES {
                    break;
                }
            }
            if count == 0 {
                // It was closed meanwhile.
                lane.in_turn = false;
                continue;
            }
            lane.rest_after(self.now, bytes);
            up.sending = Some(Burst { lane: id, count, bytes: bytes as u32, blocks });
            self.queue.push(self.now + up.rate.take_us(bytes), Happening::Sent(node));
        }
    }

    /// An uplink has sent its burst.
    pub(super) fn sent(&mut self, node: NodeId) {
        let Some(burst) = self.of_mut(node).up.sending.take() else { return };
        let Burst { lane: id, count, bytes, blocks } = burst;
        let lane = &mut self.lanes[id.at()];
        lane.in_turn = false;
        let from_peer = lane.from_peer;
        if lane.open {
            lane.on_the_way += count as usize;
            lane.heavy += 1;
            let followed = lane.has_waiting();
            let arrives = lane.arrival(self.now, u64::from(bytes), followed, &mut self.chance);
            self.queue.push(arrives, Happening::Reached(id, count, bytes));
            self.queue_up(id);
        }
        if blocks > 0 && self.of(node).lane(from_peer) == Some(id) {
            self.facts.push_back(Input::Sent(from_peer, blocks as usize));
            self.turn(node);
        } else {
            self.serve(node);
        }
    }

    /// Parcels are through: the engine at the end hears of them.
    pub(super) fn arrive(&mut self, id: LaneId, count: u32, weight: Weight) {
        let lane = &mut self.lanes[id.at()];
        if !lane.open {
            return;
        }
        lane.heavy -= u32::from(weight == Weight::Heavy);
        let to = lane.to;
        self.take_in(id, count);
        let is_have = |fact: &Input| matches!(fact, Input::Received(_, Message::Have(_)));
        if self.facts.iter().all(is_have) {
            self.put_off(to);
        } else {
            self.turn(to);
        }
    }

    /// `node` hears of `facts` with the next fact that is not put off, or a little later: as a
    /// program that is woken reads all that came meanwhile. In a swarm of thousands most of what is
    /// said is haves, and to wake an engine for each is most of the work.
    fn put_off(&mut self, node: NodeId) {
        let of = &mut self.nodes[node.at()];
        if self.facts.is_empty() || !of.is_here() {
            self.facts.clear();
            return;
        }
        of.put_off(&mut self.facts);
        if !std::mem::replace(&mut of.will_listen, true) {
            self.queue.push(self.now + PUT_OFF_US_MAX, Happening::Listens(node));
        }
    }

    /// The next parcels of a lane become facts for its end.
    fn take_in(&mut self, id: LaneId, count: u32) {
        let lane = &mut self.lanes[id.at()];
        if !lane.open {
            return;
        }
        lane.on_the_way -= count as usize;
        let (to, peer, from) = (lane.to, lane.to_peer, lane.from);
        let mut ended = false;
        for parcel in lane.parcels.drain(..count as usize) {
            match parcel {
                Parcel::Greeting(handshake) => {
                    // The dialler's greeting is the first that the other side hears.
                    if id.0 & 1 == 0 {
                        lane.announced = true;
                        let addr = self.nodes[from.at()].addr;
                        self.facts.push_back(Input::Accepted(peer, addr));
                    }
                    self.facts.push_back(Input::Greeted(peer, *handshake));
                }
                Parcel::Message(message) => self.facts.push_back(Input::Received(peer, message)),
                Parcel::End => ended = true,
            }
        }
        if ended {
            if lane.announced || id.0 & 1 == 1 {
                let why = "the peer closed the connection".to_owned();
                self.facts.push_back(Input::Lost(peer, why));
            }
            self.lanes[id.at()].close();
            self.lanes[id.back().at()].close();
            self.of_mut(to).set_lane(peer, None);
        }
    }

    /// Ends a connection; the other side hears of it once what is on its way has arrived.
    pub(super) fn hang_up(&mut self, node: NodeId, peer: PeerId) {
        let Some(id) = self.of(node).lane(peer) else { return };
        self.of_mut(node).set_lane(peer, None);
        self.end(id);
        self.touched.push(id);
    }

    /// Nothing more is said on this lane, nor heard on the way back.
    pub(super) fn end(&mut self, id: LaneId) {
        self.lanes[id.back().at()].close();
        self.forget_waiting(id);
        self.lanes[id.at()].parcels.push_back(Parcel::End);
    }

    /// What waits in a lane will not be sent, but for the burst that is being sent.
    pub(super) fn forget_waiting(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id.at()];
        let sending = self.nodes[lane.from.at()].up.sending.filter(|burst| burst.lane == id);
        lane.parcels.truncate(lane.on_the_way + sending.map_or(0, |burst| burst.count as usize));
    }
}
