//! `--files` and `--range`: which pieces of a torrent the user wants.

use crate::error::Error;
use crate::torrent::{Bitfield, Layout, Torrent, magnet, piece_list};

/// `--files` and `--range`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Selection {
    /// Only these files: numbers from 0, or patterns like `*.mkv` (`,` between several)
    #[arg(long, value_name = "GLOB|INDEX,..", value_delimiter = ',')]
    pub(super) files: Vec<String>,
    /// Only these pieces: `0-499`, `500-`, `7,9`
    #[arg(long, value_name = "FIRST-LAST")]
    pub(super) range: Option<String>,
    /// Ranges of files that a magnet selects.
    #[arg(skip)]
    selected: Vec<(u32, u32)>,
}

impl Selection {
    /// Of files that the user named.
    #[must_use]
    pub(super) fn of_files(files: Vec<String>) -> Self {
        Self { files, ..Self::default() }
    }

    /// With the files that a magnet selects (BEP 53), if the user named none.
    #[must_use]
    pub(super) fn or_of(&self, torrent: &Torrent) -> Self {
        let mut selection = self.clone();
        if selection.files.is_empty() {
            selection.selected = torrent.select.clone();
        }
        selection
    }

    /// The files that are meant; all of them if none was named. Padding files never are.
    ///
    /// # Errors
    /// If a pattern is malformed, or nothing matches one.
    pub(super) fn wanted_files(&self, layout: &Layout) -> Result<Vec<bool>, Error> {
        let files = layout.files();
        if !self.selected.is_empty() {
            return self.selected_files(layout);
        }
        if self.files.is_empty() {
            return Ok(files.iter().map(|file| !file.pad).collect());
        }
        let mut wanted = vec![false; files.len()];
        for pattern in &self.files {
            let matching = matching(pattern, layout)?;
            if matching.is_empty() {
                let sentence = format!("`--files {pattern}` matches no file of this torrent");
                return Err(Error::input(sentence).hint("`rtor decode` lists them in order"));
            }
            matching.into_iter().for_each(|file| wanted[file] = true);
        }
        Ok(wanted)
    }

    /// The files that a magnet selects; those that the torrent does not have are passed over.
    fn selected_files(&self, layout: &Layout) -> Result<Vec<bool>, Error> {
        let is_selected = |file: u32| self.selected.iter().any(|(a, b)| (*a..=*b).contains(&file));
        let files = (0..).zip(layout.files());
        let wanted: Vec<bool> =
            files.map(|(index, file)| is_selected(index) && !file.pad).collect();
        if !wanted.contains(&true) {
            let so = magnet::select_text(&self.selected);
            return Err(Error::input(format!(
                "the magnet selects no file of its torrent: `so={so}`"
            ))
            .hint("`--files '*'` takes all of them"));
        }
        Ok(wanted)
    }

    /// The pieces that are meant.
    ///
    /// # Errors
    /// As for [`wanted_files`](Self::wanted_files), or if the range is not one of this torrent.
    pub(super) fn wanted_pieces(&self, layout: &Layout) -> Result<Bitfield, Error> {
        let files = self.wanted_files(layout)?;
        let mut pieces = Bitfield::new(layout.piece_count());
        let all = self.files.is_empty() && self.selected.is_empty();
        for file in (0..files.len()).filter(|file| files[*file] || all) {
            layout.pieces_of(file).for_each(|piece| {
                pieces.insert(piece as usize);
            });
        }
        if let Some(range) = &self.range {
            let range = piece_list::parse(range, layout.piece_count())
                .map_err(|why| Error::input(format!("`--range`: {why}")))?;
            let outside: Vec<usize> = pieces.iter().filter(|p| !range.contains(*p)).collect();
            outside.into_iter().for_each(|piece| {
                pieces.remove(piece);
            });
        }
        Ok(pieces)
    }
}

fn matching(pattern: &str, layout: &Layout) -> Result<Vec<usize>, Error> {
    let files = layout.files();
    if let Ok(index) = pattern.parse::<usize>() {
        return Ok((index..=index).filter(|i| files.get(*i).is_some_and(|f| !f.pad)).collect());
    }
    let glob = glob::Pattern::new(pattern)
        .map_err(|why| Error::input(format!("`--files {pattern}` is no pattern: {}", why.msg)))?;
    let options = glob::MatchOptions { case_sensitive: true, ..glob::MatchOptions::new() };
    let is_meant = |path: &str, name: &str| {
        glob.matches_with(path, options) || glob.matches_with(name, options)
    };
    let files = files.iter().enumerate().filter(|(_, file)| !file.pad);
    Ok(files
        .filter(|(_, file)| is_meant(file.path.as_str(), file.path.file_name()))
        .map(|(i, _)| i)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::SafePath;

    fn layout() -> Layout {
        let file = |name: &str, length, pad| {
            let parts: Vec<&[u8]> = name.split('/').map(str::as_bytes).collect();
            (SafePath::from_components(parts).expect("a name"), length, pad)
        };
        let files = [
            file("d/a.mkv", 100, false),
            file("d/pad", 28, true),
            file("d/b.srt", 64, false),
            file("d/e/c.mkv", 64, false),
        ];
        Layout::contiguous(64, files).expect("a layout")
    }

    fn check(files: &[&str], range: Option<&str>, pieces: &str) {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        let selection =
            Selection { files, range: range.map(str::to_owned), ..Selection::default() };
        let wanted = selection.wanted_pieces(&layout()).expect("a selection");
        assert_eq!(piece_list::format(&wanted), pieces);
    }

    #[test]
    fn files_are_meant_by_number_pattern_path_and_name() {
        check(&[], None, "0-3");
        check(&["0"], None, "0-1");
        check(&["*.mkv"], None, "0-1,3");
        check(&["b.srt"], None, "2");
        check(&["d/e/*"], None, "3");
        check(&["2", "3"], None, "2-3");
    }

    #[test]
    fn a_range_cuts_what_files_say() {
        check(&[], Some("1-2"), "1-2");
        check(&["*.mkv"], Some("1-"), "1,3");
    }

    #[test]
    fn a_magnet_selects_files_unless_the_user_does() {
        let mut torrent = Torrent::from_hex(&"1".repeat(40)).expect("a hash");
        torrent.select = vec![(2, 2), (7, 9)];
        let pieces = |files: &[&str]| {
            let files = files.iter().map(|f| (*f).to_owned()).collect();
            let selection = Selection { files, ..Selection::default() }.or_of(&torrent);
            selection.wanted_pieces(&layout()).map(|wanted| piece_list::format(&wanted))
        };
        assert_eq!(pieces(&[]).expect("one file"), "2");
        assert_eq!(pieces(&["0"]).expect("the user's"), "0-1");
        torrent.select = vec![(1, 1), (4, 9)];
        let selection = Selection::default().or_of(&torrent);
        let why = selection.wanted_pieces(&layout()).expect_err("padding and files that are none");
        assert!(why.to_string().contains("selects no file of its torrent: `so=1,4-9`"), "{why}");
    }

    #[test]
    fn what_matches_nothing_is_an_error() {
        for (files, range) in
            [("*.avi", None), ("9", None), ("1", None), ("[", None), ("0", Some("9"))]
        {
            let range = range.map(str::to_owned);
            let selection =
                Selection { files: vec![files.to_owned()], range, ..Selection::default() };
            assert!(selection.wanted_pieces(&layout()).is_err(), "{files}");
        }
    }
}
