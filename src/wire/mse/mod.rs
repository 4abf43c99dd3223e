//! Message stream encryption (MSE, also called PE): a handshake before BitTorrent's own, and RC4
//! or nothing after it. Pure.
//!
//! The source is the specification "Message Stream Encryption", version 1.0, of Azureus's wiki; no
//! BEP has it. What it hides is that a connection is BitTorrent, from who looks at its first bytes;
//! it does not prove who is at the other end, and RC4 is no secret today. It is spoken because some
//! peers and some lines take nothing else.
//!
//! ```text
//!     1  A to B   Ya, PadA
//!     2  B to A   Yb, PadB
//!     3  A to B   HASH(req1, S), HASH(req2, SKEY) xor HASH(req3, S),
//!                 RC4(VC, crypto_provide, PadC, IA)
//!     4  B to A   RC4(VC, crypto_select, PadD)
//! ```
//!
//! A is the [`Initiator`], B the [`Responder`]; SKEY is the info hash, and IA what A says first.
//! Where padding ends is not said: the next thing is searched for, within a bound. Both sides hold
//! no bytes themselves: `hear` takes what it can use off the front of a buffer of the caller's and
//! leaves less than [`BUFFERED_BYTES_MAX`] there, however much came; when it is done, what is left is
//! what the peer says, decrypted. Chance is the caller's, too.

mod exchange;
mod initiator;
mod rc4;
mod responder;
mod search;
mod secret;
#[cfg(test)]
mod tests;

pub use exchange::KEY_BYTES;
pub use initiator::{Initiator, Keyed, Offered};
pub use responder::Responder;
pub use secret::Cipher;

use bytes::{Buf as _, BytesMut};
use exchange::{PRIVATE_BYTES, Private};

/// Bytes that padding may have, each of the four.
pub const PAD_BYTES_MAX: usize = 512;
/// Bytes of what a peer may say with its request (IA): clients send their handshake of 68 bytes
/// there, or nothing; the field could announce 64 KiB.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 10;
/// `hear` leaves fewer bytes than this in the buffer when it needs more.
pub const BUFFERED_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
/// Bytes of [`Chance`].
pub const CHANCE_BYTES: usize = PRIVATE_BYTES + 2 + 2 + PAD_BYTES_MAX;

/// What one handshake draws: a private key, the lengths of two pads, and the first of them. It
/// comes from the caller, and nobody may be able to guess it.
pub type Chance = [u8; CHANCE_BYTES];

/// The verification constant: what both sides find the end of padding by, or a wrong key.
const VC: [u8; 8] = [0; 8];
/// `crypto_provide` and `crypto_select`: nothing is encrypted after the handshake.
const PLAINTEXT: u32 = 0x01;
/// `crypto_provide` and `crypto_select`: everything is.
const RC4: u32 = 0x02;

/// What follows the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// BitTorrent as it is.
    Plaintext,
    /// BitTorrent through RC4.
    Rc4,
}

impl Method {
    /// As people and scripts read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Rc4 => "rc4",
        }
    }

    const fn bit(self) -> u32 {
        match self {
            Self::Plaintext => PLAINTEXT,
            Self::Rc4 => RC4,
        }
    }
}

/// Which methods a side takes, and which of two it would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// RC4 and nothing else.
    Rc4Only,
    /// Both, RC4 if the other side takes it.
    Rc4First,
    /// Both, plaintext if the other side takes it: that costs nothing.
    PlaintextFirst,
}

