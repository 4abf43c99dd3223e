//! The loop: batches of facts into the engine, its deeds out to net and disk.
//!
//! One thread, one owner: facts from sockets, verdicts from the disk's workers, answers from
//! look-ups and the clock all arrive here, go into [`Engine::handle`], and what comes out is done
//! at once; bytes for a peer are gathered over a batch and leave in one write. While the disk's
//! memory is full no facts are taken from sockets, and TCP holds the peers back.
//!
//! **There is no decision about BitTorrent in this room.**
#![expect(clippy::disallowed_methods, reason = "an I/O room: the clock that the engine is given")]

mod act;
mod ending;
mod errands;
mod magnet;
mod outcome;
mod scrape;
mod setup;

pub use magnet::Learned;
pub use outcome::{End, Goal, Outcome, Progress, Seen, Watch};
pub use scrape::{Answers, Scrape, Scraped, scrape};
pub use setup::{Setup, Storage};

use crate::disk::{DiskError, Done};
use crate::engine::{Engine, Input, Output, PeerId, Time};
use crate::host::StateFolder;
use crate::net::Outgoing;
use crate::net::{
    Buffers, ConnId, Connection, Datagrams, FACTS_WAITING_MAX, Fact, ListenError, Listener, Means,
    Newcomer, Origin, PortMap, PortNews,
};
use crate::torrent::{Info, MetainfoError};
use act::Loads;
use errands::Errands;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Facts of sockets that are thought about before bytes leave again.
const BATCH_MAX: usize = FACTS_WAITING_MAX;
/// For so long nobody came and nobody was found: who is to come is here.
const QUIET: Duration = Duration::from_secs(3);
/// How often a watcher is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Why a torrent can't be run, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The port can't be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The info dictionary that a magnet names is none that can be used.
    #[error("the metadata of this magnet can't be used: {0}")]
    Metadata(#[from] MetainfoError),
}

/// Tells the loop to stop: once to say good-bye, twice to leave at once.
pub type Stop = mpsc::UnboundedReceiver<()>;

/// Runs one torrent until it is complete, stopped, or nothing arrives.
///
/// # Errors
/// If the port can't be had, or the disk fails.
pub async fn run(
    setup: Setup,
    stop: &mut Stop,
    watch: &mut dyn Watch,
) -> Result<Outcome, DriverError> {
    Driver::open(setup, watch)?.download(stop, watch).await
}

/// What the loop waits for.
enum Woken {
    Facts,
    Done(Done),
    Answer(Input),
    PortNews(PortNews),
    Clock,
    Stop,
}

/// One torrent on its way. Of a magnet, [`learn`](Self::learn) comes first, then
/// [`begin`](Self::begin); then, as of every torrent, [`download`](Self::download).
pub struct Driver {
    engine: Engine,
    began: Instant,
    storage: Option<Storage>,
    learned: Option<Result<Arc<Info>, MetainfoError>>,
    /// The same of a hybrid once its layers came.
    layers: Option<Arc<Info>>,
    /// Connections have clones; with this one the channel of facts never closes.
    means: Means,
    /// What the engine knows of our own limit.
    limit_up: Option<u64>,
    facts: mpsc::Receiver<Fact>,
    batch: Vec<Fact>,
    errands: Errands,
    answers: mpsc::UnboundedReceiver<Input>,
    connections: BTreeMap<PeerId, Connection>,
    /// What a batch has to say to each peer.
    outgoing: BTreeMap<PeerId, Outgoing>,
    outputs: Vec<Output>,
    loads: Loads,
    listener: Listener,
    datagrams: Datagrams,
    /// While a router is asked, or passes ports on.
    port_map: Option<PortMap>,
    /// Where others reach us by way of it.
    external: Option<SocketAddr>,
    states: Option<StateFolder>,
    origin: Origin,
    goal: Option<Goal>,
    /// Since when everything is here, and its bytes.
    complete: Option<(Instant, u64)>,
    timeout: Option<Duration>,
    last_arrival: Instant,
    /// Pieces of a magnet's metadata that came.
    metadata_taken: u64,
    /// When a peer came, or one was found.
    news_at: Instant,
    progress_due: Instant,
    failed: Option<DiskError>,
    parked: bool,
    farewell: bool,
}

