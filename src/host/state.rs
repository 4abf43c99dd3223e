//! [`StateFolder`]: what guests keep from one run to the next, a file a guest.
//!
//! Nothing in it is needed: whoever deletes it makes the next start slower. So what cannot be read
//! is ignored with a warning, a disk that is full costs a warning too, and nothing waits for the
//! disk to have it.

use std::fs::{File, create_dir_all};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that a guest may keep.
const STATE_BYTES_MAX: usize = 64 << 10;

/// The folder; it is made when something is kept.
#[derive(Clone, Debug)]
pub struct StateFolder(PathBuf);

impl StateFolder {
    /// The folder at `path`.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// What the guest `id` kept; `None` if it never did.
    ///
    /// # Errors
    /// One sentence, if there is something that cannot be read.
    pub fn read(&self, id: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.path(id);
        match read(&path) {
            Ok(bytes) if bytes.len() > STATE_BYTES_MAX => {
                let path = path.display();
                Err(format!("`{path}` has more than {STATE_BYTES_MAX} bytes: it is ignored"))
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(format!("`{}` cannot be read, and is ignored: {why}", path.display())),
        }
    }

    /// Keeps `bytes` of the guest `id` instead of what it kept before; a run that reads meanwhile
    /// sees the one or the other, whole.
    ///
    /// # Errors
    /// One sentence, if it cannot be kept.
    pub fn keep(&self, id: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.path(id);
        if bytes.len() > STATE_BYTES_MAX {
            return Err(format!("`{id}` may keep {STATE_BYTES_MAX} bytes and not {}", bytes.len()));
        }
        let kept = create_dir_all(&self.0).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            file.write_all(bytes)?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        });
        kept.map_err(|why| format!("`{}` cannot be written: {why}", path.display()))
    }

    /// An id is letters, digits and `-`: it leads to no other folder.
    fn path(&self, id: &str) -> PathBuf {
        self.0.join(id).with_extension("state")
    }
}

/// At most one byte more than there may be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(STATE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_keeps_is_there_in_the_next_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let states = StateFolder::at(folder.path().join("state/rtor"));
        assert_eq!(states.read("dht"), Ok(None));
        for bytes in [&b"first"[..], b"second", b""] {
            assert_eq!(states.keep("dht", bytes), Ok(()));
            assert_eq!(states.read("dht"), Ok(Some(bytes.to_vec())));
        }
        assert_eq!(states.read("other"), Ok(None));
        let files = std::fs::read_dir(&states.0).expect("it was made");
        assert_eq!(files.count(), 1, "nothing temporary stays");
    }

    #[test]
    fn what_is_too_long_is_neither_kept_nor_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let states = StateFolder::at(folder.path().to_owned());
        let long = vec![0; STATE_BYTES_MAX + 1];
        assert_eq!(
            states.keep("dht", &long),
            Err("`dht` may keep 65536 bytes and not 65537".to_owned())
        );
        std::fs::write(states.path("dht"), &long).expect("a file");
        let why = states.read("dht").expect_err("it is too long");
        assert!(why.ends_with("dht.state` has more than 65536 bytes: it is ignored"), "{why}");
        std::fs::create_dir(states.path("lsd")).expect("a folder");
        let why = states.read("lsd").expect_err("it is a folder");
        assert!(why.contains("lsd.state` cannot be read, and is ignored: "), "{why}");
    }
}
