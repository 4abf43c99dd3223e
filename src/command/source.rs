//! SOURCE of the command line: where a verb's torrent comes from.
//!
//! An argument is, in this order: `-` (stdin), a magnet URI, an http(s) URL, an info hash, a path.
//! A file or stdin is told by its content, never by its name: `{` begins a manifest, `magnet:` a
//! magnet, 40 or 64 hexadecimal digits are an info hash, and anything else has to be a torrent. A
//! file whose name is an info hash is reached as `./NAME`; a folder is a store, so its
//! `manifest.json` is read.
//!
//! Without an argument it is stdin if that is a pipe or a file, and else the store's manifest. An
//! empty stdin is an error and not the store's manifest: in `rtor decode bad | rtor fetch` that
//! would go on with some other torrent.

#![expect(clippy::disallowed_types, reason = "an I/O room: SOURCE may be a file")]

use super::network::Route;
use crate::env::{Env, Stdin};
use crate::error::Error;
use crate::manifest::fetch::{Fetch, StoreKind};
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::net::LocalAddrs;
use crate::torrent::magnet::{self, MAGNET_SCHEME};
use crate::torrent::metainfo::METAINFO_BYTES_MAX;
use crate::torrent::{Finding, Metainfo, Torrent};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The store's folder if nobody says another.
pub const STORE_DEFAULT: &str = "pieces";
/// The manifest in a store's folder.
pub const STORE_MANIFEST: &str = "manifest.json";

/// Bytes by which content is told: a hash's digits and what may stand around them.
const HEAD_BYTES: u64 = 256;
/// Bytes of what begins neither as bencode nor as a manifest: a magnet or an info hash in a file. Whatever is
/// longer, as a disk image, need not be read to its end to be refused.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// What SOURCE named.
#[derive(Debug)]
pub struct Loaded {
    /// The manifest, or a new one of the torrent.
    pub manifest: Manifest,
    /// What is odd about the file, as far as only the file shows it.
    pub findings: Vec<Finding>,
}

/// Loads `source`; `store` is the folder of the store whose manifest is the last resort.
///
/// # Errors
/// If it is nothing that names a torrent (exit 2), or can't be read or fetched (exit 3).
pub fn load(source: Option<&OsStr>, store: &Path, env: &mut Env) -> Result<Loaded, Error> {
    load_by(&Route::default(), source, store, env)
}

/// The same, a URL by the way that the user named.
///
/// # Errors
/// As for [`load`].
pub(super) fn load_by(
    route: &Route,
    source: Option<&OsStr>,
    store: &Path,
    env: &mut Env,
) -> Result<Loaded, Error> {
    let Some(source) = source else {
        return match env.stdin() {
            Stdin::Data => stdin(env),
            Stdin::Terminal | Stdin::Nothing => of_store(store, env),
        };
    };
    match source.to_str() {
        Some("-") => stdin(env),
        Some(text) if is_magnet(text) => of_magnet(text, "the argument"),
        Some(text) if is_url(text) => of_url(text, route, env),
        Some(text) if let Some(torrent) = Torrent::from_hex(text) => Ok(of_torrent(torrent)),
        _ => of_path(Path::new(source), env),
    }
}

/// Where an earlier verb put the data, if it was a store of this kind.
#[must_use]
pub fn fetched_to(manifest: &Manifest, kind: StoreKind) -> Option<PathBuf> {
    let fetch = manifest.section::<Fetch>("fetch").ok().flatten()?;
    (fetch.store == kind).then(|| PathBuf::from(fetch.path))
}

fn stdin(env: &mut Env) -> Result<Loaded, Error> {
    let why = |why| Error::world(format!("stdin can't be read: {why}"));
    let bytes = read(env.stdin_reader()).map_err(why)?;
    if bytes.trim_ascii().is_empty() {
        return Err(Error::input("stdin is empty: no torrent, magnet or manifest")
            .hint("if a verb before this one failed, it said why; else name a SOURCE"));
    }
    of_bytes(bytes, "stdin")
}

