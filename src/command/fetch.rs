//! `rtor fetch [SOURCE]`: downloads into the piece store.

use super::download::{self, Choice, Target};
use super::giving::Giving;
use super::globals::Globals;
use super::network::{Network, Route};
use super::quantity;
use super::salvaging::Salvaging;
use super::selection::Selection;
use super::source::{self, STORE_DEFAULT};
use crate::disk::{PieceStore, Store};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::manifest::fetch::StoreKind;
use crate::torrent::Info;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Download pieces into a store that verify and assemble work on.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, http(s) URL of one, magnet URI, info hash, or manifest
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
    /// The piece store
    #[arg(long, value_name = "DIR", default_value = STORE_DEFAULT)]
    pieces: PathBuf,
    /// What both downloads have.
    #[command(flatten)]
    download: Download,
}

/// What `fetch` and `get` have in common.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Download {
    /// The order of pieces, a plugin: `rtor plugins` lists them
    #[arg(long, value_name = "NAME[:key=value,..]", default_value = "rarest")]
    strategy: String,
    /// Which pieces.
    #[command(flatten)]
    selection: Selection,
    /// Where the data may lie already.
    #[command(flatten)]
    salvaging: Salvaging,
    /// Bytes that all block buffers together may have
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = quantity::memory)]
    max_memory: u64,
    /// Go on seeding when complete; `--ratio` and `--for` imply it
    #[arg(long)]
    seed: bool,
    /// Whom to serve, and until when.
    #[command(flatten)]
    giving: Giving,
    /// How to find and reach peers.
    #[command(flatten)]
    network: Network,
}

impl Download {
    /// By which way everything goes.
    pub(super) fn route(&self) -> Result<Route, Error> {
        self.network.route()
    }

    /// What the user chose.
    #[must_use]
    pub(super) fn choice(&self) -> Choice<'_> {
        Choice {
            strategy: &self.strategy,
            selection: &self.selection,
            salvaging: &self.salvaging,
            network: &self.network,
            memory_max: self.max_memory,
            goal: (self.seed || self.giving.has_goal()).then(|| self.giving.goal()),
            choking: self.giving.choking(),
        }
    }
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable, or a plugin, the port or the disk can't be had.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let route = args.download.route()?;
    let manifest = source::load_by(&route, args.source.as_deref(), &args.pieces, env)?.manifest;
    let folder = env.path(&args.pieces);
    let make = move |manifest: &Manifest, info: &Arc<Info>| {
        let store = PieceStore::make(&folder, Arc::clone(info))?;
        store.write_manifest(&manifest.to_bytes())?;
        Ok(Store::Pieces(store))
    };
    let path = args.pieces.display().to_string();
    let target = Target { kind: StoreKind::Pieces, path, make: Box::new(make) };
    download::run(globals, env, manifest, &args.download.choice(), target)
}
