//! [`Handles`]: the files of a torrent that are open, the least recently used closed first.
//!
//! A torrent may have more files than a process may have descriptors (1,024 is a common limit),
//! and opening a file anew for each piece of it costs a path walk. Whoever holds a file while it
//! is closed here keeps it until they are done.

use super::DiskError;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

/// Files open at once. A store has two of these (to read, to write), far below the usual 1,024
/// descriptors, of which sockets need most.
const OPEN_MAX: usize = 192;

/// Open files by their number in the torrent.
#[derive(Debug, Default)]
pub(super) struct Handles {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    uses: u64,
    open: BTreeMap<usize, (u64, Arc<File>)>,
}

impl Handles {
    /// File number `file`, opened by `open` if it is not yet; `None` if that says so.
    ///
    /// The lock is held meanwhile, so that a file is made and given its size once.
    pub(super) fn file(
        &self,
        file: usize,
        open: impl FnOnce() -> Result<Option<File>, DiskError>,
    ) -> Result<Option<Arc<File>>, DiskError> {
        // What a panicking holder leaves is whole: each change is one call.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let now = inner.uses;
        if let Some((used, handle)) = inner.open.get_mut(&file) {
            *used = now;
            return Ok(Some(Arc::clone(handle)));
        }
        let Some(opened) = open()? else { return Ok(None) };
        if inner.open.len() >= OPEN_MAX {
            let oldest = inner.open.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(file, _)| *file) {
                inner.open.remove(&oldest);
            }
        }
        let handle = Arc::new(opened);
        inner.open.insert(file, (now, Arc::clone(&handle)));
        Ok(Some(handle))
    }

    /// Closes all.
    pub(super) fn close(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).open.clear();
    }

    #[cfg(test)]
    fn open_now(&self) -> Vec<usize> {
        self.inner.lock().expect("not poisoned").open.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_file_is_closed_first() {
        let handles = Handles::default();
        let open = || Ok(Some(tempfile::tempfile().expect("a file")));
        for file in 0..OPEN_MAX {
            handles.file(file, open).expect("opened");
        }
        handles.file(0, || panic!("it is open")).expect("kept");
        handles.file(OPEN_MAX, open).expect("opened");
        let now = handles.open_now();
        assert_eq!(now.len(), OPEN_MAX);
        assert!(now.contains(&0) && !now.contains(&1) && now.contains(&OPEN_MAX));
        assert!(handles.file(1, || Ok(None)).expect("absent").is_none());
    }
}
