//! [`FileStore`]: straight into the final files, nothing written twice.
//!
//! Files are made when their first byte arrives, at their full length and sparse; empty ones at
//! once. What an earlier run or another program left in them is never trusted (whoever goes on
//! hashes it first) and never cut, unless the user forces it. Padding (BEP 47) is never written
//! and reads as zeros. A piece that lies across files is written to all of them, also when the
//! user wants only some: its other bytes could not be verified again otherwise.
//!
//! Blocks of unfinished pieces lie in `.rtor-<16 digits of the info hash>/` beside the files
//! ([`Partials`]); the folder goes with the last of them.

use super::folder::{Access, Folder};
use super::handles::Handles;
use super::partial::Partials;
use super::place::Place;
use super::positioned::{cut, write_all_at};
use super::{DiskError, PieceSource, Presence};
use crate::torrent::{Info, PieceIndex};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The final files of a torrent.
#[derive(Debug)]
pub struct FileStore {
    place: Place,
    written: Handles,
    partials: Partials,
    force: bool,
}

impl FileStore {
    /// Opens the files below `output` to write. `force` lets a file that is longer than the
    /// torrent's be cut.
    ///
    /// # Errors
    /// If a path of the torrent leads through a link, is no file, or is longer than it should be
    /// without `force`.
    pub fn make(output: &Path, info: Arc<Info>, force: bool) -> Result<Self, DiskError> {
        let folder = Arc::new(Folder::make(output)?);
        refuse_conflict(&info)?;
        let store = Self::of(Place::below(folder, info), force);
        let files = store.info().layout.files().iter().enumerate();
        for (i, file) in files.filter(|(i, _)| store.info().is_written(*i)) {
            let length = store.place.folder().length(store.place.path(i))?;
            if length.is_some_and(|length| length > file.length) && !force {
                return Err(store.longer(i, length.unwrap_or_default()));
            }
            if file.length == 0 {
                store.fitted(i)?;
            }
        }
        Ok(store)
    }

    /// Finished or unfinished files where they are, to read.
    #[must_use]
    pub fn open(place: Place) -> Self {
        Self::of(place, false)
    }

    /// The pieces that are not whole.
    #[must_use]
    pub const fn partials(&self) -> &Partials {
        &self.partials
    }

    /// The torrent.
    #[must_use]
    pub const fn info(&self) -> &Arc<Info> {
        self.place.info()
    }

    /// Where the files are.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Writes verified bytes of `piece`, `slices` one behind the other, from `offset` of it: one
    /// vectored write a file.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn write(
        &self,
        piece: PieceIndex,
        offset: u32,
        slices: &[&[u8]],
    ) -> Result<(), DiskError> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        let layout = &self.info().layout;
        for span in layout.spans_within(piece, offset..offset + length as u32) {
            if !self.info().is_written(span.file) {
                continue;
            }
            let file = self.to_write(span.file)?;
            let part = cut(slices, span.within.start - offset..span.within.end - offset);
            write_all_at(&file, span.offset, part)
                .map_err(|e| DiskError::system("write", self.at(span.file), e))?;
        }
        Ok(())
    }

    /// All is there: closes the files, removes what only an unfinished torrent needs.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn finish(&self) -> Result<(), DiskError> {
        self.written.close();
        self.partials.remove_all()
    }

    fn of(place: Place, force: bool) -> Self {
        let mut name = ".rtor-".to_owned();
        for byte in &place.info().hashes.on_the_wire()[..8] {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let partials = Partials::below(Arc::clone(place.folder()), &name, Arc::clone(place.info()));
        Self { place, written: Handles::default(), partials, force }
    }

    fn to_write(&self, file: usize) -> Result<Arc<File>, DiskError> {
        let opened = self.written.file(file, || self.fitted(file).map(Some))?;
        opened.ok_or_else(|| DiskError::Absent(self.at(file)))
    }

    /// Opens a file to write and gives it its length.
    fn fitted(&self, file: usize) -> Result<File, DiskError> {
        let due = self.info().layout.files()[file].length;
        let handle = self.place.folder().made(self.place.path(file), Access::Write)?;
        let refused = |e| DiskError::system("write", self.at(file), e);
        let length = handle.metadata().map_err(refused)?.len();
        if length > due && !self.force {
            return Err(self.longer(file, length));
        }
        if length != due {
            handle.set_len(due).map_err(refused)?;
        }
        Ok(handle)
    }

    fn longer(&self, file: usize, length: u64) -> DiskError {
        let due = self.info().layout.files()[file].length;
        DiskError::Longer { path: self.at(file), length, due }
    }

    fn at(&self, file: usize) -> std::path::PathBuf {
        self.place.folder().at(self.place.path(file))
    }
}

impl PieceSource for FileStore {
    fn presence(&self, piece: PieceIndex) -> Presence {
        self.place.presence(piece)
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        self.place.read(piece, offset, into)
    }

    fn announce(&self, piece: PieceIndex, offset: u32, length: u64) {
        self.place.announce(piece, offset, length);
    }
}

/// Refuses a torrent two of whose files can't both be written.
///
/// # Errors
/// [`DiskError::Conflict`] with the path.
pub(super) fn refuse_conflict(info: &Info) -> Result<(), DiskError> {
    info.conflict.clone().map_or(Ok(()), |conflict| Err(DiskError::Conflict(conflict)))
}
