//! [`Content`] and [`Torrent`]: what is shared, made on the spot.
//!
//! Content is bytes from a seeded generator, so that a failure comes back; torrents are made by
//! libtorrent, or are `webtorrent-fixtures`' own. Never by rtor: its mistakes would cancel out.

use super::parts::{fixtures, python, script};
use super::{Chance, GIB, KIB, MIB};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which info dictionary a torrent gets (BEP 3, BEP 52, or both in one).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Pieces over all files, SHA-1.
    #[default]
    V1,
    /// The same with padding files, so that each file begins a piece.
    Padded,
    /// A tree of SHA-256 for each file.
    V2,
    /// Both, with padding files.
    Hybrid,
}

/// A file or folder to share.
#[derive(Clone, Debug)]
pub struct Content {
    folder: PathBuf,
    name: String,
}

impl Content {
    /// One file `name` in `folder`.
    pub fn file(folder: &Path, name: &str, length: u64, seed: u64) -> Self {
        write(&folder.join(name), length, seed);
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    /// A folder `name` in `folder` with files, each by its path and length.
    pub fn files<'a>(
        folder: &Path,
        name: &str,
        files: impl IntoIterator<Item = (&'a str, u64)>,
        seed: u64,
    ) -> Self {
        for (nth, (path, length)) in files.into_iter().enumerate() {
            let path = folder.join(name).join(path);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
            write(&path, length, seed.wrapping_add(nth as u64));
        }
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    /// 200 files in nested folders: empty ones, of one byte, around block and piece borders, odd
    /// ones; names with spaces, umlauts and other letters.
    pub fn odd_files(folder: &Path) -> Self {
        const LENGTHS: [u64; 10] =
            [0, 1, 2, 16_383, 16_384, 16_385, 32_767, 32_769, 65_536, 65_537];
        const FOLDERS: [&str; 5] = ["", "a b/", "Größe/Straße/", "深い/", "z/y/x/w/v/"];
        let files: Vec<(String, u64)> = (0..200_u64)
            .map(|nth| {
                let folder = FOLDERS[nth as usize % FOLDERS.len()];
                let odd = LENGTHS.get(nth as usize / 2).copied();
                let length = odd.unwrap_or_else(|| Chance(nth).word() % 50_000);
                (format!("{folder}{nth:03} söng.mp3"), length)
            })
            .collect();
        Self::files(folder, "Odd Ünits", files.iter().map(|(path, len)| (path.as_str(), *len)), 1)
    }

    /// One file of 1 GiB, and its torrent without trackers. Made once, kept in the target folder,
    /// for all who read it: tests in parallel and later runs.
    pub fn gigabyte() -> (Self, PathBuf) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gigabyte");
        fs::create_dir_all(&folder).expect("the target folder takes a folder");
        let lock = File::create(folder.join("lock")).expect("it takes a file");
        lock.lock().expect("a lock can be waited for");
        let content = Self { folder: folder.clone(), name: "gigabyte.bin".to_owned() };
        let torrent = folder.join("gigabyte.torrent");
        // The torrent is made last, so its being there vouches for the content.
        if !torrent.exists() {
            write(&content.path(), GIB, 42);
            let made = folder.join("gigabyte.torrent.new");
            Torrent::of(&content).piece_length(MIB).make(&made);
            fs::rename(made, &torrent).expect("a rename in one folder");
        }
        (content, torrent)
    }

    /// Something that `webtorrent-fixtures` brings; see [`fixtures`] for what there is.
    pub fn fixture(name: &str) -> Self {
        Self { folder: fixtures(), name: name.to_owned() }
    }

    /// The folder that it is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file or folder itself.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

/// A .torrent file, and what libtorrent says of it.
#[derive(Clone, Debug)]
pub struct Torrent {
    path: PathBuf,
    facts: Value,
}

/// A torrent to be made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Recipe {
    base: Option<PathBuf>,
    content: PathBuf,
    version: Version,
    piece_length: u64,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
    private: bool,
}

impl Torrent {
    /// A torrent of `content`: v1, pieces of 32 KiB, no trackers, unless said otherwise.
    pub fn of(content: &Content) -> Recipe {
        Recipe {
            base: None,
            content: content.path(),
            version: Version::V1,
            piece_length: 32 * KIB,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            nodes: Vec::new(),
            private: false,
        }
    }

    /// The torrent of the file `base` with other trackers, or none: its info dictionary stays.
    pub fn like(base: &Path) -> Recipe {
        let content = Content { folder: PathBuf::new(), name: String::new() };
        Recipe { base: Some(base.to_owned()), ..Self::of(&content) }
    }

