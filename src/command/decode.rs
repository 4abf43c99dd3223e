//! `rtor decode SOURCE`: metainfo or magnet to manifest.

use super::source::{self, STORE};
use crate::cli::Globals;
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::table;
use crate::torrent::Torrent;
use bytesize::ByteSize;
use std::ffi::OsString;
use std::path::Path;

/// Files that the table shows; JSON has all.
const FILES_SHOWN_MAX: usize = 100;

/// Print what a torrent or magnet says, as a manifest for the other verbs.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, magnet, http(s) URL, manifest, info hash, or `-`
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
}

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// If SOURCE is nothing that can be decoded.
    pub fn run(self, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
        let source = source::read(env, self.source.as_deref(), Path::new(STORE))?;
        let manifest = source.manifest;
        super::print(env, globals.form(env), &manifest, |width| show(width, manifest.torrent()))?;
        Ok(Exit::Done)
    }
}

fn show(width: usize, torrent: &Torrent) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![
        ("name", or_none(torrent.name.clone())),
        ("info hash v1", or_none(torrent.hashes.v1.map(|hash| hash.to_string()))),
        ("info hash v2", or_none(torrent.hashes.v2.map(|hash| hash.to_string()))),
    ];
    if let Some(info) = &torrent.info {
        let layout = &info.layout;
        let piece = ByteSize(u64::from(layout.piece_length()));
        let private = if info.private { "yes: only its trackers are asked" } else { "no" };
        rows.push(("size", ByteSize(layout.total_length()).to_string()));
        rows.push(("pieces", format!("{} of {piece}", layout.piece_count())));
        rows.push(("private", private.to_owned()));
    }
    for (tier, urls) in torrent.trackers.iter().enumerate() {
        rows.push((if tier == 0 { "trackers" } else { "" }, urls.join("  ")));
    }
    let lists = [("web seed", &torrent.web_seeds), ("peer", &torrent.peers)]
        .into_iter()
        .flat_map(|(what, list)| list.iter().map(move |element| (what, element.clone())));
    rows.extend(lists);
    rows.extend(torrent.nodes.iter().map(|(host, port)| ("DHT node", format!("{host}:{port}"))));
    rows.extend(torrent.comment.clone().map(|comment| ("comment", comment)));
    rows.extend(torrent.created_by.clone().map(|by| ("created by", by)));
    let mut text = table::facts(width, rows);
    if let Some(info) = &torrent.info {
        let files = info.layout.files().iter().enumerate().filter(|(_, file)| !file.pad);
        let count = files.clone().count();
        let rows = files.take(FILES_SHOWN_MAX).map(|(index, file)| {
            vec![index.to_string(), ByteSize(file.length).to_string(), file.path.to_string()]
        });
        text.push('\n');
        text.push_str(&table::list(width, &["file", "size", "path"], &[0, 1], rows));
        if count > FILES_SHOWN_MAX {
            text.push_str(&format!("and {} more: --json has all\n", count - FILES_SHOWN_MAX));
        }
    }
    text
}
