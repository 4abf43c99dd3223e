//! [`Connection`]: one connection, its reading task and its writing task.
//!
//! The reader cuts messages off its buffer as slices; buffers grow while reads fill them and
//! shrink when they do not, so that a slow peer pins little memory and a fast one costs few
//! system calls. The writer gathers heads and blocks, and copies none unless they are encrypted. Both
//! pay for what they moved, if there is a limit.

use super::buffers::{BUFFER_BYTES_FIRST, BUFFER_BYTES_MAX};
use super::limit::{Limiter, Way};
use super::outgoing::{Outgoing, Unsent};
use super::stream::{Reader, Stream, Writer};
use super::{ConnId, Fact, Facts, Means, encrypt, reason};
use crate::wire::handshake::HANDSHAKE_BYTES;
use crate::wire::mse::Offer;
use crate::wire::{Fault, Handshake, Message, Transport, frame};
use bytes::{Buf as _, BytesMut};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes that wait for a peer that does not read; beyond that the connection is closed.
const UNSENT_BYTES_MAX: usize = 16 << 20;
/// How long the other side has for the last bytes of a connection that is closed with care.
const LINGER: Duration = Duration::from_secs(2);

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
    task: Option<JoinHandle<()>>,
}

impl Connection {
    /// A connection whose stream is still to come: `connect` makes it.
    pub(super) fn open(
        id: ConnId,
        means: &Means,
        connect: impl Future<Output = io::Result<Stream>> + Send + 'static,
        opening: Opening,
    ) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let unsent = Arc::new(AtomicUsize::new(0));
        let conversation = Conversation {
            id,
            limits: means.limits.of_peer(),
            means: means.clone(),
            queue,
            unsent: Arc::clone(&unsent),
        };
        let task = Some(tokio::spawn(conversation.run(connect, opening)));
        Self { outgoing, unsent, task }
    }

    /// A connection that somebody opened to us and whose handshake was read.
    #[must_use]
    pub fn adopt(id: ConnId, means: &Means, stream: Stream, received: BytesMut) -> Self {
        Self::open(id, means, async { Ok(stream) }, Opening::Came(received))
    }

    /// Sends; `false` if so much is unsent already that the peer does not seem to read.
    pub fn send(&self, mut outgoing: Outgoing) -> bool {
        outgoing.end();
        let bytes = outgoing.bytes();
        let unsent = self.unsent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // A writer that is gone has reported the loss itself.
        let _ = self.outgoing.send(outgoing);
        unsent <= UNSENT_BYTES_MAX
    }
}

