//! `rtor assemble [SOURCE]`: piece store to files.

use super::globals::Globals;
use super::salvaging::{Rescue, Salvaging};
use super::selection::Selection;
use super::source::{self, STORE_DEFAULT};
use crate::disk::assemble::{Assembled, Assembly};
use crate::disk::check::{PieceState, piece_states};
use crate::disk::salvage::Salvaged;
use crate::disk::{DiskError, Layered, PieceNames, PieceSource, PieceStore, named_file};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::assemble as section;
use crate::manifest::fetch::StoreKind;
use crate::table;
use crate::torrent::{Bitfield, Info};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Files that the table shows; JSON has all.
const FILES_SHOWN_MAX: usize = 100;

/// Write the files of a torrent from a piece store.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent or manifest
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
    /// The piece store
    #[arg(long, value_name = "DIR")]
    pieces: Option<PathBuf>,
    /// What the store's files are called, where `rtor fetch` did not write them: `{index}` is the
    /// piece, from 0 (repeatable; `piece_{index}.bin` and `{index}.piece` are known)
    #[arg(long, value_name = "PATTERN")]
    pattern: Vec<String>,
    /// Where else the data may lie.
    #[command(flatten)]
    salvaging: Salvaging,
    /// Where the files go
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Write incomplete files too, holes filled with zeros or with BYTE (0 to 255)
    #[arg(long, value_name = "zero|BYTE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "zero", value_parser = filler)]
    fill_missing: Option<u8>,
    /// Only these files: numbers from 0, or patterns like `*.mkv` (`,` between several)
    #[arg(long, value_name = "GLOB|INDEX,..", value_delimiter = ',')]
    files: Vec<String>,
    /// Write the manifest there too, with every range that was filled
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace files of other content
    #[arg(long)]
    force: bool,
}

fn filler(text: &str) -> Result<u8, String> {
    let number =
        text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u8::from_str_radix(hex, 16));
    match text {
        "zero" => Ok(0),
        _ => number.map_err(|_| format!("`{text}` is neither `zero` nor a byte, 0 to 255")),
    }
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable, there is no store, or a file can't be written.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let usual = args.pieces.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    let mut manifest = source::load(args.source.as_deref(), &usual, env)?.manifest;
    let pieces = args.pieces.clone().or_else(|| source::fetched_to(&manifest, StoreKind::Pieces));
    let info = super::resolved(manifest.torrent())?;
    let selection = Selection::of_files(args.files.clone());
    let wanted = selection.wanted_files(&info.layout)?;
    let store = args.store(&env.path(pieces.unwrap_or(usual)), &info)?;
    let salvaging = args.salvaging.resolved(env);
    let pieces = Pieces::find(store.as_ref(), &salvaging, &info, &wanted)?;
    if let Some(warning) = pieces.rescue.warning() {
        env.say(&warning);
    }
    let files = args.assembled(&env.path(&args.output), &info, &wanted, store.as_ref(), &pieces)?;
    let mut assembled = written(&info, &args.output, &files);
    assembled.from = pieces.rescue.origins();
    manifest.set("assemble", &assembled);
    if let Some(report) = &args.report {
        named_file::replace(&env.path(report), &manifest.to_bytes())?;
    }
    super::print(env, globals.form(env), &manifest, |width| show(width, &assembled))?;
    let whole = files.iter().all(|file| file.holes.is_empty());
    if !whole && args.fill_missing.is_none() {
        env.say("some files are incomplete and were not written: --fill-missing writes them");
    }
    Ok(if whole || args.fill_missing.is_some() { Exit::Done } else { Exit::No })
}

impl Args {
    /// The piece store. There need be none where there are other places, unless it was named.
    fn store(&self, folder: &Path, info: &Arc<Info>) -> Result<Option<PieceStore>, Error> {
        let names = PieceNames::of(self.pattern.iter().map(String::as_str))?;
        match PieceStore::open_by(folder, Arc::clone(info), &names) {
            Err(DiskError::Absent(_)) if self.salvaging.is_meant() && self.pieces.is_none() => {
                Ok(None)
            }
            opened => Ok(Some(opened?)),
        }
    }

