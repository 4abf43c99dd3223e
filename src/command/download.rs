//! What `fetch` and `get` share: from a torrent and a store to a running driver and its result.

use super::globals::{Form, Globals};
use super::network::Network;
use super::progress::Show;
use super::selection::Selection;
use super::signals::Signals;
use crate::disk::check::{self, PieceState};
use crate::disk::{Disk, Store, named_file};
use crate::driver::{self, DriverError, End, Outcome, Setup};
use crate::engine::{Config, Guest};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::host::{Places, Registry};
use crate::manifest::Manifest;
use crate::manifest::fetch::{Fetch, Peer, StoreKind};
use crate::net::http::Http;
use crate::table;
use crate::torrent::{Bitfield, Info, PieceIndex, piece_list};
use rtor_plugin::{Level, Services};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc;

/// The peer id's first eight bytes: who we are (BEP 20).
const PEER_ID_PREFIX: &[u8; 8] = b"-RT0100-";

const INTERRUPTED: &str = "interrupted: the same command goes on from here";

/// What the user chose.
pub(super) struct Choice<'a> {
    /// `--strategy`.
    pub(super) strategy: &'a str,
    /// `--files`, `--range`.
    pub(super) selection: &'a Selection,
    /// The network options.
    pub(super) network: &'a Network,
    /// `--max-memory`, in bytes.
    pub(super) memory_max: u64,
    /// `--seed`.
    pub(super) go_on: bool,
}

/// Where the data goes.
pub(super) struct Target {
    /// The store.
    pub(super) store: Store,
    /// Its kind and path, for the manifest.
    pub(super) kind: StoreKind,
    /// As the user named it.
    pub(super) path: String,
}

/// Downloads, and prints the manifest with its section `fetch`.
///
/// # Errors
/// If a plugin, the port or the disk can't be had.
pub(super) fn run(
    globals: &Globals,
    env: &mut Env,
    mut manifest: Manifest,
    info: &Arc<Info>,
    choice: &Choice<'_>,
    target: Target,
) -> Result<Exit, Error> {
    let mut signals = Signals::hear()?;
    let wanted = choice.selection.wanted_pieces(&info.layout)?;
    let plan = Plan::make(globals, env, &manifest, info, choice)?;
    let events = events(globals, env)?;
    let Some(have) = verified(env, globals, info, &target.store, &signals.now) else {
        env.say(INTERRUPTED);
        return Ok(Exit::Interrupted);
    };
    let goal = Goal { have, wanted };
    let mut shown = shown(globals, env, info, &goal, events);
    let outcome = plan.run(&mut shown, info, choice, &goal, target.store, &mut signals);
    shown.finish();
    let outcome = outcome?;
    let fetched = section(&outcome, choice, &goal.wanted, target.kind, target.path);
    manifest.set("fetch", &fetched);
    let form = globals.form(env);
    if form == Form::Json || !globals.quiet {
        super::print(env, form, &manifest, |width| show(width, &fetched))?;
    }
    Ok(exit(env, outcome.end, fetched.complete, choice))
}

/// What is there, and what is to be there at the end.
struct Goal {
    have: Bitfield,
    wanted: Bitfield,
}

fn exit(env: &mut Env, end: End, complete: bool, choice: &Choice<'_>) -> Exit {
    match end {
        End::Complete => Exit::Done,
        // Who seeds until told to stop has done what was asked.
        End::Stopped if complete => Exit::Done,
        End::Stopped => {
            env.say(INTERRUPTED);
            Exit::Interrupted
        }
        End::NothingArrived => {
            let timeout = choice.network.timeout.unwrap_or_default();
            let timeout = humantime::format_duration(timeout);
            env.say(&format!("nothing arrived for {timeout}: gave up, resumable"));
            Exit::No
        }
    }
}

/// The plugins and everything else that can be wrong before a byte is read.
struct Plan {
    rank: rtor_plugin::strategy::Ranker,
    guests: Vec<Guest>,
    trackers: Vec<Vec<String>>,
    peers: Vec<SocketAddr>,
    http: Http,
}

