//! `rtor verify [SOURCE|DIR]`: what is whole, what is damaged, and exactly where.

use super::globals::Globals;
use super::source::{self, STORE_DEFAULT};
use crate::disk::check::{self, FileState, PieceState, Verdict};
use crate::disk::{PieceStore, Place};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::fetch::StoreKind;
use crate::manifest::verify as section;
use crate::table;
use crate::torrent::{Info, piece_list};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Files that the table shows; JSON has all.
const FILES_SHOWN_MAX: usize = 50;

/// Hash a piece store or finished data, and say what is damaged or missing.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent or manifest; or a piece store (a folder)
    #[arg(value_name = "SOURCE|DIR")]
    source: Option<OsString>,
    /// The piece store
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pieces: Option<PathBuf>,
    /// Finished data: the file or folder itself, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable, or the data not where it is said to be.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let (source, store) = args.meant(env);
    let usual = store.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    let mut manifest = source::load(source.as_deref(), &usual, env)?.manifest;
    let info = super::resolved(manifest.torrent())?;
    let earlier = |kind| source::fetched_to(&manifest, kind);
    let data = args.data.clone().or_else(|| earlier(StoreKind::Files).filter(|_| store.is_none()));
    let verdict = match data {
        Some(data) => verify_data(&env.path(data), &info)?,
        None => {
            let store = store.or_else(|| earlier(StoreKind::Pieces)).unwrap_or(usual);
            verify_store(&env.path(store), &info)?
        }
    };
    let verified = written(&info, &verdict);
    manifest.set("verify", &verified);
    super::print(env, globals.form(env), &manifest, |width| show(width, &verified))?;
    Ok(if verdict.is_whole() { Exit::Done } else { Exit::No })
}

impl Args {
    /// `rtor verify pieces/` means the store; otherwise SOURCE is as for every verb.
    fn meant(&self, env: &Env) -> (Option<OsString>, Option<PathBuf>) {
        match &self.source {
            Some(named) if env.path(named).is_dir() && self.data.is_none() => {
                (Some(Path::new(named).join("manifest.json").into()), Some(PathBuf::from(named)))
            }
            named => (named.clone(), self.pieces.clone()),
        }
    }
}

fn verify_store(path: &Path, info: &Arc<Info>) -> Result<Verdict, Error> {
    let store = PieceStore::open(path, Arc::clone(info))?;
    Ok(finished(check::check_pieces(&store, &|_| {}, &AtomicBool::new(false))))
}

fn verify_data(path: &Path, info: &Arc<Info>) -> Result<Verdict, Error> {
    let place = Place::find(path, Arc::clone(info))?;
    Ok(finished(check::check_files(&place, &|_| {}, &AtomicBool::new(false))))
}

fn finished(verdict: Option<Verdict>) -> Verdict {
    verdict.expect("nobody cancels it")
}

fn written(info: &Info, verdict: &Verdict) -> section::Verify {
    let of = verdict.pieces.len();
    let (bad, missing) =
        (verdict.pieces_in(PieceState::Bad), verdict.pieces_in(PieceState::Missing));
    let files = info.layout.files().iter().zip(&verdict.files).filter(|(file, _)| !file.pad);
    section::Verify {
        ok: of - bad.count() - missing.count(),
        bad: bad.count(),
        missing: missing.count(),
        of,
        bad_pieces: piece_list::format(&bad),
        missing_pieces: piece_list::format(&missing),
        files: files
            .map(|(file, found)| section::File {
                path: file.path.to_string(),
                ok_bytes: found.ok_bytes,
                length: file.length,
                state: match found.state {
                    FileState::Ok => section::FileState::Ok,
                    FileState::Bad => section::FileState::Bad,
                    FileState::Missing => section::FileState::Missing,
                    FileState::Partial => section::FileState::Partial,
                },
                bad_ranges: found.bad_ranges.clone(),
            })
            .collect(),
    }
}

fn show(width: usize, verified: &section::Verify) -> String {
    let mut files: Vec<&section::File> = verified.files.iter().collect();
    // The worst first: what has most bytes to mend.
    files.sort_by_key(|file| std::cmp::Reverse(file.length - file.ok_bytes.min(file.length)));
    let rows = files.iter().take(FILES_SHOWN_MAX).map(|file| {
        let state = format!("{:?}", file.state).to_lowercase();
        let damaged: u64 = file.bad_ranges.iter().map(|(from, to)| to - from).sum();
        let (damaged, size) = (table::size(damaged), table::size(file.length));
        vec![state, damaged, size, file.path.clone()]
    });
    let mut text = table::list(width, &["state", "to mend", "size", "path"], &[1, 2], rows);
    if files.len() > FILES_SHOWN_MAX {
        text.push_str(&format!("and {} more: --json has all\n", files.len() - FILES_SHOWN_MAX));
    }
    let section::Verify { ok, bad, missing, of, .. } = verified;
    text.push_str(&format!("\n{ok} of {of} pieces whole, {bad} bad, {missing} missing\n"));
    for (what, list) in [("bad", &verified.bad_pieces), ("missing", &verified.missing_pieces)] {
        if !list.is_empty() {
            text.push_str(&format!("{what} pieces: {list}\n"));
        }
    }
    text
}
