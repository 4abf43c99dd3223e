//! What `fetch` and `get` share: from a torrent or a magnet and a store to a running driver and
//! its result.

use super::globals::{Form, Globals};
use super::network::Network;
use super::progress::Show;
use super::salvaging::Salvaging;
use super::selection::Selection;
use super::signals::Signals;
use super::swarm::{self, Swarm};
use crate::disk::Done;
use crate::disk::check::{self, PieceState};
use crate::disk::{Disk, Store};
use crate::driver::{self, Driver, End, Goal, Learned, Outcome, Stop, Storage};
use crate::engine::{Choking, Content, Report};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::manifest::fetch::{Fetch, Peer, StoreKind};
use crate::manifest::salvage::Origin;
use crate::table;
use crate::torrent::{Bitfield, Info, PieceIndex, piece_list};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

const INTERRUPTED: &str = "interrupted: the same command goes on from here";

/// What the user chose.
pub(super) struct Choice<'a> {
    /// `--strategy`.
    pub(super) strategy: &'a str,
    /// `--files`, `--range`.
    pub(super) selection: &'a Selection,
    /// `--from`.
    pub(super) salvaging: &'a Salvaging,
    /// The network options.
    pub(super) network: &'a Network,
    /// `--max-memory`, in bytes.
    pub(super) memory_max: u64,
    /// With `--seed`, until when.
    pub(super) goal: Option<Goal>,
    /// Whom to serve.
    pub(super) choking: Choking,
}

/// Makes the store of a torrent.
type Make = dyn FnOnce(&Manifest, &Arc<Info>) -> Result<Store, Error> + Send;

/// Where the data goes.
pub(super) struct Target {
    /// The store's kind and path, for the manifest.
    pub(super) kind: StoreKind,
    /// As the user named it.
    pub(super) path: String,
    /// The store.
    pub(super) make: Box<Make>,
}

/// Downloads, and prints the manifest with its section `fetch`.
///
/// # Errors
/// If a plugin, the port or the disk can't be had.
pub(super) fn run(
    globals: &Globals,
    env: &mut Env,
    manifest: Manifest,
    choice: &Choice<'_>,
    target: Target,
) -> Result<Exit, Error> {
    let mut signals = Signals::hear()?;
    let swarm = Swarm::make(globals, env, manifest.torrent(), choice.strategy, choice.network)?;
    let swarm = swarm.giving(choice.choking, false);
    signals.read_again(swarm.limits());
    let mut show = swarm::shown(globals, env)?;
    let Target { kind, path, make } = target;
    let preparation = Preparation {
        selection: choice.selection.or_of(manifest.torrent()),
        salvaging: choice.salvaging.resolved(env),
        make,
        memory_max: choice.memory_max,
        bar: env.stderr_is_terminal() && !globals.quiet,
        stop: Arc::clone(&signals.now),
    };
    let ran = match manifest.torrent().info.clone() {
        Some(info) => known(swarm, manifest, &info, preparation, choice, &mut show, &mut signals),
        None => magnet(swarm, manifest, preparation, choice, &mut show, &mut signals.heard),
    };
    show.finish();
    let Ran { mut manifest, wanted, from, outcome } = ran?;
    let Some(outcome) = outcome else {
        env.say(INTERRUPTED);
        return Ok(Exit::Interrupted);
    };
    let mut fetched = section(&outcome, choice, wanted.as_ref(), kind, path);
    fetched.from = from;
    manifest.set("fetch", &fetched);
    let form = globals.form(env);
    if form == Form::Json || !globals.quiet {
        super::print(env, form, &manifest, |width| self::show(width, &fetched))?;
    }
    Ok(exit(env, outcome.end, &fetched, choice))
}

/// What came of a run.
struct Ran {
    manifest: Manifest,
    /// What was to be had; `None` if that was never known.
    wanted: Option<Bitfield>,
    /// What was copied from other places.
    from: Vec<Origin>,
    /// `None` if it was stopped before it began.
    outcome: Option<Outcome>,
}

/// A torrent whose info dictionary is known.
fn known(
    swarm: Swarm,
    manifest: Manifest,
    info: &Arc<Info>,
    preparation: Preparation,
    choice: &Choice<'_>,
    show: &mut Show,
    signals: &mut Signals,
) -> Result<Ran, Error> {
    let Some(Prepared { content, storage, from }) = preparation.prepare(&manifest, info)? else {
        return Ok(Ran { manifest, wanted: None, from: Vec::new(), outcome: None });
    };
    knows(show, &content);
    let wanted = Some(content.wanted.clone());
    let setup = swarm.setup(content, Some(storage), choice.memory_max, choice.goal)?;
    let runtime = swarm::runtime()?;
    let outcome = runtime.block_on(driver::run(setup, &mut signals.heard, show));
    // Look-ups that nobody waits for any more must not hold the program.
    runtime.shutdown_background();
    Ok(Ran { manifest, wanted, from, outcome: Some(outcome?) })
}

