//! `rtor get [SOURCE]`: everything in one, straight into the final files.

use super::download::{self, Target};
use super::fetch::Download;
use super::globals::Globals;
use super::source::{self, STORE_DEFAULT};
use crate::disk::{FileStore, Store};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::manifest::fetch::StoreKind;
use crate::torrent::Info;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Download straight into the final files.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, http(s) URL of one, magnet URI, info hash, or manifest
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
    let route = args.download.route()?;
    let manifest =
        source::load_by(&route, args.source.as_deref(), Path::new(STORE_DEFAULT), env)?.manifest;
    let (folder, force) = (env.path(&args.output), args.force);
    let make = move |_: &Manifest, info: &Arc<Info>| {
        if let Some(conflict) = &info.conflict {
            return Err(Error::input(conflict).hint("`rtor fetch` can keep its pieces"));
        }
        Ok(Store::Files(FileStore::make(&folder, Arc::clone(info), force)?))
    };
    let path = args.output.display().to_string();
    let target = Target { kind: StoreKind::Files, path, make: Box::new(make) };
    download::run(globals, env, manifest, &args.download.choice(), target)
}
