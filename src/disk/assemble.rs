//! Assembly: pieces to files.
//!
//! Pieces are read once, hashed while they pass, and written to every wanted file that they have
//! a part of, on all cores. A file is built under a temporary name beside its target and takes
//! its place only when it is whole, or when the user wants holes filled; what lies there already
//! is replaced only by force, and adopted if it is the same.

use super::file_store::refuse_conflict;
use super::folder::{Access, Folder};
use super::handles::Handles;
use super::positioned::{read_all_at, write_all_at};
use super::store::chunks;
use super::{DiskError, PieceSource, Presence};
use crate::torrent::{FileSpan, Info, PieceIndex};
use rayon::prelude::*;
use std::fs::File;
use std::io::IoSlice;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is to be assembled.
pub struct Assembly<'a> {
    /// The torrent.
    pub info: &'a Info,
    /// Where pieces come from.
    pub source: &'a dyn PieceSource,
    /// Which files of the layout; padding is never written.
    pub wanted: &'a [bool],
    /// With which byte holes are filled; `None`: files with holes are not written.
    pub fill: Option<u8>,
    /// Replace files of other content.
    pub force: bool,
}

/// What became of one wanted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// Its number in the layout.
    pub file: usize,
    /// Whether it is there now.
    pub written: bool,
    /// Bytes that are not the torrent's, neighbours joined.
    pub holes: Vec<Range<u64>>,
}

impl Assembly<'_> {
    /// Assembles below `output`, which is made if it is not there. `progress` is told bytes as
    /// they are done, by any thread; what was not reached when `cancelled` was set is a hole.
    ///
    /// # Errors
    /// If the system refuses, or a file of other content lies in the way; files that were
    /// finished before that stay.
    pub fn run(
        &self,
        output: &Path,
        progress: &(dyn Fn(u64) + Sync),
        cancelled: &AtomicBool,
    ) -> Result<Vec<Assembled>, DiskError> {
        refuse_conflict(self.info)?;
        let site = Site { folder: Folder::make(output)?, handles: Handles::default(), job: self };
        site.refuse_early()?;
        let built = site.build(progress, cancelled);
        let finished = built.and_then(|holes| site.finish(holes));
        site.clear();
        finished
    }

    fn is_written(&self, file: usize) -> bool {
        self.wanted[file] && self.info.is_written(file)
    }

    fn files(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.wanted.len()).filter(|file| self.is_written(*file))
    }
}

/// Where it is assembled.
struct Site<'a> {
    folder: Folder,
    handles: Handles,
    job: &'a Assembly<'a>,
}

/// What is missing of each file, in any order.
type Holes = Vec<Vec<Range<u64>>>;

