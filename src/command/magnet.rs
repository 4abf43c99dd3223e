//! `rtor magnet`: the magnet URI of a torrent, on one line; or, with `--resolve`, the torrent of a
//! magnet.

use super::globals::{Form, Globals};
use super::network::Network;
use super::signals::Signals;
use super::source::{self, STORE_DEFAULT};
use super::swarm::{self, STRATEGY_OF_NOTHING, Swarm};
use crate::disk::named_file;
use crate::driver::{Driver, End, Learned};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::torrent::{Info, Torrent, magnet, metainfo_file};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of buffers: an info dictionary at most, and what peers say beside it.
const MEMORY_MAX: u64 = 64 << 20;
/// How long a hybrid's piece layers are waited for: it can be used without them.
const LAYERS_WAIT: Duration = Duration::from_secs(5);
/// Arguments of `rtor magnet`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, magnet URI, http(s) URL, info hash, manifest, or `-` for stdin
    pub source: Option<OsString>,
    /// Fetch the metadata of a magnet from its peers
    #[arg(long)]
    resolve: bool,
    /// Write the .torrent there (`-`: to stdout), instead of the magnet
    #[arg(long, short, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// How to find and reach peers.
    #[command(flatten)]
    network: Network,
}

/// Runs it. The line is the same for people and programs: it holds nothing but ASCII, with all
/// else as %XX; with `--json` it is the manifest instead.
///
/// # Errors
/// If SOURCE is unusable or can't be read, or a plugin, the port or the file can't be had.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let route = args.network.route()?;
    let mut manifest =
        source::load_by(&route, args.source.as_deref(), Path::new(STORE_DEFAULT), env)?.manifest;
    if args.resolve && manifest.torrent().info.is_none() {
        match resolve(args, globals, env, manifest.torrent())? {
            Resolved::Info(info) => manifest.learned(info),
            Resolved::Ended(exit) => return Ok(exit),
        }
    }
    match &args.output {
        Some(file) => write(env, manifest.torrent(), file)?,
        None => print(globals, env, &manifest)?,
    }
    Ok(Exit::Done)
}

fn print(globals: &Globals, env: &mut Env, manifest: &Manifest) -> Result<(), Error> {
    if globals.json && globals.form(env) == Form::Json {
        return env.write(&manifest.to_bytes());
    }
    let uri = magnet::format(manifest.torrent());
    env.write(format!("{uri}\n").as_bytes())
}

fn write(env: &mut Env, torrent: &Torrent, file: &Path) -> Result<(), Error> {
    let bytes = metainfo_file::of(torrent).ok_or_else(|| {
        Error::input(format!("the metadata of `{}` is not known yet", torrent.hashes))
            .hint("`--resolve` fetches it from peers")
    })?;
    if file.as_os_str() == "-" {
        return env.write(&bytes);
    }
    Ok(named_file::replace(&env.path(file), &bytes)?)
}

enum Resolved {
    Info(Arc<Info>),
    Ended(Exit),
}

fn resolve(
    args: &Args,
    globals: &Globals,
    env: &mut Env,
    torrent: &Torrent,
) -> Result<Resolved, Error> {
    let mut signals = Signals::hear()?;
    let swarm =
        Swarm::make(globals, env, torrent, STRATEGY_OF_NOTHING, &args.network)?.only_to_look();
    let mut show = swarm::shown(globals, env)?;
    let setup = swarm.setup(swarm::unknown(torrent), None, MEMORY_MAX, None)?;
    let runtime = swarm::runtime()?;
    let stop = &mut signals.heard;
    let learned = runtime.block_on(async {
        let mut driver = Driver::open(setup, &mut show)?;
        let mut learned = driver.learn(stop, &mut show).await;
        // Who named only the v1 half is spoken to in that, and nobody there has layers.
        if torrent.hashes.v2.is_some()
            && let Ok(Learned::Info(info)) = &mut learned
            && info.piece_layers().is_none()
        {
            driver.begin(None, swarm::everything(info));
            if let Some(with_layers) = driver.learn_layers(LAYERS_WAIT, stop, &mut show).await {
                *info = with_layers;
            }
        }
        let end = match &learned {
            Ok(Learned::Ended(end)) => *end,
            _ => End::Stopped,
        };
        driver.finish(end, stop, &mut show).await?;
        learned
    });
    runtime.shutdown_background();
    show.finish();
    Ok(match learned? {
        Learned::Info(info) => {
            if info.hashes.v2.is_some() && info.piece_layers().is_none() && !globals.quiet {
                env.say("warning: no peer sent the `piece layers`: only the v1 half will work");
            }
            Resolved::Info(info)
        }
        Learned::Ended(End::NothingArrived) => {
            let timeout = args.network.timeout.unwrap_or_default();
            let timeout = humantime::format_duration(timeout);
            env.say(&format!("no peer sent the metadata within {timeout}: gave up"));
            Resolved::Ended(Exit::No)
        }
        Learned::Ended(_) => {
            env.say("interrupted");
            Resolved::Ended(Exit::Interrupted)
        }
    })
}
