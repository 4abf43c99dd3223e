//! [`Endpoint`]: a node's end of a connection: what waits to be sent, and what comes in.
//!
//! Each end belongs to its node alone, so that nodes can be played apart from each other. What is
//! under way belongs to neither: it is in a letter.

use super::node::NodeId;
use super::parcel::{PACKET_BYTES, Parcel, Parcels, Spares};
use super::path::Path;
use crate::engine::PeerId;
use crate::torrent::BLOCK_LENGTH;
use bytes::BytesMut;
use std::collections::VecDeque;

/// An endpoint's turn at the uplink ends when it has sent so much: one block and what goes with it.
const TURN_BYTES: u64 = BLOCK_LENGTH as u64;

/// The number of an endpoint at its node, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndpointId(u32);

/// What is being sent.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) endpoint: EndpointId,
    pub(super) parcels: Parcels,
    pub(super) bytes: u32,
    pub(super) blocks: u32,
}

/// A node's end of a connection.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// What the engine calls the connection.
    pub(super) peer: PeerId,
    pub(super) far: NodeId,
    /// Not known while a dial is not answered; nothing is said before.
    pub(super) far_end: Option<EndpointId>,
    /// The way to the other end.
    pub(super) path: Path,
    pub(super) waiting: Parcels,
    /// It has a turn at the uplink to come, or its burst is being sent.
    pub(super) in_turn: bool,
    /// Parcels that queue at the downlink, and small ones behind them; whether they took their turn.
    queued: VecDeque<(bool, Parcels)>,
    /// We dialled, or have heard who did.
    pub(super) announced: bool,
    /// We hung up: nothing is heard any more, and once what waits is sent, it is closed.
    pub(super) hung_up: bool,
    /// The other side vanished. Without acknowledgements nothing more is sent.
    silenced: bool,
}

impl Endpoint {
    pub(super) const fn new(
        peer: PeerId,
        far: NodeId,
        far_end: Option<EndpointId>,
        path: Path,
    ) -> Self {
        Self {
            peer,
            far,
            announced: far_end.is_none(),
            far_end,
            path,
            waiting: Parcels::new(),
            in_turn: false,
            queued: VecDeque::new(),
            hung_up: false,
            silenced: false,
        }
    }

    /// `parcel` waits to be sent. Whether it does: there may be nobody to send it to.
    pub(super) fn wait(&mut self, parcel: Parcel, spares: &mut Spares) -> bool {
        let waits = self.far_end.is_some() && !self.silenced;
        if waits {
            if self.waiting.capacity() == 0 {
                self.waiting = spares.take();
            }
            self.waiting.push(parcel);
        }
        waits
    }

    /// Nobody acknowledges anything any more.
    pub(super) fn silence(&mut self) {
        self.silenced = true;
        self.waiting.clear();
    }

    /// Nothing more is said, but for that, nor heard. Whether there is somebody to tell.
    pub(super) fn hang_up(&mut self, spares: &mut Spares) -> bool {
        self.hung_up = true;
        self.queued.clear();
        self.waiting.clear();
        self.wait(Parcel::End, spares)
    }

    /// All that waits, and its bytes, if it fits into one packet.
    pub(super) fn packet(&mut self, scratch: &mut BytesMut) -> Option<(Parcels, u64)> {
        let mut bytes = 0;
        for parcel in &self.waiting {
            bytes += parcel.bytes(scratch);
            if bytes > PACKET_BYTES {
                return None;
            }
        }
        Some((std::mem::take(&mut self.waiting), bytes))
    }

    /// What is sent in one turn, if anything waits.
    pub(super) fn burst(
        &mut self,
        id: EndpointId,
        scratch: &mut BytesMut,
        spares: &mut Spares,
    ) -> Option<Burst> {
        let (mut bytes, mut count, mut blocks) = (0, 0, 0);
        for parcel in &self.waiting {
            bytes += parcel.bytes(scratch);
            count += 1;
            blocks += u32::from(parcel.is_block());
            if bytes >= TURN_BYTES {
                break;
            }
        }
        let mut parcels = spares.take();
        parcels.extend(self.waiting.drain(..count));
        (count > 0).then_some(Burst { endpoint: id, parcels, bytes: bytes as u32, blocks })
    }

    /// `parcels` queue at the downlink.
    pub(super) fn queue(&mut self, parcels: Parcels) {
        self.queued.push_back((true, parcels));
    }

