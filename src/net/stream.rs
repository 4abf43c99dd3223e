//! [`Stream`]: one connection as two halves that are read and written at the same time, whatever
//! carries them, with a cipher on each or none.
//!
//! What is received is decrypted where it lies, and what is sent unencrypted goes out from where it
//! lies. What is sent encrypted is copied, as others may have the same blocks.
//!
//! Where little may be received, the other side may send only little ahead: what is read at a low
//! rate would otherwise come in lumps of tens of kilobytes, as it pleases the kernel to say that there
//! is room again.

use crate::wire::Transport;
use crate::wire::mse::{Cipher, Ciphers};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use librqbit_utp::{UtpStream, UtpStreamReadHalf, UtpStreamWriteHalf};
use socket2::SockRef;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Slices in one vectored write.
const SLICES_MAX: usize = 64;
/// Bytes that are encrypted for one write: a few blocks, which stay in the cache.
const ENCRYPTED_BYTES_MAX: usize = 64 << 10;

/// So much of what we read a peer may send ahead, at a low rate: it may be about so far away, and
/// is read from all the time.
const AHEAD_US: u64 = 250_000;
/// Segments that it may always send ahead: a sender that has room for less than one waits, and a kernel
/// does not say that there is room for less than one.
const AHEAD_SEGMENTS_MIN: u64 = 4;
/// From here on the rate is no low one: the lumps of the kernel are small beside it.
const AHEAD_BYTES_MAX: u64 = 64 << 10;
/// For a connection whose rate is no low one any more: the kernel makes it as much as it allows.
const AHEAD_BYTES_AGAIN: usize = 4 << 20;
const SECOND_US: u64 = 1_000_000;

/// A connection.
#[derive(Debug)]
pub struct Stream {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// The half that is read.
#[derive(Debug)]
pub(super) struct Reader {
    from: ReadHalf,
    cipher: Option<Cipher>,
    /// The other side may not send as far ahead as the kernel would let it.
    held: bool,
}

/// The half that is written.
#[derive(Debug)]
pub(super) struct Writer {
    to: WriteHalf,
    cipher: Option<Cipher>,
}

enum ReadHalf {
    Tcp(OwnedReadHalf),
    Utp(UtpStreamReadHalf),
}

enum WriteHalf {
    Tcp(OwnedWriteHalf),
    Utp(UtpStreamWriteHalf),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        // Requests are small and each waits for its answer: Nagle's delay would cost a round trip.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Self::new(ReadHalf::Tcp(read), WriteHalf::Tcp(write))
    }
}

impl From<UtpStream> for Stream {
    fn from(stream: UtpStream) -> Self {
        let (read, write) = stream.split();
        Self::new(ReadHalf::Utp(read), WriteHalf::Utp(write))
    }
}

impl Stream {
    const fn new(from: ReadHalf, to: WriteHalf) -> Self {
        let reader = Reader { from, cipher: None, held: false };
        Self { reader, writer: Writer { to, cipher: None } }
    }

    /// What carries it.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self.reader.from {
            ReadHalf::Tcp(_) => Transport::Tcp,
            ReadHalf::Utp(_) => Transport::Utp,
        }
    }

    /// Everything goes through `ciphers` from now on.
    pub(super) fn encrypt(&mut self, ciphers: Ciphers) {
        self.reader.cipher = Some(ciphers.receiving);
        self.writer.cipher = Some(ciphers.sending);
    }
}

impl Reader {
    /// It is read at `rate` bytes a second from now on; `None`: as fast as bytes come. Of uTP the
    /// window is the library's, and stays.
    pub(super) fn paced(&mut self, rate: Option<u64>) {
        let ReadHalf::Tcp(from) = &self.from else { return };
        let socket = SockRef::from(from.as_ref());
        let ahead = rate.and_then(|rate| ahead(rate, socket.tcp_mss().ok()?));
        // A buffer whose length was once said keeps it, so none is said before it has to be. If it
        // can't be said, bytes come in lumps.
        if ahead.is_some() || self.held {
            let _ = socket.set_recv_buffer_size(ahead.unwrap_or(AHEAD_BYTES_AGAIN));
        }
        self.held = ahead.is_some();
    }

