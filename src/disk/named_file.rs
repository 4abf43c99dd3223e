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

/// Creates (or empties) the file at `path`, to be written as lines come.
///
/// # Errors
/// If the system refuses.
pub fn create(path: &Path) -> Result<impl io::Write + 'static, DiskError> {
    File::create(path).map_err(|why| DiskError::system("write", path, why))
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
}