impl Plan {
    fn make(
        globals: &Globals,
        env: &mut Env,
        manifest: &Manifest,
        info: &Info,
        choice: &Choice<'_>,
    ) -> Result<Self, Error> {
        let registry = registry(globals, env)?;
        let services: Arc<dyn Services> = Arc::new(Complaints);
        let rank = registry.ranker(choice.strategy, Arc::clone(&services))?;
        let Network { discover, no_discover, no_trackers, peer, listen, .. } = choice.network;
        let listens_at = listen.map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified());
        let guests = registry
            .discoveries(discover, no_discover, info.private, &|_| Arc::clone(&services))?;
        let guests =
            guests.into_iter().map(|g| Guest { id: g.id.to_owned(), instance: g.instance });
        let torrent = manifest.torrent();
        let named = torrent.peers.iter().filter_map(|peer| peer.parse().ok());
        Ok(Self {
            rank,
            guests: guests.collect(),
            trackers: if *no_trackers { Vec::new() } else { torrent.trackers.clone() },
            peers: peer.iter().copied().chain(named).collect(),
            http: super::http(env, listens_at)?,
        })
    }

    fn run(
        self,
        show: &mut Show,
        info: &Arc<Info>,
        choice: &Choice<'_>,
        goal: &Goal,
        store: Store,
        signals: &mut Signals,
    ) -> Result<Outcome, Error> {
        let (tell, done) = mpsc::unbounded_channel();
        // One core thinks and minds the sockets.
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().max(2) - 1);
        let mut disk = Disk::open(store, choice.memory_max, threads, move |fact| {
            // A loop that is gone needs no answers.
            let _ = tell.send(fact);
        })?;
        let partial = partials(&mut disk, &goal.have);
        let setup = Setup {
            engine: Config {
                info: Arc::clone(info),
                peer_id: peer_id()?,
                client: concat!("rtor ", env!("CARGO_PKG_VERSION")).to_owned(),
                have: goal.have.clone(),
                wanted: goal.wanted.clone(),
                partial,
                trackers: self.trackers,
                port: 0,
                peers_max: usize::from(choice.network.max_peers),
                seed: chance()?,
                rank: Box::new(self.rank),
                guests: self.guests,
            },
            disk,
            done,
            listen: choice.network.listen,
            peers: self.peers,
            go_on: choice.go_on,
            timeout: choice.network.timeout,
            http: self.http,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|why| Error::world(format!("no network: {why}")))?;
        let outcome = runtime.block_on(driver::run(setup, &mut signals.heard, show));
        // Look-ups that nobody waits for any more must not hold the program.
        runtime.shutdown_background();
        Ok(outcome?)
    }
}

impl From<DriverError> for Error {
    fn from(why: DriverError) -> Self {
        match why {
            DriverError::Disk(why) => why.into(),
            DriverError::Listen(why) => Self::world(why),
        }
    }
}

/// The plugins that can be used.
///
/// # Errors
/// If a file that the user named is none.
pub(super) fn registry(globals: &Globals, env: &mut Env) -> Result<Registry, Error> {
    let exe = std::env::current_exe().ok();
    let registry = Registry::open(&Places {
        files: &globals.plugin,
        plugin_path: env.var("RTOR_PLUGIN_PATH"),
        data_home: env.var("XDG_DATA_HOME"),
        home: env.var("HOME"),
        exe: exe.as_deref(),
        bundled: !globals.no_bundled,
    })?;
    if !globals.quiet {
        let warnings: Vec<String> = registry.warnings().iter().map(ToString::to_string).collect();
        warnings.iter().for_each(|warning| env.say(&format!("warning: {warning}")));
    }
    Ok(registry)
}

/// What a plugin says outside of its facts: straight to stderr.
struct Complaints;

impl Services for Complaints {
    fn log(&self, level: Level, text: &str) {
        if level >= Level::Warning {
            eprintln!("{}", crate::sanitize::sanitize(text));
        }
    }
}

fn events(globals: &Globals, env: &Env) -> Result<Option<Box<dyn Write>>, Error> {
    match &globals.events {
        None => Ok(None),
        Some(dash) if dash.as_os_str() == "-" => Ok(Some(Box::new(env.stdout_too()))),
        Some(path) => Ok(Some(Box::new(named_file::create(&env.path(path))?))),
    }
}

fn shown(
    globals: &Globals,
    env: &Env,
    info: &Info,
    goal: &Goal,
    events: Option<Box<dyn Write>>,
) -> Show {
    let missing = goal.wanted.iter().filter(|piece| !goal.have.contains(*piece));
    let size = |piece: usize| {
        let piece = info.layout.piece(piece as u32);
        piece.map_or(0, |piece| u64::from(info.layout.piece_size(piece)))
    };
    let bar = env.stderr_is_terminal() && !globals.quiet;
    let lines_from = match (globals.quiet, globals.verbose) {
        (true, _) => None,
        (false, 0) => Some(Level::Warning),
        (false, 1) => Some(Level::Info),
        (false, _) => Some(Level::Debug),
    };
    let pieces = info.layout.piece_count();
    Show::new(bar, lines_from, events, missing.map(size).sum(), pieces)
}

