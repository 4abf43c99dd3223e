//! `rtor get [SOURCE]`: everything in one, straight into the final files.

use super::download::{self, Target};
use super::fetch::Download;
use super::globals::Globals;
use super::source::{self, STORE_DEFAULT};
use crate::disk::{FileStore, Store};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::fetch::StoreKind;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Download straight into the final files.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, http(s) URL of one, or manifest
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
    /// Where the files go
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Cut files that are longer than the torrent's
    #[arg(long)]
    force: bool,
    /// What both downloads have.
    #[command(flatten)]
    download: Download,
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable, or a plugin, the port or the disk can't be had.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let manifest = source::load(args.source.as_deref(), Path::new(STORE_DEFAULT), env)?.manifest;
    let info = super::downloadable(manifest.torrent())?;
    if let Some(conflict) = &info.conflict {
        return Err(Error::input(conflict).hint("`rtor fetch` can keep its pieces"));
    }
    let store = FileStore::make(&env.path(&args.output), Arc::clone(&info), args.force)?;
    let target = Target {
        store: Store::Files(store),
        kind: StoreKind::Files,
        path: args.output.display().to_string(),
    };
    download::run(globals, env, manifest, &info, &args.download.choice(), target)
}
