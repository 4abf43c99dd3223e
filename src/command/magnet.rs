//! `rtor magnet`: the magnet URI of a torrent, on one line.

use super::globals::Globals;
use super::source::{self, STORE_DEFAULT};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::torrent::magnet;
use std::ffi::OsString;
use std::path::Path;

/// Arguments of `rtor magnet`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .torrent, magnet URI, http(s) URL, info hash, manifest, or `-` for stdin
    pub source: Option<OsString>,
}

/// Runs it. The line is the same for people and programs: it holds nothing but ASCII, with all
/// else as %XX.
///
/// # Errors
/// If SOURCE is unusable or can't be read.
pub fn run(args: &Args, _: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let loaded = source::load(args.source.as_deref(), Path::new(STORE_DEFAULT), env)?;
    let uri = magnet::format(loaded.manifest.torrent());
    env.write(format!("{uri}\n").as_bytes())?;
    Ok(Exit::Done)
}
