//! The verbs: one file each, its arguments and its run.

pub mod analyze;
pub mod assemble;
pub mod create;
pub mod decode;
mod download;
pub mod fetch;
pub mod get;
mod giving;
pub mod globals;
mod limits;
pub mod magnet;
mod network;
mod overlaps;
mod piece_map;
pub mod plugins;
mod progress;
mod quantity;
mod salvaging;
pub mod seed;
mod selection;
mod shortfall;
mod signals;
pub mod sim;
pub mod source;
mod survey;
mod swarm;
mod urls;
pub mod verify;

use crate::disk::{DiskError, named_file};
use crate::env::Env;
use crate::error::Error;
use crate::host::HostError;
use crate::manifest::Manifest;
use crate::net::http::Http;
use crate::net::{LocalAddrs, Proxies, Proxy};
use crate::torrent::{Info, Torrent};
use std::sync::Arc;

/// Prints a verb's result: `table` for people, else the manifest.
fn print(
    env: &mut Env,
    form: globals::Form,
    manifest: &Manifest,
    table: impl FnOnce(usize) -> String,
) -> Result<(), Error> {
    match form {
        globals::Form::Json => env.write(&manifest.to_bytes()),
        globals::Form::Table => {
            let text = table(env.width());
            env.write(text.as_bytes())
        }
    }
}

/// The info dictionary of a torrent that a verb can't do without.
fn resolved(torrent: &Torrent) -> Result<Arc<Info>, Error> {
    torrent.info.clone().ok_or_else(|| {
        Error::input(format!("the metadata of `{}` is not known yet", torrent.hashes))
            .hint("this takes a .torrent, or a manifest that was made from one")
    })
}

/// Bytes that `$SSL_CERT_FILE` may have: that of a distribution has 200 KiB.
const CERTIFICATES_BYTES_MAX: u64 = 4 << 20;

/// The HTTP client; `$SSL_CERT_FILE` names the certificates to trust, as it does for OpenSSL. Without
/// a proxy that the user named for everything, those of the environment are asked.
fn http(env: &Env, local: LocalAddrs, proxy: Option<&Proxy>) -> Result<Http, Error> {
    let proxies = match proxy {
        Some(proxy) => Proxies::only(proxy.clone()),
        None => {
            let var = |name: &str| Some(env.var(name)?.to_string_lossy().into_owned());
            Proxies::of_environment(var)
                .map_err(|(name, why)| Error::input(format!("`${name}` is no proxy: {why}")))?
        }
    };
    let file = env.var("SSL_CERT_FILE").map(|file| env.path(file));
    let roots = file.map(|file| named_file::read(&file, CERTIFICATES_BYTES_MAX)).transpose()?;
    Http::new(local, roots.as_deref(), &proxies).map_err(Error::world)
}

impl From<HostError> for Error {
    fn from(why: HostError) -> Self {
        let error = Self::input(&why);
        match why.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<DiskError> for Error {
    fn from(why: DiskError) -> Self {
        let error = if why.is_input() { Self::input(&why) } else { Self::world(&why) };
        match why.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
