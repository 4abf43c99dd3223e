//! [`Connection`]: one TCP connection, its reading task and its writing task.
//!
//! The reader cuts messages off its buffer as slices; buffers grow while reads fill them and
//! shrink when they do not, so that a slow peer pins little memory and a fast one costs few
//! system calls. The writer sends heads and blocks with vectored writes and copies no block.

use super::buffers::{BUFFER_BYTES_FIRST, BUFFER_BYTES_MAX, Buffers};
use super::{ConnId, Fact, Facts, reason};
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::{Fault, Handshake, Message, frame};
use bytes::{Buf as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Bytes that wait for a peer that does not read; beyond that the connection is closed.
const UNSENT_BYTES_MAX: usize = 16 << 20;
/// Slices in one vectored write.
const SLICES_MAX: usize = 64;

/// Bytes for one peer, and how many blocks are among them.
#[derive(Debug, Default)]
pub struct Outgoing {
    slices: Vec<Bytes>,
    small: BytesMut,
    blocks: usize,
}

impl Outgoing {
    /// Appends a handshake.
    pub fn greet(&mut self, handshake: &Handshake) {
        self.small.extend_from_slice(&handshake.encode());
    }

    /// Appends a message; a block's data is not copied.
    pub fn say(&mut self, message: &Message) {
        match message {
            Message::Piece { data, .. } => {
                message.encode_head(&mut self.small);
                self.slices.push(self.small.split().freeze());
                self.slices.push(data.clone());
                self.blocks += 1;
            }
            _ => message.encode(&mut self.small),
        }
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty() && self.small.is_empty()
    }

    fn seal(&mut self) {
        if !self.small.is_empty() {
            self.slices.push(self.small.split().freeze());
        }
    }
}

/// One connection; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    unsent: Arc<AtomicUsize>,
    tasks: Vec<AbortHandle>,
}

