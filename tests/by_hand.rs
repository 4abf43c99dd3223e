//! [`ByHand`]: a torrent whose every byte is written here, and its piece store.
//!
//! For what needs no swarm. Bencoding and hashing are a dozen lines and none of rtor's, so that
//! a mistake of rtor's does not cancel out; the store's names are the contract's.

use crate::harness::Rtor;
use serde_json::Value;
use sha1::Digest as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A multi-file torrent called `top`, in a folder with `x.torrent`, a full store `pieces` with a
/// manifest, and the files below `whole`.
pub struct ByHand {
    folder: tempfile::TempDir,
    files: Vec<(String, Vec<u8>)>,
}

impl ByHand {
    /// Of files with paths below `top` and lengths.
    pub fn new(piece_length: usize, files: &[(&str, usize)]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let files: Vec<(String, Vec<u8>)> = files
            .iter()
            .map(|(path, length)| ((*path).to_owned(), (0..*length).map(|_| byte()).collect()))
            .collect();
        let it = Self { folder, files };
        fs::write(it.at("x.torrent"), it.torrent(piece_length)).expect("a file");
        for (path, content) in &it.files {
            let path = it.at("whole/top").join(path);
            fs::create_dir_all(path.parent().expect("a folder above")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        fs::create_dir(it.at("pieces")).expect("a folder");
        for (i, piece) in it.content().chunks(piece_length).enumerate() {
            fs::write(it.piece(i), piece).expect("a file");
        }
        let decoded = it.rtor(["decode", "x.torrent"]).run().exited(0);
        fs::write(it.at("pieces/manifest.json"), &decoded.stdout).expect("a file");
        it
    }

    /// A path in the folder.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Where a piece is stored.
    pub fn piece(&self, index: usize) -> PathBuf {
        self.at(&format!("pieces/piece_{index}_complete.bin"))
    }

    /// The bytes of the file at `path`.
    pub fn file(&self, path: &str) -> &[u8] {
        &self.files.iter().find(|(own, _)| own == path).expect("one of the torrent's").1
    }

    /// rtor, in the folder, with nothing on stdin.
    pub fn rtor<const N: usize>(&self, args: [&str; N]) -> Rtor {
        Rtor::new(self.folder.path(), args)
    }

    fn content(&self) -> Vec<u8> {
        self.files.iter().flat_map(|(_, content)| content.iter().copied()).collect()
    }

    fn torrent(&self, piece_length: usize) -> Vec<u8> {
        let mut info = b"d5:filesl".to_vec();
        for (path, content) in &self.files {
            info.extend(format!("d6:lengthi{}e4:pathl", content.len()).bytes());
            for component in path.split('/') {
                info.extend(format!("{}:{component}", component.len()).bytes());
            }
            info.extend(b"ee");
        }
        let hashes: Vec<[u8; 20]> =
            self.content().chunks(piece_length).map(|p| sha1::Sha1::digest(p).into()).collect();
        let pieces = hashes.concat();
        info.extend(
            format!("e4:name3:top12:piece lengthi{piece_length}e6:pieces{}:", pieces.len()).bytes(),
        );
        info.extend(pieces);
        info.push(b'e');
        [b"d4:info", &info[..], b"e"].concat()
    }
}

/// Changes the byte at `at` of a file.
pub fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// The files of section `section`, one line each: path, state, and the rest as JSON.
pub fn files(manifest: &Value, section: &str, keys: &[&str]) -> Vec<String> {
    let files = manifest[section]["files"].as_array().expect("a list of files");
    let line = |file: &Value| {
        let values: Vec<String> = keys.iter().map(|key| file[key].to_string()).collect();
        let word = |key: &str| file[key].as_str().expect("a text").to_owned();
        format!("{} {} {}", word("path"), word("state"), values.join(" ")).trim_end().to_owned()
    };
    files.iter().map(line).collect()
}
