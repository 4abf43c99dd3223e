//! What we decide: one torrent, facts in, deeds out. Pure, deterministic, one thread of thought.
//!
//! [`Engine::handle`] takes a fact and pushes everything that follows from it; when nothing
//! happens, [`Engine::deadline`] says when to call again. Time is a number and chance a seed, so
//! the same engine runs on sockets and in a simulated swarm. A peer's fault ends in
//! [`Output::HangUp`], a guest's in a warning; nothing that either sends makes this room fail.

mod arrival;
mod calling;
mod choker;
mod config;
mod draft;
mod early;
mod encryption;
mod fast;
mod guests;
mod hashes;
mod heard;
mod input;
mod late;
mod layers;
mod learn;
mod let_go;
mod life;
mod mapped;
mod meeting;
mod metadata;
mod named;
mod nodes;
pub mod output;
mod pace;
pub mod picker;
mod pool;
mod scheduler;
mod serving;
mod session;
mod sessions;
mod source;
mod super_seed;
mod tally;
pub mod time;
mod turnover;
mod upkeep;
mod upload;
mod wishes;

pub use calling::Transports;
pub use choker::{Choking, SeedChoke};
pub use config::{Config, Content};
pub use encryption::Encryption;
pub use guests::{Guest, Guests, Wished};
pub use input::Input;
pub use output::{Call, Event, Output, Why};
pub use tally::{PeerReport, Report};
pub use time::Time;

use crate::torrent::layer_tree::{Hash, LayerTree};
use crate::torrent::{Bitfield, Block, Info, PieceIndex};
use crate::wire::mse::Method;
use crate::wire::{Handshake, Message, Transport};
use calling::Allowed;
use choker::Choker;
use layers::Layers;
use metadata::Metadata;
use picker::{Picker, Rank};
use pool::Pool;
use rtor_plugin::discovery::Fact;
use rtor_plugin::{Addr, Chance};
use session::Session;
use sessions::Sessions;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use super_seed::SuperSeed;
use tally::Tally;

/// The engine's number for a connection, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// Peers that are gone whose addresses are kept.
const GONE_MAX: usize = 1000;

/// A connection that has not greeted yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    addr: SocketAddr,
    came_to_us: bool,
    since: Time,
    /// What carries it, once it is there.
    by: Transport,
    /// What its connection goes on with, if it is encrypted.
    method: Option<Method>,
    /// It was told that we are interested before we know what it has.
    guessed: bool,
}

/// A peer that left.
#[derive(Clone, Copy, Debug)]
struct Gone {
    addr: SocketAddr,
    known_as: SocketAddr,
}

/// One torrent.
pub struct Engine {
    info: Arc<Info>,
    /// The info dictionary on its way, if it is not known.
    metadata: Option<Metadata>,
    /// Piece layers on their way.
    layers: Option<Layers>,
    /// What stands above the layers that were asked of us, by the roots of their files.
    layer_trees: BTreeMap<Hash, LayerTree>,
    handshake: Handshake,
    client: String,
    trackers: Vec<Vec<String>>,
    nodes: Vec<(String, u16)>,
    port: u16,
    udp_port: u16,
    /// What a router passes on to us: the ports that others reach us at, TCP and UDP.
    mapped: Option<(u16, u16)>,
    peers_max: usize,
    encryption: Encryption,
    looks_only: bool,
    seed: u64,
    rank: Box<dyn Rank>,
    picker: Picker,
    pool: Pool,
    guests: Guests,
    choker: Choker,
    super_seed: Option<SuperSeed>,
    chance: Chance,
    tally: Tally,
    wanted_at_start: usize,
    /// Bytes of wanted pieces that were to come at the start.
    wanted_bytes: u64,
    /// Blocks that were asked of a second peer, but for those that the slower of the two is known
    /// not to have sent.
    asked_twice: u64,
    complete_at_start: bool,
    pending: BTreeMap<PeerId, Pending>,
    sessions: Sessions,
    /// The last of those that left: they may turn out to have lied.
    gone: BTreeMap<PeerId, Gone>,
    /// Peers that may be asked for more.
    hungry: BTreeSet<PeerId>,
    /// Bytes a second of all peers that can be asked.
    rate_total: u64,
    /// The shortest round trip to one of them.
    trip_us: u64,
    /// Verified pieces that peers have not been told of.
    haves: Vec<PieceIndex>,
    haves_at: Time,
    turnover_at: Time,
    /// Room for a turn of asking.
    blocks: Vec<Block>,
    partial: Vec<(PieceIndex, Vec<usize>)>,
    peers_named: u32,
    upkeep_at: Time,
    progress_at: Time,
    started: bool,
    /// Nobody is served any more.
    sated: bool,
    stopping: bool,
    farewell_told: bool,
    completed_told: bool,
}

