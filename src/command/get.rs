//! `rtor get [SOURCE]`: everything in one, straight into the final files.

use super::download::{self, Target};
use super::fetch::Download;
use super::source::{self, STORE};
use crate::cli::Globals;
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

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// If SOURCE is unusable, or a plugin, the port or the disk can't be had.
    pub fn run(self, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
        let manifest = source::read(env, self.source.as_deref(), Path::new(STORE))?.manifest;
        let info = super::downloadable(manifest.torrent())?;
        if let Some(conflict) = &info.conflict {
            return Err(Error::input(conflict).hint("`rtor fetch` can keep its pieces"));
        }
        let store = FileStore::make(&env.path(&self.output), Arc::clone(&info), self.force)?;
        let target = Target {
            store: Store::Files(store),
            kind: StoreKind::Files,
            path: self.output.display().to_string(),
        };
        download::run(globals, env, manifest, &info, &self.download.choice(), target)
    }
}
