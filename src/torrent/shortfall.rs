//! What pieces that are missing cost: of each file, and of which files each of them.

use super::{Bitfield, Layout, PieceIndex};

/// What is there of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileShare {
    /// Bytes that lie in pieces that are there.
    pub have_bytes: u64,
    /// Bytes from its beginning to the first that is missing.
    pub leading_bytes: u64,
}

/// Missing pieces, one behind the other, that cost the same files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The first of them.
    pub first: PieceIndex,
    /// The last.
    pub last: PieceIndex,
    /// Each file, by its place in the layout, with the bytes of it that are missing; padding left out.
    pub files: Vec<(usize, u64)>,
}

/// What is there of each file, padding among them, if `have` are the pieces that are.
#[must_use]
pub fn shares(layout: &Layout, have: &Bitfield) -> Vec<FileShare> {
    let whole =
        |file: &super::FileEntry| FileShare { have_bytes: file.length, leading_bytes: file.length };
    let mut shares: Vec<FileShare> = layout.files().iter().map(whole).collect();
    for piece in missing(layout, have) {
        for span in layout.spans(piece) {
            let share = &mut shares[span.file];
            share.have_bytes -= u64::from(span.length());
            share.leading_bytes = share.leading_bytes.min(span.offset);
        }
    }
    shares
}

/// What each missing piece costs. A piece that only padding lies in costs no file, and stands alone.
#[must_use]
pub fn costs(layout: &Layout, have: &Bitfield) -> Vec<Cost> {
    let mut costs: Vec<Cost> = Vec::new();
    for piece in missing(layout, have) {
        let spans = layout.spans(piece).filter(|span| !layout.files()[span.file].pad);
        let files: Vec<(usize, u64)> =
            spans.map(|span| (span.file, u64::from(span.length()))).collect();
        match costs.last_mut() {
            Some(last) if last.last.get() + 1 == piece.get() && is_of_same(&last.files, &files) => {
                last.last = piece;
                last.files.iter_mut().zip(files).for_each(|((_, all), (_, more))| *all += more);
            }
            _ => costs.push(Cost { first: piece, last: piece, files }),
        }
    }
    costs
}

fn missing<'a>(layout: &Layout, have: &'a Bitfield) -> impl Iterator<Item = PieceIndex> + use<'a> {
    layout.pieces().filter(|piece| !have.contains(piece.at()))
}

fn is_of_same(one: &[(usize, u64)], other: &[(usize, u64)]) -> bool {
    let files = |cost: &[(usize, u64)]| cost.iter().map(|(file, _)| *file).collect::<Vec<_>>();
    files(one) == files(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::SafePath;
    use proptest::prelude::*;

    const PIECE: u64 = 16;

    fn layout(lengths: &[u64]) -> Layout {
        let file = |(i, length): (usize, &u64)| {
            let path = SafePath::from_components([i.to_string().as_bytes()]).expect("a name");
            (path, *length, false)
        };
        let files: Vec<_> = lengths.iter().enumerate().map(file).collect();
        Layout::contiguous(PIECE, files).expect("content")
    }

    #[test]
    fn a_piece_between_files_costs_both_and_stands_alone() {
        // pieces: |0 |1 |2 |3 |; files: 0 has 40 bytes, 1 has none, 2 has 24.
        let layout = layout(&[40, 0, 24]);
        let costs = costs(&layout, &Bitfield::new(4));
        let told: Vec<_> =
            costs.iter().map(|c| (c.first.get(), c.last.get(), c.files.clone())).collect();
        assert_eq!(
            told,
            [(0, 1, vec![(0, 32)]), (2, 2, vec![(0, 8), (2, 8)]), (3, 3, vec![(2, 16)])]
        );
    }

    proptest! {
        /// Against each byte looked at by itself.
        #[test]
        fn every_byte_counts_where_it_lies(
            lengths in prop::collection::vec(0_u64..60, 1..6),
            bits in prop::collection::vec(any::<bool>(), 24),
        ) {
            prop_assume!(lengths.iter().sum::<u64>() > 0);
            let layout = layout(&lengths);
            let mut have = Bitfield::new(layout.piece_count());
            (0..layout.piece_count()).filter(|at| bits[*at]).for_each(|at| { have.insert(at); });
            let shares = shares(&layout, &have);
            let (mut position, mut missing) = (0, vec![0; lengths.len()]);
            for (file, length) in lengths.iter().enumerate() {
                let there: Vec<bool> = (position..position + length)
                    .map(|byte| have.contains((byte / PIECE) as usize))
                    .collect();
                position += length;
                let had = there.iter().filter(|there| **there).count() as u64;
                missing[file] = length - had;
                let leading = there.iter().take_while(|there| **there).count() as u64;
                prop_assert_eq!(shares[file], FileShare { have_bytes: had, leading_bytes: leading });
            }
            let mut told = vec![0; lengths.len()];
            let mut pieces = 0;
            for cost in costs(&layout, &have) {
                pieces += (cost.first.get()..=cost.last.get()).count();
                cost.files.iter().for_each(|(file, bytes)| told[*file] += bytes);
            }
            prop_assert_eq!(told, missing);
            prop_assert_eq!(pieces, layout.piece_count() - have.count());
        }
    }
}
