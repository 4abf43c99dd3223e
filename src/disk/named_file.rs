//! Files that the user named: followed wherever they lead, pipes too (`<(..)`), read whole up to
//! a limit. Paths that a torrent names are walked by [`Folder`](super::Folder) instead.

use super::DiskError;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads the file at `path`.
///
/// # Errors
/// [`DiskError::Absent`] if there is none; if it has more than `bytes_max` bytes, or can't be read.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .and_then(|read| match read as u64 > bytes_max {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(bytes),
        })
        .map_err(|why| match why.kind() {
            io::ErrorKind::NotFound => DiskError::Absent(path.to_owned()),
            io::ErrorKind::IsADirectory => DiskError::WrongType(path.to_owned()),
            _ => DiskError::system("read", path, why),
        })
}

/// Whether there is a file with something in it.
#[must_use]
pub fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

/// Creates (or empties) the file at `path`, to be written as lines come.
///
/// # Errors
/// If the system refuses.
pub fn create(path: &Path) -> Result<impl io::Write + 'static, DiskError> {
    File::create(path).map_err(|why| DiskError::system("write", path, why))
}

/// Writes the file at `path` whole or not at all, in the place of an earlier one. What is no plain
/// file, `/dev/stdout` for one, is written to as it is.
///
/// # Errors
/// If the system refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let failed = |why| DiskError::system("write", path, why);
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::write(path, bytes).map_err(failed);
    }
    // A link stays one; what it leads to is replaced.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    tempfile::Builder::new()
        .permissions(mode)
        .tempfile_in(folder)
        .and_then(|mut file| io::Write::write_all(&mut file, bytes).map(|()| file))
        .and_then(|file| file.persist(&target).map_err(|why| why.error))
        .map(drop)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_a_folder_is_not_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, b"12345").expect("a file");
        assert_eq!(read(&path, 5).expect("it fits"), b"12345");
        assert!(matches!(read(&path, 4), Err(DiskError::System { .. })));
        assert!(matches!(read(folder.path(), 9), Err(DiskError::WrongType(_))));
        assert!(matches!(read(&folder.path().join("b"), 9), Err(DiskError::Absent(_))));
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_link_to_it_stays_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        std::fs::write(&path, b"something longer").expect("a file");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        replace(&link, b"new").expect("it can be written");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"new");
        assert!(link.is_symlink());
        assert!(replace(&folder.path().join("no/where"), b"").is_err());
    }
}
