//! `rtor decode`: a torrent, a magnet or an info hash as a manifest.

use super::globals::{Form, Globals};
use super::source::{self, STORE_DEFAULT};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::table;
use crate::torrent::{Info, Torrent};
use std::ffi::OsString;
use std::path::Path;

/// Arguments of `rtor decode`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .torrent, magnet URI, http(s) URL, info hash, manifest, or `-` for stdin
    pub source: Option<OsString>,
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable or can't be read.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let loaded = source::load(args.source.as_deref(), Path::new(STORE_DEFAULT), env)?;
    match globals.form(env) {
        Form::Json => env.write(&loaded.manifest.to_bytes())?,
        Form::Table => {
            let text = described(loaded.manifest.torrent(), env.width());
            env.write(text.as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

/// For people: the facts, then the files.
pub(super) fn described(torrent: &Torrent, width: usize) -> String {
    let mut text = table::facts(width, facts(torrent));
    if let Some(info) = &torrent.info {
        text.push('\n');
        text.push_str(&table::list(width, &["size", "path", ""], &[0], files(info)));
    }
    text
}

fn facts(torrent: &Torrent) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut row = |what, value: Option<String>| rows.extend(value.map(|value| (what, value)));
    row("name", torrent.name.clone());
    row("info hash v1", torrent.hashes.v1.map(|hash| hash.to_string()));
    row("info hash v2", torrent.hashes.v2.map(|hash| hash.to_string()));
    match &torrent.info {
        Some(info) => {
            let layout = &info.layout;
            row("size", Some(table::size(layout.total_length())));
            let piece_length = table::size(u64::from(layout.piece_length()));
            row("pieces", Some(format!("{} of {piece_length}", layout.piece_count())));
            row("private", info.private.then(|| "yes".to_owned()));
            row("source", info.source.clone());
            row("conflict", info.conflict.as_ref().map(ToString::to_string));
        }
        None => row("info", Some("not known yet: a magnet that is not resolved".to_owned())),
    }
    for (tier, urls) in torrent.trackers.iter().enumerate() {
        row(if tier == 0 { "trackers" } else { "" }, Some(urls.join("  ")));
    }
    for (what, list) in [("web seeds", &torrent.web_seeds), ("peers", &torrent.peers)] {
        row(what, (!list.is_empty()).then(|| list.join("  ")));
    }
    let nodes: Vec<_> = torrent.nodes.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    row("nodes", (!nodes.is_empty()).then(|| nodes.join("  ")));
    row("comment", torrent.comment.clone());
    row("created by", torrent.created_by.clone());
    row("created", torrent.creation_date.map(table::date));
    rows
}

fn files(info: &Info) -> impl Iterator<Item = Vec<String>> + '_ {
    info.layout.files().iter().enumerate().filter(|(_, file)| !file.pad).map(|(index, file)| {
        let extra = info.extras.get(&index);
        let remark = match extra.and_then(|extra| extra.symlink.as_ref()) {
            Some(target) => format!("link to {target}"),
            None if extra.is_some_and(|extra| extra.executable) => "executable".to_owned(),
            None => String::new(),
        };
        vec![table::size(file.length), file.path.to_string(), remark]
    })
}
