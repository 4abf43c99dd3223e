//! `rtor assemble [SOURCE]`: piece store to files.

use super::globals::Globals;
use super::selection::Selection;
use super::source::{self, STORE_DEFAULT};
use crate::disk::PieceStore;
use crate::disk::assemble::{Assembled, Assembly};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::assemble as section;
use crate::manifest::fetch::StoreKind;
use crate::table;
use crate::torrent::Info;
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
    let store = PieceStore::open(&env.path(pieces.unwrap_or(usual)), Arc::clone(&info))?;
    let assembly = Assembly {
        info: &info,
        source: &store,
        wanted: &wanted,
        fill: args.fill_missing,
        force: args.force,
    };
    let files = assembly.run(&env.path(&args.output), &|_| {}, &AtomicBool::new(false))?;
    let files = files.expect("nobody cancels it");
    let assembled = written(&info, &args.output, &files);
    manifest.set("assemble", &assembled);
    super::print(env, globals.form(env), &manifest, |width| show(width, &assembled))?;
    let whole = files.iter().all(|file| file.holes.is_empty());
    if !whole && args.fill_missing.is_none() {
        env.say("some files are incomplete and were not written: --fill-missing writes them");
    }
    Ok(if whole || args.fill_missing.is_some() { Exit::Done } else { Exit::No })
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
