//! What goes between nodes: connections, and the way of every parcel from end to end.
//!
//! A node's engine says things in one turn; then they set out together. What is small slips past
//! at once, one happening for all of it; the rest takes its turn at the uplink, crosses the
//! network, and queues at the downlink of its end.

use super::endpoint::{Burst, Endpoint, EndpointId};
use super::happening::{Address, Happening};
use super::node::{Going, Presence};
use super::parcel::{Parcel, Parcels};
use super::turn::Turn;
use crate::engine::{Input, PeerId};
use crate::wire::Message;
use std::net::SocketAddr;

/// Nothing is put off for longer.
const PUT_OFF_US_MAX: u64 = 10_000;

impl Turn<'_> {
    pub(super) fn dial(&mut self, peer: PeerId, to: SocketAddr) {
        let Some(there) = self.map.at(to) else { return };
        let path = self.map.path(self.id, there);
        let arrives = self.now + path.one_way_us;
        let endpoint = self.node.endpoints.open(Endpoint::new(peer, there, None, path));
        let from = Address { node: self.id, endpoint };
        self.post(there, arrives, Happening::Knocked(from));
    }

    /// Somebody dials. The engine hears of it when the dialler greets.
    pub(super) fn knocked(&mut self, by: Address) {
        let path = self.map.path(self.id, by.node);
        let arrives = self.now + path.one_way_us;
        let answer = match (self.node.presence, self.node.engine.as_mut()) {
            (Presence::Vanished, _) => return,
            (Presence::Here, Some(engine)) => {
                let near = Endpoint::new(engine.next_peer(), by.node, Some(by.endpoint), path);
                let endpoint = self.node.endpoints.open(near);
                Happening::Answered(by.endpoint, Address { node: self.id, endpoint })
            }
            (Presence::Here | Presence::Away, _) => Happening::Refused(by.endpoint),
        };
        self.post(by.node, arrives, answer);
    }

    /// Our dial is answered.
    pub(super) fn answered(&mut self, id: EndpointId, by: Address) {
        if let Some(endpoint) = self.node.endpoints.get_mut(id) {
            endpoint.far_end = Some(by.endpoint);
            let peer = endpoint.peer;
            self.tell(Input::Dialled(peer));
        } else if self.node.presence != Presence::Vanished {
            // We have given it up: as TCP resets a connection that it does not know.
            let arrives = self.now + self.map.one_way_us(self.id, by.node);
            self.post(by.node, arrives, Happening::Slipped(by.endpoint, vec![Parcel::End], 0));
        }
    }

    /// Our dial is refused.
    pub(super) fn refused(&mut self, id: EndpointId) {
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return };
        let peer = endpoint.peer;
        self.node.endpoints.part(peer);
        self.node.endpoints.close(id);
        self.tell(Input::Lost(peer, "connection refused".to_owned()));
    }

    pub(super) fn send(&mut self, peer: PeerId, parcel: Parcel) {
        let Some(id) = self.node.endpoints.of(peer) else { return };
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return };
        if endpoint.wait(parcel, &mut self.desk.spares) {
            self.desk.touched.push(id);
        }
    }

    /// What a turn has said sets out: a little of it at once, the rest when its turn comes.
    pub(super) fn depart(&mut self) {
        let mut touched = std::mem::take(&mut self.desk.touched);
        for id in touched.drain(..) {
            let Some(endpoint) = self.node.endpoints.get_mut(id) else { continue };
            if !endpoint.in_turn && !endpoint.waiting.is_empty() && !self.slips_past(id) {
                self.queue_up(id);
            }
        }
        self.desk.touched = touched;
        self.serve();
    }

    /// Sends what waits at an end past the turns of others if it is no more than a packet, as
    /// fair queues let thin flows pass. Whether it was. What has its turn on the same connection
    /// is not overtaken: here it would have to wait, and there it does.
    fn slips_past(&mut self, id: EndpointId) -> bool {
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return true };
        let Some(far_end) = endpoint.far_end else { return true };
        let Some((parcels, bytes)) = endpoint.packet(&mut self.desk.scratch) else { return false };
        let arrives = endpoint.path.slipped(self.now, bytes, &mut self.node.chance);
        let (far, over) = (endpoint.far, endpoint.hung_up);
        self.node.up.rate.owe(bytes);
        self.post(far, arrives, Happening::Slipped(far_end, parcels, bytes as u32));
        if over {
            self.node.endpoints.close(id);
        }
        true
    }

    /// An end has something to send: it gets its turns.
    pub(super) fn queue_up(&mut self, id: EndpointId) {
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return };
        let until = endpoint.path.rests_until;
        if until > self.now {
            endpoint.in_turn = true;
            self.plan(until, Happening::Rested(id));
            return;
        }
        endpoint.in_turn = !endpoint.waiting.is_empty();
        if endpoint.in_turn {
            self.node.up.turns.push_back(id);
            self.serve();
        }
    }

    /// Sends the next burst, if the uplink is free.
    fn serve(&mut self) {
        while self.node.up.sending.is_none() {
            let Some(id) = self.node.up.turns.pop_front() else { return };
            let Some(endpoint) = self.node.endpoints.get_mut(id) else { continue };
            let Some(burst) = endpoint.burst(id, &mut self.desk.scratch, &mut self.desk.spares)
            else {
                endpoint.in_turn = false;
                continue;
            };
            let bytes = u64::from(burst.bytes);
            endpoint.path.rest_after(self.now, bytes);
            self.node.up.sending = Some(burst);
            let sent = self.now + self.node.up.rate.take_us(bytes);
            self.plan(sent, Happening::Sent);
        }
    }

    /// The uplink has sent its burst.
    pub(super) fn sent(&mut self) {
        let Some(Burst { endpoint: id, parcels, bytes, blocks }) = self.node.up.sending.take()
        else {
            return;
        };
        // If it was closed meanwhile, what was sent is lost.
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return self.serve() };
        endpoint.in_turn = false;
        let (peer, far, over) = (endpoint.peer, endpoint.far, endpoint.hung_up);
        let followed = !endpoint.waiting.is_empty();
        let chance = &mut self.node.chance;
        let arrives = endpoint.path.arrival(self.now, u64::from(bytes), followed, chance);
        if let Some(far_end) = endpoint.far_end {
            self.post(far, arrives, Happening::Reached(far_end, parcels, bytes));
        }
        if over && !followed {
            self.node.endpoints.close(id);
        } else {
            self.queue_up(id);
        }
        if blocks > 0 && !over {
            self.tell(Input::Sent(peer, blocks as usize));
        } else {
            self.serve();
        }
    }

    /// `parcels` that took their turn queue at the downlink.
    pub(super) fn reached(&mut self, id: EndpointId, parcels: Parcels, bytes: u32) {
        let Some(endpoint) = self.node.endpoints.hearing(id) else { return };
        endpoint.queue(parcels);
        let through = self.node.down.pass(self.now, u64::from(bytes));
        self.plan(through, Happening::Through(id));
    }

    /// `parcels` that slipped past are there. If bigger ones of the same connection were sent
    /// before them, they are not through before those.
    pub(super) fn slipped(&mut self, id: EndpointId, parcels: Parcels, bytes: u32) {
        let Some(endpoint) = self.node.endpoints.hearing(id) else { return };
        let through = endpoint.pass(parcels);
        self.node.down.rate.owe(u64::from(bytes));
        if let Some(parcels) = through {
            self.take_in(id, parcels);
        }
    }

    /// The next parcels that queued at the downlink are through.
    pub(super) fn through(&mut self, id: EndpointId) {
        let Some(endpoint) = self.node.endpoints.hearing(id) else { return };
        let parcels = endpoint.through(&mut self.desk.spares);
        self.take_in(id, parcels);
    }

    /// Parcels become facts for the engine.
    fn take_in(&mut self, id: EndpointId, mut parcels: Parcels) {
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return };
        let (peer, far) = (endpoint.peer, endpoint.far);
        let facts = &mut self.desk.facts;
        let mut ended = false;
        for parcel in parcels.drain(..) {
            match parcel {
                Parcel::Greeting(handshake) => {
                    // The dialler's greeting is the first that the other side hears.
                    if !std::mem::replace(&mut endpoint.announced, true) {
                        facts.push_back(Input::Accepted(peer, far.addr()));
                    }
                    facts.push_back(Input::Greeted(peer, *handshake));
                }
                Parcel::Message(message) => facts.push_back(Input::Received(peer, message)),
                Parcel::End => ended = true,
            }
        }
        self.desk.spares.keep(parcels);
        if ended {
            if endpoint.announced {
                let why = "the peer closed the connection".to_owned();
                facts.push_back(Input::Lost(peer, why));
            }
            self.node.endpoints.part(peer);
            self.node.endpoints.close(id);
        }
        let is_have = |fact: &Input| matches!(fact, Input::Received(_, Message::Have(_)));
        if facts.iter().all(is_have) { self.put_off() } else { self.hear() }
    }

    /// The node hears of what is said with the next fact that is not put off, or a little later:
    /// as a program that is woken reads all that came meanwhile. In a swarm of thousands most of
    /// what is said is haves, and to wake an engine for each is most of the work.
    fn put_off(&mut self) {
        if self.desk.facts.is_empty() || !self.node.is_here() {
            self.desk.facts.clear();
            return;
        }
        self.node.put_off(&mut self.desk.facts);
        if !std::mem::replace(&mut self.node.will_listen, true) {
            self.plan(self.now + PUT_OFF_US_MAX, Happening::Listens);
        }
    }

    /// Ends a connection; the other side hears of it once what is on its way has arrived.
    pub(super) fn hang_up(&mut self, peer: PeerId) {
        let Some(id) = self.node.endpoints.of(peer) else { return };
        self.node.endpoints.part(peer);
        self.end(id);
    }

    fn end(&mut self, id: EndpointId) {
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return };
        if endpoint.hang_up(&mut self.desk.spares) {
            self.desk.touched.push(id);
        } else {
            self.node.endpoints.close(id);
        }
    }

    /// The node goes, and all its connections end.
    pub(super) fn go(&mut self, going: Going) {
        if !self.node.is_here() {
            return;
        }
        let presence = match going {
            Going::Closing => Presence::Away,
            Going::Vanishing => Presence::Vanished,
        };
        for id in self.node.went(self.now, presence) {
            match going {
                Going::Closing => self.end(id),
                Going::Vanishing => self.vanish(id),
            }
        }
        self.depart();
    }

    /// Without a word. The other side's TCP hears no acknowledgements from then on.
    fn vanish(&mut self, id: EndpointId) {
        let Some(endpoint) = self.node.endpoints.get_mut(id) else { return };
        let (far, arrives) = (endpoint.far, self.now + endpoint.path.one_way_us);
        if let Some(far_end) = endpoint.far_end {
            self.post(far, arrives, Happening::Silenced(far_end));
        }
        self.node.endpoints.close(id);
    }

    /// The other side acknowledges nothing any more.
    pub(super) fn silenced(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.node.endpoints.get_mut(id) {
            endpoint.silence();
        }
    }
}