/// What is there already, by its hashes; `None` if `stop` was set meanwhile.
fn verified(
    env: &Env,
    globals: &Globals,
    info: &Info,
    store: &Store,
    stop: &AtomicBool,
) -> Option<Bitfield> {
    let shown = env.stderr_is_terminal() && !globals.quiet;
    let bar = super::progress::checking(shown, info.layout.total_length());
    let progressed = |bytes| bar.inc(bytes);
    let states = check::piece_states(store, info, &progressed, stop);
    bar.finish_and_clear();
    let mut have = Bitfield::new(info.layout.piece_count());
    let states = states?.into_iter().enumerate();
    states.filter(|(_, state)| *state == PieceState::Ok).for_each(|(piece, _)| {
        have.insert(piece);
    });
    Some(have)
}

/// Blocks of unfinished pieces that an earlier run left.
fn partials(disk: &mut Disk, have: &Bitfield) -> Vec<(PieceIndex, Vec<usize>)> {
    let (known, unknown): (Vec<_>, Vec<_>) =
        disk.partials().into_iter().partition(|(piece, _)| have.contains(piece.at()));
    known.into_iter().for_each(|(piece, _)| disk.forget(piece));
    unknown.into_iter().map(|(piece, blocks)| (piece, blocks.iter().collect())).collect()
}

fn peer_id() -> Result<[u8; 20], Error> {
    let mut id = [0; 20];
    random(&mut id)?;
    id[..PEER_ID_PREFIX.len()].copy_from_slice(PEER_ID_PREFIX);
    Ok(id)
}

fn chance() -> Result<u64, Error> {
    let mut seed = [0; 8];
    random(&mut seed)?;
    Ok(u64::from_le_bytes(seed))
}

#[expect(clippy::disallowed_methods, reason = "where the seed comes from")]
fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|why| Error::world(format!("no randomness to be had: {why}")))
}

fn section(
    outcome: &Outcome,
    choice: &Choice<'_>,
    wanted: &Bitfield,
    store: StoreKind,
    path: String,
) -> Fetch {
    let report = &outcome.report;
    let seconds = |us: u64| us as f64 / 1e6;
    Fetch {
        store,
        path,
        complete: wanted.iter().all(|piece| outcome.have.contains(piece)),
        have: outcome.have.count(),
        of: outcome.have.len(),
        pieces: piece_list::format(&outcome.have),
        downloaded_bytes: report.downloaded_bytes,
        uploaded_bytes: report.uploaded_bytes,
        duplicate_bytes: report.duplicate_bytes,
        wasted_bytes: report.wasted_bytes,
        hash_failures: report.hash_failures,
        seconds: outcome.seconds,
        t_99_to_100_ms: report.t_99_to_100_us.map(|us| us / 1000),
        peak_memory_bytes: outcome.memory_peak,
        strategy: choice.strategy.to_owned(),
        peers: report
            .peers
            .iter()
            .map(|peer| Peer {
                addr: peer.addr.to_string(),
                client: peer.client.clone(),
                source: peer.source.clone(),
                downloaded_bytes: peer.downloaded_bytes,
                uploaded_bytes: peer.uploaded_bytes,
                share: peer.downloaded_bytes as f64 / report.downloaded_bytes.max(1) as f64,
                rate: peer.rate,
                connected_seconds: seconds(peer.connected_us),
                idle_ms: peer.idle_us / 1000,
                left: peer.left.clone(),
            })
            .collect(),
    }
}

fn show(width: usize, fetch: &Fetch) -> String {
    let rate = fetch.downloaded_bytes as f64 / fetch.seconds.max(1e-3);
    let facts = [
        ("in", fetch.path.clone()),
        ("pieces", format!("{} of {}", fetch.have, fetch.of)),
        ("downloaded", table::size(fetch.downloaded_bytes)),
        ("uploaded", table::size(fetch.uploaded_bytes)),
        ("took", format!("{:.1} s, {}/s", fetch.seconds, table::size(rate as u64))),
        ("peers", fetch.peers.len().to_string()),
    ];
    table::facts(width, facts)
}
