//! `rtor seed [SOURCE]`: gives finished data, or a piece store whole or partial, to whoever asks.

use super::download::{self, Opened};
use super::giving::Giving;
use super::globals::{Form, Globals};
use super::network::Network;
use super::quantity;
use super::signals::Signals;
use super::source::{self, STORE_DEFAULT};
use super::swarm::{self, STRATEGY_OF_NOTHING, Swarm};
use crate::disk::{FileStore, PieceStore, Place, Store};
use crate::driver::{self, End, Outcome, Storage};
use crate::engine::Content;
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::manifest::fetch::StoreKind;
use crate::manifest::seed::{Ended, Seed};
use crate::table;
use crate::torrent::{Bitfield, Info, piece_list};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Give finished data, or a piece store, to whoever asks.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, http(s) URL of one, or manifest
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
    /// The piece store, whole or partial
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pieces: Option<PathBuf>,
    /// Finished data: the file or folder itself, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Show each peer one piece at a time, so that every piece leaves about once before any leaves
    /// twice (BEP 16): for the first and only seed on a slow line
    #[arg(long = "super")]
    super_seed: bool,
    /// Bytes that all block buffers together may have
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = quantity::memory)]
    max_memory: u64,
    /// Whom to serve, and until when.
    #[command(flatten)]
    giving: Giving,
    /// How to find and reach peers.
    #[command(flatten)]
    network: Network,
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable, the data not where it is said to be, or a plugin or the port can't be had.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let route = args.network.route()?;
    let usual = args.pieces.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    let source = args.source.as_deref();
    let mut manifest = source::load_by(&route, source, &usual, env)?.manifest;
    let info = super::resolved(manifest.torrent())?;
    let (kind, path) = args.place(&manifest, usual);
    let store = open(env, kind, &path, &info)?;
    let mut signals = Signals::hear()?;
    let torrent = manifest.torrent();
    let swarm = Swarm::make(globals, env, torrent, STRATEGY_OF_NOTHING, &args.network)?;
    let swarm = swarm.giving(args.giving.choking(), args.super_seed);
    signals.read_again(swarm.limits());
    let mut show = swarm::shown(globals, env)?;
    let bar = env.stderr_is_terminal() && !globals.quiet;
    let opened = download::opened(&info, store, args.max_memory, bar, &signals.now)?;
    let Some(Opened { have, disk, done }) = opened else {
        env.say("interrupted");
        return Ok(Exit::Interrupted);
    };
    if !worth_it(globals, env, &have, &path) {
        return Ok(Exit::No);
    }
    show.gives(have.len());
    let content = Content { info, wanted: have.clone(), have, partial: Vec::new() };
    let storage = Some(Storage { disk, done });
    let setup = swarm.setup(content, storage, args.max_memory, Some(args.giving.goal()))?;
    let runtime = swarm::runtime()?;
    let outcome = runtime.block_on(driver::run(setup, &mut signals.heard, &mut show));
    runtime.shutdown_background();
    show.finish();
    let seeded = section(&outcome?, kind, path.display().to_string());
    manifest.set("seed", &seeded);
    let form = globals.form(env);
    if form == Form::Json || !globals.quiet {
        super::print(env, form, &manifest, |width| self::show(width, &seeded))?;
    }
    Ok(Exit::Done)
}

impl Args {
    /// Where the data is: as the user says, else where an earlier verb put it, else the usual store.
    fn place(&self, manifest: &Manifest, usual: PathBuf) -> (StoreKind, PathBuf) {
        let earlier = |kind| source::fetched_to(manifest, kind).map(|path| (kind, path));
        match (&self.data, &self.pieces) {
            (Some(data), _) => (StoreKind::Files, data.clone()),
            (None, Some(pieces)) => (StoreKind::Pieces, pieces.clone()),
            (None, None) => earlier(StoreKind::Files)
                .or_else(|| earlier(StoreKind::Pieces))
                .unwrap_or((StoreKind::Pieces, usual)),
        }
    }
}

fn open(env: &Env, kind: StoreKind, path: &PathBuf, info: &Arc<Info>) -> Result<Store, Error> {
    let (path, info) = (env.path(path), Arc::clone(info));
    Ok(match kind {
        StoreKind::Files => Store::Files(FileStore::open(Place::find(&path, info)?)),
        StoreKind::Pieces => Store::Pieces(PieceStore::open(&path, info)?),
    })
}

/// Whether anything is there to be given; says what is not.
fn worth_it(globals: &Globals, env: &mut Env, have: &Bitfield, path: &std::path::Path) -> bool {
    let (count, of, path) = (have.count(), have.len(), path.display());
    if count == 0 && of > 0 {
        env.say(&format!("nothing in `{path}` is a whole piece of this torrent: nothing to seed"));
        return false;
    }
    if count < of && !globals.quiet {
        let lacking = of - count;
        env.say(&format!(
            "warning: {lacking} of {of} pieces in `{path}` are damaged or missing: only the others \
             are offered"
        ));
    }
    true
}

fn section(outcome: &Outcome, store: StoreKind, path: String) -> Seed {
    let report = &outcome.report;
    Seed {
        store,
        path,
        have: outcome.have.count(),
        of: outcome.have.len(),
        pieces: piece_list::format(&outcome.have),
        uploaded_bytes: report.uploaded_bytes,
        ratio: report.uploaded_bytes as f64 / outcome.have_bytes.max(1) as f64,
        seconds: outcome.seconds,
        peak_memory_bytes: outcome.memory_peak,
        external_addr: outcome.external.map(|addr| addr.to_string()),
        ended: if outcome.end == End::Seeded { Ended::Goal } else { Ended::Stopped },
        peers: download::peers(report),
    }
}

fn show(width: usize, seed: &Seed) -> String {
    let rate = seed.uploaded_bytes as f64 / seed.seconds.max(1e-3);
    let external = seed.external_addr.clone().map(|addr| ("reached at", addr));
    let facts = [
        ("of", seed.path.clone()),
        ("pieces", format!("{} of {}", seed.have, seed.of)),
        ("uploaded", format!("{}, ratio {:.2}", table::size(seed.uploaded_bytes), seed.ratio)),
        ("took", format!("{:.1} s, {}/s", seed.seconds, table::size(rate as u64))),
        ("peers", seed.peers.len().to_string()),
    ];
    table::facts(width, facts.into_iter().chain(external))
}