    /// A torrent of `webtorrent-fixtures`, by its name without `.torrent`.
    pub fn fixture(name: &str) -> Recipe {
        Self::like(&fixtures().join(format!("{name}.torrent")))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, as an argument.
    pub fn arg(&self) -> &str {
        self.path.to_str().expect("the target folder's path is UTF-8")
    }

    /// The v1 info hash in hex.
    pub fn info_hash_v1(&self) -> Option<&str> {
        self.facts["info_hash_v1"].as_str()
    }

    /// The v2 info hash in hex.
    pub fn info_hash_v2(&self) -> Option<&str> {
        self.facts["info_hash_v2"].as_str()
    }

    /// What a tracker calls it first: the v1 info hash, or 20 bytes of the v2 one.
    pub fn tracker_hash(&self) -> String {
        self.tracker_hashes().swap_remove(0)
    }

    /// All that a tracker may call it: a hybrid has two names.
    pub fn tracker_hashes(&self) -> Vec<String> {
        let hashes = [self.info_hash_v1(), self.info_hash_v2()];
        hashes.into_iter().flatten().map(|hash| hash[..40].to_owned()).collect()
    }

    /// How many pieces it has.
    pub fn piece_count(&self) -> u64 {
        self.facts["piece_count"].as_u64().expect("the script tells")
    }

    /// How long a piece is.
    pub fn piece_length(&self) -> u64 {
        self.facts["piece_length"].as_u64().expect("the script tells")
    }

    /// How long all files are together, padding too.
    pub fn total_length(&self) -> u64 {
        self.facts["total_length"].as_u64().expect("the script tells")
    }
}

impl Recipe {
    /// Adds a tracker, as a tier of its own.
    pub fn tracker(mut self, url: impl Into<String>) -> Self {
        self.trackers.push(vec![url.into()]);
        self
    }

    /// Adds a tier of several trackers.
    pub fn tier(mut self, urls: &[String]) -> Self {
        self.trackers.push(urls.to_owned());
        self
    }

    /// Sets the format.
    pub fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Sets the piece length, a power of two of at least 16 KiB.
    pub fn piece_length(self, piece_length: u64) -> Self {
        Self { piece_length, ..self }
    }

    /// Adds a web seed.
    pub fn web_seed(mut self, url: impl Into<String>) -> Self {
        self.web_seeds.push(url.into());
        self
    }

    /// Names a node of the DHT (BEP 5).
    pub fn node(mut self, node: SocketAddr) -> Self {
        self.nodes.push((node.ip().to_string(), node.port()));
        self
    }

    /// Makes it private (BEP 27).
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Makes it, at `path`.
    ///
    /// # Panics
    /// If libtorrent does not.
    pub fn make(&self, path: &Path) -> Torrent {
        let version = match self.version {
            Version::V1 => "v1",
            Version::Padded => "padded",
            Version::V2 => "v2",
            Version::Hybrid => "hybrid",
        };
        let told = json!({
            "base": self.base,
            "content": self.content,
            "out": path,
            "version": version,
            "piece_length": self.piece_length,
            "trackers": self.trackers,
            "web_seeds": self.web_seeds,
            "nodes": self.nodes,
            "private": self.private,
        });
        let output = Command::new(python())
            .arg(script("torrents.py"))
            .arg(told.to_string())
            .output()
            .expect("Python runs: scripts/parts brings it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "libtorrent made no torrent: {said}");
        let facts = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
        Torrent { path: path.to_owned(), facts }
    }
}

fn write(path: &Path, length: u64, seed: u64) {
    let file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file = BufWriter::with_capacity(MIB as usize, file);
    let mut bytes = Chance(seed);
    let mut left = length;
    while left > 0 {
        let word = bytes.word().to_le_bytes();
        let take = left.min(word.len() as u64);
        file.write_all(&word[..take as usize]).expect("the disk takes a test's content");
        left -= take;
    }
    file.flush().expect("the disk takes a test's content");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Net;

    #[test]
    fn a_fixture_keeps_its_info_hash_when_it_gets_a_tracker() {
        let net = Net::new();
        let out = net.folder("torrents").join("leaves.torrent");
        let torrent =
            Torrent::fixture("leaves").tracker("udp://10.77.0.2:6969/announce").make(&out);
        assert_eq!(torrent.info_hash_v1(), Some("d2474e86c95b19b8bcfdb92bc12c9d44667cfa36"));
        assert_eq!((torrent.piece_count(), torrent.total_length()), (23, 362_017));
    }

    #[test]
    fn the_same_content_makes_the_same_torrent_in_each_version() {
        let net = Net::new();
        let folder = net.folder("source");
        let content = Content::files(&folder, "d", [("a", 3), ("b b/ü", 40_000), ("empty", 0)], 7);
        let hashes = |version| {
            let torrent = Torrent::of(&content).version(version).make(&folder.join("x.torrent"));
            (
                torrent.info_hash_v1().is_some(),
                torrent.info_hash_v2().is_some(),
                torrent.piece_count(),
            )
        };
        assert_eq!(hashes(Version::V1), (true, false, 2));
        assert_eq!(hashes(Version::V2), (false, true, 3));
        assert_eq!(hashes(Version::Hybrid), (true, true, 3));
    }
}
