//! [`Place`]: where the files of a torrent lie, and reading its pieces from there.
//!
//! A place is found, never changed: nothing here writes. Files that are absent, short or not
//! files are states of the pieces they carry.

use super::folder::{Access, Folder};
use super::handles::Handles;
use super::positioned::read_all_at;
use super::{DiskError, PieceSource, Presence};
use crate::torrent::{FileSpan, Info, PieceIndex};
use rustix::fs::SeekFrom;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// A folder and the path of each file of a torrent in it.
#[derive(Debug)]
pub struct Place {
    folder: Arc<Folder>,
    paths: Vec<String>,
    /// Files that lie elsewhere: in which folder, if there is one, and under which name.
    moved: BTreeMap<usize, (Option<Folder>, String)>,
    info: Arc<Info>,
    handles: Handles,
}

impl Place {
    /// The torrent's own paths below `folder`.
    #[must_use]
    pub fn below(folder: Arc<Folder>, info: Arc<Info>) -> Self {
        let paths = info.layout.files().iter().map(|f| f.path.as_str().to_owned()).collect();
        Self { folder, paths, moved: BTreeMap::new(), info, handles: Handles::default() }
    }

    /// Finds finished data: `data` is the file or folder itself, or the folder that holds it;
    /// whichever of the readings has more of the files.
    ///
    /// # Errors
    /// If there is nothing at `data`, or a file where the torrent has several.
    pub fn find(data: &Path, info: Arc<Info>) -> Result<Self, DiskError> {
        let about = std::fs::metadata(data).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => DiskError::Absent(data.to_owned()),
            _ => DiskError::system("look at", data, e),
        })?;
        if !about.is_dir() {
            return Self::of_one_file(data, info);
        }
        let folder = Arc::new(Folder::open(data)?);
        let files = info.layout.files();
        let whole: Vec<String> = files.iter().map(|f| f.path.as_str().to_owned()).collect();
        let inside: Option<Vec<String>> = whole
            .iter()
            .map(|path| {
                let (top, rest) = path.split_once('/')?;
                (top == info.name).then(|| rest.to_owned())
            })
            .collect();
        let mut readings = vec![whole];
        readings.extend(inside);
        let places = readings.into_iter().map(|paths| Self {
            folder: Arc::clone(&folder),
            paths,
            moved: BTreeMap::new(),
            info: Arc::clone(&info),
            handles: Handles::default(),
        });
        // Of equal ones the last wins: the folder itself, if its name says so.
        let itself = data.file_name().is_some_and(|name| name == info.name.as_str());
        let best = if itself {
            places.max_by_key(Self::likeness)
        } else {
            places.rev().max_by_key(Self::likeness)
        };
        Ok(best.unwrap_or_else(|| Self::below(folder, info)))
    }

    fn of_one_file(data: &Path, info: Arc<Info>) -> Result<Self, DiskError> {
        let files = info.layout.files();
        let real = (0..files.len()).filter(|file| info.is_written(*file)).count();
        let (Some(parent), Some(name)) = (data.parent(), data.file_name().and_then(|n| n.to_str()))
        else {
            return Err(DiskError::WrongType(data.to_owned()));
        };
        if real != 1 {
            return Err(DiskError::OneFile { path: data.to_owned(), files: real });
        }
        let folder = Arc::new(Folder::open(parent)?);
        let paths = vec![name.to_owned(); files.len()];
        Ok(Self { folder, paths, moved: BTreeMap::new(), info, handles: Handles::default() })
    }

    /// Has file `file` at `path`, which the user chose: links on the way to it are followed. If there is
    /// none it is missing.
    pub fn move_file(&mut self, file: usize, path: &Path) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let folder = path.parent().and_then(|parent| Folder::open(parent).ok());
        self.moved.insert(file, (folder, name));
    }

    /// The torrent.
    #[must_use]
    pub const fn info(&self) -> &Arc<Info> {
        &self.info
    }

    /// The folder.
    pub(super) const fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// The path of file `file` below the folder.
    pub(super) fn path(&self, file: usize) -> &str {
        &self.paths[file]
    }

    /// Bytes in file `file` as it is; `None` if it is absent or can't be read.
    #[must_use]
    pub fn length(&self, file: usize) -> Option<u64> {
        self.opened(file).ok()??.metadata().ok().map(|about| about.len())
    }

    /// How well the place fits: files that are there count, twice with the right length.
    fn likeness(&self) -> u64 {
        let files = self.info.layout.files().iter().enumerate();
        let files = files.filter(|(i, _)| self.info.is_written(*i));
        files
            .map(|(i, file)| match self.length(i) {
                Some(length) if length == file.length => 2,
                Some(_) => 1,
                None => 0,
            })
            .sum()
    }

    fn file(&self, file: usize) -> Result<Option<Arc<File>>, DiskError> {
        self.handles.file(file, || {
            let opened = self.opened(file)?;
            if let Some(file) = &opened {
                // Only advice: a larger read-ahead.
                let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
            }
            Ok(opened)
        })
    }

    fn opened(&self, file: usize) -> Result<Option<File>, DiskError> {
        match self.moved.get(&file) {
            None => self.folder.file(&self.paths[file], Access::Read),
            Some((folder, name)) => {
                folder.as_ref().map_or(Ok(None), |folder| folder.file(name, Access::Read))
            }
        }
    }

    fn presence_of(&self, span: &FileSpan) -> Presence {
        let Ok(Some(file)) = self.file(span.file) else { return Presence::Absent };
        span_presence(&file, span)
    }
}