impl Driver {
    /// Looks who is there, for `most` at the longest: until everybody who was called has answered
    /// and there was no news for a while. `None` if it was told to stop.
    pub async fn look(
        &mut self,
        most: Duration,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> Option<Seen> {
        let begun = Instant::now();
        self.news_at = begun;
        loop {
            let settled = self.news_at.elapsed() >= QUIET && !self.engine.waits_for_answers();
            if settled || begun.elapsed() >= most {
                let report = self.engine.report(self.now());
                return Some(Seen { report, availability: self.engine.availability().to_vec() });
            }
            if let Woken::Stop = self.turn(stop, watch).await {
                return None;
            }
        }
    }

    /// Goes on until it is complete, stopped, or nothing arrives.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn download(
        mut self,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> Result<Outcome, DriverError> {
        let end = self.turn_until_end(stop, watch).await?;
        self.finish(end, stop, watch).await
    }

    fn now(&self) -> Time {
        Time(self.began.elapsed().as_micros() as u64)
    }

    /// Turns until it is complete, stopped, or nothing arrives.
    async fn turn_until_end(
        &mut self,
        stop: &mut Stop,
        watch: &mut dyn Watch,
    ) -> Result<End, DriverError> {
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error.into());
            }
            let complete = self.engine.is_complete();
            if complete && let Some(end) = self.reached() {
                return Ok(end);
            }
            // Nothing is to arrive any more once everything is there.
            if !complete && self.waited_in_vain() {
                return Ok(End::NothingArrived);
            }
            if let Woken::Stop = self.turn(stop, watch).await {
                return Ok(End::Stopped);
            }
        }
    }

    /// Waits for something to happen, and lets everything follow from it.
    async fn turn(&mut self, stop: &mut Stop, watch: &mut dyn Watch) -> Woken {
        let woken = self.wait(stop).await;
        let inputs = match woken {
            Woken::Facts => {
                let mut batch = std::mem::take(&mut self.batch);
                batch.drain(..).for_each(|fact| self.fact(fact, watch));
                self.batch = batch;
                None
            }
            Woken::Done(done) => {
                self.done(done, watch);
                return self.after(Woken::Clock, watch);
            }
            Woken::Answer(input) => Some(input),
            Woken::PortNews(news) => self.port_news(news, watch),
            Woken::Clock => Some(Input::Deadline),
            Woken::Stop => return self.after(Woken::Stop, watch),
        };
        if let Some(input) = inputs {
            self.feed(input, watch);
        }
        self.after(Woken::Clock, watch)
    }

    async fn wait(&mut self, stop: &mut Stop) -> Woken {
        let deadline =
            self.engine.deadline().map(|time| self.began + Duration::from_micros(time.0));
        let until = deadline.map_or(self.progress_due, |deadline| deadline.min(self.progress_due));
        let clock = tokio::time::sleep_until(until.into());
        let more_bytes = Buffers::more_bytes(self.connections.len());
        let pinned_bytes = self.means.buffers.pinned_bytes();
        let takes_facts = self.storage.as_mut().is_none_or(|storage| {
            storage.disk.pinned(pinned_bytes);
            storage.disk.takes_blocks(more_bytes)
        });
        tokio::select! {
            biased;
            Some(()) = stop.recv() => Woken::Stop,
            Some(done) = done(&mut self.storage) => Woken::Done(done),
            Some(input) = self.answers.recv() => Woken::Answer(input),
            news = port_news(&mut self.port_map) => Woken::PortNews(news),
            _ = self.facts.recv_many(&mut self.batch, BATCH_MAX), if takes_facts => Woken::Facts,
            () = clock => Woken::Clock,
        }
    }

    /// At the end of a turn: bytes leave, and whoever watches is told.
    fn after(&mut self, woken: Woken, watch: &mut dyn Watch) -> Woken {
        self.flush();
        let now = Instant::now();
        if now >= self.progress_due {
            self.progress_due = now + PROGRESS_EVERY;
            let limit = self.means.limits.up();
            if std::mem::replace(&mut self.limit_up, limit) != limit {
                self.feed(Input::Limited(limit), watch);
            }
            watch.progressed(&self.progress());
        }
        woken
    }

    /// A fact for the engine, and everything that follows from it.
    fn feed(&mut self, input: Input, watch: &mut dyn Watch) {
        self.feed_all([input], watch);
    }

    fn feed_all(&mut self, inputs: impl IntoIterator<Item = Input>, watch: &mut dyn Watch) {
        let now = self.now();
        let mut outputs = std::mem::take(&mut self.outputs);
        self.engine.handle_all(now, inputs, &mut outputs);
        loop {
            for output in outputs.drain(..) {
                self.act(output, watch);
            }
            if self.loads.there.is_empty() {
                break;
            }
            // Blocks that were read ahead.
            self.engine.handle_all(now, self.loads.there.drain(..), &mut outputs);
        }
        self.outputs = outputs;
    }

    fn fact(&mut self, fact: Fact, watch: &mut dyn Watch) {
        match fact {
            Fact::Dialled(id, by) => {
                self.feed_all([Input::Carried(peer(id), by), Input::Dialled(peer(id))], watch);
            }
            Fact::Came(newcomer) => {
                let peer = self.engine.next_peer();
                let conn = conn(peer);
                let Newcomer { stream, from, method, handshake, received } = newcomer;
                let by = stream.transport();
                let connection = Connection::adopt(conn, &self.means, stream, received);
                self.connections.insert(peer, connection);
                self.feed_all([Input::Accepted(peer, from), Input::Carried(peer, by)], watch);
                if let Some(method) = method {
                    self.feed(Input::Encrypted(peer, method), watch);
                }
                self.feed(Input::Greeted(peer, handshake), watch);
            }
            Fact::Encrypted(id, method) => self.feed(Input::Encrypted(peer(id), method), watch),
            Fact::Greeted(id, handshake) => self.feed(Input::Greeted(peer(id), handshake), watch),
            Fact::Received(id, messages) => {
                let from = |message| Input::Received(peer(id), message);
                self.feed_all(messages.into_iter().map(from), watch);
            }
            Fact::Sent(id, count) => self.feed(Input::Sent(peer(id), count), watch),
            Fact::Declined(id, why) => {
                if self.connections.remove(&peer(id)).is_some() {
                    self.feed(Input::Declined(peer(id), why), watch);
                }
            }
            Fact::Lost(id, why) => {
                if self.connections.remove(&peer(id)).is_some() {
                    self.feed(Input::Lost(peer(id), why), watch);
                }
            }
            Fact::Datagram(from, bytes) => self.feed(Input::Datagram(from, bytes), watch),
        }
    }

    fn done(&mut self, done: Done, watch: &mut dyn Watch) {
        match done {
            Done::Checked { piece, good, blocks } => {
                self.feed(Input::Checked(piece, good, blocks), watch);
            }
            Done::Read { piece, offset, length, result } => {
                self.read(piece, offset, length, result, watch);
            }
            Done::Spilled { .. } => {}
            Done::Parked => self.parked = true,
            Done::Failed { error } => self.failed = Some(error),
        }
    }

    fn progress(&self) -> Progress {
        let (downloaded_bytes, uploaded_bytes) = self.engine.moved_bytes();
        Progress {
            seconds: self.began.elapsed().as_secs_f64(),
            have: self.engine.have().count(),
            left_bytes: self.engine.left_bytes(),
            downloaded_bytes,
            uploaded_bytes,
            peers: self.engine.peer_count(),
        }
    }
}

/// The next answer of a disk's workers; never, if there is no disk.
async fn done(storage: &mut Option<Storage>) -> Option<Done> {
    match storage {
        Some(storage) => storage.done.recv().await,
        None => std::future::pending().await,
    }
}

/// What a router says; never anything, if none is asked.
async fn port_news(port_map: &mut Option<PortMap>) -> PortNews {
    match port_map {
        Some(port_map) => port_map.news().await,
        None => std::future::pending().await,
    }
}

const fn peer(id: ConnId) -> PeerId {
    PeerId(id.0)
}

const fn conn(peer: PeerId) -> ConnId {
    ConnId(peer.0)
}
