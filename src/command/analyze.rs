//! `rtor analyze`: which files matter, how files and pieces lie to each other, what is odd.
//!
//! It asks nobody, unless `--swarm` says so, and opens no data: everything follows from the torrent,
//! and from what `fetch` or `verify` said in the manifest. What only the file shows (trailing data,
//! unsorted keys around the info dictionary) is known when SOURCE is the file, and not when it is
//! a manifest.

use super::globals::Globals;
use super::network::Network;
use super::source::{self, STORE_DEFAULT};
use super::survey::{self, Surveyed};
use super::{overlaps, shortfall};
use crate::env::Env;
use crate::error::{Error, Exit};
use crate::manifest::analysis::{Analysis, File, Finding, Shared};
use crate::table;
use crate::torrent::media::Media;
use crate::torrent::{self, Info, PieceHashes, Severity, Torrent, lint};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

/// A video counts as a main file if it has one in so many bytes of the longest: episodes do,
/// trailers and samples do not.
const MAIN_SHARE: u64 = 4;
/// Shared pieces that a table shows; JSON has all.
const SHARED_SHOWN: usize = 10;

/// Arguments of `rtor analyze`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A .torrent, http(s) URL, manifest, or `-`; left out: stdin, or the store's manifest. With
    /// --swarm a magnet or an info hash too. Several: what they have in common too; the manifest is
    /// that of the first
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<OsString>,
    /// Look who is there and what they have, without downloading; --timeout says how long
    #[arg(long)]
    swarm: bool,
    /// How to find and reach peers.
    #[command(flatten)]
    network: Network,
}

/// Runs it.
///
/// # Errors
/// If SOURCE is unusable or is a magnet that is not resolved.
pub fn run(args: &Args, globals: &Globals, env: &mut Env) -> Result<Exit, Error> {
    let route = args.network.route()?;
    let others = others(args)?;
    let mut load = |source: Option<&OsString>| {
        source::load_by(&route, source.map(OsString::as_os_str), Path::new(STORE_DEFAULT), env)
    };
    let source::Loaded { mut manifest, findings } = load(args.sources.first())?;
    let others: Vec<source::Loaded> =
        others.iter().map(|other| load(Some(other))).collect::<Result<_, _>>()?;
    let swarm = match args.swarm {
        false => None,
        true => match survey::run(globals, env, &mut manifest, &args.network)? {
            Surveyed::Swarm(swarm) => Some(swarm),
            Surveyed::Ended(exit) => return Ok(exit),
        },
    };
    let info = super::resolved(manifest.torrent())?;
    let mut analysis = Analysis { swarm, ..analysis(manifest.torrent(), &info, findings) };
    if let Some(have) = shortfall::there(&manifest, &info)? {
        shortfall::add(&mut analysis, &info, &have);
    }
    if !others.is_empty() {
        overlaps::add(&mut analysis, &args.sources, manifest.torrent(), &others)?;
    }
    manifest.set("analysis", &analysis);
    let paths: Vec<String> = info.layout.files().iter().map(|file| file.path.to_string()).collect();
    super::print(env, globals.form(env), &manifest, |width| described(&analysis, &paths, width))?;
    Ok(Exit::Done)
}

/// The torrents that the first is compared with.
fn others(args: &Args) -> Result<&[OsString], Error> {
    let others = args.sources.get(1..).unwrap_or_default();
    if others.is_empty() {
        return Ok(others);
    }
    if args.swarm {
        return Err(Error::input("--swarm looks at one torrent's swarm: name one SOURCE"));
    }
    if args.sources.len() > overlaps::TORRENTS_MAX {
        let count = args.sources.len();
        return Err(Error::input(format!(
            "`{count}` torrents are more than the {} that can be compared",
            overlaps::TORRENTS_MAX
        )));
    }
    if args.sources.iter().filter(|source| *source == "-").count() > 1 {
        return Err(Error::input("`-` stands more than once, and there is one stdin"));
    }
    Ok(others)
}

/// `parsed` is what was found while the file was parsed; if it was no file, what the info
/// dictionary alone shows stands for it.
fn analysis(torrent: &Torrent, info: &Info, parsed: Vec<torrent::Finding>) -> Analysis {
    let layout = &info.layout;
    let (padding, files): (Vec<_>, Vec<_>) =
        layout.files().iter().enumerate().partition(|(_, file)| file.pad);
    let main = main_files(info);
    let file = |(index, file): &(usize, &torrent::FileEntry)| {
        let pieces = layout.pieces_of(*index);
        File {
            path: file.path.to_string(),
            length: file.length,
            kind: Media::of(file.path.as_str()).to_string(),
            main: main.contains(index),
            first_piece: (!pieces.is_empty()).then_some(pieces.start),
            last_piece: pieces.end.checked_sub(1).filter(|_| !pieces.is_empty()),
            piece_count: pieces.end - pieces.start,
            share: None,
        }
    };
    let files: Vec<File> = files.iter().map(file).collect();
    let padding_length = padding.iter().map(|(_, file)| file.length).sum();
    Analysis {
        main: files.iter().filter(|file| file.main).map(|file| file.path.clone()).collect(),
        files,
        shared_pieces: shared_pieces(info),
        content_length: layout.total_length() - padding_length,
        padding_length,
        piece_count: layout.piece_count(),
        piece_length: layout.piece_length(),
        last_piece_length: layout.pieces().next_back().map_or(0, |last| layout.piece_size(last)),
        duplicate_files: duplicate_files(info),
        repeated_pieces: repeated_pieces(&info.pieces),
        findings: findings(torrent, info, parsed),
        costs: None,
        compared: Vec::new(),
        overlaps: Vec::new(),
        swarm: None,
    }
}

