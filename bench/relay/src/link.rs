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

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};
    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    /// Runs `test` with a link that has `settings`, and the listener of the seeder behind it.
    fn with_link<T: Future<Output = ()>>(
        settings: &str,
        test: impl FnOnce(Rc<Link>, SocketAddr, TcpListener) -> T,
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(LocalSet::new().run_until(async {
            let seeder = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let to = seeder.local_addr().expect("it has one");
            let settings = format!("listen=127.0.0.1:0,to={to}{settings}");
            let link = Rc::new(Link::listen(settings.parse().expect("settings")).expect("a port"));
            let addr = link.listener.local_addr().expect("it has one");
            tokio::task::spawn_local(Rc::clone(&link).serve());
            test(link, addr, seeder).await;
        }));
    }

    fn pattern(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at / 7 + at / 1000) as u8).collect()
    }

    async fn pair(addr: SocketAddr, seeder: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(addr).await.expect("the link takes callers");
        let (seeder, _) = seeder.accept().await.expect("the link calls the seeder");
        (client, seeder)
    }

    #[test]
    fn every_byte_arrives_in_order_both_ways() {
        with_link(",rate=20000000,delay_ms=5", |link, addr, seeder| async move {
            let (mut client, mut seeder) = pair(addr, &seeder).await;
            let sent = pattern(1_000_000);
            let mut heard = [0; 5];
            let mut received = vec![0; sent.len()];
            let (asked, given) = tokio::join!(
                async {
                    client.write_all(b"blob?").await?;
                    client.read_exact(&mut received).await
                },
                async {
                    seeder.read_exact(&mut heard).await?;
                    seeder.write_all(&sent).await
                }
            );
            given.expect("the seeder lives");
            asked.expect("the client lives");
            assert_eq!(&heard, b"blob?");
            assert!(received == sent, "other bytes than were sent");
            let json = link.json();
            assert!(
                json.contains(r#""connections":1,"down_bytes":1000000,"up_bytes":5}"#),
                "{json}"
            );
        });
    }

    #[test]
    fn nothing_is_there_before_its_time() {
        with_link(",rate=10000000,delay_ms=20", |_link, addr, seeder| async move {
            let began = Instant::now();
            let (mut client, mut seeder) = pair(addr, &seeder).await;
            assert!(began.elapsed() >= Duration::from_millis(40), "connected at once");
            let began = Instant::now();
            let sent = pattern(500_000);
            let mut received = vec![0; sent.len()];
            let (given, taken) =
                tokio::join!(seeder.write_all(&sent), client.read_exact(&mut received));
            given.expect("the seeder lives");
            taken.expect("the client lives");
            // 50 ms at the rate, then the delay.
            assert!(began.elapsed() >= Duration::from_millis(70), "took {:?}", began.elapsed());
        });
    }

    #[test]
    fn a_stalled_link_stays_open_and_silent_for_every_caller() {
        with_link(",stall_after=100000", |link, addr, listener| async move {
            let (mut client, mut seeder) = pair(addr, &listener).await;
            let sent = pattern(300_000);
            let mut received = vec![0; 100_000];
            // Less than a socket's buffers take: a stalled link reads no more.
            let (given, taken) =
                tokio::join!(seeder.write_all(&sent), client.read_exact(&mut received));
            given.expect("it is taken off its hands");
            taken.expect("what comes before the stall");
            assert!(received == sent[..100_000], "other bytes than were sent");

            // Whatever else was to come had its chance once this has gone the other way.
            let mut heard = [0; 5];
            client.write_all(b"more?").await.expect("it is open");
            seeder.read_exact(&mut heard).await.expect("it is open");
            let mut more = [0; 1];
            let silent = client.try_read(&mut more).expect_err("nothing came");
            assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);

            let (mut second, mut behind) = pair(addr, &listener).await;
            behind.write_all(b"hello").await.expect("it is open");
            second.write_all(b"more?").await.expect("it is open");
            behind.read_exact(&mut heard).await.expect("it is open");
            let silent = second.try_read(&mut more).expect_err("nothing came");
            assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);
            assert_eq!(link.down.borrow().passed_bytes(), 100_000);
        });
    }

    #[test]
    fn a_link_that_drops_hangs_up_to_the_byte() {
        with_link(",drop_after=100000", |_link, addr, seeder| async move {
            let (mut client, mut seeder) = pair(addr, &seeder).await;
            let sent = pattern(300_000);
            let mut received = Vec::new();
            // The seeder may hear of it while it writes.
            let (_, taken) =
                tokio::join!(seeder.write_all(&sent), client.read_to_end(&mut received));
            taken.expect("an end, not an error");
            assert!(received == sent[..100_000], "{} bytes", received.len());
        });
    }

    #[test]
    fn who_hangs_up_is_heard_on_the_other_side() {
        with_link(",delay_ms=1", |_link, addr, seeder| async move {
            let (client, mut seeder) = pair(addr, &seeder).await;
            drop(client);
            assert_eq!(seeder.read(&mut [0; 1]).await.expect("an end"), 0);
        });
    }

    #[test]
    fn a_queue_that_is_full_takes_nothing_until_something_was_delivered() {
        let ready = |wait: &mut Pin<&mut dyn Future<Output = ()>>| {
            wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        let queue = Queue::new(100);
        queue.push(7, vec![1; 60]);
        assert!(ready(&mut (pin!(queue.room()) as Pin<&mut dyn Future<Output = ()>>)));
        queue.push(8, vec![2; 60]);
        let mut room: Pin<&mut dyn Future<Output = ()>> = pin!(queue.room());
        assert!(!ready(&mut room));
        let first = queue.chunks.borrow_mut().pop_front().expect("two are there");
        assert_eq!(first, (7, vec![1; 60]));
        // On its way to the receiver it still counts.
        assert!(!ready(&mut room));
        queue.delivered(60);
        assert!(ready(&mut room));
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        for text in ["", "listen", "listen=1.2.3.4:5", "listen=x,to=1.2.3.4:5", "rate=1,color=2"] {
            assert!(text.parse::<Settings>().is_err(), "{text}");
        }
        let text = "listen=1.2.3.4:5,to=1.2.3.4:6,rate=7,delay_ms=8,drop_after=9";
        let settings: Settings = text.parse().expect("all of it is known");
        assert_eq!((settings.bytes_per_second, settings.delay_ms), (7, 8));
        assert_eq!(settings.end, Some(End::Drop(9)));
    }
}
