//! [`PieceNames`]: what files of pieces are called, by us and by others.
//!
//! A pattern is a file's name with `{index}` for the number of the piece, from 0, in decimal digits;
//! zeros may stand before it. The rest is as in a shell: `*`, `?` and `[..]`. Three are known: ours,
//! and two that other programs use. A name is a claim and no more: that a file has the piece's bytes
//! is known when they are hashed.

use super::DiskError;
use crate::torrent::{Layout, PieceIndex};
use std::collections::BTreeMap;

/// What stands for the number.
const INDEX: &str = "{index}";
/// Ours first.
const KNOWN: [&str; 3] = ["piece_{index}_complete.bin", "piece_{index}.bin", "{index}.piece"];
/// Files that say of themselves that they are the same piece and that are looked at: any folder can
/// have `1.piece`, `01.piece`, `001.piece`, ..
const NAMES_OF_PIECE_MAX: usize = 8;

/// Patterns, those that the user named before the known ones.
#[derive(Clone, Debug)]
pub struct PieceNames {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    before: glob::Pattern,
    behind: glob::Pattern,
}

impl PieceNames {
    /// `named` and the known ones.
    ///
    /// # Errors
    /// [`DiskError::Pattern`] if one of them is none.
    pub fn of<'a>(named: impl IntoIterator<Item = &'a str>) -> Result<Self, DiskError> {
        let patterns = named.into_iter().chain(KNOWN).map(Pattern::of).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// The known ones alone.
    #[must_use]
    pub fn known() -> Self {
        Self { patterns: KNOWN.into_iter().flat_map(Pattern::of).collect() }
    }

    /// Those of `names` that say that they are a piece of `layout`, what fits an earlier pattern
    /// before others.
    pub(super) fn sorted(
        &self,
        layout: &Layout,
        names: Vec<String>,
    ) -> BTreeMap<PieceIndex, Vec<String>> {
        let mut found = BTreeMap::<PieceIndex, Vec<(usize, String)>>::new();
        for name in names {
            let claim = self.patterns.iter().enumerate().find_map(|(rank, pattern)| {
                let piece = pattern.numbers(&name).find_map(|index| layout.piece(index))?;
                Some((rank, piece))
            });
            if let Some((rank, piece)) = claim {
                found.entry(piece).or_default().push((rank, name));
            }
        }
        let sorted = |mut claims: Vec<(usize, String)>| {
            claims.sort_unstable();
            claims.into_iter().take(NAMES_OF_PIECE_MAX).map(|(_, name)| name).collect()
        };
        found.into_iter().map(|(piece, claims)| (piece, sorted(claims))).collect()
    }
}

impl Pattern {
    fn of(text: &str) -> Result<Self, DiskError> {
        let wrong = || DiskError::Pattern(text.to_owned());
        let (before, behind) = text.split_once(INDEX).ok_or_else(wrong)?;
        // A path would be below the folder, and names are looked up in it.
        if behind.contains(INDEX) || text.contains('/') {
            return Err(wrong());
        }
        let part = |part| glob::Pattern::new(part).map_err(|_| wrong());
        Ok(Self { before: part(before)?, behind: part(behind)? })
    }

    /// The numbers in `name` that it may mean; the first of them, but for wildcards the only one.
    fn numbers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        let digits = |from: usize| name[from..].bytes().take_while(u8::is_ascii_digit).count();
        let begins = |at: &usize| {
            let bytes = name.as_bytes();
            bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit())
        };
        (0..name.len()).filter(begins).filter_map(move |from| {
            let end = from + digits(from);
            let fits = self.before.matches(&name[..from]) && self.behind.matches(&name[end..]);
            fits.then(|| name[from..end].parse().ok()).flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::world::World;

    fn check(patterns: &[&str], names: &[&str], due: &[(u32, &[&str])]) {
        let world = World::contiguous(10, &[200]);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let of = PieceNames::of(patterns.iter().copied()).expect("patterns");
        let sorted = of.sorted(&world.info.layout, names);
        let sorted: Vec<(u32, Vec<&str>)> = sorted
            .iter()
            .map(|(piece, names)| (piece.get(), names.iter().map(String::as_str).collect()))
            .collect();
        let due: Vec<(u32, Vec<&str>)> =
            due.iter().map(|(i, names)| (*i, names.to_vec())).collect();
        assert_eq!(sorted, due);
    }

    #[test]
    fn three_kinds_of_names_are_known_ours_first() {
        check(
            &[],
            &["3.piece", "piece_3_complete.bin", "piece_3.bin", "piece_04.bin", "007.piece"],
            &[
                (3, &["piece_3_complete.bin", "piece_3.bin", "3.piece"]),
                (4, &["piece_04.bin"]),
                (7, &["007.piece"]),
            ],
        );
    }

    #[test]
    fn what_names_no_piece_of_the_torrent_is_nothing() {
        let no_piece =
            ["20.piece", "99999999999999999999.piece", ".piece", "-1.piece", "1.piece.tmp"];
        check(&[], &no_piece, &[]);
        check(&[], &["piece_1_partial.bin", ".piece_1.tmp", "piece_x.bin", "piece_1_2.bin"], &[]);
    }

    #[test]
    fn a_pattern_of_the_user_comes_first_and_may_have_wildcards() {
        check(&["v2-{index}"], &["v2-5", "5.piece"], &[(5, &["v2-5", "5.piece"])]);
        check(
            &["*_{index}.dat"],
            &["a7_0012.dat", "x_3.dat"],
            &[(3, &["x_3.dat"]), (12, &["a7_0012.dat"])],
        );
        check(&["{index}"], &["12", "12a", "é7"], &[(12, &["12"])]);
    }

    #[test]
    fn a_pattern_has_exactly_one_index() {
        for text in ["", "piece", "{index}{index}", "d/{index}", "[{index}", "{index"] {
            let error = PieceNames::of([text]).expect_err(text);
            assert!(error.is_input() && error.to_string().contains("`{index}`"), "{error}");
        }
    }
}
