//! `rtor create`: a torrent of a file or a folder.
//!
//! The same content always makes the same bytes: no date unless asked for, and an order of files
//! that does not depend on the filesystem. What was made is parsed again before it is written, so
//! that nothing is made that this program would refuse, and what its linter warns of is said.

#![expect(clippy::disallowed_methods, reason = "an I/O room: `--date now` asks the clock")]

use super::globals::{Form, Globals};
use super::urls::{self, Tier};
use super::{progress, quantity};
use crate::disk::hash_tree::{self, Hashed, Hashing};
use crate::disk::named_file;
use crate::disk::tree::{self, Found};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::torrent::layout::{PIECE_COUNT_MAX, PIECE_LENGTH_MAX};
use crate::torrent::piece_length::{self, CHOSEN_MIN};
use crate::torrent::recipe::{self, Recipe, RecipeFile};
use crate::torrent::{Metainfo, Severity, Torrent, lint, padding};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Threads that may hash: more than any machine has cores.
const THREADS_MAX: u16 = 1024;

/// Arguments of `rtor create`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file or folder that the torrent is of
    pub path: PathBuf,
    /// Write the torrent to FILE, or `-` for stdout [default: NAME.torrent]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
    /// Hash and tell, but write no torrent
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,
    /// A tracker (repeatable); several with `,` between them share a tier
    #[arg(long, value_name = "URL,..", value_parser = urls::tier)]
    tracker: Vec<Tier>,
    /// A web seed (repeatable)
    #[arg(long, value_name = "URL", value_parser = urls::web_seed)]
    web_seed: Vec<String>,
    /// A node of the DHT to begin with (repeatable)
    #[arg(long, value_name = "HOST:PORT", value_parser = urls::node, conflicts_with = "private")]
    node: Vec<(String, u16)>,
    /// Only trackers may be asked for peers
    #[arg(long)]
    private: bool,
    /// Which info dictionary: v2 is not for every client, and a hybrid is both
    #[arg(long, value_enum, default_value_t = Format::V1)]
    format: Format,
    /// Bytes of a piece, a power of two: `256KiB` [default: what suits the content]
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    piece_length: Option<u64>,
    /// Let each file begin a piece, with padding files between them; a hybrid has that anyway
    #[arg(long)]
    pad: bool,
    /// What the torrent is called [default: as the file or folder]
    #[arg(long, value_name = "NAME")]
    name: Option<OsString>,
    /// A comment
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Make it another torrent than the same content has elsewhere
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Note when it was made: `now`, seconds since 1970, or like `2026-11-23T12:00:00Z`
    #[arg(long, value_name = "WHEN", value_parser = date)]
    date: Option<i64>,
    /// Do not note which program made it
    #[arg(long)]
    no_created_by: bool,
    /// Only files that match, by name or by path, or lie below folders that do (repeatable)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Nothing that matches, nor what lies below folders that do (repeatable): `.*` are hidden files
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Hash on so many threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(THREADS_MAX)))]
    threads: Option<u16>,
}

/// Which info dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One list of pieces, SHA-1 (BEP 3)
    V1,
    /// A tree for each file, SHA-256 (BEP 52)
    V2,
    /// Both in one torrent
    Hybrid,
}

impl From<Format> for recipe::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::V1 => Self::V1,
            Format::V2 => Self::V2,
            Format::Hybrid => Self::Hybrid,
        }
    }
}

/// Where the torrent goes.
enum Output {
    Stdout,
    File(PathBuf),
    Nowhere,
}

