//! `rtor verify [SOURCE|DIR]`: what is whole, what is damaged, and exactly where.

use super::source::{self, STORE_DEFAULT};
use crate::cli::Globals;
use crate::disk::check::{self, FileState, PieceState, Work};
use crate::disk::{PieceSource, PieceStore, Place};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::fetch::StoreKind;
use crate::manifest::verify as section;
use crate::table;
use crate::torrent::{Bitfield, Info, piece_list};
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
    let states = match data {
        Some(data) => verify_data(&env.path(data), &info)?,
        None => {
            let store = store.or_else(|| earlier(StoreKind::Pieces)).unwrap_or(usual);
            verify_store(&env.path(store), &info)?
        }
    };
    let verified = written(&info, &states);
    manifest.set("verify", &verified);
    super::print(env, globals.form(env), &manifest, |width| show(width, &verified))?;
    let whole = verified.ok == verified.of && all_files_ok(&verified);
    Ok(if whole { Exit::Done } else { Exit::No })
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

/// What was verified, piece by piece and file by file.
struct Verified {
    pieces: Vec<PieceState>,
    files: Vec<check::FileReport>,
}

fn verify_store(path: &Path, info: &Arc<Info>) -> Result<Verified, Error> {
    let store = PieceStore::open(path, Arc::clone(info))?;
    let pieces = checked(&store, info);
    let files = check::files(info, &pieces, None);
    Ok(Verified { pieces, files })
}

fn verify_data(path: &Path, info: &Arc<Info>) -> Result<Verified, Error> {
    let place = Place::find(path, Arc::clone(info))?;
    let pieces = checked(&place, info);
    let files = check::files(info, &pieces, Some(&|file| place.length(file)));
    Ok(Verified { pieces, files })
}

fn checked(source: &dyn PieceSource, info: &Info) -> Vec<PieceState> {
    let work = Work { progressed: &|_| {}, stop: &AtomicBool::new(false) };
    check::check(source, info, &work)
}

fn written(info: &Info, verified: &Verified) -> section::Verify {
    let pieces = |wanted: PieceState| {
        let mut field = Bitfield::new(verified.pieces.len());
        let states = verified.pieces.iter().enumerate();
        states.filter(|(_, state)| **state == wanted).for_each(|(piece, _)| {
            field.insert(piece);
        });
        field
    };
    let (bad, missing) = (pieces(PieceState::Bad), pieces(PieceState::Missing));
    let files = info.layout.files().iter().zip(&verified.files).filter(|(file, _)| !file.pad);
    section::Verify {
        ok: verified.pieces.len() - bad.count() - missing.count(),
        bad: bad.count(),
        missing: missing.count(),
        of: verified.pieces.len(),
        bad_pieces: piece_list::format(&bad),
        missing_pieces: piece_list::format(&missing),
        files: files
            .map(|(file, report)| section::File {
                path: file.path.to_string(),
                ok_bytes: report.ok_bytes,
                length: file.length,
                state: match report.state {
                    FileState::Ok => section::FileState::Ok,
                    FileState::Bad => section::FileState::Bad,
                    FileState::Missing => section::FileState::Missing,
                    FileState::Partial => section::FileState::Partial,
                },
                bad_ranges: report.bad_ranges.iter().map(|r| (r.start, r.end)).collect(),
            })
            .collect(),
    }
}

fn all_files_ok(verified: &section::Verify) -> bool {
    verified.files.iter().all(|file| file.state == section::FileState::Ok)
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
