//! [`Connection`]: one connection, its reading task and its writing task.
//!
//! The reader cuts messages off its buffer as slices; buffers grow while reads fill them and
//! shrink when they do not, so that a slow peer pins little memory and a fast one costs few
//! system calls. The writer gathers heads and blocks, and copies none unless they are encrypted.

use super::buffers::{BUFFER_BYTES_FIRST, BUFFER_BYTES_MAX, Buffers};
use super::stream::{Reader, Stream, Writer};
use super::{ConnId, Fact, Facts, encrypt, reason};
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::mse::Offer;
use crate::wire::{Fault, Handshake, Message, frame};
use bytes::{Buf as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Bytes that wait for a peer that does not read; beyond that the connection is closed.
const UNSENT_BYTES_MAX: usize = 16 << 20;

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

    /// Takes its first bytes off, up to so many; what is next to each other only.
    fn take(&mut self, bytes_max: usize) -> Bytes {
        let Some(first) = self.slices.first_mut() else { return Bytes::new() };
        let taken = first.split_to(first.len().min(bytes_max));
        if first.is_empty() {
            self.slices.remove(0);
        }
        taken
    }

    fn seal(&mut self) {
        if !self.small.is_empty() {
            self.slices.push(self.small.split().freeze());
        }
    }
}

/// How a conversation begins.
pub(super) enum Opening {
    /// The other side called and said its handshake; this came behind it.
    Came(BytesMut),
    /// We call, and say our handshake as it is.
    Plain,
    /// We call, and encrypt it.
    Encrypted(Offer),
}

/// One connection; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    unsent: Arc<AtomicUsize>,
    tasks: Vec<AbortHandle>,
}

