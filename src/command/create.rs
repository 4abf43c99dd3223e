//! `rtor create`: a torrent of a file or a folder.
//!
//! The same content always makes the same bytes: no date unless asked for, and an order of files
//! that does not depend on the filesystem. What was made is parsed again before it is written, so
//! that nothing is made that this program would refuse.

#![expect(clippy::disallowed_methods, reason = "an I/O room: `--date now` asks the clock")]

use super::globals::{Form, Globals};
use super::{progress, quantity};
use crate::disk::{hash_tree, named_file};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::torrent::layout::{PIECE_COUNT_MAX, PIECE_LENGTH_MAX};
use crate::torrent::piece_length::{self, CHOSEN_MIN};
use crate::torrent::recipe::{Recipe, RecipeFile};
use crate::torrent::{Metainfo, Torrent};
use hash_tree::Found;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Arguments of `rtor create`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file or folder that the torrent is of
    pub path: PathBuf,
    /// Write the torrent to FILE, or `-` for stdout [default: NAME.torrent, if there is none yet]
    #[arg(short, long, value_name = "FILE|-")]
    pub output: Option<PathBuf>,
    /// A tracker (repeatable); several with `,` between them share a tier
    #[arg(long, value_name = "URL")]
    pub tracker: Vec<String>,
    /// Bytes of a piece, a power of two: `256KiB` [default: what suits the content]
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub piece_length: Option<u64>,
    /// Only trackers may be asked for peers
    #[arg(long)]
    pub private: bool,
    /// A comment
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Make it another torrent than the same content has elsewhere
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// A web seed (repeatable)
    #[arg(long, value_name = "URL")]
    pub web_seed: Vec<String>,
    /// Only files that match, by name or by path (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No files that match, nor what lies below folders that do (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Note when it was made: `now`, seconds since 1970, or like `2026-11-23T12:00:00Z`
    #[arg(long, value_name = "WHEN", value_parser = date)]
    pub date: Option<i64>,
}

/// Runs it. Prints the manifest of the new torrent, or the torrent itself with `-o -`.
///
/// # Errors
/// If there is nothing to make a torrent of, or a file can't be read or written.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let root = env.path(&args.path);
    let name = name_of(&root)?;
    let output = args.output(&name, env)?;
    let files = args.files(&root, output.as_deref())?;
    let total = files.iter().map(|file| file.length).fold(0, u64::saturating_add);
    let piece_length = args.checked_piece_length(total)?;
    let bar = progress::hashing(env.stderr_is_terminal() && !globals.quiet, total);
    let pieces = hash_tree::hash(&files, piece_length, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let bytes = args.recipe(name, &files, piece_length, pieces?).encode();
    let torrent = Metainfo::parse(bytes.clone().into())
        .map_err(|why| Error::input(format!("`{}`: {}", args.path.display(), why.sentence)))?
        .torrent;
    match output {
        None => env.write(&bytes)?,
        Some(path) => {
            named_file::replace(&path, &bytes)?;
            report(torrent, &path, globals.form(env), env)?;
        }
    }
    Ok(Exit::Done)
}

fn report(torrent: Torrent, path: &Path, form: Form, env: &mut Env) -> Result<(), Error> {
    let manifest = Manifest::of(torrent);
    super::print(env, form, &manifest, |width| {
        let described = super::decode::described(manifest.torrent(), width);
        crate::table::facts(width, [("written", path.display().to_string())]) + &described
    })
}

impl Args {
    /// Where the torrent goes; `None` is stdout. Without `-o` nothing is overwritten.
    fn output(&self, name: &[u8], env: &Env) -> Result<Option<PathBuf>, Error> {
        match &self.output {
            Some(path) if path == Path::new("-") => Ok(None),
            Some(path) => Ok(Some(env.path(path))),
            None => {
                let path = env.path(OsStr::from_bytes(&[name, b".torrent"].concat()));
                if path.exists() {
                    let sentence = format!("`{}` exists already", path.display());
                    return Err(Error::input(sentence).hint("-o FILE overwrites"));
                }
                Ok(Some(path))
            }
        }
    }