impl Connection {
    /// Closes it when everything is sent and the other side has had it, or after a while; what
    /// comes meanwhile is not heard. The future ends when that is done.
    pub fn close(mut self) -> impl Future<Output = ()> {
        let task = self.task.take();
        drop(self);
        async move {
            if let Some(task) = task {
                // It does not panic, and nobody aborts it any more.
                let _ = task.await;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// What a connection's task has.
struct Conversation {
    id: ConnId,
    means: Means,
    limits: Way<Limiter>,
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
        let greets_apart =
            is_greeted.load(Ordering::Relaxed) && stream.transport() == Transport::Utp;
        let (received, first) = match self.open(&mut stream, opening).await {
            Ok(opened) => opened,
            Err(why) => return Over::Declined(why),
        };
        let Stream { mut reader, mut writer } = stream;
        let Self { id, means, limits, queue, unsent } = self;
        let reads = read_all(*id, means, &mut reader, &limits.down, received, &is_greeted);
        let writes = async {
            let first = match greets_apart {
                true => greet_apart(&mut writer, queue, unsent).await?,
                false => first,
            };
            Err(write_all(*id, &means.facts, &mut writer, &limits.up, first, queue, unsent).await)
        };
        let why: Result<Infallible, String> = tokio::select! {
            over = reads => return over,
            why = writes => why,
        };
        let Err(why) = why;
        if why == CLOSED_BY_US {
            // Closed with something unread, it would be reset, and what the other side has not read
            // yet be lost.
            let _ = tokio::time::timeout(LINGER, linger(&mut reader, &mut writer)).await;
        }
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
                self.tell(Fact::Dialled(self.id, stream.transport())).await;
                return Ok((BytesMut::new(), None));
            }
            Opening::Encrypted(offer) => offer,
        };
        let answered = encrypt::call(stream).await?;
        // Now it answers at once: our handshake can go with what we offer.
        self.tell(Fact::Dialled(self.id, stream.transport())).await;
        let first = self.queue.recv().await;
        let mut first = first.ok_or_else(|| CLOSED_BY_US.to_owned())?;
        let handshake = first.take(HANDSHAKE_BYTES);
        self.unsent.fetch_sub(handshake.len(), Ordering::Relaxed);
        let (method, received) = answered.offer(stream, &offer, &handshake).await?;
        self.tell(Fact::Encrypted(self.id, method)).await;
        Ok((received, Some(first)))
    }

    async fn tell(&self, fact: Fact) {
        tell(&self.means.facts, fact).await;
    }
}

const CLOSED_BY_US: &str = "we closed the connection";

async fn tell(facts: &Facts, fact: Fact) {
    // The driver that is gone needs no facts.
    let _ = facts.send(fact).await;
}

/// Says that nothing more comes, and reads until the other side says that too.
async fn linger(reader: &mut Reader, writer: &mut Writer) -> io::Result<()> {
    if !writer.end().await? {
        return Ok(());
    }
    let mut ignored = BytesMut::with_capacity(BUFFER_BYTES_FIRST);
    while reader.read(&mut ignored, usize::MAX).await? > 0 {
        ignored.clear();
    }
    Ok(())
}

/// Reads until the connection ends; why it did.
async fn read_all(
    id: ConnId,
    means: &Means,
    reader: &mut Reader,
    limit: &Limiter,
    received: BytesMut,
    is_greeted: &AtomicBool,
) -> Over {
    let Means { facts, buffers, .. } = means;
    let mut buffer = buffers.take(BUFFER_BYTES_FIRST, received.len());
    buffer.bytes.extend_from_slice(&received);
    drop(received);
    if !is_greeted.load(Ordering::Relaxed) {
        match read_handshake(reader, &mut buffer.bytes).await {
            Ok(handshake) => tell(facts, Fact::Greeted(id, handshake)).await,
            Err(over) => return over,
        }
        is_greeted.store(true, Ordering::Relaxed);
    }
    let mut size = BUFFER_BYTES_FIRST;
    let mut paced = None;
    loop {
        let rate = limit.least_rate();
        if std::mem::replace(&mut paced, rate) != rate {
            reader.paced(rate);
        }
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
        let portion = limit.portion();
        let count = match reader.read(&mut buffer.bytes, portion.unwrap_or(room)).await {
            Ok(0) => return Over::Lost("it closed the connection".to_owned()),
            Ok(count) => count,
            Err(error) => return Over::Lost(reason(&error)),
        };
        if count == room {
            size = (size * 2).min(BUFFER_BYTES_MAX);
        } else if count < size / 8 {
            size = (size / 2).max(BUFFER_BYTES_FIRST);
        }
        if portion.is_some() {
            limit.pay(count).await;
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
        match reader.read(buffer, usize::MAX).await {
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

/// Says our handshake, and the rest when that has arrived. Who called by uTP may leave what comes in one
/// packet with our handshake unread until the next one comes, as Transmission 3.00 does; and a seed has
/// nothing more to say.
async fn greet_apart(
    writer: &mut Writer,
    queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    unsent_bytes: &AtomicUsize,
) -> Result<Option<Outgoing>, String> {
    let first = queue.recv().await;
    let mut first = first.ok_or_else(|| CLOSED_BY_US.to_owned())?;
    let handshake = first.take(HANDSHAKE_BYTES);
    unsent_bytes.fetch_sub(handshake.len(), Ordering::Relaxed);
    let mut slices = VecDeque::from([handshake]);
    writer.write_slices(&mut slices).await.map_err(|error| reason(&error))?;
    writer.arrived().await.map_err(|error| reason(&error))?;
    Ok(Some(first))
}

/// Writes until the connection ends or is no longer wanted; why it did.
async fn write_all(
    id: ConnId,
    facts: &Facts,
    writer: &mut Writer,
    limit: &Limiter,
    first: Option<Outgoing>,
    queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    unsent_bytes: &AtomicUsize,
) -> String {
    let mut unsent = Unsent::default();
    if let Some(first) = first {
        unsent.append(first, false);
    }
    loop {
        let portion = limit.portion();
        if unsent.is_empty() {
            let Some(next) = queue.recv().await else { return CLOSED_BY_US.to_owned() };
            unsent.append(next, false);
        }
        while let Ok(more) = queue.try_recv() {
            unsent.append(more, portion.is_some());
        }
        let mut taken = unsent.take(portion);
        if let Err(error) = writer.write_slices(&mut taken.slices).await {
            return reason(&error);
        }
        unsent_bytes.fetch_sub(taken.bytes, Ordering::Relaxed);
        if taken.blocks > 0 {
            tell(facts, Fact::Sent(id, taken.blocks)).await;
        }
        match portion {
            Some(_) if taken.has_block => limit.pay(taken.bytes).await,
            Some(_) => limit.owe(taken.bytes),
            None => {}
        }
    }
}