impl PieceSource for Place {
    fn presence(&self, piece: PieceIndex) -> Presence {
        let layout = &self.info.layout;
        let real = layout.spans(piece).filter(|span| self.info.is_written(span.file));
        let mut holes = true;
        for span in real {
            match self.presence_of(&span) {
                Presence::Absent | Presence::Damaged => return Presence::Absent,
                Presence::There => holes = false,
                Presence::Hole => {}
            }
        }
        if holes { Presence::Hole } else { Presence::There }
    }

    fn read(&self, piece: PieceIndex, offset: u32, into: &mut [u8]) -> Result<(), DiskError> {
        let (layout, end) = (&self.info.layout, offset + into.len() as u32);
        debug_assert!(end <= layout.piece_size(piece), "a read beyond {piece:?}");
        let mut rest = into;
        for span in layout.spans_within(piece, offset..end) {
            let (now, later) = rest.split_at_mut(span.length() as usize);
            rest = later;
            if !self.info.is_written(span.file) {
                now.fill(0);
                continue;
            }
            let at = || self.folder.at(&self.paths[span.file]);
            let file = self.file(span.file)?.ok_or_else(|| DiskError::Absent(at()))?;
            read_all_at(&file, span.offset, now).map_err(|e| DiskError::system("read", at(), e))?;
        }
        Ok(())
    }

    /// Of the first file alone: what is left of it.
    fn announce(&self, piece: PieceIndex, offset: u32, length: u64) {
        let layout = &self.info.layout;
        let end = layout.piece_size(piece);
        let first = layout.spans_within(piece, offset.min(end)..end).next();
        let Some(span) = first.filter(|span| self.info.is_written(span.file)) else { return };
        if let Ok(Some(file)) = self.file(span.file) {
            // Only advice.
            let length = std::num::NonZeroU64::new(length);
            let _ = rustix::fs::fadvise(&file, span.offset, length, rustix::fs::Advice::WillNeed);
        }
    }
}

/// What `file` has of `span`.
fn span_presence(file: &File, span: &FileSpan) -> Presence {
    let end = span.offset + u64::from(span.length());
    match file.metadata() {
        Ok(about) if about.len() >= end => {}
        _ => return Presence::Absent,
    }
    match rustix::fs::seek(file, SeekFrom::Data(span.offset)) {
        Ok(data) if data >= end => Presence::Hole,
        Err(rustix::io::Errno::NXIO) => Presence::Hole,
        // Data, or a file system that can't tell.
        _ => Presence::There,
    }
}