    fn files(&self, root: &Path, output: Option<&Path>) -> Result<Vec<Found>, Error> {
        let include = patterns("--include", &self.include)?;
        let exclude = patterns("--exclude", &self.exclude)?;
        // A torrent that an earlier run wrote into the folder is not a part of the content.
        let output = output.and_then(|path| path.canonicalize().ok());
        let wanted = |found: &Found| {
            let is_below = !found.components.is_empty();
            let is_own = is_below && output.is_some() && found.path.canonicalize().ok() == output;
            let is_meant = include.is_empty() || matches(&include, found);
            is_meant && !matches(&exclude, found) && !is_own
        };
        let files = hash_tree::list(root, &wanted)?;
        if files.iter().all(|file| file.length == 0) {
            let sentence = format!("`{}` has no content to make a torrent of", self.path.display());
            return Err(Error::input(sentence));
        }
        Ok(files)
    }

    fn checked_piece_length(&self, total: u64) -> Result<u32, Error> {
        let Some(asked) = self.piece_length else { return Ok(piece_length::suited(total)) };
        let length = u32::try_from(asked)
            .ok()
            .filter(|length| (CHOSEN_MIN..=PIECE_LENGTH_MAX).contains(length))
            .filter(|length| length.is_power_of_two())
            .ok_or_else(|| {
                let sentence = format!("a piece of `{asked}` bytes is no power of two");
                Error::input(format!("{sentence} from {CHOSEN_MIN} to {PIECE_LENGTH_MAX}"))
                    .hint("16KiB, 1MiB: with the `i`, as 16K is 16,000")
            })?;
        if total.div_ceil(u64::from(length)) > u64::from(PIECE_COUNT_MAX) {
            let sentence = format!("pieces of `{length}` bytes are more than {PIECE_COUNT_MAX}");
            return Err(Error::input(sentence));
        }
        Ok(length)
    }

    fn recipe(
        &self,
        name: Vec<u8>,
        files: &[Found],
        piece_length: u32,
        pieces: Vec<[u8; 20]>,
    ) -> Recipe {
        let tier = |text: &String| -> Vec<String> {
            text.split(',')
                .map(str::trim)
                .filter(|url| !url.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let file = |found: &Found| RecipeFile {
            components: found.components.clone(),
            length: found.length,
            executable: found.executable,
        };
        Recipe {
            name,
            files: files.iter().map(file).collect(),
            piece_length,
            pieces,
            private: self.private,
            source: self.source.clone(),
            trackers: self.tracker.iter().map(tier).filter(|tier| !tier.is_empty()).collect(),
            web_seeds: self.web_seed.clone(),
            comment: self.comment.clone(),
            created_by: Some(concat!("rtor/", env!("CARGO_PKG_VERSION")).to_owned()),
            creation_date: self.date,
        }
    }
}

/// The last component of `root`, also if that is `.` or `..`.
fn name_of(root: &Path) -> Result<Vec<u8>, Error> {
    let real = || root.canonicalize().ok();
    let plain = root.components().next_back();
    let name = match plain {
        Some(std::path::Component::Normal(name)) => Some(name.to_owned()),
        _ => real().and_then(|real| real.file_name().map(OsStr::to_owned)),
    };
    name.map(|name| name.as_bytes().to_vec())
        .ok_or_else(|| Error::input(format!("`{}` has no name for a torrent", root.display())))
}

fn patterns(option: &str, globs: &[String]) -> Result<Vec<glob::Pattern>, Error> {
    let pattern = |text: &String| {
        glob::Pattern::new(text)
            .map_err(|why| Error::input(format!("`{option} {text}` is no pattern: {}", why.msg)))
    };
    globs.iter().map(pattern).collect()
}

/// Whether a pattern matches the file or a folder that it lies in, by name or by path.
fn matches(patterns: &[glob::Pattern], found: &Found) -> bool {
    let names: Vec<_> = match &found.components[..] {
        [] => found.path.file_name().map(OsStr::to_string_lossy).into_iter().collect(),
        names => names.iter().map(|name| String::from_utf8_lossy(name)).collect(),
    };
    let paths: Vec<String> = (1..=names.len()).map(|depth| names[..depth].join("/")).collect();
    patterns.iter().any(|pattern| {
        names.iter().any(|name| pattern.matches(name)) || paths.iter().any(|p| pattern.matches(p))
    })
}

/// `--date`, in seconds since 1970.
fn date(text: &str) -> Result<i64, String> {
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|s| s.as_secs());
    let seconds = match text {
        "now" => since(SystemTime::now()),
        _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => humantime::parse_rfc3339_weak(text).ok().and_then(since),
    };
    seconds
        .and_then(|seconds| i64::try_from(seconds).ok())
        .ok_or_else(|| format!("`{text}` is no date like `now` or `2026-11-23T12:00:00Z`"))
}