impl Connection {
    /// A connection whose stream is still to come: `connect` makes it.
    pub(super) fn open(
        id: ConnId,
        facts: &Facts,
        buffers: &Buffers,
        connect: impl Future<Output = io::Result<Stream>> + Send + 'static,
        opening: Opening,
    ) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let unsent = Arc::new(AtomicUsize::new(0));
        let conversation = Conversation {
            id,
            facts: facts.clone(),
            buffers: buffers.clone(),
            queue,
            unsent: Arc::clone(&unsent),
        };
        let task = tokio::spawn(conversation.run(connect, opening));
        Self { outgoing, unsent, tasks: vec![task.abort_handle()] }
    }

    /// A connection that somebody opened to us and whose handshake was read.
    #[must_use]
    pub fn adopt(
        id: ConnId,
        facts: &Facts,
        buffers: &Buffers,
        stream: Stream,
        received: BytesMut,
    ) -> Self {
        Self::open(id, facts, buffers, async { Ok(stream) }, Opening::Came(received))
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

/// What a connection's task has.
struct Conversation {
    id: ConnId,
    facts: Facts,
    buffers: Buffers,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    unsent: Arc<AtomicUsize>,
}

/// Why a conversation is over.
enum Over {
    /// The other side took our call, and closed the connection instead of saying its handshake.
    Declined(String),
    Lost(String),
}

/// What a conversation has when it begins: the first bytes of the other side, and what we have to say
/// already.
type Opened = (BytesMut, Option<Outgoing>);

impl Conversation {
    async fn run(mut self, connect: impl Future<Output = io::Result<Stream>>, opening: Opening) {
        let over = match connect.await {
            Ok(stream) => self.converse(stream, opening).await,
            Err(error) => Over::Lost(reason(&error)),
        };
        self.tell(match over {
            Over::Declined(why) => Fact::Declined(self.id, why),
            Over::Lost(why) => Fact::Lost(self.id, why),
        })
        .await;
    }

    async fn converse(&mut self, mut stream: Stream, opening: Opening) -> Over {
        let is_greeted = AtomicBool::new(matches!(opening, Opening::Came(_)));
        let (received, first) = match self.open(&mut stream, opening).await {
            Ok(opened) => opened,
            Err(why) => return Over::Declined(why),
        };
        let Stream { reader, writer } = stream;
        let Self { id, facts, buffers, queue, unsent } = self;
        let reads = read_all(*id, facts, reader, buffers, received, &is_greeted);
        let why = tokio::select! {
            over = reads => return over,
            why = write_all(*id, facts, writer, first, queue, unsent) => why,
        };
        match is_greeted.into_inner() {
            true => Over::Lost(why),
            false => Over::Declined(why),
        }
    }

    /// Comes to where handshakes of BEP 3 are said.
    async fn open(&mut self, stream: &mut Stream, opening: Opening) -> Result<Opened, String> {
        let offer = match opening {
            Opening::Came(received) => return Ok((received, None)),
            Opening::Plain => {
                self.tell(Fact::Dialled(self.id)).await;
                return Ok((BytesMut::new(), None));
            }
            Opening::Encrypted(offer) => offer,
        };
        let answered = encrypt::call(stream).await?;
        // Now it answers at once: our handshake can go with what we offer.
        self.tell(Fact::Dialled(self.id)).await;
        let first = self.queue.recv().await;
        let mut first = first.ok_or_else(|| CLOSED_BY_US.to_owned())?;
        let handshake = first.take(HANDSHAKE_BYTES);
        self.unsent.fetch_sub(handshake.len(), Ordering::Relaxed);
        let (method, received) = answered.offer(stream, &offer, &handshake).await?;
        self.tell(Fact::Encrypted(self.id, method)).await;
        Ok((received, Some(first)))
    }

    async fn tell(&self, fact: Fact) {
        tell(&self.facts, fact).await;
    }
}

const CLOSED_BY_US: &str = "we closed the connection";

async fn tell(facts: &Facts, fact: Fact) {
    // The driver that is gone needs no facts.
    let _ = facts.send(fact).await;
}

/// Reads until the connection ends; why it did.
async fn read_all(
    id: ConnId,
    facts: &Facts,
    mut reader: Reader,
    buffers: &Buffers,
    received: BytesMut,
    is_greeted: &AtomicBool,
) -> Over {
    let mut buffer = buffers.take(BUFFER_BYTES_FIRST, received.len());
    buffer.bytes.extend_from_slice(&received);
    drop(received);
    if !is_greeted.load(Ordering::Relaxed) {
        match read_handshake(&mut reader, &mut buffer.bytes).await {
            Ok(handshake) => tell(facts, Fact::Greeted(id, handshake)).await,
            Err(over) => return over,
        }
        is_greeted.store(true, Ordering::Relaxed);
    }
    let mut size = BUFFER_BYTES_FIRST;
    loop {
        match messages(&mut buffer.bytes) {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => tell(facts, Fact::Received(id, messages)).await,
            Err(fault) => return Over::Lost(fault.to_string()),
        }
        let missing = frame::missing(&buffer.bytes);
        if buffer.room() < missing.max(size / 8) {
            buffer.renew(size, missing);
        }
        let room = buffer.room();
        match reader.read(&mut buffer.bytes).await {
            Ok(0) => return Over::Lost("it closed the connection".to_owned()),
            Ok(count) if count == room => size = (size * 2).min(BUFFER_BYTES_MAX),
            Ok(count) if count < size / 8 => size = (size / 2).max(BUFFER_BYTES_FIRST),
            Ok(_) => {}
            Err(error) => return Over::Lost(reason(&error)),
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
async fn read_handshake(reader: &mut Reader, buffer: &mut BytesMut) -> Result<Handshake, Over> {
    loop {
        match split_handshake(buffer) {
            Ok(Some(handshake)) => return Ok(handshake),
            Ok(None) => {}
            Err(fault) => return Err(Over::Lost(fault.to_string())),
        }
        // A buffer of a connection has it.
        buffer.reserve(HANDSHAKE_BYTES);
        match reader.read(buffer).await {
            Ok(0) => {
                let why = "it closed the connection before its handshake";
                return Err(Over::Declined(why.to_owned()));
            }
            Ok(_) => {}
            Err(error) => return Err(Over::Declined(reason(&error))),
        }
    }
}

/// Cuts a handshake off the front of `buffer`; `None` if it is not whole yet.
///
/// # Errors
/// If it is none.
pub(super) fn split_handshake(buffer: &mut BytesMut) -> Result<Option<Handshake>, Fault> {
    let Some(bytes) = buffer.first_chunk::<HANDSHAKE_BYTES>() else {
        return if Handshake::may_begin(buffer) { Ok(None) } else { Err(Fault::Header) };
    };
    let handshake = Handshake::decode(bytes)?;
    buffer.advance(HANDSHAKE_BYTES);
    Ok(Some(handshake))
}

/// Writes until the connection ends or is no longer wanted; why it did.
async fn write_all(
    id: ConnId,
    facts: &Facts,
    mut writer: Writer,
    mut first: Option<Outgoing>,
    queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    unsent: &AtomicUsize,
) -> String {
    let mut slices: VecDeque<Bytes> = VecDeque::new();
    loop {
        let next = match first.take() {
            Some(first) => Some(first),
            None => queue.recv().await,
        };
        let Some(next) = next else { return CLOSED_BY_US.to_owned() };
        let mut blocks = next.blocks;
        slices.extend(next.slices);
        while let Ok(more) = queue.try_recv() {
            blocks += more.blocks;
            slices.extend(more.slices);
        }
        let bytes: usize = slices.iter().map(Bytes::len).sum();
        if let Err(error) = writer.write_slices(&mut slices).await {
            return reason(&error);
        }
        unsent.fetch_sub(bytes, Ordering::Relaxed);
        if blocks > 0 {
            tell(facts, Fact::Sent(id, blocks)).await;
        }
    }
}