/// A magnet: first its info dictionary, then, with the same peers, the rest.
fn magnet(
    swarm: Swarm,
    manifest: Manifest,
    preparation: Preparation,
    choice: &Choice<'_>,
    show: &mut Show,
    stop: &mut Stop,
) -> Result<Ran, Error> {
    let content = swarm::unknown(manifest.torrent());
    let setup = swarm.setup(content, None, choice.memory_max, choice.goal)?;
    let runtime = swarm::runtime()?;
    let ran = runtime.block_on(async {
        let mut driver = Driver::open(setup, show)?;
        let info = match driver.learn(stop, show).await {
            Ok(Learned::Info(info)) => info,
            Ok(Learned::Ended(end)) => {
                let outcome = Some(driver.finish(end, stop, show).await?);
                return Ok(Ran { manifest, wanted: None, from: Vec::new(), outcome });
            }
            Err(why) => {
                driver.finish(End::Stopped, stop, show).await?;
                return Err(why.into());
            }
        };
        let prepare = tokio::task::spawn_blocking(move || {
            let mut manifest = manifest;
            manifest.learned(Arc::clone(&info));
            let prepared = preparation.prepare(&manifest, &info);
            prepared.map(|prepared| (manifest, prepared))
        });
        let prepared = driver.meanwhile(prepare, stop, show).await;
        let prepared = prepared.map_err(|why| Error::world(format!("no thread: {why}")))?;
        let (manifest, prepared) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => {
                driver.finish(End::Stopped, stop, show).await?;
                return Err(why);
            }
        };
        let Some(Prepared { content, storage, from }) = prepared else {
            driver.finish(End::Stopped, stop, show).await?;
            return Ok(Ran { manifest, wanted: None, from: Vec::new(), outcome: None });
        };
        knows(show, &content);
        let wanted = Some(content.wanted.clone());
        driver.begin(Some(storage), content);
        let outcome = Some(driver.download(stop, show).await?);
        Ok(Ran { manifest, wanted, from, outcome })
    });
    runtime.shutdown_background();
    ran
}

/// The bar's end is what is wanted and not there.
fn knows(show: &mut Show, content: &Content) {
    let Content { info, have, wanted, .. } = content;
    let missing = wanted.iter().filter(|piece| !have.contains(*piece));
    let size = |piece: usize| {
        let piece = info.layout.piece(piece as u32);
        piece.map_or(0, |piece| u64::from(info.layout.piece_size(piece)))
    };
    show.knows(missing.map(size).sum(), info.layout.piece_count());
}

/// What is to be done with a torrent before it is downloaded.
struct Preparation {
    selection: Selection,
    salvaging: Salvaging,
    make: Box<Make>,
    memory_max: u64,
    bar: bool,
    stop: Arc<AtomicBool>,
}

/// What a download begins with.
struct Prepared {
    content: Content,
    storage: Storage,
    from: Vec<Origin>,
}

impl Preparation {
    /// The store is made, what is there is checked, and what lies elsewhere copied; `None` if it was
    /// stopped meanwhile.
    fn prepare(self, manifest: &Manifest, info: &Arc<Info>) -> Result<Option<Prepared>, Error> {
        let wanted = self.selection.wanted_pieces(&info.layout)?;
        let store = (self.make)(manifest, info)?;
        let Some(mut have) = verified(info, &store, self.bar, &self.stop) else { return Ok(None) };
        let Some(from) = salvaged(&self.salvaging, &store, &wanted, &mut have, &self.stop)? else {
            return Ok(None);
        };
        let Opened { have, mut disk, done } = on_disk(store, have, self.memory_max)?;
        let partial = partials(&mut disk, &have);
        // A magnet's driver turned meanwhile, and took the signal for its own.
        if self.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let content = Content { info: Arc::clone(info), have, wanted, partial };
        Ok(Some(Prepared { content, storage: Storage { disk, done }, from }))
    }
}

/// Copies what is wanted and lies elsewhere into the store; `None` if `stop` was set meanwhile.
fn salvaged(
    salvaging: &Salvaging,
    store: &Store,
    wanted: &Bitfield,
    have: &mut Bitfield,
    stop: &AtomicBool,
) -> Result<Option<Vec<Origin>>, Error> {
    let mut missing = wanted.clone();
    have.iter().for_each(|piece| {
        missing.remove(piece);
    });
    let Some(rescue) = salvaging.look(store.info(), &missing, stop)? else { return Ok(None) };
    let Some(found) = rescue.found() else { return Ok(Some(Vec::new())) };
    let Some(arrived) = store.adopt(found, found.pieces(), &|_| {}, stop)? else {
        return Ok(None);
    };
    arrived.iter().for_each(|piece| {
        have.insert(piece);
    });
    Ok(Some(rescue.origins_of(&arrived)))
}

