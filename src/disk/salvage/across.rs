//! Pieces that reach across files, put together of candidates of each of them.
//!
//! Alone, no such part can be judged, only all together. So the candidates that had other pieces of
//! their file come first, then the likeliest, and of all combinations a limited number is tried.

use super::claims::Claim;
use super::parts::{Part, Parts};
use super::search::{Look, Search};
use crate::disk::rows::each_alone;
use crate::torrent::{FileSpan, PieceHash, PieceIndex};

/// Candidates of one file that are tried.
const OPTIONS_MAX: usize = 16;
/// Combinations of them for one piece: each is a read of the whole piece.
const COMBINATIONS_MAX: usize = 256;

/// The missing pieces that could be put together; `None` if it was cancelled.
pub(super) fn looks(search: &Search<'_>) -> Option<Vec<(Look, Option<PieceHash>)>> {
    let layout = &search.info.layout;
    let pieces: Vec<PieceIndex> =
        search.missing.iter().filter_map(|piece| layout.piece(piece as u32)).collect();
    let found = each_alone(pieces.len(), search.cancelled, |number, buffer| {
        let piece = pieces[number];
        let due = search.info.pieces.of(piece);
        let parts = combinations(search, piece)
            .find(|parts| search.hash(piece, parts, buffer) == Some(due))?;
        Some((Look::across(piece, parts), Some(due)))
    })?;
    Some(found.into_iter().flatten().collect())
}

/// What `piece` may be put together of, the likeliest first. Nothing, if it lies in one file: that
/// has been tried.
fn combinations<'a>(
    search: &'a Search<'_>,
    piece: PieceIndex,
) -> impl Iterator<Item = Parts> + use<'a> {
    let spans = search.info.layout.spans(piece).filter(|span| search.info.is_written(span.file));
    let spans: Vec<FileSpan> = spans.collect();
    let options: Vec<Vec<usize>> = spans.iter().map(|span| options(search, span)).collect();
    let possible = spans.len() != 1 && options.iter().all(|options| !options.is_empty());
    // Counted as digits are, the last file's fastest.
    let mut digits = possible.then(|| vec![0_usize; spans.len()]);
    let combination = move || {
        let now = digits.as_mut()?;
        let parts = spans.iter().zip(now.iter()).zip(&options);
        let parts = parts.map(|((span, digit), options)| Part {
            within: span.within.clone(),
            candidate: options[*digit],
            offset: span.offset,
        });
        let parts: Parts = parts.collect();
        let more = (0..now.len()).rev().find(|place| now[*place] + 1 < options[*place].len());
        match more {
            Some(place) => {
                now[place] += 1;
                now[place + 1..].fill(0);
            }
            None => digits = None,
        }
        Some(parts)
    };
    std::iter::from_fn(combination).take(COMBINATIONS_MAX)
}

/// The candidates for the file of `span` that reach so far.
fn options(search: &Search<'_>, span: &FileSpan) -> Vec<usize> {
    let claims = search.claims.get(&span.file).into_iter().flatten();
    let mut claims: Vec<&Claim> =
        claims.filter(|claim| search.reaches(claim.candidate, span)).collect();
    let proven = |claim: &Claim| search.proven.get(&(claim.file, claim.candidate)).copied();
    claims.sort_by_key(|claim| {
        std::cmp::Reverse((proven(claim).unwrap_or_default(), claim.likeness))
    });
    let mut options = Vec::new();
    for claim in claims {
        if !options.contains(&claim.candidate) && options.len() < OPTIONS_MAX {
            options.push(claim.candidate);
        }
    }
    options
}
