//! [`Stream`]: one connection as two halves that are read and written at the same time, whatever
//! carries them, with a cipher on each or none.
//!
//! What is received is decrypted where it lies, and what is sent unencrypted goes out from where it
//! lies. What is sent encrypted is copied, as others may have the same blocks.

use crate::wire::Transport;
use crate::wire::mse::{Cipher, Ciphers};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use librqbit_utp::{UtpStream, UtpStreamReadHalf, UtpStreamWriteHalf};
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
        Self { reader: Reader { from, cipher: None }, writer: Writer { to, cipher: None } }
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
