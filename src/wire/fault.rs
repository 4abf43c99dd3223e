//! [`Fault`]: why a peer's bytes end the conversation.

use crate::torrent::bitfield::BitfieldError;

/// What a peer did that no honest peer does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its handshake does not begin with BEP 3's header.
    #[error("it does not speak BitTorrent")]
    Header,
    /// It is about another torrent.
    #[error("it is about another torrent")]
    InfoHash,
    /// A length prefix above [`FRAME_BYTES_MAX`](super::frame::FRAME_BYTES_MAX).
    #[error("a message of {0} bytes")]
    FrameSize(u32),
    /// A message whose payload has not the size that its kind has.
    #[error("a message {id} with a payload of {size} bytes")]
    PayloadSize {
        /// The message id.
        id: u8,
        /// Payload bytes received.
        size: usize,
    },
    /// A bitfield that does not fit the torrent.
    #[error(transparent)]
    Bitfield(#[from] BitfieldError),
    /// A message of the fast extension (BEP 6) from a peer that does not speak it.
    #[error("a message of the fast extension, which it does not speak")]
    NotFast,
    /// A piece number that the torrent does not have.
    #[error("piece {0}, which the torrent does not have")]
    Piece(u32),
    /// A block that the torrent does not have, or that is larger than anyone may ask.
    #[error("a request for {length} bytes at {offset} of piece {index}")]
    Request {
        /// Piece.
        index: u32,
        /// Bytes from its beginning.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// A block that was never asked of this peer.
    #[error("a block that nobody asked for (piece {index}, offset {offset})")]
    Unrequested {
        /// Piece.
        index: u32,
        /// Bytes from its beginning.
        offset: u32,
    },
    /// More requests than we said we would queue.
    #[error("more requests than the queue that was announced")]
    RequestFlood,
    /// An extension handshake or message that is no valid bencode.
    #[error("a malformed extension message")]
    Extension,
}
