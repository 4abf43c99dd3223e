//! [`Folder`]: a folder that the user chose, and nothing outside of it.
//!
//! Links on the way *to* the folder are the user's own and are followed. Below it no link is: a
//! torrent that was unpacked earlier, or another user of a shared folder, could have put one
//! there that leads to a home directory. So every path is opened relative to the folder's
//! descriptor, by `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` where the kernel has it
//! (Linux 5.6) and component by component with `O_NOFOLLOW` elsewhere. A check before the open
//! would leave a gap between the two. Only plain files are opened: a FIFO would block for ever.

use super::DiskError;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Times that `openat2` is asked again when something was renamed under it (`EAGAIN`).
const AGAIN_MAX: usize = 16;
/// Bytes of a file that is read whole (a manifest; the largest info dictionary is 64 MiB).
const WHOLE_BYTES_MAX: u64 = 256 << 20;

/// A folder, open; paths below it are relative, with `/` between plain components.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    by_steps: bool,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To read what is there.
    Read,
    /// To read and write; made, with the folders it lies in, if it is not there.
    Write,
    /// As [`Access::Write`], and emptied.
    Fresh,
}

impl Folder {
    /// Opens a folder that exists.
    ///
    /// # Errors
    /// [`DiskError::Absent`] if it does not.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: path.to_owned(), by_steps: false }),
            Err(Errno::NOENT) => Err(DiskError::Absent(path.to_owned())),
            Err(Errno::NOTDIR) => Err(DiskError::WrongType(path.to_owned())),
            Err(errno) => Err(DiskError::system("open", path, errno)),
        }
    }

    /// Opens a folder, made if it is not there.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn make(path: &Path) -> Result<Self, DiskError> {
        match Self::open(path) {
            Err(DiskError::Absent(_)) => {
                std::fs::create_dir_all(path).map_err(|e| DiskError::system("make", path, e))?;
                Self::open(path)
            }
            other => other,
        }
    }

    /// Where it is, as the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes in the plain file at `path`; `None` if there is nothing.
    ///
    /// # Errors
    /// If it is something else or can't be opened.
    pub fn length(&self, path: &str) -> Result<Option<u64>, DiskError> {
        let Some(file) = self.file(path, Access::Read)? else { return Ok(None) };
        let about = file.metadata().map_err(|e| DiskError::system("look at", self.at(path), e))?;
        Ok(Some(about.len()))
    }

    /// The whole content of the file at `path`; `None` if there is nothing.
    ///
    /// # Errors
    /// If it can't be read or is absurdly large.
    pub fn read_whole(&self, path: &str) -> Result<Option<Vec<u8>>, DiskError> {
        use std::io::Read as _;
        let Some(file) = self.file(path, Access::Read)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(WHOLE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .and_then(|read| match read as u64 > WHOLE_BYTES_MAX {
                true => Err(io::ErrorKind::FileTooLarge.into()),
                false => Ok(()),
            })
            .map_err(|e| DiskError::system("read", self.at(path), e))?;
        Ok(Some(bytes))
    }

    /// Replaces the file at `path` by `bytes`, all or nothing, even if the machine stops.
    ///
    /// # Errors
    /// If the system refuses; the old content is then still there.
    pub fn write_whole(&self, path: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = format!("{path}.tmp");
        let file = self.made(&temporary, Access::Fresh)?;
        super::positioned::write_all_at(&file, 0, vec![io::IoSlice::new(bytes)])
            .and_then(|()| file.sync_all())
            .map_err(|e| DiskError::system("write", self.at(&temporary), e))
            .and_then(|()| self.rename(&temporary, path))
            .inspect_err(|_| drop(self.remove(&temporary)))
    }

    /// Opens a plain file; `None` if it is to be read and not there.
    pub(super) fn file(&self, path: &str, access: Access) -> Result<Option<File>, DiskError> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let flags = match access {
            Access::Read => flags | OFlags::RDONLY,
            Access::Write | Access::Fresh => flags | OFlags::RDWR | OFlags::CREATE,
        };
        let opened = match self.open_below(path, flags) {
            Err(Errno::NOENT) if access != Access::Read => {
                self.parent(path, true)?;
                self.open_below(path, flags)
            }
            other => other,
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::NOENT) if access == Access::Read => return Ok(None),
            Err(errno) => return Err(self.explain("open", path, errno)),
        };
        let file = File::from(fd);
        let about = file.metadata().map_err(|e| DiskError::system("open", self.at(path), e))?;
        if !about.is_file() {
            return Err(DiskError::WrongType(self.at(path)));
        }
        if access == Access::Fresh && about.len() > 0 {
            file.set_len(0).map_err(|e| DiskError::system("empty", self.at(path), e))?;
        }
        Ok(Some(file))
    }

    /// Opens a file that is there afterwards in any case.
    pub(super) fn made(&self, path: &str, access: Access) -> Result<File, DiskError> {
        debug_assert!(access != Access::Read, "a file that is only read may be absent");
        self.file(path, access)?.ok_or_else(|| DiskError::Absent(self.at(path)))
    }

    /// Gives the file at `from` the path `to`; what was there is gone.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let (from_parent, from_name) = self.parent(from, false)?;
        let (to_parent, to_name) = self.parent(to, true)?;
        rustix::fs::renameat(
            self.or_here(&from_parent),
            from_name,
            self.or_here(&to_parent),
            to_name,
        )
        .map_err(|errno| self.explain("write", to, errno))
    }

    /// Removes the file at `path`, if there is one.
    pub(super) fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.unlink(path, AtFlags::empty())
    }

    /// Removes the folder at `path`, if there is one and it is empty.
    pub(super) fn remove_folder(&self, path: &str) -> Result<(), DiskError> {
        match self.unlink(path, AtFlags::REMOVEDIR) {
            Err(DiskError::System { source, .. })
                if source.kind() == io::ErrorKind::DirectoryNotEmpty =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Names of what may be plain files in the folder at `path` (empty: this one); none if it is
    /// not there. One pass, no `stat`.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, DiskError> {
        let below;
        let fd = if path.is_empty() {
            self.fd.as_fd()
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match self.open_below(path, flags) {
                Ok(fd) => below = fd,
                Err(Errno::NOENT) => return Ok(Vec::new()),
                Err(errno) => return Err(self.explain("open", path, errno)),
            }
            below.as_fd()
        };
        let listed = |errno| self.explain("list", path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(fd).map_err(listed)? {
            let entry = entry.map_err(listed)?;
            if matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown)
                && let Ok(name) = entry.file_name().to_str()
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Claims the folder for this process until it is closed.
    pub(super) fn lock(&self) -> Result<(), DiskError> {
        match rustix::fs::flock(&self.fd, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(DiskError::Busy(self.path.clone())),
            // Some network file systems can't lock a folder; the lock only helps.
            _ => Ok(()),
        }
    }

    /// The path of something below, for people.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(path) }
    }

    fn unlink(&self, path: &str, flags: AtFlags) -> Result<(), DiskError> {
        let (parent, name) = match self.parent(path, false) {
            Ok(found) => found,
            Err(DiskError::Absent(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let parent = self.or_here(&parent);
        match rustix::fs::unlinkat(parent, name, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.explain("remove", path, errno)),
        }
    }

    /// The folder that `path` lies in (`None`: this one) and its last component.
    fn parent<'a>(
        &self,
        path: &'a str,
        make: bool,
    ) -> Result<(Option<OwnedFd>, &'a str), DiskError> {
        let Some((folders, name)) = path.rsplit_once('/') else { return Ok((None, path)) };
        let mut reached = None::<OwnedFd>;
        let mut walked = String::new();
        for component in folders.split('/') {
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(component);
            let here = self.or_here(&reached);
            let next = match step(here, component) {
                Err(Errno::NOENT) if make => {
                    match rustix::fs::mkdirat(here, component, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => step(here, component),
                        Err(errno) => Err(errno),
                    }
                }
                other => other,
            };
            reached = Some(next.map_err(|errno| self.explain("open", &walked, errno))?);
        }
        Ok((reached, name))
    }

    fn open_below(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        #[cfg(target_os = "linux")]
        if !self.by_steps {
            use rustix::fs::ResolveFlags;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            for _ in 0..AGAIN_MAX {
                match rustix::fs::openat2(&self.fd, path, flags, mode(flags), resolve) {
                    Err(Errno::AGAIN) => {}
                    // No such call, or a sandbox that does not know it.
                    Err(Errno::NOSYS | Errno::PERM) => break,
                    other => return other,
                }
            }
        }
        self.open_by_steps(path, flags)
    }

    fn open_by_steps(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut reached = None::<OwnedFd>;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for component in folders.split('/').filter(|c| !c.is_empty()) {
            reached = Some(step(self.or_here(&reached), component)?);
        }
        let here = self.or_here(&reached);
        rustix::fs::openat(here, name, flags | OFlags::NOFOLLOW, mode(flags))
    }

    fn or_here<'a>(&'a self, reached: &'a Option<OwnedFd>) -> BorrowedFd<'a> {
        reached.as_ref().map_or_else(|| self.fd.as_fd(), AsFd::as_fd)
    }

    fn explain(&self, doing: &'static str, path: &str, errno: Errno) -> DiskError {
        let at = self.at(path);
        match errno {
            Errno::LOOP | Errno::XDEV => DiskError::Symlink(at),
            Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => DiskError::WrongType(at),
            Errno::NOENT => DiskError::Absent(at),
            errno => DiskError::system(doing, at, errno),
        }
    }
}

/// The mode of a file that is made; `openat2` refuses one where none is.
fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o666) } else { Mode::empty() }
}