impl Connection {
    /// A connection whose stream is still to come: `connect` makes it. `received` is what came
    /// behind its handshake, if that was read before.
    pub(super) fn open(
        id: ConnId,
        facts: &Facts,
        buffers: &Buffers,
        connect: impl Future<Output = io::Result<TcpStream>> + Send + 'static,
        received: Option<BytesMut>,
    ) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let unsent = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(run(
            id,
            facts.clone(),
            buffers.clone(),
            connect,
            received,
            queue,
            Arc::clone(&unsent),
        ));
        Self { outgoing, unsent, tasks: vec![task.abort_handle()] }
    }

    /// A connection that somebody opened to us and whose handshake was read.
    #[must_use]
    pub fn adopt(
        id: ConnId,
        facts: &Facts,
        buffers: &Buffers,
        stream: TcpStream,
        received: BytesMut,
    ) -> Self {
        Self::open(id, facts, buffers, async { Ok(stream) }, Some(received))
    }

    /// Sends; `false` if so much is unsent already that the peer does not seem to read.
    pub fn send(&self, mut outgoing: Outgoing) -> bool {
        outgoing.seal();
        let bytes: usize = outgoing.slices.iter().map(Bytes::len).sum();
        let unsent = self.unsent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // A writer that is gone has reported the loss itself.
        let _ = self.outgoing.send(outgoing);
        unsent <= UNSENT_BYTES_MAX
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn run(
    id: ConnId,
    facts: Facts,
    buffers: Buffers,
    connect: impl Future<Output = io::Result<TcpStream>>,
    received: Option<BytesMut>,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    unsent: Arc<AtomicUsize>,
) {
    let stream = match connect.await {
        Ok(stream) => stream,
        Err(error) => return tell(&facts, Fact::Lost(id, reason(&error))).await,
    };
    // Requests are small and each waits for its answer: Nagle's delay would cost a round trip.
    let _ = stream.set_nodelay(true);
    if received.is_none() {
        tell(&facts, Fact::Dialled(id)).await;
    }
    let (read, write) = stream.into_split();
    let why = tokio::select! {
        why = read_all(id, &facts, read, &buffers, received.as_deref()) => why,
        why = write_all(id, &facts, write, queue, &unsent) => why,
    };
    tell(&facts, Fact::Lost(id, why)).await;
}

async fn tell(facts: &Facts, fact: Fact) {
    // The driver that is gone needs no facts.
    let _ = facts.send(fact).await;
}

/// Reads until the connection ends; why it did.
async fn read_all(
    id: ConnId,
    facts: &Facts,
    mut read: OwnedReadHalf,
    buffers: &Buffers,
    received: Option<&[u8]>,
) -> String {
    let mut buffer = buffers.take(BUFFER_BYTES_FIRST, received.map_or(0, <[u8]>::len));
    if let Some(received) = received {
        buffer.bytes.extend_from_slice(received);
    } else {
        match read_handshake(&mut read, &mut buffer.bytes).await {
            Ok(handshake) => tell(facts, Fact::Greeted(id, handshake)).await,
            Err(why) => return why,
        }
    }
    let mut size = BUFFER_BYTES_FIRST;
    loop {
        match messages(&mut buffer.bytes) {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => tell(facts, Fact::Received(id, messages)).await,
            Err(fault) => return fault.to_string(),
        }
        let missing = frame::missing(&buffer.bytes);
        if buffer.room() < missing.max(size / 8) {
            buffer.renew(size, missing);
        }
        let room = buffer.room();
        match read.read_buf(&mut buffer.bytes).await {
            Ok(0) => return "it closed the connection".to_owned(),
            Ok(count) if count == room => size = (size * 2).min(BUFFER_BYTES_MAX),
            Ok(count) if count < size / 8 => size = (size / 2).max(BUFFER_BYTES_FIRST),
            Ok(_) => {}
            Err(error) => return reason(&error),
        }
    }
}

fn messages(buffer: &mut BytesMut) -> Result<Vec<Message>, Fault> {
    let mut messages = Vec::new();
    while let Some(frame) = frame::split(buffer)? {
        messages.push(Message::decode(frame)?);
    }
    Ok(messages)
}

/// Reads the first 68 bytes; garbage is noticed at its first wrong byte.
pub(super) async fn read_handshake(
    read: &mut (impl tokio::io::AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Handshake, String> {
    // A buffer of a connection has it.
    buffer.reserve(BUFFER_BYTES_FIRST);
    loop {
        if let Some(bytes) = buffer.first_chunk::<HANDSHAKE_BYTES>() {
            let handshake = Handshake::decode(bytes).map_err(|fault| fault.to_string())?;
            buffer.advance(HANDSHAKE_BYTES);
            return Ok(handshake);
        }
        if !Handshake::may_begin(buffer) {
            return Err(Fault::Header.to_string());
        }
        match read.read_buf(buffer).await {
            Ok(0) => return Err("it closed the connection before its handshake".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(reason(&error)),
        }
    }
}

/// Writes until the connection ends or is no longer wanted; why it did.
async fn write_all(
    id: ConnId,
    facts: &Facts,
    mut write: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    unsent: &AtomicUsize,
) -> String {
    let mut slices: VecDeque<Bytes> = VecDeque::new();
    while let Some(first) = queue.recv().await {
        let mut blocks = first.blocks;
        slices.extend(first.slices);
        while let Ok(more) = queue.try_recv() {
            blocks += more.blocks;
            slices.extend(more.slices);
        }
        let bytes: usize = slices.iter().map(Bytes::len).sum();
        if let Err(error) = write_slices(&mut write, &mut slices).await {
            return reason(&error);
        }
        unsent.fetch_sub(bytes, Ordering::Relaxed);
        if blocks > 0 {
            tell(facts, Fact::Sent(id, blocks)).await;
        }
    }
    "we closed the connection".to_owned()
}

async fn write_slices(write: &mut OwnedWriteHalf, slices: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !slices.is_empty() {
        let parts: Vec<IoSlice<'_>> =
            slices.iter().take(SLICES_MAX).map(|slice| IoSlice::new(slice)).collect();
        let mut written = write.write_vectored(&parts).await?;
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
