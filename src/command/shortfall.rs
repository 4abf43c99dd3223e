//! What `rtor analyze` says of data that a verb before looked at: what of each file is there, and what
//! each missing piece costs.

use crate::error::Error;
use crate::manifest::Manifest;
use crate::manifest::analysis::{Analysis, Cost, Loss, Share};
use crate::manifest::fetch::Fetch;
use crate::manifest::verify::Verify;
use crate::table;
use crate::torrent::media::Media;
use crate::torrent::shortfall::{self, FileShare};
use crate::torrent::{Bitfield, FileEntry, Info, piece_list};

/// Costs that a table shows; JSON has all.
const COSTS_SHOWN: usize = 10;

/// Pieces that are there, by the verb that looked last; `None` if none did.
///
/// # Errors
/// If a section is not what its verb writes.
pub(super) fn there(manifest: &Manifest, info: &Info) -> Result<Option<Bitfield>, Error> {
    let count = info.layout.piece_count();
    let garbled = |section: &str, why: String| {
        Error::input(format!("the manifest's `{section}` does not fit its torrent: {why}"))
    };
    let Some(section) = manifest.latest(&["fetch", "verify"]) else { return Ok(None) };
    let malformed = |why: crate::manifest::ManifestError| Error::input(format!("manifest: {why}"));
    let pieces = |text: &str| piece_list::parse(text, count).map_err(|why| garbled(section, why));
    if section == "fetch" {
        let fetch = manifest.section::<Fetch>(section).map_err(malformed)?;
        return fetch.map(|fetch| pieces(&fetch.pieces)).transpose();
    }
    let Some(verify) = manifest.section::<Verify>(section).map_err(malformed)? else {
        return Ok(None);
    };
    let mut there = Bitfield::full(count);
    for list in [&verify.bad_pieces, &verify.missing_pieces] {
        pieces(list)?.iter().for_each(|piece| {
            there.remove(piece);
        });
    }
    Ok(Some(there))
}

/// Puts into `analysis` what follows from `have` being there.
pub(super) fn add(analysis: &mut Analysis, info: &Info, have: &Bitfield) {
    let shares = shortfall::shares(&info.layout, have);
    let files = info.layout.files().iter().zip(shares).filter(|(file, _)| !file.pad);
    for (told, (file, share)) in analysis.files.iter_mut().zip(files) {
        told.share = Some(shared(file, share));
    }
    let loss = |(file, bytes): (usize, u64)| Loss { file, bytes };
    let cost = |cost: shortfall::Cost| {
        let mut pieces = Bitfield::new(info.layout.piece_count());
        (cost.first.at()..=cost.last.at()).for_each(|piece| {
            pieces.insert(piece);
        });
        Cost {
            pieces: piece_list::format(&pieces),
            files: cost.files.into_iter().map(loss).collect(),
        }
    };
    analysis.costs = Some(shortfall::costs(&info.layout, have).into_iter().map(cost).collect());
}

fn shared(file: &FileEntry, share: FileShare) -> Share {
    let complete = share.have_bytes == file.length;
    let plays = matches!(Media::of(file.path.as_str()), Media::Video | Media::Audio);
    let playable_bytes = if complete || plays { share.leading_bytes } else { 0 };
    Share { complete, have_bytes: share.have_bytes, playable_bytes }
}

/// For people: what is there of a file, in a word or two.
pub(super) fn described(share: &Share, length: u64) -> String {
    if share.complete {
        return "complete".to_owned();
    }
    // Whole percents, and 100 only of what is complete.
    let percent = |bytes: u64| (u128::from(bytes) * 100 / u128::from(length.max(1))) as u64;
    match share.playable_bytes {
        0 => format!("{} %", percent(share.have_bytes)),
        playable => {
            format!("{} %, plays to {} %", percent(share.have_bytes), percent(playable))
        }
    }
}

/// For people: what the missing pieces cost, the dearest first.
pub(super) fn table_of(analysis: &Analysis, paths: &[&str], width: usize) -> Option<String> {
    let costs = analysis.costs.as_ref().filter(|costs| !costs.is_empty())?;
    let bytes = |cost: &Cost| cost.files.iter().map(|loss| loss.bytes).sum::<u64>();
    let mut dearest: Vec<&Cost> = costs.iter().collect();
    dearest.sort_by_key(|cost| std::cmp::Reverse(bytes(cost)));
    let path = |loss: &Loss| paths.get(loss.file).copied().unwrap_or_default().to_owned();
    let rows = dearest.iter().take(COSTS_SHOWN).map(|cost| {
        let files: Vec<String> = cost.files.iter().map(path).collect();
        vec![table::size(bytes(cost)), cost.pieces.clone(), files.join("  ")]
    });
    let mut text = table::list(width, &["lost", "pieces", "of"], &[0], rows);
    if costs.len() > COSTS_SHOWN {
        text.push_str(&format!("and {} more runs of pieces\n", costs.len() - COSTS_SHOWN));
    }
    Some(text)
}