impl Preference {
    const fn methods(self) -> &'static [Method] {
        match self {
            Self::Rc4Only => &[Method::Rc4],
            Self::Rc4First => &[Method::Rc4, Method::Plaintext],
            Self::PlaintextFirst => &[Method::Plaintext, Method::Rc4],
        }
    }

    /// `crypto_provide`.
    fn provided(self) -> u32 {
        self.methods().iter().fold(0, |bits, method| bits | method.bit())
    }

    /// Of what the other side provides, what is taken; bits that are not known are passed over, as
    /// the specification asks.
    fn of_provided(self, bits: u32) -> Option<Method> {
        self.methods().iter().copied().find(|method| bits & method.bit() != 0)
    }

    /// What the other side selected, if that was provided.
    fn selected(self, bits: u32) -> Option<Method> {
        self.methods().iter().copied().find(|method| bits == method.bit())
    }
}

/// What an initiator offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The shared key: the info hash, v1, or v2 cut to 20 bytes.
    pub skey: [u8; 20],
    /// The methods.
    pub preference: Preference,
}

/// What came of bytes.
#[derive(Debug)]
pub enum Step<More, Done> {
    /// More are needed.
    More(More),
    /// This stage is over.
    Done(Done),
}

/// What both sides agreed on.
#[derive(Debug)]
pub struct Agreed {
    /// For everything that follows; `None`: it is plaintext.
    pub ciphers: Option<Ciphers>,
}

impl Agreed {
    /// What was agreed on.
    #[must_use]
    pub const fn method(&self) -> Method {
        if self.ciphers.is_some() { Method::Rc4 } else { Method::Plaintext }
    }

    /// `ciphers` go on if it is to be `method`, with what came behind the handshake first.
    fn on(method: Method, mut ciphers: Ciphers, behind: &mut [u8]) -> Self {
        match method {
            Method::Plaintext => Self { ciphers: None },
            Method::Rc4 => {
                ciphers.receiving.apply(behind);
                Self { ciphers: Some(ciphers) }
            }
        }
    }
}

/// The two directions.
#[derive(Debug)]
pub struct Ciphers {
    /// Of what we send.
    pub sending: Cipher,
    /// Of what we receive.
    pub receiving: Cipher,
}

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It answered a key with a handshake of BEP 3.
    #[error("it does not take encrypted connections")]
    Plain,
    /// A public key that is none, or that makes the secret known to everybody.
    #[error("its key is none")]
    Key,
    /// What comes behind padding is not there.
    #[error("more padding than the {PAD_BYTES_MAX} bytes that there may be")]
    Padding,
    /// A pad that is announced to be longer.
    #[error("a pad of {0} bytes")]
    Pad(u16),
    /// No shared key of ours.
    #[error("it is about another torrent, or none")]
    Torrent,
    /// What is decrypted makes no sense.
    #[error("it does not know the torrent's key")]
    Verification,
    /// No method in common, or one that nobody provided.
    #[error("no way of encryption in common (`{0:#x}`)")]
    Method(u32),
    /// More payload than there may be.
    #[error("an initial payload of {0} bytes")]
    Payload(u16),
}

/// What a handshake drew, sorted.
struct Drawn {
    private: Private,
    first_pad: Vec<u8>,
    second_pad_bytes: usize,
}

impl Drawn {
    fn of(chance: &Chance) -> Self {
        let private = Private::of(std::array::from_fn(|at| chance[at]));
        let mut rest = &chance[PRIVATE_BYTES..];
        let mut length = || usize::from(rest.get_u16()) % (PAD_BYTES_MAX + 1);
        let (first, second_pad_bytes) = (length(), length());
        Self { private, first_pad: rest[..first].to_vec(), second_pad_bytes }
    }
}

/// Takes the first bytes off, which are there.
fn take<const COUNT: usize>(received: &mut BytesMut) -> [u8; COUNT] {
    let bytes = received.split_to(COUNT);
    std::array::from_fn(|at| bytes[at])
}

/// A pad's announced length.
const fn pad_bytes(announced: [u8; 2]) -> Result<usize, Fault> {
    let bytes = u16::from_be_bytes(announced);
    if bytes as usize > PAD_BYTES_MAX { Err(Fault::Pad(bytes)) } else { Ok(bytes as usize) }
}