fn of_store(store: &Path, env: &Env) -> Result<Loaded, Error> {
    let path = store.join(STORE_MANIFEST);
    if !env.path(&path).is_file() {
        let sentence = format!("no SOURCE, and no manifest at `{}`", path.display());
        return Err(Error::input(sentence).hint(
            "name a .torrent, a magnet, a URL, an info hash or a manifest, or `-` for stdin",
        ));
    }
    of_path(&path, env)
}

fn of_path(path: &Path, env: &Env) -> Result<Loaded, Error> {
    let full = env.path(path);
    let (full, shown) = match full.is_dir() {
        true => (full.join(STORE_MANIFEST), path.join(STORE_MANIFEST)),
        false => (full, path.to_owned()),
    };
    let shown = shown.display();
    let file = std::fs::File::open(&full).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => Error::input(format!("no file `{shown}`")),
        _ => Error::world(format!("`{shown}` can't be read: {why}")),
    })?;
    let bytes =
        read(file).map_err(|why| Error::world(format!("`{shown}` can't be read: {why}")))?;
    of_bytes(bytes, &format!("`{shown}`"))
}

/// Reads no more than one byte beyond what the kind of content may have.
fn read(mut from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes)?;
    let limit = match bytes.first() {
        _ if is_json(&bytes) => MANIFEST_BYTES_MAX,
        Some(b'd' | b'l') => METAINFO_BYTES_MAX as u64,
        _ => TEXT_BYTES_MAX,
    };
    from.take((limit + 1).saturating_sub(HEAD_BYTES)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `name` is what messages call the place the bytes are from.
fn of_bytes(bytes: Vec<u8>, name: &str) -> Result<Loaded, Error> {
    if is_json(&bytes) {
        let manifest = Manifest::parse(without_mark(&bytes))
            .map_err(|why| Error::input(format!("{name}: {why}")))?;
        return Ok(Loaded { manifest, findings: Vec::new() });
    }
    if let Ok(text) = std::str::from_utf8(&bytes).map(str::trim_ascii) {
        if is_magnet(text) {
            return of_magnet(text, name);
        }
        if let Some(torrent) = Torrent::from_hex(text) {
            return Ok(of_torrent(torrent));
        }
    }
    of_metainfo(bytes.into(), name)
}

fn of_metainfo(file: bytes::Bytes, name: &str) -> Result<Loaded, Error> {
    let Metainfo { torrent, findings } =
        Metainfo::parse(file).map_err(|why| Error::input(format!("{name}: {why}")))?;
    Ok(Loaded { manifest: Manifest::of(torrent), findings })
}

fn of_magnet(uri: &str, name: &str) -> Result<Loaded, Error> {
    magnet::parse(uri).map(of_torrent).map_err(|why| Error::input(format!("{name}: {why}")))
}

fn of_torrent(torrent: Torrent) -> Loaded {
    Loaded { manifest: Manifest::of(torrent), findings: Vec::new() }
}

fn of_url(url: &str, route: &Route, env: &Env) -> Result<Loaded, Error> {
    let local = route.interface.unwrap_or(LocalAddrs::ANY);
    let http = super::http(env, local, route.proxy.as_ref())?;
    let failed = |why: &dyn std::fmt::Display| Error::world(format!("`{url}`: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| failed(&why))?;
    let (status, body) =
        runtime.block_on(http.fetch(url, METAINFO_BYTES_MAX)).map_err(|why| failed(&why))?;
    if status != 200 {
        return Err(failed(&format!("the server answers `{status}`")));
    }
    of_metainfo(body, &format!("`{url}`"))
}

fn is_magnet(text: &str) -> bool {
    let scheme = MAGNET_SCHEME.trim_end_matches('?');
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

fn is_json(bytes: &[u8]) -> bool {
    without_mark(bytes).trim_ascii_start().first() == Some(&b'{')
}

/// Without the byte order mark that some editors put before UTF-8.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
