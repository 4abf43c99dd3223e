//! [`Link`]: a listener, a seeder behind it, and the line between them, shared by all connections.
//!
//! Each direction of a connection is a pump: one half reads when the line has room and stamps each
//! chunk with its time of arrival, the other writes it at that time. Between them lies a queue with
//! a limit in bytes, so a receiver that does not read holds the sender up.
//!
//! Setting up a connection costs a round trip on a real line. The client's kernel is answered at
//! once here, so the way to the seeder is opened a round trip later, and what the client said so
//! far waits that long.
//!
//! A stall or an end counts the bytes of all connections together: a peer that stalled stays
//! stalled, whoever calls again.

use crate::line::Line;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Callers that the kernel holds until they are taken.
const BACKLOG: i32 = 1024;
/// What the kernel holds on either side of the relay. Unbounded, it would be a second router with
/// megabytes of buffer; the line's own is in [`Line`].
const SOCKET_BUFFER_BYTES: u32 = 256 * 1024;

/// What a link is to do; see [`crate`] for how it is written.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    listen: SocketAddr,
    to: SocketAddr,
    bytes_per_second: u64,
    delay_ms: u64,
    end: Option<End>,
}

/// How a link ends, and after how many bytes from seeder to client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Connections stay open and carry nothing.
    Stall(u64),
    /// Connections are closed.
    Drop(u64),
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut listen, mut to, mut bytes_per_second, mut delay_ms, mut end) =
            (None, None, 0, 0, None);
        for pair in text.split(',') {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("`{pair}` has no `=`"))?;
            let number = || value.parse().map_err(|_| format!("`{value}` is no number"));
            let addr = || value.parse().map_err(|_| format!("`{value}` is no ADDR:PORT"));
            match key {
                "listen" => listen = Some(addr()?),
                "to" => to = Some(addr()?),
                "rate" => bytes_per_second = number()?,
                "delay_ms" => delay_ms = number()?,
                "stall_after" => end = Some(End::Stall(number()?)),
                "drop_after" => end = Some(End::Drop(number()?)),
                _ => return Err(format!("`{key}` is nothing that a link has")),
            }
        }
        let listen = listen.ok_or("a link needs `listen`")?;
        let to = to.ok_or("a link needs `to`")?;
        Ok(Self { listen, to, bytes_per_second, delay_ms, end })
    }
}

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    settings: Settings,
    listener: TcpListener,
    began: Instant,
    /// Seeder to client, with the rate.
    down: RefCell<Line>,
    /// Client to seeder: requests are small, so only the delay counts.
    up: RefCell<Line>,
    connections: Cell<u64>,
}

impl Link {
    /// Listens.
    ///
    /// # Errors
    /// If the address can't be had.
    pub(crate) fn listen(settings: Settings) -> Result<Self, String> {
        let listener = listener(settings.listen)
            .map_err(|why| format!("can't listen at `{}`: {why}", settings.listen))?;
        let delay_ns = settings.delay_ms * 1_000_000;
        let ends_after = settings.end.map(|(End::Stall(bytes) | End::Drop(bytes))| bytes);
        Ok(Self {
            listener,
            began: Instant::now(),
            down: RefCell::new(Line::new(settings.bytes_per_second, delay_ns, ends_after)),
            up: RefCell::new(Line::new(0, delay_ns, None)),
            connections: Cell::new(0),
            settings,
        })
    }

    /// Takes callers for ever.
    pub(crate) async fn serve(self: Rc<Self>) {
        loop {
            match self.listener.accept().await {
                Ok((client, _)) => {
                    self.connections.set(self.connections.get() + 1);
                    let link = Rc::clone(&self);
                    // A connection that breaks is part of what is measured.
                    tokio::task::spawn_local(async move { link.carry(client).await.ok() });
                }
                Err(why) => eprintln!("relay: can't take a caller: {why}"),
            }
        }
    }

