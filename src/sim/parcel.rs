//! [`Parcel`]: what goes over a connection.

use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::{Handshake, Message};
use bytes::{Bytes, BytesMut};

/// Bytes of data in a packet.
pub(super) const PACKET_BYTES: u64 = 1448;

/// What goes over a connection in one piece.
#[derive(Debug)]
pub(super) enum Parcel {
    /// The first bytes.
    Greeting(Box<Handshake>),
    /// A message.
    Message(Message),
    /// Nothing more will come.
    End,
}

/// Parcels that travel together.
pub(super) type Parcels = Vec<Parcel>;

/// Empty ones that are kept.
const SPARES_MAX: usize = 4096;

/// Room for parcels to come. What one node fills another empties, often on another thread: to give
/// it back to the allocator there costs more than all else about a parcel.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<Parcels>);

impl Spares {
    /// Empty, with room if there is any.
    pub(super) fn take(&mut self) -> Parcels {
        self.0.pop().unwrap_or_default()
    }

    /// `emptied` is not needed any more.
    pub(super) fn keep(&mut self, emptied: Parcels) {
        if self.0.len() < SPARES_MAX && emptied.is_empty() {
            self.0.push(emptied);
        }
    }
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
