//! [`Message`]: the messages of BEP 3, and the envelope of BEP 10.

use super::Fault;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Three numbers that name a block; not yet known to exist in any torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockSpec {
    /// Piece number.
    pub index: u32,
    /// Bytes from the beginning of the piece.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}

/// What a peer may say after its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Nothing, so that the connection is not taken for dead.
    KeepAlive,
    /// I will not answer requests.
    Choke,
    /// I will answer requests.
    Unchoke,
    /// You have pieces that I want.
    Interested,
    /// You have none.
    NotInterested,
    /// I have this piece now.
    Have(u32),
    /// The pieces that I have: BEP 3's bits, first piece in the high bit.
    Bitfield(Bytes),
    /// Send me a block.
    Request(BlockSpec),
    /// A block.
    Piece {
        /// Piece number.
        index: u32,
        /// Bytes from the beginning of the piece.
        offset: u32,
        /// The block.
        data: Bytes,
    },
    /// I no longer want that block.
    Cancel(BlockSpec),
    /// My DHT node listens on this UDP port (BEP 5).
    Port(u16),
    /// A message of an extension (BEP 10): 0 is the extension handshake, other ids are the
    /// receiver's.
    Extended {
        /// The extended message id.
        id: u8,
        /// What follows it.
        payload: Bytes,
    },
    /// A message of a kind that we have not announced; ignored, as BEP 3's clients do.
    Unknown(u8),
}

const CHOKE: u8 = 0;
const UNCHOKE: u8 = 1;
const INTERESTED: u8 = 2;
const NOT_INTERESTED: u8 = 3;
const HAVE: u8 = 4;
const BITFIELD: u8 = 5;
const REQUEST: u8 = 6;
const PIECE: u8 = 7;
const CANCEL: u8 = 8;
const PORT: u8 = 9;
const EXTENDED: u8 = 20;

impl Message {
    /// Reads one frame; a block's data stays a slice of it.
    ///
    /// # Errors
    /// [`Fault::PayloadSize`] if the payload has not the size of its kind.
    pub fn decode(mut frame: Bytes) -> Result<Self, Fault> {
        if frame.is_empty() {
            return Ok(Self::KeepAlive);
        }
        let id = frame.get_u8();
        let size = frame.len();
        let sized =
            |wanted: bool| if wanted { Ok(()) } else { Err(Fault::PayloadSize { id, size }) };
        Ok(match id {
            CHOKE | UNCHOKE | INTERESTED | NOT_INTERESTED => {
                sized(size == 0)?;
                match id {
                    CHOKE => Self::Choke,
                    UNCHOKE => Self::Unchoke,
                    INTERESTED => Self::Interested,
                    _ => Self::NotInterested,
                }
            }
            HAVE => {
                sized(size == 4)?;
                Self::Have(frame.get_u32())
            }
            BITFIELD => Self::Bitfield(frame),
            REQUEST | CANCEL => {
                sized(size == 12)?;
                let (index, offset, length) = (frame.get_u32(), frame.get_u32(), frame.get_u32());
                let spec = BlockSpec { index, offset, length };
                if id == REQUEST { Self::Request(spec) } else { Self::Cancel(spec) }
            }
            PIECE => {
                sized(size >= 8)?;
                Self::Piece { index: frame.get_u32(), offset: frame.get_u32(), data: frame }
            }
            PORT => {
                sized(size == 2)?;
                Self::Port(frame.get_u16())
            }
            EXTENDED => {
                sized(size >= 1)?;
                Self::Extended { id: frame.get_u8(), payload: frame }
            }
            unknown => Self::Unknown(unknown),
        })
    }

    /// Appends the frame, length prefix first, all but the bytes that [`body`](Self::body) gives.
    pub fn encode_head(&self, out: &mut BytesMut) {
        let body_size = self.body().map_or(0, Bytes::len);
        let mut head = |id: u8, size: usize| {
            out.put_u32((1 + size + body_size) as u32);
            out.put_u8(id);
        };
        match self {
            Self::KeepAlive => out.put_u32(0),
            Self::Choke => head(CHOKE, 0),
            Self::Unchoke => head(UNCHOKE, 0),
            Self::Interested => head(INTERESTED, 0),
            Self::NotInterested => head(NOT_INTERESTED, 0),
            Self::Have(index) => {
                head(HAVE, 4);
                out.put_u32(*index);
            }
            Self::Bitfield(_) => head(BITFIELD, 0),
            Self::Request(spec) | Self::Cancel(spec) => {
                head(if matches!(self, Self::Request(_)) { REQUEST } else { CANCEL }, 12);
                out.put_u32(spec.index);
                out.put_u32(spec.offset);
                out.put_u32(spec.length);
            }
            Self::Piece { index, offset, .. } => {
                head(PIECE, 8);
                out.put_u32(*index);
                out.put_u32(*offset);
            }
            Self::Port(port) => {
                head(PORT, 2);
                out.put_u16(*port);
            }
            Self::Extended { id, .. } => {
                head(EXTENDED, 1);
                out.put_u8(*id);
            }
            Self::Unknown(id) => head(*id, 0),
        }
    }

    /// The bytes that follow the head and need no copy: a block, a bitfield, a payload.
    #[must_use]
    pub const fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Piece { data, .. } => Some(data),
            Self::Bitfield(bits) => Some(bits),
            Self::Extended { payload, .. } => Some(payload),
            Self::KeepAlive
            | Self::Choke
            | Self::Unchoke
            | Self::Interested
            | Self::NotInterested
            | Self::Have(_)
            | Self::Request(_)
            | Self::Cancel(_)
            | Self::Port(_)
            | Self::Unknown(_) => None,
        }
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_head(out);
        if let Some(body) = self.body() {
            out.put_slice(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame;
    use proptest::prelude::*;

    fn spec() -> impl Strategy<Value = BlockSpec> {
        any::<(u32, u32, u32)>().prop_map(|(index, offset, length)| BlockSpec {
            index,
            offset,
            length,
        })
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from)
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(Message::KeepAlive),
            Just(Message::Choke),
            Just(Message::Unchoke),
            Just(Message::Interested),
            Just(Message::NotInterested),
            any::<u32>().prop_map(Message::Have),
            bytes().prop_map(Message::Bitfield),
            spec().prop_map(Message::Request),
            spec().prop_map(Message::Cancel),
            any::<u16>().prop_map(Message::Port),
            (any::<u32>(), any::<u32>(), bytes())
                .prop_map(|(index, offset, data)| Message::Piece { index, offset, data }),
            (any::<u8>(), bytes()).prop_map(|(id, payload)| Message::Extended { id, payload }),
        ]
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_went(messages in prop::collection::vec(message(), 1..20)) {
            let mut buffer = BytesMut::new();
            messages.iter().for_each(|message| message.encode(&mut buffer));
            for message in messages {
                let frame = frame::split(&mut buffer).expect("ours").expect("whole");
                prop_assert_eq!(Message::decode(frame), Ok(message));
            }
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Message::decode(Bytes::from(bytes));
        }
    }

    #[test]
    fn a_payload_of_the_wrong_size_is_a_fault() {
        for (frame, id, size) in
            [(&b"\x00x"[..], 0, 1), (b"\x04abc", 4, 3), (b"\x06abc", 6, 3), (b"\x07abc", 7, 3)]
        {
            assert_eq!(
                Message::decode(Bytes::from_static(frame)),
                Err(Fault::PayloadSize { id, size })
            );
        }
    }
}