/// A store that was checked.
pub(super) struct Opened {
    /// What is there, by its hashes.
    pub(super) have: Bitfield,
    pub(super) disk: Disk,
    /// The disk's answers.
    pub(super) done: mpsc::UnboundedReceiver<Done>,
}

/// Checks what is in a store, and opens the disk on it; `None` if `stop` was set meanwhile.
pub(super) fn opened(
    info: &Info,
    store: Store,
    memory_max: u64,
    bar: bool,
    stop: &AtomicBool,
) -> Result<Option<Opened>, Error> {
    let Some(have) = verified(info, &store, bar, stop) else { return Ok(None) };
    on_disk(store, have, memory_max).map(Some)
}

/// Opens the disk on a store that has these pieces.
fn on_disk(store: Store, have: Bitfield, memory_max: u64) -> Result<Opened, Error> {
    let (tell, done) = mpsc::unbounded_channel();
    // One core thinks and minds the sockets.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().max(2) - 1);
    let disk = Disk::open(store, memory_max, threads, move |fact| {
        // A loop that is gone needs no answers.
        let _ = tell.send(fact);
    })?;
    Ok(Opened { have, disk, done })
}

fn exit(env: &mut Env, end: End, fetched: &Fetch, choice: &Choice<'_>) -> Exit {
    match end {
        End::Complete | End::Seeded => Exit::Done,
        // Who seeds until told to stop has done what was asked.
        End::Stopped if fetched.complete => Exit::Done,
        End::Stopped => {
            env.say(INTERRUPTED);
            Exit::Interrupted
        }
        End::NothingArrived => {
            let timeout = choice.network.timeout.unwrap_or_default();
            let timeout = humantime::format_duration(timeout);
            let what = if fetched.of == 0 { ", not even the metadata" } else { "" };
            env.say(&format!("nothing arrived for {timeout}{what}: gave up, resumable"));
            Exit::No
        }
    }
}

/// What is there already, by its hashes; `None` if `stop` was set meanwhile.
fn verified(info: &Info, store: &Store, bar: bool, stop: &AtomicBool) -> Option<Bitfield> {
    let bar = super::progress::checking(bar, info.layout.total_length());
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

fn section(
    outcome: &Outcome,
    choice: &Choice<'_>,
    wanted: Option<&Bitfield>,
    store: StoreKind,
    path: String,
) -> Fetch {
    let report = &outcome.report;
    Fetch {
        store,
        path,
        complete: wanted
            .is_some_and(|wanted| wanted.iter().all(|piece| outcome.have.contains(piece))),
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
        external_addr: outcome.external.map(|addr| addr.to_string()),
        strategy: choice.strategy.to_owned(),
        from: Vec::new(),
        peers: peers(report),
    }
}

/// Everyone who finished a handshake.
pub(super) fn peers(report: &Report) -> Vec<Peer> {
    let peers = report.peers.iter();
    let peers = peers.map(|peer| Peer {
        addr: peer.addr.to_string(),
        client: peer.client.clone(),
        source: peer.found_by.first().cloned().unwrap_or_default(),
        found_by: peer.found_by.clone(),
        transport: peer.transport.name().to_owned(),
        encrypted: peer.method.is_some(),
        encryption: peer.method.map(|method| method.name().to_owned()),
        downloaded_bytes: peer.downloaded_bytes,
        uploaded_bytes: peer.uploaded_bytes,
        share: peer.downloaded_bytes as f64 / report.downloaded_bytes.max(1) as f64,
        rate: peer.rate,
        connected_seconds: peer.connected_us as f64 / 1e6,
        idle_ms: peer.idle_us / 1000,
        left: peer.left.clone(),
    });
    peers.collect()
}

fn show(width: usize, fetch: &Fetch) -> String {
    let rate = fetch.downloaded_bytes as f64 / fetch.seconds.max(1e-3);
    let external = fetch.external_addr.clone().map(|addr| ("reached at", addr));
    let facts = [
        ("in", fetch.path.clone()),
        ("pieces", format!("{} of {}", fetch.have, fetch.of)),
        ("downloaded", table::size(fetch.downloaded_bytes)),
        ("uploaded", table::size(fetch.uploaded_bytes)),
        ("took", format!("{:.1} s, {}/s", fetch.seconds, table::size(rate as u64))),
        ("peers", fetch.peers.len().to_string()),
    ];
    table::facts(width, facts.into_iter().chain(external))
}