impl Site<'_> {
    /// A file of another length can't be the same: said before anything is written. What a
    /// killed run left is removed.
    fn refuse_early(&self) -> Result<(), DiskError> {
        for file in self.job.files() {
            // Most runs are not killed, and then there is nothing to remove.
            let _ = self.folder.remove(&self.temporary(file));
            let length = self.folder.length(self.target(file))?;
            let due = self.job.info.layout.files()[file].length;
            if length.is_some_and(|length| length != due) && !self.job.force {
                return Err(DiskError::Different(self.folder.at(self.target(file))));
            }
        }
        Ok(())
    }

    fn build(
        &self,
        progress: &(dyn Fn(u64) + Sync),
        cancelled: &AtomicBool,
    ) -> Result<Holes, DiskError> {
        let layout = &self.job.info.layout;
        let holes = Mutex::new(vec![Vec::new(); layout.files().len()]);
        let wanted: Vec<PieceIndex> = layout
            .pieces()
            .filter(|piece| layout.spans(*piece).any(|span| self.job.is_written(span.file)))
            .collect();
        wanted.into_par_iter().try_for_each(|piece| {
            let spans: Vec<FileSpan> =
                layout.spans(piece).filter(|span| self.job.is_written(span.file)).collect();
            let whole = !cancelled.load(Ordering::Relaxed) && self.copy(piece, &spans)?;
            if !whole {
                let mut holes = holes.lock().unwrap_or_else(PoisonError::into_inner);
                for span in spans {
                    let end = span.offset + u64::from(span.length());
                    holes[span.file].push(span.offset..end);
                }
            }
            progress(u64::from(layout.piece_size(piece)));
            Ok(())
        })?;
        Ok(holes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads, hashes and, if it is whole, writes a piece; whether it was.
    fn copy(&self, piece: PieceIndex, spans: &[FileSpan]) -> Result<bool, DiskError> {
        let (Presence::There | Presence::Hole) = self.job.source.presence(piece) else {
            return Ok(false);
        };
        let size = self.job.info.layout.piece_size(piece);
        let mut bytes = vec![0; size as usize];
        let mut check = self.job.info.pieces.check(piece);
        for chunk in chunks(size) {
            let part = &mut bytes[chunk.start as usize..chunk.end as usize];
            if self.job.source.read(piece, chunk.start, part).is_err() {
                return Ok(false);
            }
            check.update(part);
        }
        if !check.matches() {
            return Ok(false);
        }
        for span in spans {
            let part = &bytes[span.within.start as usize..span.within.end as usize];
            let file = self.building(span.file)?;
            write_all_at(&file, span.offset, vec![IoSlice::new(part)]).map_err(|e| {
                DiskError::system("write", self.folder.at(self.target(span.file)), e)
            })?;
        }
        Ok(true)
    }

    fn finish(&self, mut holes: Holes) -> Result<Vec<Assembled>, DiskError> {
        let mut assembled = Vec::new();
        for file in self.job.files() {
            let holes = joined(std::mem::take(&mut holes[file]));
            let written = holes.is_empty() || self.job.fill.is_some();
            if written {
                self.fill(file, &holes)?;
                self.place(file)?;
            }
            assembled.push(Assembled { file, written, holes });
        }
        Ok(assembled)
    }

    /// Fills holes: zeros are what a sparse file has there anyway.
    fn fill(&self, file: usize, holes: &[Range<u64>]) -> Result<(), DiskError> {
        let target = self.building(file)?;
        let Some(byte) = self.job.fill.filter(|byte| *byte != 0) else { return Ok(()) };
        let filler = vec![byte; 256 << 10];
        for hole in holes {
            let mut at = hole.start;
            while at < hole.end {
                let length = filler.len().min((hole.end - at) as usize);
                write_all_at(&target, at, vec![IoSlice::new(&filler[..length])]).map_err(|e| {
                    DiskError::system("write", self.folder.at(self.target(file)), e)
                })?;
                at += length as u64;
            }
        }
        Ok(())
    }

    /// Puts the built file in its place.
    fn place(&self, file: usize) -> Result<(), DiskError> {
        let target = self.target(file);
        if !self.job.force
            && let Some(there) = self.folder.file(target, Access::Read)?
        {
            if !same(&there, &*self.building(file)?) {
                return Err(DiskError::Different(self.folder.at(target)));
            }
            return Ok(());
        }
        self.folder.rename(&self.temporary(file), target)
    }

    /// Removes what was built and not placed.
    fn clear(&self) {
        self.handles.close();
        for file in self.job.files() {
            // Most are placed, and then there is nothing to remove.
            let _ = self.folder.remove(&self.temporary(file));
        }
    }

    fn building(&self, file: usize) -> Result<Arc<File>, DiskError> {
        let open = || {
            let made = self.folder.made(&self.temporary(file), Access::Write)?;
            let length = self.job.info.layout.files()[file].length;
            made.set_len(length)
                .map_err(|e| DiskError::system("write", self.folder.at(self.target(file)), e))?;
            Ok(Some(made))
        };
        let opened = self.handles.file(file, open)?;
        opened.ok_or_else(|| DiskError::Absent(self.folder.at(self.target(file))))
    }

    fn target(&self, file: usize) -> &str {
        self.job.info.layout.files()[file].path.as_str()
    }

    fn temporary(&self, file: usize) -> String {
        let path = self.target(file);
        let name = self.job.info.layout.files()[file].path.file_name();
        let folder = &path[..path.len() - name.len()];
        format!("{folder}.rtor-{file}.tmp")
    }
}

fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// Whether two files of one length have the same bytes.
fn same(a: &File, b: &File) -> bool {
    let length = |file: &File| file.metadata().map(|about| about.len());
    let (Ok(length), Ok(other)) = (length(a), length(b)) else { return false };
    if length != other {
        return false;
    }
    let (mut left, mut right) = (vec![0; 256 << 10], vec![0; 256 << 10]);
    let mut at = 0;
    while at < length {
        let size = left.len().min((length - at) as usize);
        let (left, right) = (&mut left[..size], &mut right[..size]);
        let read = read_all_at(a, at, left).and_then(|()| read_all_at(b, at, right));
        if read.is_err() || left != right {
            return false;
        }
        at += size as u64;
    }
    true
}
