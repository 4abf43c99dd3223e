//! Frames: whole messages cut off the front of a receive buffer.
//!
//! A frame is a slice of the buffer that the socket was read into; nothing is copied. The buffer
//! needs room only for what a frame announces, and a frame may announce little.

use super::Fault;
use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes that one message may have: above the largest legitimate one (a bitfield of 4 million
/// pieces), far below what would hurt.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;

const PREFIX_BYTES: usize = 4;

/// Cuts one whole frame off `buffer`, without its length prefix; an empty one is a keep-alive.
/// `None` if it is not whole yet: [`missing`] says by how much.
///
/// # Errors
/// [`Fault::FrameSize`] if it announces more than [`FRAME_BYTES_MAX`].
pub fn split(buffer: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
    let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes(*prefix);
    if size > FRAME_BYTES_MAX {
        return Err(Fault::FrameSize(size));
    }
    let whole = PREFIX_BYTES + size as usize;
    if buffer.len() < whole {
        return Ok(None);
    }
    let mut frame = buffer.split_to(whole);
    frame.advance(PREFIX_BYTES);
    Ok(Some(frame.freeze()))
}

/// Bytes that the frame at the front of `buffer` still lacks, as far as its size is known.
#[must_use]
pub fn missing(buffer: &[u8]) -> usize {
    let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else {
        return PREFIX_BYTES - buffer.len();
    };
    let size = u32::from_be_bytes(*prefix).min(FRAME_BYTES_MAX);
    (PREFIX_BYTES + size as usize).saturating_sub(buffer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_off_whole_and_in_order() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x02ab\0\0\0\0\0\0\0\x03cd"[..]);
        assert_eq!(split(&mut buffer), Ok(Some(Bytes::from_static(b"ab"))));
        assert_eq!(split(&mut buffer), Ok(Some(Bytes::new())));
        assert_eq!(split(&mut buffer), Ok(None));
        assert_eq!((missing(&buffer), missing(b"\0")), (1, 3));
        buffer.extend_from_slice(b"e");
        assert_eq!(split(&mut buffer), Ok(Some(Bytes::from_static(b"cde"))));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_giant_prefix_is_a_fault_and_asks_for_little() {
        let mut buffer = BytesMut::from(&b"\xff\xff\xff\xff"[..]);
        assert_eq!(split(&mut buffer), Err(Fault::FrameSize(u32::MAX)));
        assert_eq!(missing(&buffer), FRAME_BYTES_MAX as usize);
    }
}
