//! What `rtor analyze` says of several torrents: what they have in common.

use super::source::Loaded;
use crate::error::Error;
use crate::manifest::analysis::{Alike, Analysis, Compared, Overlap, Same};
use crate::table;
use crate::torrent::{Info, Torrent, overlap};
use std::ffi::OsString;
use std::sync::Arc;

/// Torrents that may be compared at once: each pair is.
pub(super) const TORRENTS_MAX: usize = 256;
/// Files of a pair that a table shows; JSON has all.
const FILES_SHOWN: usize = 10;

/// Puts into `analysis` what the torrents of `sources`, in that order, have in common.
///
/// # Errors
/// If one of them is not resolved.
pub(super) fn add(
    analysis: &mut Analysis,
    sources: &[OsString],
    first: &Torrent,
    others: &[Loaded],
) -> Result<(), Error> {
    let torrents = || std::iter::once(first).chain(others.iter().map(|o| o.manifest.torrent()));
    let infos: Vec<Arc<Info>> = torrents().map(super::resolved).collect::<Result<_, _>>()?;
    let compared = |(source, torrent): (&OsString, &Torrent)| Compared {
        source: source.to_string_lossy().into_owned(),
        name: torrent.name.as_ref().map_or_else(String::new, ToString::to_string),
        info_hash: torrent.hashes.to_string(),
    };
    analysis.compared = sources.iter().zip(torrents()).map(compared).collect();
    let infos: Vec<&Info> = infos.iter().map(Arc::as_ref).collect();
    analysis.overlaps = overlap::overlaps(&infos).iter().map(|o| told(o, &infos)).collect();
    Ok(())
}

fn told(overlap: &overlap::Overlap, infos: &[&Info]) -> Overlap {
    let (one, other) = overlap.torrents;
    let entries =
        |(a, b): (usize, usize)| (&infos[one].layout.files()[a], &infos[other].layout.files()[b]);
    let paths = |files| {
        let (a, b) = entries(files);
        (a.path.to_string(), b.path.to_string())
    };
    let same = |same: &overlap::SameBytes| {
        let (a, b) = entries(same.files);
        Same { paths: paths(same.files), lengths: (a.length, b.length), same_bytes: same.bytes }
    };
    let alike =
        |files: &(usize, usize)| Alike { paths: paths(*files), length: entries(*files).0.length };
    Overlap {
        torrents: overlap.torrents,
        same_pieces: overlap.pieces,
        same_bytes: overlap.files.iter().map(|same| same.bytes).sum(),
        files: overlap.files.iter().map(same).collect(),
        alike: overlap.alike.iter().map(alike).collect(),
    }
}

/// For people: each pair of torrents with what they share.
pub(super) fn described(analysis: &Analysis, width: usize) -> String {
    if analysis.overlaps.is_empty() {
        return "the torrents have nothing in common\n".to_owned();
    }
    let mut text = String::new();
    for overlap in &analysis.overlaps {
        let (one, other) = overlap.torrents;
        let source = |at: usize| analysis.compared.get(at).map_or("", |c| c.source.as_str());
        let known = format!(
            "{} in {} and {}",
            table::size(overlap.same_bytes),
            table::counted(overlap.files.len(), "file"),
            table::counted(overlap.same_pieces, "piece")
        );
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table::facts(
            width,
            [("torrents", format!("{}  {}", source(one), source(other))), ("the same", known)],
        ));
        let same = overlap.files.iter().map(|same| {
            let whole = same.lengths.0 == same.same_bytes && same.lengths.1 == same.same_bytes;
            let what = if whole { "the same" } else { "the same in part" };
            (same.same_bytes, what, &same.paths)
        });
        let alike = overlap.alike.iter().map(|alike| (alike.length, "may be", &alike.paths));
        let rows = same.chain(alike).take(FILES_SHOWN).map(|(bytes, what, (a, b))| {
            vec![table::size(bytes), what.to_owned(), a.clone(), b.clone()]
        });
        let header = ["bytes", "", "file", "is file"];
        text.push_str(&table::list(width, &header, &[0], rows));
        let more = (overlap.files.len() + overlap.alike.len()).saturating_sub(FILES_SHOWN);
        if more > 0 {
            text.push_str(&format!("and {more} more files\n"));
        }
    }
    text
}
