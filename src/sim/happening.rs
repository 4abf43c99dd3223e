//! [`Happening`]: what will happen at a node; and [`Letter`], how one node makes it happen at
//! another.
//!
//! Of what happens at a node in one moment, what comes first must not depend on which thread was
//! quicker: it is in order of who said it, and then of the number that it has there.

use super::endpoint::EndpointId;
use super::node::NodeId;
use super::parcel::Parcels;
use crate::engine::picker::Digest;
use crate::engine::{Input, Time};
use crate::torrent::PieceIndex;
use bytes::Bytes;
use std::net::SocketAddr;

/// A node's end of a connection, for the node at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) node: NodeId,
    pub(super) endpoint: EndpointId,
}

/// What will happen at a node. Endpoints are its own.
#[derive(Debug)]
pub(super) enum Happening {
    /// The user named a peer.
    Named(NodeId),
    /// Somebody dials.
    Knocked(Address),
    /// Who was dialled is there, and answers with an end of its own.
    Answered(EndpointId, Address),
    /// Who was dialled is not there.
    Refused(EndpointId),
    /// So many bytes, which took their turn at the uplink, reach the downlink.
    Reached(EndpointId, Parcels, u32),
    /// So many bytes, which slipped past, are through.
    Slipped(EndpointId, Parcels, u32),
    /// The other side acknowledges nothing any more.
    Silenced(EndpointId),
    /// The uplink has sent its burst.
    Sent,
    /// An end has kept to its rate for long enough.
    Rested(EndpointId),
    /// The next burst that queues at the downlink is through.
    Through(EndpointId),
    /// In this life of the node a piece was hashed.
    Checked(u32, PieceIndex, Vec<Digest>),
    /// A datagram is there.
    Datagram(SocketAddr, Bytes),
    /// A datagram to this group, from there, comes by.
    Multicast(SocketAddr, SocketAddr, Bytes),
    /// In this life of the node something that it asked for is answered.
    Told(u32, Input),
    /// The engine's deadline.
    Deadline,
    /// The node hears what it was not told at once.
    Listens,
}

/// What will happen at another node.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) to: NodeId,
    pub(super) time: Time,
    pub(super) order: u64,
    pub(super) what: Happening,
}

/// Gives what somebody says its place among all that is said for one moment.
#[derive(Debug)]
pub(super) struct Order(u64);

/// Low bits of an order, which count. A node's number has less than the rest (its address).
const COUNT_BITS: u32 = 40;

impl Order {
    /// What whoever runs the world says comes before what any node says.
    pub(super) const FIRST: Self = Self(0);

    pub(super) const fn of(node: NodeId) -> Self {
        Self((node.0 as u64 + 1) << COUNT_BITS)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}
