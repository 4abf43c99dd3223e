//! The handshake of encrypted connections (MSE) on a [`Stream`]: [`call`] and [`Answered::offer`]
//! for who called, [`answer`] for who was called.

use super::reason;
use super::stream::Stream;
use crate::wire::mse::{
    CHANCE_BYTES, Chance, Initiator, Keyed, Method, Offer, Preference, Responder, Step,
};
use bytes::BytesMut;

/// Room for one read: a handshake of either side is hardly longer.
const READ_BYTES: usize = 2 << 10;

/// The other side answered our call with its key.
pub(super) struct Answered {
    keyed: Keyed,
    received: BytesMut,
}

/// Sends our key and waits for the other's.
///
/// # Errors
/// If the connection breaks, or the other side does not speak MSE.
pub(super) async fn call(stream: &mut Stream) -> Result<Answered, String> {
    let (mut received, mut out) = (BytesMut::new(), Vec::new());
    let mut initiator = Initiator::begin(&chance()?, &mut out);
    write(stream, &mut out).await?;
    loop {
        read(stream, &mut received).await?;
        initiator = match initiator.hear(&mut received).map_err(|fault| fault.to_string())? {
            Step::More(same) => same,
            Step::Done(keyed) => return Ok(Answered { keyed, received }),
        }
    }
}

impl Answered {
    /// Says what we offer, and what we have to say first; then goes on as agreed. With the first
    /// bytes of what the other side says.
    ///
    /// # Errors
    /// If the connection breaks, or there is nothing to agree on.
    pub(super) async fn offer(
        self,
        stream: &mut Stream,
        offer: &Offer,
        payload: &[u8],
    ) -> Result<(Method, BytesMut), String> {
        let Self { keyed, mut received } = self;
        let mut out = Vec::new();
        let mut offered = keyed.offer(offer, payload, &mut out);
        write(stream, &mut out).await?;
        loop {
            // Something may have come with the key.
            offered = match offered.hear(&mut received).map_err(|fault| fault.to_string())? {
                Step::More(same) => same,
                Step::Done(agreed) => {
                    let method = agreed.method();
                    agreed.ciphers.into_iter().for_each(|ciphers| stream.encrypt(ciphers));
                    return Ok((method, received));
                }
            };
            read(stream, &mut received).await?;
        }
    }
}

/// Answers who called with `received`, about a torrent with one of these info hashes. What is left
/// there afterwards is what it says.
///
/// # Errors
/// If the connection breaks, or there is nothing to agree on.
pub(super) async fn answer(
    stream: &mut Stream,
    received: &mut BytesMut,
    skeys: &[[u8; 20]],
    preference: Preference,
) -> Result<Method, String> {
    let mut out = Vec::new();
    let mut responder = Responder::new(&chance()?, skeys, preference);
    loop {
        let step = responder.hear(received, &mut out).map_err(|fault| fault.to_string())?;
        write(stream, &mut out).await?;
        responder = match step {
            Step::More(same) => same,
            Step::Done(agreed) => {
                let method = agreed.method();
                agreed.ciphers.into_iter().for_each(|ciphers| stream.encrypt(ciphers));
                return Ok(method);
            }
        };
        read(stream, received).await?;
    }
}

async fn read(stream: &mut Stream, received: &mut BytesMut) -> Result<(), String> {
    received.reserve(READ_BYTES);
    match stream.reader.read(received, usize::MAX).await {
        Ok(0) => Err("it closed the connection instead of encrypting it".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(reason(&error)),
    }
}

async fn write(stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), String> {
    stream.writer.write(out).await.map_err(|error| reason(&error))?;
    out.clear();
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an I/O room: keys that nobody can guess")]
fn chance() -> Result<Chance, String> {
    let mut chance = [0; CHANCE_BYTES];
    getrandom::fill(&mut chance).map_err(|why| format!("no randomness to be had: {why}"))?;
    Ok(chance)
}
