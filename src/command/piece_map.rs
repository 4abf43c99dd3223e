//! The pieces of a torrent as a picture for a terminal: a character each, or one for a few of them.
//!
//! Plain characters, so that it survives any terminal, mail and issue. Of the pieces behind a character
//! the worst shows: damage is not to be lost among what is whole.

use crate::disk::check::PieceState;

/// Lines of the picture.
const LINES_MAX: usize = 8;
/// Characters of a line, at the least.
const WIDTH_MIN: usize = 16;

/// The map of `pieces`, no line of it longer than `width`, and what its characters mean.
pub(super) fn drawn(pieces: &[PieceState], width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let each = pieces.len().div_ceil(width * LINES_MAX).max(1);
    let cells: Vec<char> = pieces.chunks(each).map(cell).collect();
    let mut text = String::new();
    for line in cells.chunks(width) {
        text.extend(line);
        text.push('\n');
    }
    let meanings = [('#', "whole"), ('x', "bad"), ('-', "partly missing"), ('.', "missing")];
    let meanings = meanings.into_iter().filter(|(character, _)| cells.contains(character));
    let meanings: Vec<String> = meanings.map(|(c, meaning)| format!("{c} {meaning}")).collect();
    let scale = if each > 1 { format!("; {each} pieces a character") } else { String::new() };
    text.push_str(&format!("{}{scale}\n", meanings.join(", ")));
    text
}

fn cell(pieces: &[PieceState]) -> char {
    let any = |state| pieces.contains(&state);
    match (any(PieceState::Bad), any(PieceState::Missing), any(PieceState::Ok)) {
        (true, _, _) => 'x',
        (false, true, true) => '-',
        (false, true, false) => '.',
        (false, false, _) => '#',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PieceState::{Bad, Missing, Ok};

    #[test]
    fn a_piece_is_a_character_while_there_is_room() {
        let pieces = [[Ok; 15].as_slice(), &[Bad, Missing, Ok]].concat();
        assert_eq!(drawn(&pieces, 16), "###############x\n.#\n# whole, x bad, . missing\n");
        assert_eq!(drawn(&[Ok], 80), "#\n# whole\n");
    }

    #[test]
    fn the_worst_of_several_shows() {
        let mut pieces = vec![Ok; 16 * LINES_MAX * 2];
        pieces[3] = Bad;
        (pieces[4], pieces[6], pieces[7]) = (Missing, Missing, Missing);
        let map = drawn(&pieces, 16);
        assert!(map.starts_with("#x-.####"), "{map}");
        let said = "# whole, x bad, - partly missing, . missing; 2 pieces a character\n";
        assert!(map.ends_with(said), "{map}");
        assert_eq!(map.lines().count(), LINES_MAX + 1);
    }
}
