//! [`MetadataMessage`]: pieces of the info dictionary, from peer to peer (BEP 9, "extension
//! message").

use super::Fault;
use crate::torrent::bencode::{Node, Tape};
use bytes::Bytes;

/// The extension's name in `m` of the extension handshake (BEP 9, "extension header").
pub const METADATA_NAME: &str = "ut_metadata";
/// Bytes of every piece of the info dictionary but the last.
pub const METADATA_PIECE_BYTES: usize = 16 << 10;

/// `msg_type`.
const REQUEST: i64 = 0;
const DATA: i64 = 1;
const REJECT: i64 = 2;

/// The payload of an extended message under the id of `ut_metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMessage {
    /// The sender wants this piece.
    Request(u32),
    /// A piece.
    Data {
        /// Which, from 0.
        piece: u32,
        /// Bytes of the whole info dictionary, as the sender has it.
        total_size: u32,
        /// [`METADATA_PIECE_BYTES`] of it, fewer at its end.
        data: Bytes,
    },
    /// The sender will not send this piece.
    Reject(u32),
    /// Of a type that is not known; to be ignored (BEP 9).
    Unknown,
}

impl MetadataMessage {
    /// As a payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let head = |kind: i64, piece: u32| {
            [("msg_type", Node::Integer(kind)), ("piece", Node::Integer(i64::from(piece)))]
        };
        match self {
            Self::Request(piece) => Node::dictionary(head(REQUEST, *piece)).encode().into(),
            Self::Reject(piece) => Node::dictionary(head(REJECT, *piece)).encode().into(),
            Self::Data { piece, total_size, data } => {
                let total = ("total_size", Node::Integer(i64::from(*total_size)));
                let mut bytes =
                    Node::dictionary(head(DATA, *piece).into_iter().chain([total])).encode();
                bytes.extend_from_slice(data);
                bytes.into()
            }
            Self::Unknown => Bytes::new(),
        }
    }

    /// Reads a payload; the piece of a [`Data`](Self::Data) is a slice of it.
    ///
    /// # Errors
    /// [`Fault::Extension`] if it does not begin with a dictionary that has the type and the piece.
    pub fn decode(payload: &Bytes) -> Result<Self, Fault> {
        let tape = Tape::scan_prefix(payload).map_err(|_| Fault::Extension)?;
        let number = |key: &[u8]| tape.root().entry(key).and_then(|value| value.int());
        let count = |key: &[u8]| {
            let count = number(key).and_then(|number| u32::try_from(number).ok());
            count.ok_or(Fault::Extension)
        };
        Ok(match number(b"msg_type").ok_or(Fault::Extension)? {
            REQUEST => Self::Request(count(b"piece")?),
            DATA => Self::Data {
                piece: count(b"piece")?,
                total_size: count(b"total_size")?,
                data: payload.slice(tape.consumed()..),
            },
            REJECT => Self::Reject(count(b"piece")?),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_bep_9_shows_them() {
        let data = MetadataMessage::Data {
            piece: 0,
            total_size: 3425,
            data: Bytes::from_static(b"xxxxxxxx"),
        };
        for (message, payload) in [
            (MetadataMessage::Request(0), &b"d8:msg_typei0e5:piecei0ee"[..]),
            (data, b"d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx"),
            (MetadataMessage::Reject(7), b"d8:msg_typei2e5:piecei7ee"),
        ] {
            assert_eq!(message.encode(), payload);
            assert_eq!(MetadataMessage::decode(&Bytes::from_static(payload)), Ok(message));
        }
    }

    #[test]
    fn a_type_that_is_not_known_is_no_fault_and_garbage_is() {
        let unknown = Bytes::from_static(b"d8:msg_typei9ee");
        assert_eq!(MetadataMessage::decode(&unknown), Ok(MetadataMessage::Unknown));
        for bad in [&b""[..], b"le", b"de", b"d8:msg_typei0ee", b"d8:msg_typei0e5:piecei-1ee"] {
            let bad = Bytes::from_static(bad);
            assert_eq!(MetadataMessage::decode(&bad), Err(Fault::Extension), "{bad:?}");
        }
        let no_size = Bytes::from_static(b"d8:msg_typei1e5:piecei0eexx");
        assert_eq!(MetadataMessage::decode(&no_size), Err(Fault::Extension));
    }
}