impl Engine {
    /// An engine that waits for [`Input::Started`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { info, have, wanted, seed, .. } = config;
        let metadata = Self::metadata_of(&info);
        let complete_at_start = metadata.is_none() && have.is_full();
        let super_seed = (config.super_seed && complete_at_start)
            .then(|| SuperSeed::new(info.layout.piece_count()));
        let picker = Picker::new(Arc::clone(&info), have, &wanted, seed);
        Self {
            metadata,
            layers: None,
            layer_trees: BTreeMap::new(),
            handshake: Self::handshake_of(&info, config.peer_id),
            client: config.client,
            trackers: config.trackers,
            nodes: config.nodes,
            port: config.port,
            udp_port: config.udp_port,
            mapped: None,
            peers_max: config.peers_max,
            encryption: config.encryption,
            looks_only: config.looks_only,
            seed,
            rank: config.rank,
            wanted_at_start: picker.wanted_left(),
            wanted_bytes: picker.left_bytes(),
            asked_twice: 0,
            complete_at_start,
            picker,
            pool: Pool::new(Allowed {
                encryption: config.encryption,
                transports: config.transports,
            }),
            guests: Guests::new(config.guests, info.private),
            choker: Choker::new(config.choking),
            super_seed,
            chance: Chance::new(seed),
            tally: Tally::default(),
            pending: BTreeMap::new(),
            sessions: Sessions::default(),
            gone: BTreeMap::new(),
            hungry: BTreeSet::new(),
            rate_total: 0,
            trip_us: 0,
            haves: Vec::new(),
            haves_at: Time(0),
            turnover_at: Time(0),
            blocks: Vec::new(),
            partial: config.partial,
            peers_named: 0,
            upkeep_at: Time(0),
            progress_at: Time(0),
            started: false,
            sated: false,
            stopping: false,
            farewell_told: false,
            completed_told: false,
            info,
        }
    }

    /// A fact in; everything that follows from it is pushed into `out`.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        self.handle_all(now, [input], out);
    }

    /// Facts of one moment in; everything that follows from them is pushed into `out`. What
    /// depends on all of them, as whom to ask for what, is decided once.
    pub fn handle_all(
        &mut self,
        now: Time,
        inputs: impl IntoIterator<Item = Input>,
        out: &mut Vec<Output>,
    ) {
        for input in inputs {
            self.hear(now, input, out);
        }
        self.upkeep(now, out);
        self.ask_hungry(now, out);
        self.tell_haves(now, out);
        self.dial(now, out);
        self.tell_completion(now, out);
    }

    fn hear(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Started => self.start(now, out),
            Input::Named(addr) => {
                self.pool.found(now, addr, "user", true);
            }
            Input::Dialled(peer) => self.dialled(now, peer, out),
            Input::Accepted(peer, from) => self.accepted(now, peer, from, out),
            Input::Carried(peer, by) => self.carried(peer, by),
            Input::Encrypted(peer, method) => self.encrypted(peer, method),
            Input::Greeted(peer, handshake) => self.greeted(now, peer, &handshake, out),
            Input::Received(peer, message) => self.received(now, peer, message, out),
            Input::Sent(peer, count) => self.sent(now, peer, count, out),
            Input::Declined(peer, why) => self.declined(now, peer, why, out),
            Input::Lost(peer, why) => self.drop_peer(now, peer, Why::Lost(why), out),
            Input::Checked(piece, good, digests) => self.checked(now, piece, good, digests, out),
            Input::Reads(pieces) => {
                self.picker.read(pieces);
                self.all_hungry();
            }
            Input::Loaded(peer, spec, data) => self.loaded(now, peer, spec, data, out),
            Input::Datagram(from, bytes) => {
                let fact = Fact::Datagram { from: Addr::from(from), bytes: &bytes };
                self.with_guests(now, out, |guests, wished| guests.offer(now, &fact, wished));
            }
            Input::HttpReplied(guest, ticket, reply) => {
                self.with_guests(now, out, |guests, wished| {
                    guests.http_replied(now, guest, ticket, &reply, wished);
                });
            }
            Input::Resolved(guest, ticket, found) => {
                self.with_guests(now, out, |guests, wished| {
                    guests.resolved(now, guest, ticket, &found, wished);
                });
            }
            Input::Learned(content) => self.learned(now, *content, out),
            Input::NodeFound(addr) => self.heard_of_node(now, addr, out),
            Input::Mapped(addr, udp_port) => self.mapped(now, addr, udp_port, out),
            Input::Woken(guest) => self.tell_guest(now, guest, &Fact::Woken, out),
            Input::Limited(limit) => self.choker.limited(limit),
            Input::Sated => self.sate(now, out),
            Input::Stopped => self.stop(now, out),
            Input::Deadline => {}
        }
    }

    /// When to call again with [`Input::Deadline`] if nothing else happens.
    pub fn deadline(&mut self) -> Option<Time> {
        if !self.started {
            return None;
        }
        let upkeep = (!self.sessions.is_empty() || !self.pending.is_empty() || self.stopping)
            .then_some(self.upkeep_at);
        let dial = self.has_room_to_dial().then(|| self.pool.deadline()).flatten();
        let progress = (!self.stopping).then_some(self.progress_at);
        let haves = (!self.haves.is_empty()).then_some(self.haves_at);
        [upkeep, dial, progress, haves, self.guests.deadline()].into_iter().flatten().min()
    }

    /// A number for a connection that somebody opened to us.
    pub fn next_peer(&mut self) -> PeerId {
        self.peers_named += 1;
        PeerId(self.peers_named)
    }

    /// Verified pieces.
    #[must_use]
    pub const fn have(&self) -> &Bitfield {
        self.picker.have()
    }

    /// Whether every wanted piece is verified.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.metadata.is_none() && self.picker.wanted_left() == 0
    }

    /// Bytes of wanted pieces that are still to come.
    #[must_use]
    pub const fn left_bytes(&self) -> u64 {
        self.picker.left_bytes()
    }

    /// Bytes of verified pieces.
    #[must_use]
    pub fn have_bytes(&self) -> u64 {
        self.info.layout.total_length().saturating_sub(self.picker.absent_bytes())
    }

    /// Peers that finished their handshake and are here.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.sessions.len()
    }

    /// Bytes of blocks received and sent.
    #[must_use]
    pub const fn moved_bytes(&self) -> (u64, u64) {
        (self.tally.downloaded_bytes, self.tally.uploaded_bytes)
    }

    /// Blocks that are being read or written for peers.
    #[must_use]
    pub fn uploads_under_way(&self) -> usize {
        self.sessions.values().map(|session| session.upload.under_way()).sum()
    }

    /// What the download was like so far.
    #[must_use]
    pub fn report(&self, now: Time) -> Report {
        self.tally.report(now, self.sessions.values().map(|s| (s, self.finders_of(s))))
    }

    /// How many of the peers that are here have each piece.
    #[must_use]
    pub fn availability(&self) -> &[u16] {
        self.picker.availability()
    }

    /// Whether somebody was called who has not answered.
    #[must_use]
    pub fn waits_for_answers(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Who told us of the peer, the first of them first.
    fn finders_of(&self, session: &Session) -> Vec<String> {
        let finders = self.pool.finders(session.known_as);
        if finders.is_empty() { vec![pool::CAME.to_owned()] } else { finders.to_vec() }
    }

    fn mind_interest(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get(&peer) else { return };
        if session.interest_guessed && session.theirs.is_empty() {
            return;
        }
        let interesting = self.picker.is_interesting(&session.theirs);
        self.set_interest(now, peer, interesting, out);
    }

    /// The peer has one more piece that is still to come. If it owes something, it is asked for more
    /// when that comes.
    fn has_wanted(&mut self, now: Time, peer: PeerId, out: &mut Vec<Output>) {
        match self.sessions.get(&peer) {
            Some(session) if !session.we_are_interested => {
                self.set_interest(now, peer, true, out);
            }
            Some(session) if session.has_nothing_to_do() => {
                self.hungry.insert(peer);
            }
            _ => {}
        }
    }

    /// The peer has, or has not, what is still to come.
    fn set_interest(&mut self, now: Time, peer: PeerId, interesting: bool, out: &mut Vec<Output>) {
        if self.looks_only {
            return;
        }
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let told = std::mem::replace(&mut session.we_are_interested, interesting) == interesting;
        let guessed = std::mem::take(&mut session.interest_guessed);
        if !told || guessed {
            session.last_said = now;
            let message = if interesting { Message::Interested } else { Message::NotInterested };
            out.push(Output::Send(peer, message));
        }
        if session.has_room() {
            self.hungry.insert(peer);
        }
    }

    /// Closes a connection that we no longer want.
    fn hang_up(&mut self, now: Time, peer: PeerId, why: Why, out: &mut Vec<Output>) {
        out.push(Output::HangUp(peer));
        self.drop_peer(now, peer, why, out);
    }

    /// Forgets a connection that is gone.
    fn drop_peer(&mut self, now: Time, peer: PeerId, why: Why, out: &mut Vec<Output>) {
        self.hungry.remove(&peer);
        if let Some(pending) = self.pending.remove(&peer) {
            match why {
                _ if pending.came_to_us => {}
                Why::Unanswered => self.pool.unanswered(now, pending.addr),
                _ => self.pool.lost(now, pending.addr),
            }
            out.push(Output::Tell(Event::Left { peer, addr: pending.addr, why }));
            return;
        }
        let Some(session) = self.sessions.remove(&peer) else { return };
        if let Some(metadata) = &mut self.metadata {
            metadata.left(now, peer);
        }
        if let Some(super_seed) = &mut self.super_seed {
            super_seed.left(peer);
        }
        if let Some(layers) = &mut self.layers {
            layers.left(peer);
        }
        let (addr, known_as) = (session.addr, session.known_as);
        self.tally.ended(now, &session, self.finders_of(&session), &why);
        self.pool.lost(now, known_as);
        let owed = session.asked.iter().map(|asked| asked.block);
        let anew = self.picker.left(peer, &session.theirs, owed);
        out.extend(anew.into_iter().map(Output::Forget));
        if self.gone.len() >= GONE_MAX {
            self.gone.pop_first();
        }
        self.gone.insert(peer, Gone { addr, known_as });
        out.push(Output::Tell(Event::Left { peer, addr, why }));
        let fact = Fact::PeerLeft { peer: peer.0, addr: Addr::from(addr) };
        self.with_guests(now, out, |guests, wished| guests.tell(now, &fact, wished));
        self.all_hungry();
        if !self.stopping {
            self.fill_slots(now, out);
        }
    }
}
