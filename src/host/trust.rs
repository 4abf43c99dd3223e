//! Which files may be loaded: loading is running code.
//!
//! A file that everybody may write, or that lies under a folder in which everybody may rename,
//! is anybody's code. The folders are those of the path without symbolic links. A sticky folder
//! (`/tmp`) is fine: there only the owner may rename. The check is made before the loader opens
//! the file a second time; who could swap it in between may already write one of the two.

use super::HostError;
use std::fs::{File, canonicalize, metadata};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Others may write.
const WORLD_WRITABLE: u32 = 0o002;
/// In this folder only the owner of a file may rename it.
const STICKY: u32 = 0o1000;
/// How every ELF file begins.
const ELF_MAGIC: [u8; 4] = *b"\x7fELF";

/// The absolute path of a file that may be loaded.
///
/// # Errors
/// Why it may not.
pub(super) fn trusted(path: &Path) -> Result<PathBuf, HostError> {
    let unreadable = |source| HostError::Unreadable { path: path.to_owned(), source };
    let real = canonicalize(path).map_err(unreadable)?;
    let meta = metadata(&real).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(HostError::NotAFile { path: path.to_owned() });
    }
    if meta.permissions().mode() & WORLD_WRITABLE != 0 {
        return Err(HostError::WorldWritable { path: path.to_owned() });
    }
    for folder in real.ancestors().skip(1) {
        let mode = metadata(folder).map_err(unreadable)?.permissions().mode();
        if mode & WORLD_WRITABLE != 0 && mode & STICKY == 0 {
            let (path, folder) = (path.to_owned(), folder.to_owned());
            return Err(HostError::UnsafeFolder { path, folder });
        }
    }
    let mut magic = Vec::with_capacity(ELF_MAGIC.len());
    let file = File::open(&real).map_err(unreadable)?;
    file.take(ELF_MAGIC.len() as u64).read_to_end(&mut magic).map_err(unreadable)?;
    if magic != ELF_MAGIC {
        return Err(HostError::NotElf { path: path.to_owned() });
    }
    Ok(real)
}
