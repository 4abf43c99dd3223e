//! [`Frames`]: messages of a stream that comes in any portions. What is in blocks is not gathered.

/// Messages other than blocks that are longer end the connection: a bitfield of eight million pieces.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Blocks that are longer do, too.
const BLOCK_BYTES_MAX: u32 = 128 << 10;
/// Length, id, piece and offset: what comes before a block's bytes.
const BLOCK_HEAD_BYTES: usize = 13;
const PIECE: u8 = 7;

/// A part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// Bytes of a block, that begin so far into it.
    Part { piece: u32, offset: u32, from: u32, bytes: &'a [u8] },
    /// A block is whole.
    Block { piece: u32, offset: u32, length: u32 },
    /// Another message.
    Message { id: u8, payload: &'a [u8] },
}

/// What is known of the message that is coming.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    gathered: Vec<u8>,
    /// A block of which some is still to come: piece, offset, length, bytes that came.
    block: Option<(u32, u32, u32, u32)>,
}

impl Frames {
    /// Takes what came; an error if it is none of a peer's.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        hear: &mut impl FnMut(Heard<'_>),
    ) -> Result<(), String> {
        loop {
            if let Some((piece, offset, length, from)) = self.block {
                let count = bytes.len().min((length - from) as usize);
                let (part, rest) = bytes.split_at(count);
                if count > 0 {
                    hear(Heard::Part { piece, offset, from, bytes: part });
                }
                bytes = rest;
                let from = from + count as u32;
                if from < length {
                    self.block = Some((piece, offset, length, from));
                    return Ok(());
                }
                self.block = None;
                hear(Heard::Block { piece, offset, length });
            }
            let wanted = self.wanted()?;
            if self.gathered.len() < wanted {
                if bytes.is_empty() {
                    return Ok(());
                }
                let count = bytes.len().min(wanted - self.gathered.len());
                self.gathered.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                continue;
            }
            self.end(hear)?;
        }
    }

    /// Bytes that must be gathered before anything can be said of the message.
    fn wanted(&self) -> Result<usize, String> {
        let Some(length) = self.gathered.first_chunk::<4>() else { return Ok(4) };
        let length = u32::from_be_bytes(*length) as usize;
        match self.gathered.get(4) {
            None if length == 0 => Ok(4),
            None => Ok(5),
            Some(&PIECE) => Ok(BLOCK_HEAD_BYTES),
            Some(_) if length > MESSAGE_BYTES_MAX => Err(format!("a message of {length} bytes")),
            Some(_) => Ok(4 + length),
        }
    }

    /// All that is wanted is gathered.
    fn end(&mut self, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), String> {
        let number = |at: usize| {
            let bytes = self.gathered.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        match self.gathered.get(4) {
            Some(&PIECE) => {
                let length = number(0).checked_sub(9).filter(|length| *length <= BLOCK_BYTES_MAX);
                let length = length.ok_or_else(|| format!("a block of {} bytes", number(0)))?;
                self.block = Some((number(5), number(9), length, 0));
            }
            Some(&id) => hear(Heard::Message { id, payload: &self.gathered[5..] }),
            // A keep-alive.
            None => {}
        }
        self.gathered.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keep-alive, an unchoke, a block, a have.
    fn stream() -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 9 + 5, 7, 0, 0, 0, 3, 0, 0, 64, 0];
        bytes.extend([9, 8, 7, 6, 5, 0, 0, 0, 5, 4, 0, 0, 0, 7]);
        bytes
    }

    #[test]
    fn portions_of_any_size_are_the_same_messages() {
        let bytes = stream();
        for portion in 1..=bytes.len() {
            let mut frames = Frames::default();
            let (mut said, mut body) = (Vec::new(), Vec::new());
            for some in bytes.chunks(portion) {
                let hear = &mut |heard: Heard<'_>| match heard {
                    Heard::Part { from, bytes, .. } => {
                        assert_eq!(from as usize, body.len());
                        body.extend_from_slice(bytes);
                    }
                    other => said.push(format!("{other:?}")),
                };
                frames.feed(some, hear).expect("messages");
            }
            assert_eq!(body, [9, 8, 7, 6, 5]);
            let wanted = [
                Heard::Message { id: 1, payload: &[] },
                Heard::Block { piece: 3, offset: 16384, length: 5 },
                Heard::Message { id: 4, payload: &[0, 0, 0, 7] },
            ];
            assert_eq!(said, wanted.map(|heard| format!("{heard:?}")), "in portions of {portion}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_short_is_no_message() {
        for bytes in [&[1, 0, 0, 0, 5][..], &[0, 0, 0, 3, 7, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(Frames::default().feed(bytes, &mut |_| {}).is_err(), "{bytes:?}");
        }
    }
}
