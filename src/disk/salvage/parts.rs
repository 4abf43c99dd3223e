//! [`Parts`]: of which bytes of which candidates a piece is put together; and reading it so.

use super::walk::Candidate;
use crate::disk::DiskError;
use crate::disk::handles::Handles;
use crate::disk::positioned::read_all_at;
use rustix::fs::{Mode, OFlags};
use smallvec::SmallVec;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a piece that lie in a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Which bytes of the piece.
    pub(super) within: Range<u32>,
    /// Number of the candidate.
    pub(super) candidate: usize,
    /// Where they begin in it.
    pub(super) offset: u64,
}

/// A whole piece, in order; what is in no part is padding, and zeros.
pub(super) type Parts = SmallVec<[Part; 1]>;

/// The candidates, to read from.
#[derive(Debug)]
pub(super) struct Shelf {
    candidates: Vec<Candidate>,
    handles: Handles,
}

impl Shelf {
    pub(super) fn of(candidates: Vec<Candidate>) -> Self {
        Self { candidates, handles: Handles::default() }
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Fills `into` from `offset` of the piece that `parts` make.
    pub(super) fn read(
        &self,
        parts: &Parts,
        offset: u32,
        into: &mut [u8],
    ) -> Result<(), DiskError> {
        let end = offset + into.len() as u32;
        let mut filled = offset;
        for part in parts {
            let (from, to) = (part.within.start.max(offset), part.within.end.min(end));
            if from >= to {
                continue;
            }
            into[(filled - offset) as usize..(from - offset) as usize].fill(0);
            let now = &mut into[(from - offset) as usize..(to - offset) as usize];
            let at = part.offset + u64::from(from - part.within.start);
            read_all_at(&*self.file(part.candidate)?, at, now)
                .map_err(|e| DiskError::system("read", &self.candidates[part.candidate].path, e))?;
            filled = to;
        }
        into[(filled - offset) as usize..].fill(0);
        Ok(())
    }

    /// Candidate number `number`, open.
    pub(super) fn file(&self, number: usize) -> Result<Arc<File>, DiskError> {
        let path = &self.candidates[number].path;
        let open = || {
            // It may be no file any more, and a FIFO would block for ever.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let opened = rustix::fs::open(path, flags, Mode::empty());
            Ok(Some(File::from(opened.map_err(|e| DiskError::system("open", path, e))?)))
        };
        let opened = self.handles.file(number, open)?;
        opened.ok_or_else(|| DiskError::Absent(path.clone()))
    }
}