/// Opens the folder `component` of `here`, not through a link.
fn step(here: BorrowedFd<'_>, component: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(here, component, flags, Mode::empty());
    if matches!(opened, Err(Errno::NOTDIR)) {
        // A link with O_DIRECTORY answers ENOTDIR: say which of the two it was.
        let about = rustix::fs::statat(here, component, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(about.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Each test runs on both ways to open.
    fn both(check: impl Fn(&Folder, &Path)) {
        for by_steps in [false, true] {
            let temporary = tempfile::tempdir().expect("a folder");
            let inside = temporary.path().join("inside");
            std::fs::create_dir(&inside).expect("a folder");
            std::fs::write(temporary.path().join("secret"), "outside").expect("a file");
            let mut folder = Folder::open(&inside).expect("it is there");
            folder.by_steps = by_steps;
            check(&folder, temporary.path());
        }
    }

    #[test]
    fn folders_on_the_way_are_made() {
        both(|folder, outside| {
            let file = folder.made("a/b/c", Access::Write).expect("made");
            file.set_len(3).expect("a length");
            assert_eq!(folder.length("a/b/c").expect("there"), Some(3));
            assert!(outside.join("inside/a/b/c").is_file());
            assert_eq!(folder.length("a/b/d").expect("absent"), None);
            assert_eq!(folder.length("x/y").expect("absent"), None);
        });
    }

    #[test]
    fn a_link_is_never_followed_wherever_it_lies() {
        both(|folder, outside| {
            symlink(outside, folder.at("up")).expect("a link");
            symlink(outside.join("secret"), folder.at("last")).expect("a link");
            symlink(outside.join("new"), folder.at("dangling")).expect("a link");
            for path in ["up/secret", "up/new/deep", "last", "dangling"] {
                for access in [Access::Read, Access::Write, Access::Fresh] {
                    let error = folder.file(path, access).expect_err(path);
                    assert!(matches!(error, DiskError::Symlink(_)), "{path} {access:?}: {error}");
                    assert!(error.is_input());
                }
            }
            folder.made("ours", Access::Fresh).expect("made");
            let moved = folder.rename("ours", "up/stolen").expect_err("through a link");
            assert!(matches!(moved, DiskError::Symlink(_)), "{moved}");
            let removed = folder.remove("up/secret").expect_err("through a link");
            assert!(matches!(removed, DiskError::Symlink(_)), "{removed}");
            assert_eq!(std::fs::read(outside.join("secret")).expect("kept"), b"outside");
            assert!(!outside.join("new").exists());
        });
    }

    #[test]
    fn what_is_no_plain_file_is_refused_and_does_not_block() {
        both(|folder, _| {
            std::fs::create_dir(folder.at("dir")).expect("a folder");
            rustix::fs::mknodat(&folder.fd, "fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0)
                .expect("a FIFO");
            folder.made("file", Access::Write).expect("made");
            for path in ["dir", "fifo", "file/below"] {
                for access in [Access::Read, Access::Write] {
                    let error = folder.file(path, access).expect_err(path);
                    assert!(matches!(error, DiskError::WrongType(_)), "{path}: {error}");
                }
            }
        });
    }

    #[test]
    fn a_file_is_replaced_whole() {
        both(|folder, _| {
            folder.write_whole("m", b"one and more").expect("written");
            folder.write_whole("m", b"two").expect("written");
            assert_eq!(folder.read_whole("m").expect("read"), Some(b"two".to_vec()));
            assert_eq!(folder.names("").expect("listed"), ["m"]);
            assert_eq!(folder.read_whole("n").expect("absent"), None);
        });
    }

    #[test]
    fn a_second_lock_is_refused() {
        both(|folder, _| {
            let second = Folder::open(folder.path()).expect("there");
            folder.lock().expect("free");
            assert!(matches!(second.lock(), Err(DiskError::Busy(_))));
        });
    }
}