    fn assembled(
        &self,
        output: &Path,
        info: &Arc<Info>,
        wanted: &[bool],
        store: Option<&PieceStore>,
        pieces: &Pieces,
    ) -> Result<Vec<Assembled>, Error> {
        let none = Salvaged::none(info);
        let then = pieces.rescue.found().unwrap_or(&none);
        let first: &dyn PieceSource = store.map_or(then, |store| store);
        let layered = Layered { first, has: &pieces.has, then };
        // Without other places nothing was hashed, and so nothing is known of the store.
        let source: &dyn PieceSource =
            if pieces.rescue.found().is_some() { &layered } else { first };
        let (fill, force) = (self.fill_missing, self.force);
        let assembly = Assembly { info, source, wanted, fill, force };
        let files = assembly.run(output, &|_| {}, &AtomicBool::new(false))?;
        Ok(files.expect("nobody cancels it"))
    }
}

/// Where pieces are, if there are other places than the store.
struct Pieces {
    /// Those that the store has for sure.
    has: Bitfield,
    rescue: Rescue,
}

impl Pieces {
    /// Looks for what `wanted` files lack in the store.
    fn find(
        store: Option<&PieceStore>,
        salvaging: &Salvaging,
        info: &Arc<Info>,
        wanted: &[bool],
    ) -> Result<Self, Error> {
        let never = AtomicBool::new(false);
        let mut has = Bitfield::new(info.layout.piece_count());
        let mut missing = has.clone();
        if salvaging.is_meant() {
            for file in (0..wanted.len()).filter(|file| wanted[*file]) {
                info.layout.pieces_of(file).for_each(|piece| {
                    missing.insert(piece as usize);
                });
            }
            let states = store.and_then(|store| piece_states(store, info, &|_| {}, &never));
            let states = states.into_iter().flatten().enumerate();
            for (piece, _) in states.filter(|(_, state)| *state == PieceState::Ok) {
                has.insert(piece);
                missing.remove(piece);
            }
        }
        let rescue = salvaging.look(info, &missing, &never)?.expect("nobody cancels it");
        Ok(Self { has, rescue })
    }
}

fn written(info: &Info, output: &Path, files: &[Assembled]) -> section::Assemble {
    let length = |file: &Assembled| info.layout.files()[file.file].length;
    let holes: u64 =
        files.iter().flat_map(|file| &file.holes).map(|hole| hole.end - hole.start).sum();
    let bytes: u64 = files.iter().map(length).sum();
    let percent = if bytes == 0 { 100.0 } else { (bytes - holes) as f64 * 100.0 / bytes as f64 };
    let file = |file: &Assembled| section::File {
        path: info.layout.files()[file.file].path.to_string(),
        length: length(file),
        state: match (file.holes.is_empty(), file.written) {
            (true, _) => section::FileState::Complete,
            (false, true) => section::FileState::Filled,
            (false, false) => section::FileState::Skipped,
        },
        filled_ranges: match file.written {
            true => file.holes.iter().map(|hole| (hole.start, hole.end)).collect(),
            false => Vec::new(),
        },
    };
    section::Assemble {
        path: output.display().to_string(),
        files: files.iter().map(file).collect(),
        percent,
        from: Vec::new(),
    }
}

fn show(width: usize, assembled: &section::Assemble) -> String {
    let rows = assembled.files.iter().take(FILES_SHOWN_MAX).map(|file| {
        let state = format!("{:?}", file.state).to_lowercase();
        vec![state, table::size(file.length), file.path.clone()]
    });
    let mut text = table::list(width, &["state", "size", "path"], &[1], rows);
    let more = assembled.files.len().saturating_sub(FILES_SHOWN_MAX);
    if more > 0 {
        text.push_str(&format!("and {more} more: --json has all\n"));
    }
    text.push_str(&format!("\n{:.1} % in `{}`\n", assembled.percent, assembled.path));
    text
}