    /// What it carried, as JSON.
    pub(crate) fn json(&self) -> String {
        format!(
            "{{\"listen\":\"{}\",\"connections\":{},\"down_bytes\":{},\"up_bytes\":{}}}",
            self.settings.listen,
            self.connections.get(),
            self.down.borrow().passed_bytes(),
            self.up.borrow().passed_bytes()
        )
    }

    /// One connection, until either side closes it.
    async fn carry(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let round_trip = self.down.borrow().delay_ns() + self.up.borrow().delay_ns();
        sleep_until(Instant::now() + Duration::from_nanos(round_trip)).await;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
        let mut seeder = socket.connect(self.settings.to).await?;
        seeder.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_seeder, to_seeder) = seeder.split();
        tokio::select! {
            ended = self.pump(&self.up, from_client, to_seeder) => ended,
            ended = self.pump(&self.down, from_seeder, to_client) => ended,
        }
    }

    /// Carries one direction through `line` until its sender closes.
    async fn pump(
        &self,
        line: &RefCell<Line>,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let queue = Queue::new(line.borrow().under_way_bytes_max());
        tokio::try_join!(self.take(line, from, &queue), self.deliver(to, &queue))?;
        Ok(())
    }

    async fn take(
        &self,
        line: &RefCell<Line>,
        mut from: impl AsyncRead + Unpin,
        queue: &Queue,
    ) -> io::Result<()> {
        loop {
            queue.room().await;
            let room_at = line.borrow().room_at(self.now_ns());
            self.at(room_at).await;
            let chunk = line.borrow().chunk_bytes();
            if chunk == 0 {
                break;
            }
            let mut bytes = vec![0; chunk];
            let read = from.read(&mut bytes).await?;
            if read == 0 {
                break;
            }
            // Another connection may have used the line up meanwhile.
            bytes.truncate(read.min(line.borrow().chunk_bytes()));
            let arrives = line.borrow_mut().pass(self.now_ns(), bytes.len());
            queue.push(arrives, bytes);
        }
        if line.borrow().chunk_bytes() == 0 && matches!(self.settings.end, Some(End::Stall(_))) {
            // Whoever called stays connected, and hears nothing more.
            pending::<()>().await;
        }
        queue.close();
        Ok(())
    }

    async fn deliver(&self, mut to: impl AsyncWrite + Unpin, queue: &Queue) -> io::Result<()> {
        while let Some((arrives, bytes)) = queue.next().await {
            self.at(arrives).await;
            to.write_all(&bytes).await?;
            queue.delivered(bytes.len());
        }
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    async fn at(&self, time_ns: u64) {
        if time_ns > self.now_ns() {
            sleep_until(self.began + Duration::from_nanos(time_ns)).await;
        }
    }
}

fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // A taken connection inherits it.
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES as usize)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Chunks under way in one direction of one connection, with when they arrive.
struct Queue {
    chunks: RefCell<VecDeque<(u64, Vec<u8>)>>,
    bytes: Cell<u64>,
    bytes_max: u64,
    closed: Cell<bool>,
    changed: Notify,
}

impl Queue {
    fn new(bytes_max: u64) -> Self {
        Self {
            chunks: RefCell::default(),
            bytes: Cell::new(0),
            bytes_max,
            closed: Cell::new(false),
            changed: Notify::new(),
        }
    }

    async fn room(&self) {
        while self.bytes.get() >= self.bytes_max && !self.closed.get() {
            self.changed.notified().await;
        }
    }

    fn push(&self, arrives_ns: u64, bytes: Vec<u8>) {
        self.bytes.set(self.bytes.get() + bytes.len() as u64);
        self.chunks.borrow_mut().push_back((arrives_ns, bytes));
        self.changed.notify_one();
    }

    fn close(&self) {
        self.closed.set(true);
        self.changed.notify_one();
    }

    async fn next(&self) -> Option<(u64, Vec<u8>)> {
        loop {
            if let Some(chunk) = self.chunks.borrow_mut().pop_front() {
                return Some(chunk);
            }
            if self.closed.get() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    fn delivered(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes as u64));
        self.changed.notify_one();
    }
}