    /// Appends what one read brings to `buffer`, whose room it fills at the most, and up to `most`
    /// bytes; 0 bytes at the end.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut, most: usize) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        let mut free = buffer.limit(most.min(room));
        let count = match &mut self.from {
            ReadHalf::Tcp(from) => from.read_buf(&mut free).await?,
            ReadHalf::Utp(from) => from.read_buf(&mut free).await?,
        };
        if let Some(cipher) = &mut self.cipher {
            let new = buffer.len() - count;
            cipher.apply(&mut buffer[new..]);
        }
        Ok(count)
    }
}

/// The buffer to ask the kernel for, where the rate is a low one. It makes twice of it, for what it needs
/// itself, and needs less.
fn ahead(rate: u64, segment: u32) -> Option<usize> {
    let bytes = rate.saturating_mul(AHEAD_US) / SECOND_US / 2;
    let bytes = bytes.max(AHEAD_SEGMENTS_MIN * u64::from(segment));
    (bytes <= AHEAD_BYTES_MAX).then_some(bytes as usize)
}

impl Writer {
    /// Writes all of it, as the handshake that comes before ciphers.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes).await
    }

    /// Waits until everything that was written is acknowledged. TCP does not tell: it waits for nothing.
    pub(super) async fn arrived(&mut self) -> io::Result<()> {
        match &mut self.to {
            WriteHalf::Tcp(_) => Ok(()),
            WriteHalf::Utp(to) => to.flush().await,
        }
    }

    /// Nothing more will be written. Whether the other side has to say yet that it has everything: by
    /// uTP it has acknowledged every byte when this returns.
    pub(super) async fn end(&mut self) -> io::Result<bool> {
        match &mut self.to {
            WriteHalf::Tcp(to) => to.shutdown().await.map(|()| true),
            WriteHalf::Utp(_) => self.arrived().await.map(|()| false),
        }
    }

    /// Writes all of them, and empties them.
    pub(super) async fn write_slices(&mut self, slices: &mut VecDeque<Bytes>) -> io::Result<()> {
        match &mut self.cipher {
            None => write_as_they_are(&mut self.to, slices).await,
            Some(cipher) => write_encrypted(&mut self.to, cipher, slices).await,
        }
    }
}

impl WriteHalf {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(to) => to.write_all(bytes).await,
            Self::Utp(to) => to.write_all(bytes).await,
        }
    }

    async fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(to) => to.write_vectored(parts).await,
            Self::Utp(to) => to.write_vectored(parts).await,
        }
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(from) => from.fmt(f),
            Self::Utp(_) => f.write_str("uTP"),
        }
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(to) => to.fmt(f),
            Self::Utp(_) => f.write_str("uTP"),
        }
    }
}

async fn write_as_they_are(to: &mut WriteHalf, slices: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !slices.is_empty() {
        let parts: Vec<IoSlice<'_>> =
            slices.iter().take(SLICES_MAX).map(|slice| IoSlice::new(slice)).collect();
        let mut written = to.write_vectored(&parts).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(front) = slices.front_mut() {
            if front.len() > written {
                front.advance(written);
                break;
            }
            written -= front.len();
            slices.pop_front();
        }
    }
    Ok(())
}

async fn write_encrypted(
    to: &mut WriteHalf,
    cipher: &mut Cipher,
    slices: &mut VecDeque<Bytes>,
) -> io::Result<()> {
    let all: usize = slices.iter().map(Bytes::len).sum();
    let mut scratch = Vec::with_capacity(all.min(ENCRYPTED_BYTES_MAX));
    while !slices.is_empty() {
        scratch.clear();
        while let Some(front) = slices.front_mut()
            && scratch.len() < ENCRYPTED_BYTES_MAX
        {
            let count = front.len().min(ENCRYPTED_BYTES_MAX - scratch.len());
            scratch.extend_from_slice(&front.split_to(count));
            if front.is_empty() {
                slices.pop_front();
            }
        }
        cipher.apply(&mut scratch);
        to.write_all(&scratch).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_sent_ahead_at_a_low_rate_and_never_less_than_a_few_segments() {
        assert_eq!(ahead(20_000, 1448), Some(4 * 1448));
        assert_eq!(ahead(200_000, 1448), Some(25_000));
        assert_eq!(ahead(1_000_000, 1448), None);
        // As on `lo`: no segment would fit.
        assert_eq!(ahead(20_000, 65_483), None);
    }
}
