//! SOURCE: what a verb works on, however the user names it.
//!
//! A path of a `.torrent` or of a manifest, a magnet, an http(s) URL, a bare info hash, `-`; left
//! out: stdin if there is data on it, else the manifest of the piece store. A file's content
//! decides what it is, not its name.

use crate::disk::{DiskError, PieceStore, named_file};
use crate::env::{Env, Stdin};
use crate::error::Error;
use crate::manifest::fetch::{Fetch, StoreKind};
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::net::http::Http;
use crate::torrent::metainfo::METAINFO_BYTES_MAX;
use crate::torrent::{Finding, Metainfo, Torrent, magnet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The piece store that is meant if none is named.
pub(super) const STORE: &str = "pieces";

/// What SOURCE turned out to be.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The manifest: of this torrent alone, unless a manifest came in.
    pub(super) manifest: Manifest,
    /// What only the file shows: trailing data, odd keys around `info`.
    pub(super) findings: Vec<Finding>,
}

impl Source {
    fn of(torrent: Torrent) -> Self {
        Self { manifest: Manifest::of(torrent), findings: Vec::new() }
    }
}

/// Reads SOURCE; left out: stdin, or the manifest of the piece store at `store`.
///
/// # Errors
/// If there is none, or it is none of the kinds.
pub(super) fn read(env: &mut Env, source: Option<&OsStr>, store: &Path) -> Result<Source, Error> {
    match source {
        Some(dash) if dash == "-" => read_stdin(env),
        Some(named) => match named.to_str() {
            Some(text) => read_text(env, text),
            None => read_file(&env.path(named)),
        },
        None if env.stdin() == Stdin::Data => match env.read_stdin(MANIFEST_BYTES_MAX)? {
            // A program that was started without a terminal often has an empty pipe for stdin.
            nothing if nothing.is_empty() => read_store(&env.path(store)),
            bytes => recognise(bytes, "stdin"),
        },
        None => read_store(&env.path(store)),
    }
}

/// Where an earlier verb put the data, if it was a store of this kind.
#[must_use]
pub(super) fn fetched_to(manifest: &Manifest, kind: StoreKind) -> Option<PathBuf> {
    let fetch = manifest.section::<Fetch>("fetch").ok().flatten()?;
    (fetch.store == kind).then(|| PathBuf::from(fetch.path))
}

fn read_stdin(env: &mut Env) -> Result<Source, Error> {
    let bytes = env.read_stdin(MANIFEST_BYTES_MAX)?;
    recognise(bytes, "stdin")
}

fn read_text(env: &Env, text: &str) -> Result<Source, Error> {
    if text.starts_with("magnet:") {
        return magnet(text);
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return read_url(text);
    }
    let path = env.path(text);
    match Torrent::from_hex(text) {
        // A file of that name counts before an info hash.
        Some(torrent) => read_file(&path).or_else(|_| Ok(Source::of(torrent))),
        None => read_file(&path),
    }
}

fn read_file(path: &Path) -> Result<Source, Error> {
    match named_file::read(path, MANIFEST_BYTES_MAX) {
        Ok(bytes) => recognise(bytes, &path.display().to_string()),
        Err(DiskError::Absent(_)) => {
            Err(Error::input(format!("there is no file `{}`", path.display())))
        }
        Err(why) => Err(Error::input(why)),
    }
}

fn read_store(store: &Path) -> Result<Source, Error> {
    let nothing = || {
        Error::input(format!("no SOURCE, and no manifest in `{}`", store.display()))
            .hint("name a .torrent, a magnet or a manifest, or pipe one in")
    };
    match PieceStore::manifest(store) {
        Ok(Some(bytes)) => recognise(bytes, &store.join("manifest.json").display().to_string()),
        Ok(None) | Err(DiskError::Absent(_)) => Err(nothing()),
        Err(why) => Err(Error::world(why)),
    }
}

fn read_url(url: &str) -> Result<Source, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Error::world(format!("no network: {why}")))?;
    let failed = |why: &dyn std::fmt::Display| Error::world(format!("can't fetch `{url}`: {why}"));
    let http = Http::new().map_err(|why| failed(&why))?;
    match runtime.block_on(http.fetch(url, METAINFO_BYTES_MAX)) {
        Ok((200, body)) => recognise(body.into(), url),
        Ok((status, _)) => Err(failed(&format!("the server answers {status}"))),
        Err(why) => Err(failed(&why)),
    }
}

/// Tells by its first byte what it is.
fn recognise(bytes: Vec<u8>, name: &str) -> Result<Source, Error> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
    match first {
        None => Err(Error::input(format!("`{name}` is empty"))),
        Some(b'{') => Manifest::parse(&bytes)
            .map(|manifest| Source { manifest, findings: Vec::new() })
            .map_err(|why| Error::input(format!("`{name}`: {why}"))),
        Some(b'm') if bytes.trim_ascii().starts_with(b"magnet:") => {
            let text = std::str::from_utf8(bytes.trim_ascii())
                .map_err(|_| Error::input(format!("`{name}` is no magnet: it is not UTF-8")))?;
            magnet(text)
        }
        Some(_) => {
            let hash = std::str::from_utf8(bytes.trim_ascii()).ok().and_then(Torrent::from_hex);
            if let Some(torrent) = hash {
                return Ok(Source::of(torrent));
            }
            Metainfo::parse(bytes.into())
                .map(|Metainfo { torrent, findings }| Source {
                    manifest: Manifest::of(torrent),
                    findings,
                })
                .map_err(|why| Error::input(format!("`{name}` is no torrent: {why}")))
        }
    }
}

fn magnet(text: &str) -> Result<Source, Error> {
    magnet::parse(text).map(Source::of).map_err(Error::input)
}
