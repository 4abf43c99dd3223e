//! [`Initiator`]: the side that called. It sends its key; with the other's it is [`Keyed`] and
//! says what it wants; then it is [`Offered`], until the other side has chosen.

use super::exchange::{KEY_BYTES, Public};
use super::search::Search;
use super::secret::Secret;
use super::{
    Agreed, Chance, Ciphers, Drawn, Fault, Method, Offer, PAYLOAD_BYTES_MAX, Preference, Step, VC,
    pad_bytes, take,
};
use crate::wire::Handshake;
use bytes::{Buf as _, BytesMut};

/// Waits for the other side's key.
pub struct Initiator(Drawn);

/// Has it.
pub struct Keyed {
    pub(super) secret: Secret,
    pad_bytes: usize,
}

/// Waits for the other side's choice.
pub struct Offered {
    preference: Preference,
    ciphers: Ciphers,
    stage: Stage,
}

enum Stage {
    /// Looks for the end of PadB.
    Padded(Search<8>),
    /// VC was there; `crypto_select` and the length of PadD come.
    Verified,
    /// So much of PadD is to come.
    Selected(Method, usize),
}

impl Initiator {
    /// Begins; `out` takes what is to be sent.
    #[must_use]
    pub fn begin(chance: &Chance, out: &mut Vec<u8>) -> Self {
        let drawn = Drawn::of(chance);
        out.extend_from_slice(&drawn.private.public());
        out.extend_from_slice(&drawn.first_pad);
        Self(drawn)
    }

    /// Hears what was received.
    ///
    /// # Errors
    /// If that is no key: then this is no peer for encrypted connections.
    pub fn hear(self, received: &mut BytesMut) -> Result<Step<Self, Keyed>, Fault> {
        if Handshake::begins(received) {
            return Err(Fault::Plain);
        }
        if received.len() < KEY_BYTES {
            return Ok(Step::More(self));
        }
        let theirs = Public::read(&take(received))?;
        let Self(Drawn { private, second_pad_bytes: pad_bytes, .. }) = self;
        Ok(Step::Done(Keyed { secret: private.secret(&theirs), pad_bytes }))
    }
}

impl Keyed {
    /// Says which torrent it is about and which methods there are, and `payload` (IA): the first
    /// bytes of what an unencrypted connection would say, [`PAYLOAD_BYTES_MAX`] of them at most.
    #[must_use]
    pub fn offer(self, offer: &Offer, payload: &[u8], out: &mut Vec<u8>) -> Offered {
        let Self { secret, pad_bytes } = self;
        let Offer { skey, preference } = offer;
        let payload = &payload[..payload.len().min(PAYLOAD_BYTES_MAX)];
        let mut ciphers =
            Ciphers { sending: secret.initiators(skey), receiving: secret.responders(skey) };
        out.extend_from_slice(&secret.req1());
        out.extend_from_slice(&secret.req2_xor_req3(skey));
        let encrypted_from = out.len();
        out.extend_from_slice(&VC);
        out.extend_from_slice(&preference.provided().to_be_bytes());
        out.extend_from_slice(&(pad_bytes as u16).to_be_bytes());
        out.resize(out.len() + pad_bytes, 0);
        out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        out.extend_from_slice(payload);
        ciphers.sending.apply(&mut out[encrypted_from..]);
        // The other side's VC, as it looks encrypted.
        let search = Search::new(ciphers.receiving.applied(VC));
        Offered { preference: *preference, ciphers, stage: Stage::Padded(search) }
    }
}

impl Offered {
    /// Hears what was received. When it is done, what is left there is what the peer says, decrypted.
    ///
    /// # Errors
    /// If the other side breaks the rules, or chose what was not offered.
    pub fn hear(mut self, received: &mut BytesMut) -> Result<Step<Self, Agreed>, Fault> {
        while received.len() >= self.stage.needs() {
            self.stage = match self.stage {
                Stage::Padded(mut search) => match search.find(received)? {
                    true => Stage::Verified,
                    false => Stage::Padded(search),
                },
                Stage::Verified => {
                    let [a, b, c, d, pad @ ..] =
                        self.ciphers.receiving.applied(take::<6>(received));
                    let select = u32::from_be_bytes([a, b, c, d]);
                    let method = self.preference.selected(select).ok_or(Fault::Method(select))?;
                    Stage::Selected(method, pad_bytes(pad)?)
                }
                Stage::Selected(method, pad) => {
                    self.ciphers.receiving.apply(&mut received[..pad]);
                    received.advance(pad);
                    return Ok(Step::Done(Agreed::on(method, self.ciphers, received)));
                }
            };
        }
        Ok(Step::More(self))
    }
}

impl Stage {
    /// Bytes without which there is nothing to do.
    const fn needs(&self) -> usize {
        match self {
            Self::Padded(_) => VC.len(),
            Self::Verified => 4 + 2,
            Self::Selected(_, pad) => *pad,
        }
    }
}
