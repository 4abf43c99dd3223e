//! [`Responder`]: the side that was called. It answers a key with its own, finds out which of its
//! torrents the other side is about, and chooses among what that provides.

use super::exchange::{KEY_BYTES, Public};
use super::search::Search;
use super::secret::Secret;
use super::{
    Agreed, Chance, Ciphers, Drawn, Fault, Method, PAYLOAD_BYTES_MAX, Preference, Step, VC,
    pad_bytes, take,
};
use bytes::{Buf as _, BytesMut};

/// Bytes of VC, `crypto_provide` and the length of PadC.
const PROVIDE_BYTES: usize = VC.len() + 4 + 2;

/// One call that is answered.
pub struct Responder<'a> {
    skeys: &'a [[u8; 20]],
    preference: Preference,
    pad_bytes: usize,
    stage: Stage,
}

enum Stage {
    /// Waits for the other side's key.
    Called(Drawn),
    /// Looks for the end of PadA.
    Padded(Secret, Search<20>),
    /// Which torrent it is about comes.
    Found(Secret),
    /// VC, `crypto_provide` and the length of PadC come.
    Known(Ciphers),
    /// So much of PadC is to come, and the length of IA.
    Provided(Ciphers, Method, usize),
    /// So much of IA is to come.
    Announced(Ciphers, Method, usize),
}

impl<'a> Responder<'a> {
    /// For calls about torrents with one of these info hashes, v1, or v2 cut to 20 bytes.
    #[must_use]
    pub fn new(chance: &Chance, skeys: &'a [[u8; 20]], preference: Preference) -> Self {
        let drawn = Drawn::of(chance);
        let pad_bytes = drawn.second_pad_bytes;
        Self { skeys, preference, pad_bytes, stage: Stage::Called(drawn) }
    }

    /// Hears what was received; `out` takes what is to be sent. When it is done, what is left there
    /// is what the peer says, decrypted, its initial payload first.
    ///
    /// # Errors
    /// If the other side breaks the rules, or has nothing in common with us.
    pub fn hear(
        mut self,
        received: &mut BytesMut,
        out: &mut Vec<u8>,
    ) -> Result<Step<Self, Agreed>, Fault> {
        while received.len() >= self.stage.needs() {
            self.stage = match self.stage {
                Stage::Called(drawn) => answer(&drawn, &take(received), out)?,
                Stage::Padded(secret, mut search) => match search.find(received)? {
                    true => Stage::Found(secret),
                    false => Stage::Padded(secret, search),
                },
                Stage::Found(secret) => know(&secret, &take(received), self.skeys)?,
                Stage::Known(ciphers) => choose(ciphers, take(received), self.preference)?,
                Stage::Provided(ciphers, method, pad) => measure(ciphers, method, pad, received)?,
                Stage::Announced(mut ciphers, method, payload) => {
                    let from = out.len();
                    out.extend_from_slice(&VC);
                    out.extend_from_slice(&method.bit().to_be_bytes());
                    out.extend_from_slice(&(self.pad_bytes as u16).to_be_bytes());
                    out.resize(out.len() + self.pad_bytes, 0);
                    ciphers.sending.apply(&mut out[from..]);
                    // It is encrypted whatever was chosen.
                    let (payload, behind) = received.split_at_mut(payload);
                    ciphers.receiving.apply(payload);
                    return Ok(Step::Done(Agreed::on(method, ciphers, behind)));
                }
            };
        }
        Ok(Step::More(self))
    }
}

fn answer(drawn: &Drawn, theirs: &[u8; KEY_BYTES], out: &mut Vec<u8>) -> Result<Stage, Fault> {
    let secret = drawn.private.secret(&Public::read(theirs)?);
    out.extend_from_slice(&drawn.private.public());
    out.extend_from_slice(&drawn.first_pad);
    let search = Search::new(secret.req1());
    Ok(Stage::Padded(secret, search))
}

fn know(secret: &Secret, about: &[u8; 20], skeys: &[[u8; 20]]) -> Result<Stage, Fault> {
    let skey = skeys.iter().find(|skey| secret.req2_xor_req3(skey) == *about);
    let skey = skey.ok_or(Fault::Torrent)?;
    let (sending, receiving) = (secret.responders(skey), secret.initiators(skey));
    Ok(Stage::Known(Ciphers { sending, receiving }))
}

fn choose(
    mut ciphers: Ciphers,
    encrypted: [u8; PROVIDE_BYTES],
    preference: Preference,
) -> Result<Stage, Fault> {
    let bytes = ciphers.receiving.applied(encrypted);
    let [.., a, b, c, d, high, low] = bytes;
    if !bytes.starts_with(&VC) {
        return Err(Fault::Verification);
    }
    let provided = u32::from_be_bytes([a, b, c, d]);
    let method = preference.of_provided(provided).ok_or(Fault::Method(provided))?;
    Ok(Stage::Provided(ciphers, method, pad_bytes([high, low])?))
}

fn measure(
    mut ciphers: Ciphers,
    method: Method,
    pad: usize,
    received: &mut BytesMut,
) -> Result<Stage, Fault> {
    ciphers.receiving.apply(&mut received[..pad]);
    received.advance(pad);
    let payload = u16::from_be_bytes(ciphers.receiving.applied(take(received)));
    if usize::from(payload) > PAYLOAD_BYTES_MAX {
        return Err(Fault::Payload(payload));
    }
    Ok(Stage::Announced(ciphers, method, usize::from(payload)))
}

impl Stage {
    /// Bytes without which there is nothing to do.
    const fn needs(&self) -> usize {
        match self {
            Self::Called(_) => KEY_BYTES,
            Self::Padded(..) | Self::Found(_) => 20,
            Self::Known(_) => PROVIDE_BYTES,
            Self::Provided(.., pad) => *pad + 2,
            Self::Announced(.., payload) => *payload,
        }
    }
}