/// Runs it. Prints the manifest of the new torrent, or the torrent itself with `-o -`.
///
/// # Errors
/// If there is nothing to make a torrent of, or a file can't be read or written.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let root = env.path(&args.path);
    let name = args.name(&root)?;
    let output = args.output(&name, env)?;
    let files = args.files(&root, &output)?;
    args.check_folder(&files, &name)?;
    let total = files.iter().map(|file| file.length).fold(0, u64::saturating_add);
    let piece_length = args.checked_piece_length(&files, total)?;
    let padding = args.padding(&files, piece_length);
    let format = recipe::Format::from(args.format);
    let bar = progress::hashing(env.stderr_is_terminal() && !globals.quiet, total);
    let hashing = Hashing {
        files: &files,
        padding: &padding,
        piece_length,
        pieces: format.has_v1(),
        trees: format.has_v2(),
    };
    let hashed = hash_tree::hash(hashing, args.threads.map(usize::from), &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let bytes = args.recipe(name, hashing, hashed?).encode();
    let torrent = Metainfo::parse(bytes.clone().into())
        .map_err(|why| Error::input(format!("`{}`: {}", args.path.display(), why.sentence)))?
        .torrent;
    warn(&torrent, globals, env);
    let written = match output {
        Output::Stdout => {
            env.write(&bytes)?;
            return Ok(Exit::Done);
        }
        Output::File(path) => {
            named_file::replace(&path, &bytes)?;
            path.display().to_string()
        }
        Output::Nowhere => "nothing".to_owned(),
    };
    let (manifest, form) = (Manifest::of(torrent), globals.form(env));
    if form == Form::Json || !globals.quiet {
        super::print(env, form, &manifest, |width| {
            let described = super::decode::described(manifest.torrent(), width);
            crate::table::facts(width, [("written", written)]) + &described
        })?;
    }
    Ok(Exit::Done)
}

/// Says what some clients or users will have trouble with.
fn warn(torrent: &Torrent, globals: &Globals, env: &mut Env) {
    let findings = lint::findings(torrent);
    let grave = findings.iter().filter(|finding| finding.severity >= Severity::Warning);
    for finding in grave.filter(|_| !globals.quiet) {
        env.say(&format!("warning: {}", finding.message));
    }
}