/// The long videos, or the longest file if there is no video.
fn main_files(info: &Info) -> BTreeSet<usize> {
    let written = || {
        let files = info.layout.files().iter().enumerate();
        files.filter(|(index, file)| info.is_written(*index) && file.length > 0)
    };
    let videos: Vec<_> =
        written().filter(|(_, file)| Media::of(file.path.as_str()) == Media::Video).collect();
    if let Some(longest) = videos.iter().map(|(_, file)| file.length).max() {
        let long = videos.iter().filter(|(_, file)| file.length >= longest / MAIN_SHARE);
        return long.map(|(index, _)| *index).collect();
    }
    // The first of equals.
    written()
        .max_by_key(|(index, file)| (file.length, usize::MAX - index))
        .map(|(i, _)| i)
        .into_iter()
        .collect()
}

/// The pieces that more than one file has a part of: damage in one damages several files, and one
/// file alone can't be had without a part of its neighbour.
fn shared_pieces(info: &Info) -> Vec<Shared> {
    let layout = &info.layout;
    let mut shared: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
    let files = layout.files().iter().enumerate().filter(|(_, file)| !file.pad);
    for (index, _) in files {
        let pieces = layout.pieces_of(index);
        let ends = [pieces.start, pieces.end.saturating_sub(1)];
        for piece in ends.into_iter().filter(|piece| pieces.contains(piece)) {
            shared.entry(piece).or_default().insert(index);
        }
    }
    shared.retain(|_, files| files.len() > 1);
    shared
        .into_iter()
        .map(|(piece, files)| Shared { piece, files: files.into_iter().collect() })
        .collect()
}

/// Files with one length and one root of their Merkle tree (BEP 52) have the same bytes.
fn duplicate_files(info: &Info) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(u64, [u8; 32]), Vec<usize>> = BTreeMap::new();
    for (index, (file, root)) in info.layout.files().iter().zip(&info.roots).enumerate() {
        if let Some(root) = root {
            groups.entry((file.length, *root)).or_default().push(index);
        }
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable();
    groups
}

fn repeated_pieces(pieces: &PieceHashes) -> usize {
    let distinct = match pieces {
        PieceHashes::V1(hashes) => hashes.iter().collect::<BTreeSet<_>>().len(),
        PieceHashes::V2(roots) => {
            roots.iter().map(|piece| (piece.root, piece.leaves)).collect::<BTreeSet<_>>().len()
        }
    };
    pieces.piece_count() - distinct
}

fn findings(torrent: &Torrent, info: &Info, parsed: Vec<torrent::Finding>) -> Vec<Finding> {
    // A file's findings hold those of its info dictionary, with offsets in the file.
    let parsed = if parsed.is_empty() { info.findings.clone() } else { parsed };
    let mut found = lint::findings(torrent);
    found.extend(parsed);
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let finding = |finding: torrent::Finding| Finding {
        rule: finding.rule.to_owned(),
        severity: match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
        .to_owned(),
        message: finding.message,
        offset: finding.offset,
    };
    found.into_iter().map(finding).collect()
}

/// For people: the sums, the files with their pieces, shared pieces, findings.
fn described(analysis: &Analysis, paths: &[String], width: usize) -> String {
    let Analysis { piece_count, piece_length, last_piece_length, .. } = analysis;
    let mut rows = vec![
        ("main", analysis.main.join("  ")),
        ("content", table::size(analysis.content_length)),
        (
            "pieces",
            format!("{piece_count} of {piece_length} bytes, the last of {last_piece_length}"),
        ),
    ];
    if analysis.padding_length > 0 {
        rows.push(("padding", table::size(analysis.padding_length)));
    }
    if analysis.repeated_pieces > 0 {
        rows.push(("repeated pieces", analysis.repeated_pieces.to_string()));
    }
    let mut text = table::facts(width, rows);
    let files = analysis.files.iter().map(|file| {
        let pieces = match (file.first_piece, file.last_piece) {
            (Some(first), Some(last)) => format!("{first}-{last}"),
            _ => "none".to_owned(),
        };
        let main = if file.main { "*" } else { "" };
        let there = file.share.as_ref().map(|share| shortfall::described(share, file.length));
        let mut row = vec![table::size(file.length), file.kind.clone(), pieces];
        row.extend(there);
        row.extend([main.to_owned(), file.path.clone()]);
        row
    });
    let mut header = vec!["size", "kind", "pieces", "", "path"];
    if analysis.costs.is_some() {
        header.insert(3, "there");
    }
    text.push('\n');
    text.push_str(&table::list(width, &header, &[0], files));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    if let Some(costs) = shortfall::table_of(analysis, &paths, width) {
        text.push('\n');
        text.push_str(&costs);
    }
    if !analysis.shared_pieces.is_empty() {
        let pieces = analysis.shared_pieces.iter().map(|shared| shared.piece.to_string());
        let shown = pieces.take(SHARED_SHOWN).collect::<Vec<_>>().join(", ");
        let more = analysis.shared_pieces.len().saturating_sub(SHARED_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push('\n');
        text.push_str(&table::facts(width, [("shared by files", format!("{shown}{more}"))]));
    }
    if !analysis.findings.is_empty() {
        let rows = analysis.findings.iter().map(|f| {
            let place = f.offset.map(|offset| format!(" (byte {offset})")).unwrap_or_default();
            vec![f.severity.clone(), f.rule.clone(), format!("{}{place}", f.message)]
        });
        text.push('\n');
        text.push_str(&table::list(width, &["severity", "rule", "finding"], &[], rows));
    }
    if !analysis.compared.is_empty() {
        text.push('\n');
        text.push_str(&overlaps::described(analysis, width));
    }
    if let Some(swarm) = &analysis.swarm {
        text.push('\n');
        text.push_str(&survey::described(swarm, width));
    }
    text
}
