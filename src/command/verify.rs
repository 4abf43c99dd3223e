//! `rtor verify [SOURCE|DIR]`: what is whole, what is damaged, and exactly where.

use super::globals::Globals;
use super::piece_map;
use super::source::{self, STORE_DEFAULT};
use crate::disk::check::{self, FileState, PieceState, Verdict};
use crate::disk::{PieceStore, Place};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::fetch::StoreKind;
use crate::manifest::verify as section;
use crate::table;
use crate::torrent::{Info, piece_list};
use indicatif::ProgressBar;
use std::cmp::Reverse;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
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
    /// A file that has another name now, or lies elsewhere: its path or number (from 0) in the torrent,
    /// and where it is, from the folder of --data on or absolute (repeatable)
    #[arg(long, value_name = "FILE=PATH", requires = "data")]
    map: Vec<OsString>,
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
    let bar = super::progress::checking(
        env.stderr_is_terminal() && !globals.quiet,
        info.layout.total_length(),
    );
    let verdict = match data {
        Some(data) => verify_data(&env.path(data), &info, &args.map, bar)?,
        None => {
            let store = store.or_else(|| earlier(StoreKind::Pieces)).unwrap_or(usual);
            verify_store(&env.path(store), &info, bar)?
        }
    };
    let verified = written(&info, &verdict);
    manifest.set("verify", &verified);
    super::print(env, globals.form(env), &manifest, |width| {
        show(width, &verified, &verdict.pieces)
    })?;
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

fn verify_store(path: &Path, info: &Arc<Info>, bar: ProgressBar) -> Result<Verdict, Error> {
    let store = PieceStore::open(path, Arc::clone(info))?;
    let progressed = |bytes| bar.inc(bytes);
    Ok(finished(check::check_pieces(&store, &progressed, &AtomicBool::new(false)), &bar))
}

fn verify_data(
    path: &Path,
    info: &Arc<Info>,
    map: &[OsString],
    bar: ProgressBar,
) -> Result<Verdict, Error> {
    let mut place = Place::find(path, Arc::clone(info))?;
    for (file, to) in mapped(map, info)? {
        place.move_file(file, &path.join(to));
    }
    let progressed = |bytes| bar.inc(bytes);
    Ok(finished(check::check_files(&place, &progressed, &AtomicBool::new(false)), &bar))
}

fn finished(verdict: Option<Verdict>, bar: &ProgressBar) -> Verdict {
    bar.finish_and_clear();
    verdict.expect("nobody cancels it")
}

/// What `--map` says: files of the torrent, and where they are.
fn mapped(map: &[OsString], info: &Info) -> Result<Vec<(usize, PathBuf)>, Error> {
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    for said in map {
        // A path may have a `=` in it: that counts whose left side is a file.
        let bytes = said.as_bytes();
        let splits = (0..bytes.len()).filter(|at| bytes[*at] == b'=');
        let mut halves = splits.map(|at| (&bytes[..at], OsStr::from_bytes(&bytes[at + 1..])));
        let meant = halves.find_map(|(name, to)| Some((file_called(name, info)?, to)));
        let shown = said.to_string_lossy();
        let (file, to) = meant.filter(|(_, to)| !to.is_empty()).ok_or_else(|| {
            Error::input(format!("`--map {shown}` names no file of this torrent and where it is"))
                .hint("it is like `films/a.mkv=other/b.mkv`; `rtor decode` lists the files")
        })?;
        if found.iter().any(|(other, _)| *other == file) {
            let path = &info.layout.files()[file].path;
            return Err(Error::input(format!("`--map {shown}` says of `{path}` a second time")));
        }
        found.push((file, to.into()));
    }
    Ok(found)
}

/// The file with this path in the torrent, with or without the torrent's name before it, or this number.
fn file_called(name: &[u8], info: &Info) -> Option<usize> {
    let name = std::str::from_utf8(name).ok()?;
    let files = info.layout.files();
    let inner = |path: &str| Some(path.strip_prefix(&info.name)?.strip_prefix('/')? == name);
    let by_path = files.iter().position(|file| file.path.as_str() == name);
    let by_inner = || files.iter().position(|file| inner(file.path.as_str()) == Some(true));
    let by_number = || name.parse().ok().filter(|number| *number < files.len());
    by_path.or_else(by_inner).or_else(by_number).filter(|file| info.is_written(*file))
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

/// Bytes of a file that are to be mended: those that should not be there too.
fn to_mend(file: &section::File) -> u64 {
    file.bad_ranges.iter().map(|(from, to)| to - from).sum()
}

fn show(width: usize, verified: &section::Verify, pieces: &[PieceState]) -> String {
    let mut files: Vec<&section::File> = verified.files.iter().collect();
    // The worst first: what has most bytes to mend, and an empty file that is not there before whole ones.
    files.sort_by_key(|file| Reverse((to_mend(file), file.state != section::FileState::Ok)));
    let rows = files.iter().take(FILES_SHOWN_MAX).map(|file| {
        let state = format!("{:?}", file.state).to_lowercase();
        let (damaged, size) = (table::size(to_mend(file)), table::size(file.length));
        vec![state, damaged, size, file.path.clone()]
    });
    let mut text = table::list(width, &["state", "to mend", "size", "path"], &[1, 2], rows);
    if files.len() > FILES_SHOWN_MAX {
        text.push_str(&format!("and {} more: --json has all\n", files.len() - FILES_SHOWN_MAX));
    }
    let section::Verify { ok, bad, missing, of, .. } = verified;
    text.push('\n');
    text.push_str(&piece_map::drawn(pieces, width));
    text.push_str(&format!("\n{ok} of {of} pieces whole, {bad} bad, {missing} missing\n"));
    for (what, list) in [("bad", &verified.bad_pieces), ("missing", &verified.missing_pieces)] {
        if !list.is_empty() {
            text.push_str(&format!("{what} pieces: {list}\n"));
        }
    }
    text
}
