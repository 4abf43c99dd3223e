//! Where `scripts/parts` put things, and one clear sentence when it has not run.

use std::path::{Path, PathBuf};

/// The version that `scripts/parts` unpacks.
const FIXTURES: &str = ".parts/fixtures-2.0.3/fixtures";

/// A path in the project's folder.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program or file that `scripts/parts` brings, by its path in the project.
///
/// # Panics
/// If it is not there.
pub fn part(path: &str) -> PathBuf {
    let path = project(path);
    assert!(path.exists(), "`{}` is missing: run scripts/parts", path.display());
    path
}

/// The Python that has libtorrent.
pub fn python() -> PathBuf {
    part(".parts/venv/bin/python")
}

/// A script of the harness.
pub fn script(name: &str) -> PathBuf {
    part("tests/harness").join(name)
}

/// The folder of `webtorrent-fixtures`: torrents that nobody here made, all v1, none with a
/// tracker.
///
/// | torrent | content | there |
/// |---|---|---|
/// | `alice` | `alice.txt`, 163,783 bytes, 10 pieces of 16 KiB | yes |
/// | `leaves` | `Leaves of Grass by Walt Whitman.epub`, 362,017 bytes, 23 pieces of 16 KiB | yes |
/// | `leaves-metadata` | the same info dictionary as `leaves`, as a client saves it from a magnet | yes |
/// | `folder` | `folder/file.txt`, 15 bytes | yes |
/// | `numbers` | `numbers/{1,2,3}.txt`, 1, 2 and 3 bytes in one piece | yes |
/// | `lots-of-numbers` | two folders with spaces in their names, 12 bytes in one piece | yes |
/// | `bunny` | 434,839,491 bytes, with a web seed | no |
/// | `sintel` | 5,490,455,272 bytes in 1,310 pieces of 4 MiB | no |
/// | `corrupt` | none: its info dictionary has no name | no |
pub fn fixtures() -> PathBuf {
    part(FIXTURES)
}
