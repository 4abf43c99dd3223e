//! [`Content`]: the shape of what is seeded, and a look at whether it is what was sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes that are asked for at once (BEP 3).
pub(crate) const BLOCK_LENGTH: u32 = 16 << 10;
/// One block of so many is compared: all would cost as much as receiving them.
const COMPARED_ONE_OF: u64 = 64;

/// A torrent's content.
#[derive(Debug)]
pub(crate) struct Content {
    file: Option<File>,
    length: u64,
    piece_length: u32,
}

impl Content {
    /// With a file, what comes is compared with it.
    pub(crate) fn open(file: Option<&Path>, length: u64, piece_length: u32) -> io::Result<Self> {
        Ok(Self { file: file.map(File::open).transpose()?, length, piece_length })
    }

    /// Pieces.
    pub(crate) fn pieces(&self) -> u32 {
        self.length.div_ceil(u64::from(self.piece_length)) as u32
    }

    /// Bytes of a piece.
    pub(crate) fn piece_size(&self, piece: u32) -> u32 {
        let begins = u64::from(piece) * u64::from(self.piece_length);
        self.length.saturating_sub(begins).min(u64::from(self.piece_length)) as u32
    }

    /// Whether bytes of a block that begins at `offset` of a piece, `from` bytes on, are what they
    /// should be, as far as anybody looks.
    pub(crate) fn is_right(&self, piece: u32, offset: u32, from: u32, bytes: &[u8]) -> bool {
        let Some(file) = &self.file else { return true };
        let begins = u64::from(piece) * u64::from(self.piece_length) + u64::from(offset);
        if (begins / u64::from(BLOCK_LENGTH)) % COMPARED_ONE_OF != 0 {
            return true;
        }
        let mut right = vec![0; bytes.len()];
        file.read_exact_at(&mut right, begins + u64::from(from)).is_ok() && right == bytes
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a file to be read")]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_noticed_in_the_blocks_that_are_compared() {
        let path = std::env::temp_dir().join(format!("rtor-sink-{}", std::process::id()));
        let bytes: Vec<u8> = (0..3 * BLOCK_LENGTH).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &bytes).expect("a file");
        let content = Content::open(Some(&path), bytes.len() as u64, 1 << 15).expect("it is there");
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!((content.pieces(), content.piece_size(1)), (2, BLOCK_LENGTH));
        assert!(content.is_right(0, 0, 3, &bytes[3..200]));
        assert!(!content.is_right(0, 0, 4, &bytes[3..200]));
        assert!(!content.is_right(0, 0, 3 * BLOCK_LENGTH, &bytes[..1]), "beyond the end");
        assert!(content.is_right(0, BLOCK_LENGTH, 0, &[0; 100]), "nobody looks");
    }
}