    /// Small `parcels` are there; given back if nothing is before them.
    pub(super) fn pass(&mut self, parcels: Parcels) -> Option<Parcels> {
        if self.queued.is_empty() {
            return Some(parcels);
        }
        self.queued.push_back((false, parcels));
        None
    }

    /// What is through when the next that queues is: that, and what is small behind it.
    pub(super) fn through(&mut self, spares: &mut Spares) -> Parcels {
        let Some((_, mut parcels)) = self.queued.pop_front() else { return Parcels::new() };
        while let Some((_, mut small)) = self.queued.pop_front_if(|(heavy, _)| !*heavy) {
            parcels.append(&mut small);
            spares.keep(small);
        }
        parcels
    }
}

/// The endpoints of a node.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    all: Vec<Option<Box<Endpoint>>>,
    /// Those on which the engine speaks, by its number of the peer.
    by_peer: Vec<Option<EndpointId>>,
}

impl Endpoints {
    pub(super) fn open(&mut self, endpoint: Endpoint) -> EndpointId {
        let id = EndpointId(self.all.len() as u32);
        let at = endpoint.peer.0 as usize;
        if self.by_peer.len() <= at {
            self.by_peer.resize(at + 1, None);
        }
        self.by_peer[at] = Some(id);
        self.all.push(Some(Box::new(endpoint)));
        id
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.all.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// One that still hears what comes.
    pub(super) fn hearing(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.get_mut(id).filter(|endpoint| !endpoint.hung_up)
    }

    /// That on which the engine speaks with `peer`.
    pub(super) fn of(&self, peer: PeerId) -> Option<EndpointId> {
        self.by_peer.get(peer.0 as usize).copied().flatten()
    }

    /// The engine speaks with `peer` no more.
    pub(super) fn part(&mut self, peer: PeerId) {
        if let Some(of) = self.by_peer.get_mut(peer.0 as usize) {
            *of = None;
        }
    }

    /// The engine speaks with nobody any more: with whom it did.
    pub(super) fn part_all(&mut self) -> Vec<EndpointId> {
        std::mem::take(&mut self.by_peer).into_iter().flatten().collect()
    }

    #[cfg(test)]
    pub(super) fn open_count(&self) -> usize {
        self.all.iter().flatten().count()
    }

    /// Nothing more is sent or heard.
    pub(super) fn close(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.all.get_mut(id.0 as usize) {
            *endpoint = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Link;
    use crate::wire::Message;

    fn endpoint() -> Endpoint {
        let link = Link { up: 1, down: 1, latency_us: 1, loss_ppm: 0 };
        Endpoint::new(PeerId(1), NodeId(1), Some(EndpointId(0)), Path::between(&link, &link))
    }

    fn have(piece: u32) -> Parcel {
        Parcel::Message(Message::Have(piece))
    }

    fn pieces(parcels: &Parcels) -> Vec<u32> {
        let piece = |parcel: &Parcel| match parcel {
            Parcel::Message(Message::Have(piece)) => *piece,
            other => panic!("{other:?} is no have"),
        };
        parcels.iter().map(piece).collect()
    }

    #[test]
    fn what_is_small_is_through_with_the_last_of_what_was_sent_before_it() {
        let (mut endpoint, mut spares) = (endpoint(), Spares::default());
        let alone = endpoint.pass(vec![have(0)]).expect("nothing is before it");
        assert_eq!(pieces(&alone), [0]);
        endpoint.queue(vec![have(1), have(2)]);
        assert!(endpoint.pass(vec![have(3)]).is_none());
        assert!(endpoint.pass(vec![have(4)]).is_none());
        endpoint.queue(vec![have(5)]);
        assert!(endpoint.pass(vec![have(6)]).is_none());
        assert_eq!(pieces(&endpoint.through(&mut spares)), [1, 2, 3, 4]);
        assert_eq!(pieces(&endpoint.through(&mut spares)), [5, 6]);
        assert!(endpoint.pass(vec![have(7)]).is_some());
    }

    #[test]
    fn nothing_is_said_before_the_answer_nor_to_who_acknowledges_nothing() {
        let mut spares = Spares::default();
        let mut silenced = endpoint();
        assert!(silenced.wait(have(1), &mut spares));
        silenced.silence();
        assert!(silenced.waiting.is_empty());
        let dialling = Endpoint { far_end: None, ..endpoint() };
        for mut endpoint in [silenced, dialling] {
            assert!(!endpoint.wait(have(2), &mut spares) && !endpoint.hang_up(&mut spares));
        }
    }
}