impl Args {
    /// What the torrent is called.
    fn name(&self, root: &Path) -> Result<Vec<u8>, Error> {
        let Some(name) = &self.name else { return name_of(root) };
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
            let sentence = format!("`--name {}` is no name of a file", name.display());
            return Err(Error::input(sentence));
        }
        Ok(bytes.to_vec())
    }

    /// Where the torrent goes. Nothing is replaced unless the user says so; an empty file, such as
    /// `mktemp` makes, is nothing, and what is no file (`/dev/stdout`) is written to.
    fn output(&self, name: &[u8], env: &Env) -> Result<Output, Error> {
        let path = match &self.output {
            _ if self.dry_run => return Ok(Output::Nowhere),
            Some(path) if path == Path::new("-") => return Ok(Output::Stdout),
            Some(path) => env.path(path),
            None => env.path(OsStr::from_bytes(&[name, b".torrent"].concat())),
        };
        if path.is_dir() {
            return Err(Error::input(format!("`{}` is a folder", path.display())));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Error::input(format!("there is no folder `{}`", folder.display())));
        }
        if !self.force && named_file::has_content(&path) {
            let sentence = format!("`{}` exists already", path.display());
            return Err(Error::input(sentence).hint("--force replaces it"));
        }
        Ok(Output::File(path))
    }

    /// The files in their order.
    fn files(&self, root: &Path, output: &Output) -> Result<Vec<Found>, Error> {
        let include = patterns("--include", &self.include)?;
        let exclude = patterns("--exclude", &self.exclude)?;
        // A torrent that an earlier run wrote into the folder is not a part of the content.
        let is_own = |found: &Found| match output {
            Output::File(path) => !found.components.is_empty() && found.is_at(path),
            Output::Stdout | Output::Nowhere => false,
        };
        let left_out = |path: &[Vec<u8>]| matches(&exclude, &names(path), path.len());
        let wanted = |found: &Found| {
            let names = match &found.components[..] {
                [] => found.path.file_name().map(OsStr::to_string_lossy).into_iter().collect(),
                path => names(path),
            };
            let is_meant = include.is_empty() || matches(&include, &names, 1);
            is_meant && !matches(&exclude, &names, names.len()) && !is_own(found)
        };
        let mut files = tree::list(root, &left_out, &wanted)?;
        if files.iter().all(|file| file.length == 0) {
            let sentence = format!("`{}` has no content to make a torrent of", self.path.display());
            return Err(Error::input(sentence));
        }
        let format = recipe::Format::from(self.format);
        files.sort_by(|a, b| format.compare(&a.components, &b.components));
        Ok(files)
    }

    /// In v2 alone nothing tells a file from a folder of its name with nothing else in it (BEP 52).
    fn check_folder(&self, files: &[Found], name: &[u8]) -> Result<(), Error> {
        match files {
            [one] if self.format == Format::V2 && one.components[..] == [name] => {
                let name = String::from_utf8_lossy(name);
                let sentence = format!("v2 can't tell `{name}/{name}`, all there is, from a file");
                Err(Error::input(sentence)
                    .hint("name the file, or choose another --name or format"))
            }
            _ => Ok(()),
        }
    }

    fn checked_piece_length(&self, files: &[Found], total: u64) -> Result<u32, Error> {
        let length = match self.piece_length {
            None => piece_length::suited(total),
            Some(asked) => u32::try_from(asked)
                .ok()
                .filter(|length| (CHOSEN_MIN..=PIECE_LENGTH_MAX).contains(length))
                .filter(|length| length.is_power_of_two())
                .ok_or_else(|| {
                    let sentence = format!("a piece of `{asked}` bytes is no power of two");
                    Error::input(format!("{sentence} from {CHOSEN_MIN} to {PIECE_LENGTH_MAX}"))
                        .hint("16KiB, 1MiB: with the `i`, as 16K is 16,000")
                })?,
        };
        let pieces = match self.is_aligned() {
            false => total.div_ceil(u64::from(length)),
            true => files.iter().map(|file| file.length.div_ceil(u64::from(length))).sum(),
        };
        if pieces > u64::from(PIECE_COUNT_MAX) {
            let sentence = format!("pieces of `{length}` bytes are more than {PIECE_COUNT_MAX}");
            return Err(Error::input(sentence));
        }
        Ok(length)
    }

    /// Whether each file begins a piece.
    const fn is_aligned(&self) -> bool {
        self.pad || !matches!(self.format, Format::V1)
    }

    fn padding(&self, files: &[Found], piece_length: u32) -> Vec<u64> {
        let lengths: Vec<u64> = files.iter().map(|file| file.length).collect();
        match self.is_aligned() {
            true => padding::behind(&lengths, piece_length),
            false => vec![0; files.len()],
        }
    }

    fn recipe(&self, name: Vec<u8>, hashing: Hashing<'_>, hashed: Hashed) -> Recipe {
        let mut trees = hashed.trees.into_iter();
        let file = |(found, padding): (&Found, &u64)| RecipeFile {
            components: found.components.clone(),
            length: found.length,
            executable: found.executable,
            padding: *padding,
            root: trees.next().flatten(),
        };
        Recipe {
            format: self.format.into(),
            name,
            files: hashing.files.iter().zip(hashing.padding).map(file).collect(),
            piece_length: hashing.piece_length,
            pieces: hashed.pieces,
            private: self.private,
            source: self.source.clone(),
            trackers: self.tracker.iter().map(|Tier(urls)| urls.clone()).collect(),
            web_seeds: self.web_seed.clone(),
            nodes: self.node.clone(),
            comment: self.comment.clone(),
            created_by: (!self.no_created_by)
                .then(|| concat!("rtor/", env!("CARGO_PKG_VERSION")).to_owned()),
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

/// The components as patterns see them.
fn names(path: &[Vec<u8>]) -> Vec<Cow<'_, str>> {
    path.iter().map(|name| String::from_utf8_lossy(name)).collect()
}

/// Whether a pattern matches a file or a folder that it lies in, by name or by path; of the
/// components, only from the one of this `depth` on.
fn matches(patterns: &[glob::Pattern], names: &[Cow<'_, str>], depth: usize) -> bool {
    !patterns.is_empty()
        && (depth..=names.len()).any(|depth| {
            let path = names[..depth].join("/");
            let name = names[..depth].last().map_or("", |name| name);
            patterns.iter().any(|pattern| pattern.matches(name) || pattern.matches(&path))
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
