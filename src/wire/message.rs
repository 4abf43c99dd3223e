//! [`Message`]: the messages of BEP 3, BEP 6 and BEP 52, and the envelope of BEP 10.

use super::Fault;
use super::hashes::{HASH_RANGE_BYTES, HashRange};
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
    /// You may want to ask for this piece (BEP 6).
    Suggest(u32),
    /// I have every piece (BEP 6, instead of a bitfield).
    HaveAll,
    /// I have no piece (BEP 6, instead of a bitfield).
    HaveNone,
    /// I will not send that block (BEP 6).
    Reject(BlockSpec),
    /// You may ask for blocks of this piece though I choke you (BEP 6).
    AllowedFast(u32),
    /// Send me hashes of a file's tree (BEP 52). Ranges are boxed: they are rare, and would make every
    /// other message larger.
    HashRequest(Box<HashRange>),
    /// Hashes, 32 bytes each: those of the layer, then from below those beside the way to the root.
    Hashes(Box<HashRange>, Bytes),
    /// I will not send those hashes.
    HashReject(Box<HashRange>),
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
const SUGGEST: u8 = 13;
const HAVE_ALL: u8 = 14;
const HAVE_NONE: u8 = 15;
const REJECT: u8 = 16;
const ALLOWED_FAST: u8 = 17;
const EXTENDED: u8 = 20;
const HASH_REQUEST: u8 = 21;
const HASHES: u8 = 22;
const HASH_REJECT: u8 = 23;

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
            CHOKE | UNCHOKE | INTERESTED | NOT_INTERESTED | HAVE_ALL | HAVE_NONE => {
                sized(size == 0)?;
                match id {
                    CHOKE => Self::Choke,
                    UNCHOKE => Self::Unchoke,
                    INTERESTED => Self::Interested,
                    NOT_INTERESTED => Self::NotInterested,
                    HAVE_ALL => Self::HaveAll,
                    _ => Self::HaveNone,
                }
            }
            HAVE | SUGGEST | ALLOWED_FAST => {
                sized(size == 4)?;
                let piece = frame.get_u32();
                match id {
                    HAVE => Self::Have(piece),
                    SUGGEST => Self::Suggest(piece),
                    _ => Self::AllowedFast(piece),
                }
            }
            BITFIELD => Self::Bitfield(frame),
            REQUEST | CANCEL | REJECT => {
                sized(size == 12)?;
                let (index, offset, length) = (frame.get_u32(), frame.get_u32(), frame.get_u32());
                let spec = BlockSpec { index, offset, length };
                match id {
                    REQUEST => Self::Request(spec),
                    CANCEL => Self::Cancel(spec),
                    _ => Self::Reject(spec),
                }
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
            HASH_REQUEST | HASH_REJECT => {
                sized(size == HASH_RANGE_BYTES)?;
                let range = Box::new(HashRange::take(&mut frame));
                if id == HASH_REQUEST { Self::HashRequest(range) } else { Self::HashReject(range) }
            }
            HASHES => {
                sized(size >= HASH_RANGE_BYTES)?;
                let range = Box::new(HashRange::take(&mut frame));
                Self::Hashes(range, frame)
            }
            unknown => Self::Unknown(unknown),
        })
    }

    /// Appends the frame, length prefix first, all but the bytes that [`body`](Self::body) gives.
    pub fn encode_head(&self, out: &mut BytesMut) {
        let body_size = self.body().map_or(0, Bytes::len);
        let mut head = |id: u8, numbers: &[u32]| {
            out.put_u32((1 + numbers.len() * 4 + body_size) as u32);
            out.put_u8(id);
            numbers.iter().for_each(|number| out.put_u32(*number));
        };
        let hashes = |id: u8, range: &HashRange, out: &mut BytesMut| {
            out.put_u32((1 + HASH_RANGE_BYTES + body_size) as u32);
            out.put_u8(id);
            range.put(out);
        };
        let three = |spec: &BlockSpec| [spec.index, spec.offset, spec.length];
        match self {
            Self::KeepAlive => out.put_u32(0),
            Self::Choke => head(CHOKE, &[]),
            Self::Unchoke => head(UNCHOKE, &[]),
            Self::Interested => head(INTERESTED, &[]),
            Self::NotInterested => head(NOT_INTERESTED, &[]),
            Self::Have(index) => head(HAVE, &[*index]),
            Self::Bitfield(_) => head(BITFIELD, &[]),
            Self::Request(spec) => head(REQUEST, &three(spec)),
            Self::Piece { index, offset, .. } => head(PIECE, &[*index, *offset]),
            Self::Cancel(spec) => head(CANCEL, &three(spec)),
            Self::Suggest(index) => head(SUGGEST, &[*index]),
            Self::HaveAll => head(HAVE_ALL, &[]),
            Self::HaveNone => head(HAVE_NONE, &[]),
            Self::Reject(spec) => head(REJECT, &three(spec)),
            Self::AllowedFast(index) => head(ALLOWED_FAST, &[*index]),
            Self::Unknown(id) => head(*id, &[]),
            Self::Port(port) => {
                out.put_u32(3);
                out.put_u8(PORT);
                out.put_u16(*port);
            }
            Self::HashRequest(range) => hashes(HASH_REQUEST, range, out),
            Self::Hashes(range, _) => hashes(HASHES, range, out),
            Self::HashReject(range) => hashes(HASH_REJECT, range, out),
            Self::Extended { id, .. } => {
                out.put_u32((2 + body_size) as u32);
                out.put_u8(EXTENDED);
                out.put_u8(*id);
            }
        }
    }

    /// The bytes that follow the head and need no copy: a block, a bitfield, a payload.
    #[must_use]
    pub const fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Piece { data, .. } => Some(data),
            Self::Bitfield(bits) => Some(bits),
            Self::Extended { payload, .. } => Some(payload),
            Self::Hashes(_, hashes) => Some(hashes),
            Self::KeepAlive
            | Self::Choke
            | Self::Unchoke
            | Self::Interested
            | Self::NotInterested
            | Self::Have(_)
            | Self::Request(_)
            | Self::Cancel(_)
            | Self::Port(_)
            | Self::Suggest(_)
            | Self::HaveAll
            | Self::HaveNone
            | Self::Reject(_)
            | Self::AllowedFast(_)
            | Self::HashRequest(_)
            | Self::HashReject(_)
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

    fn range() -> impl Strategy<Value = Box<HashRange>> {
        any::<([u8; 32], u32, u32, u32, u32)>().prop_map(
            |(root, base_layer, index, length, proof_layers)| {
                Box::new(HashRange { root, base_layer, index, length, proof_layers })
            },
        )
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
            any::<u32>().prop_map(Message::Suggest),
            Just(Message::HaveAll),
            Just(Message::HaveNone),
            spec().prop_map(Message::Reject),
            any::<u32>().prop_map(Message::AllowedFast),
            (any::<u32>(), any::<u32>(), bytes())
                .prop_map(|(index, offset, data)| Message::Piece { index, offset, data }),
            (any::<u8>(), bytes()).prop_map(|(id, payload)| Message::Extended { id, payload }),
            range().prop_map(Message::HashRequest),
            range().prop_map(Message::HashReject),
            (range(), bytes()).prop_map(|(range, hashes)| Message::Hashes(range, hashes)),
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
                .into_iter()
                .chain([(&b"\x15abc"[..], 21, 3), (b"\x16abc", 22, 3), (b"\x17abc", 23, 3)])
        {
            assert_eq!(
                Message::decode(Bytes::from_static(frame)),
                Err(Fault::PayloadSize { id, size })
            );
        }
    }
}
