//! Assembly: pieces to files.
//!
//! All cores hash pieces, one each. One that lies in a file as it is, and is right, is copied from
//! there by the system, without a way through us (`transfer`), and looked at once more: whether that
//! file is still what was hashed. One that lies in parts is hashed while it passes. Either way a piece
//! of 512 MiB costs no more memory than one of 16 KiB, and what turns out wrong becomes a hole again.
//! A file is built under a temporary name beside its
//! target and takes its place only when it is whole, or when the user wants holes filled; one that
//! can't become whole is not begun. What lies there already is replaced only by force, and adopted
//! if it is the same.

use super::check::{add_range, each_piece, parts_of};
use super::file_store::refuse_conflict;
use super::folder::{Access, Folder};
use super::handles::Handles;
use super::positioned::{read_all_at, write_all_at};
use super::store::{CHUNK_LENGTH, chunks};
use super::transfer::transfer;
use super::tree::State;
use super::{DiskError, Lying, PieceSource, Presence};
use crate::torrent::{FileSpan, Info, PieceIndex};
use rayon::prelude::*;
use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// they are done, by any thread; `None`, and no file is changed, if `cancelled` was set before
    /// all pieces were.
    ///
    /// # Errors
    /// If two files of the torrent have one path, a file of other content lies in the way, or the
    /// system refuses; files that were finished before that stay.
    pub fn run(
        &self,
        output: &Path,
        progress: &(dyn Fn(u64) + Sync),
        cancelled: &AtomicBool,
    ) -> Result<Option<Vec<Assembled>>, DiskError> {
        refuse_conflict(self.info)?;
        let folder = Folder::make(output)?;
        let begun = self.begun();
        let mut tag = String::new();
        for byte in &self.info.hashes.on_the_wire()[..4] {
            tag.push_str(&format!("{byte:02x}"));
        }
        let site = Site { folder, handles: Handles::default(), job: self, begun, tag };
        site.refuse_early()?;
        let built = site.build(progress, cancelled);
        let finished = built.and_then(|pieces| pieces.map(|p| site.finish(&p)).transpose());
        site.clear();
        finished
    }

    /// The wanted files, in the order of the torrent.
    fn files(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.wanted.len()).filter(|file| self.is_wanted(*file))
    }

    fn is_wanted(&self, file: usize) -> bool {
        self.wanted[file] && self.info.is_written(file)
    }

    /// Which files are worth beginning: those that no piece is known to lack, or all to be filled.
    fn begun(&self) -> Vec<bool> {
        let layout = &self.info.layout;
        let mut begun = vec![false; layout.files().len()];
        for file in self.files() {
            let mut pieces = layout.pieces_of(file).filter_map(|index| layout.piece(index));
            begun[file] = self.fill.is_some() || pieces.all(|piece| self.seems_there(piece));
        }
        begun
    }

    fn seems_there(&self, piece: PieceIndex) -> bool {
        matches!(self.source.presence(piece), Presence::There | Presence::Hole)
    }
}

/// Where it is assembled.
struct Site<'a> {
    folder: Folder,
    handles: Handles,
    job: &'a Assembly<'a>,
    /// By file.
    begun: Vec<bool>,
    /// What makes temporary names this torrent's.
    tag: String,
}

impl Site<'_> {
    /// A file of another length can't be the same: said before anything is written. What a
    /// killed run left is removed.
    fn refuse_early(&self) -> Result<(), DiskError> {
        for file in self.files_begun() {
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

    /// Reads and hashes all pieces of wanted files and copies what files were begun; which pieces
    /// are whole.
    fn build(
        &self,
        progress: &(dyn Fn(u64) + Sync),
        cancelled: &AtomicBool,
    ) -> Result<Option<Vec<bool>>, DiskError> {
        let layout = &self.job.info.layout;
        let failed = AtomicBool::new(false);
        let pieces = each_piece(self.job.info, cancelled, |piece, buffer| {
            let is_wanted = layout.spans(piece).any(|span| self.job.is_wanted(span.file));
            if failed.load(Ordering::Relaxed) || !is_wanted {
                return Ok(false);
            }
            let begun: Vec<FileSpan> =
                layout.spans(piece).filter(|span| self.begun[span.file]).collect();
            let copied = self.copy(piece, &begun, buffer);
            failed.fetch_or(copied.is_err(), Ordering::Relaxed);
            progress(u64::from(layout.piece_size(piece)));
            copied
        });
        pieces.map(|pieces| pieces.into_iter().collect()).transpose()
    }

    /// Hashes a piece and copies its `spans`; whether it was whole.
    fn copy(
        &self,
        piece: PieceIndex,
        spans: &[FileSpan],
        buffer: &mut [u8],
    ) -> Result<bool, DiskError> {
        if !self.job.seems_there(piece) {
            return Ok(false);
        }
        match self.job.source.lying(piece) {
            Some(lying) => self.transfer(piece, &lying, spans, buffer),
            None => self.write_through(piece, spans, buffer),
        }
    }

    /// Hashes a piece where it lies and, if it is right, has it copied from there.
    fn transfer(
        &self,
        piece: PieceIndex,
        lying: &Lying,
        spans: &[FileSpan],
        buffer: &mut [u8],
    ) -> Result<bool, DiskError> {
        let info = self.job.info;
        let before = State::now(&lying.file).ok();
        let mut check = info.pieces.check(piece);
        for chunk in chunks(info.layout.piece_size(piece)) {
            let bytes = &mut buffer[..chunk.len()];
            if read_all_at(&lying.file, lying.offset + u64::from(chunk.start), bytes).is_err() {
                return Ok(false);
            }
            check.update(bytes);
        }
        if !check.matches() {
            return Ok(false);
        }
        for span in spans {
            let from = lying.offset + u64::from(span.within.start);
            let target = self.building(span.file)?;
            match transfer(&lying.file, from, &target, span.offset, u64::from(span.length())) {
                Err(why) if why.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(self.refused(span.file, why));
                }
                // Cut meanwhile: seen below.
                _ => {}
            }
        }
        if before.is_none() || before != State::now(&lying.file).ok() {
            return self.blank(spans).map(|()| false);
        }
        Ok(true)
    }

    /// Hashes a piece while it is read and written.
    fn write_through(
        &self,
        piece: PieceIndex,
        spans: &[FileSpan],
        buffer: &mut [u8],
    ) -> Result<bool, DiskError> {
        let info = self.job.info;
        let mut check = info.pieces.check(piece);
        for chunk in chunks(info.layout.piece_size(piece)) {
            let bytes = &mut buffer[..chunk.len()];
            if self.job.source.read(piece, chunk.start, bytes).is_err() {
                return self.blank(spans).map(|()| false);
            }
            check.update(bytes);
            for span in spans {
                let (from, to) =
                    (span.within.start.max(chunk.start), span.within.end.min(chunk.end));
                if from < to {
                    let part = &bytes[(from - chunk.start) as usize..(to - chunk.start) as usize];
                    self.write(span.file, span.offset + u64::from(from - span.within.start), part)?;
                }
            }
        }
        match check.matches() {
            true => Ok(true),
            false => self.blank(spans).map(|()| false),
        }
    }

    /// Makes what was written of a piece a hole again, or zeros where there are no holes.
    fn blank(&self, spans: &[FileSpan]) -> Result<(), DiskError> {
        for span in spans {
            let file = self.building(span.file)?;
            let (from, length) = (span.offset, u64::from(span.length()));
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if rustix::fs::fallocate(&*file, hole, from, length).is_err() {
                self.paint(span.file, from..from + length, 0)?;
            }
        }
        Ok(())
    }

    fn paint(&self, file: usize, range: Range<u64>, byte: u8) -> Result<(), DiskError> {
        let filler = vec![byte; CHUNK_LENGTH as usize];
        let mut at = range.start;
        while at < range.end {
            let length = filler.len().min((range.end - at) as usize);
            self.write(file, at, &filler[..length])?;
            at += length as u64;
        }
        Ok(())
    }

    fn write(&self, file: usize, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        write_all_at(&*self.building(file)?, offset, vec![IoSlice::new(bytes)])
            .map_err(|e| self.refused(file, e))
    }

    fn refused(&self, file: usize, why: io::Error) -> DiskError {
        DiskError::system("write", self.folder.at(self.target(file)), why)
    }

    /// Puts the files in their places: what became of each.
    fn finish(&self, pieces: &[bool]) -> Result<Vec<Assembled>, DiskError> {
        let files: Vec<usize> = self.job.files().collect();
        files.into_par_iter().map(|file| self.finish_file(file, pieces)).collect()
    }

    fn finish_file(&self, file: usize, pieces: &[bool]) -> Result<Assembled, DiskError> {
        let mut holes = Vec::new();
        for (range, whole) in parts_of(self.job.info, file, pieces) {
            if !whole {
                add_range(&mut holes, range);
            }
        }
        let holes: Vec<Range<u64>> = holes.into_iter().map(|(from, to)| from..to).collect();
        let written = self.begun[file] && (holes.is_empty() || self.job.fill.is_some());
        if written {
            // Holes are zeros as they are.
            if let Some(byte) = self.job.fill.filter(|byte| *byte != 0) {
                holes.iter().try_for_each(|hole| self.paint(file, hole.clone(), byte))?;
            }
            self.place(file)?;
        }
        Ok(Assembled { file, written, holes })
    }

    /// Puts the built file in its place.
    fn place(&self, file: usize) -> Result<(), DiskError> {
        let target = self.target(file);
        // An empty file has had no byte to be made by.
        let built = self.building(file)?;
        if !self.job.force
            && let Some(there) = self.folder.file(target, Access::Read)?
        {
            if !same(&there, &built) {
                return Err(DiskError::Different(self.folder.at(target)));
            }
            return Ok(());
        }
        self.folder.rename(&self.temporary(file), target)
    }

    /// Removes what was built and not placed.
    fn clear(&self) {
        self.handles.close();
        for file in self.files_begun() {
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

    fn files_begun(&self) -> impl Iterator<Item = usize> + '_ {
        self.job.files().filter(|file| self.begun[*file])
    }

    fn target(&self, file: usize) -> &str {
        self.job.info.layout.files()[file].path.as_str()
    }

    fn temporary(&self, file: usize) -> String {
        let path = self.target(file);
        let name = self.job.info.layout.files()[file].path.file_name();
        let folder = &path[..path.len() - name.len()];
        format!("{folder}.rtor-{}-{file}.tmp", self.tag)
    }
}

/// Whether two files of one length have the same bytes.
fn same(a: &File, b: &File) -> bool {
    let length = |file: &File| file.metadata().map(|about| about.len());
    let (Ok(length), Ok(other)) = (length(a), length(b)) else { return false };
    if length != other {
        return false;
    }
    let (mut left, mut right) = (vec![0; CHUNK_LENGTH as usize], vec![0; CHUNK_LENGTH as usize]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::PieceStore;
    use crate::disk::world::{World, any_world};
    use proptest::prelude::*;
    use std::path::PathBuf;

    /// A full store of `world` and a place for files.
    struct Bench {
        temporary: tempfile::TempDir,
        world: World,
    }

    impl Bench {
        fn new(world: World) -> Self {
            let temporary = tempfile::tempdir().expect("a folder");
            world.write_pieces(&temporary.path().join("pieces"));
            Self { temporary, world }
        }

        fn piece(&self, index: usize) -> PathBuf {
            self.temporary.path().join(format!("pieces/piece_{index}_complete.bin"))
        }

        fn output(&self, path: &str) -> PathBuf {
            self.temporary.path().join("out").join(path)
        }

        fn flip(&self, index: usize) {
            let mut bytes = std::fs::read(self.piece(index)).expect("a piece");
            bytes[0] ^= 1;
            std::fs::write(self.piece(index), bytes).expect("written");
        }

        fn run(&self, fill: Option<u8>, force: bool) -> Result<Vec<Assembled>, DiskError> {
            self.run_of(&vec![true; self.world.info.layout.files().len()], fill, force)
        }

        fn run_of(
            &self,
            wanted: &[bool],
            fill: Option<u8>,
            force: bool,
        ) -> Result<Vec<Assembled>, DiskError> {
            let info = &self.world.info;
            let store = PieceStore::open(&self.temporary.path().join("pieces"), Arc::clone(info))?;
            let assembly = Assembly { info, source: &store, wanted, fill, force };
            let cancelled = AtomicBool::new(false);
            let files = assembly.run(&self.output(""), &|_| {}, &cancelled)?;
            assert_eq!(self.temporaries(), 0, "something temporary was left");
            Ok(files.expect("nobody cancelled"))
        }

        fn temporaries(&self) -> usize {
            let count = |folder: PathBuf| {
                let entries = std::fs::read_dir(folder).into_iter().flatten();
                let names = entries.map(|e| e.expect("an entry").file_name());
                names.filter(|name| name.to_string_lossy().ends_with(".tmp")).count()
            };
            count(self.output("")) + count(self.output("d"))
        }

        fn read(&self, path: &str) -> Vec<u8> {
            std::fs::read(self.output(path)).expect("a file")
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Any geometry, any pieces missing or bad: every byte is the torrent's or the filler, and
        /// exactly those are told to be holes.
        #[test]
        fn files_are_the_torrent_s_but_for_holes_that_are_told(
            world in any_world(),
            damage in prop::collection::vec(prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(2)], 1..40),
            fill in prop_oneof![Just(None), Just(Some(0)), Just(Some(0xa5_u8))],
        ) {
            let bench = Bench::new(world);
            let info = Arc::clone(&bench.world.info);
            let damage_of = |piece: usize| damage[piece % damage.len()];
            for piece in 0..info.layout.piece_count() {
                match damage_of(piece) {
                    1 => std::fs::remove_file(bench.piece(piece)).expect("removed"),
                    2 => bench.flip(piece),
                    _ => {}
                }
            }
            let assembled = bench.run(fill, false).expect("assembled");
            let written = info.layout.files().iter().filter(|f| !f.pad).count();
            prop_assert_eq!(assembled.len(), written);
            for Assembled { file, written, holes } in assembled {
                let mut due = bench.world.file(file);
                for piece in info.layout.pieces_of(file).filter_map(|i| info.layout.piece(i)) {
                    for span in info.layout.spans(piece).filter(|s| s.file == file) {
                        let range = span.offset..span.offset + u64::from(span.length());
                        let is_hole = holes.iter().any(|h| h.start <= range.start && range.end <= h.end);
                        prop_assert_eq!(is_hole, damage_of(piece.at()) != 0);
                        if is_hole {
                            due[range.start as usize..range.end as usize].fill(fill.unwrap_or(0));
                        }
                    }
                }
                let path = info.layout.files()[file].path.as_str();
                prop_assert_eq!(written, holes.is_empty() || fill.is_some());
                prop_assert_eq!(bench.output(path).exists(), written);
                prop_assert!(!written || bench.read(path) == due);
            }
        }
    }

    #[test]
    fn what_is_there_is_adopted_if_the_same_and_else_replaced_only_by_force() {
        let bench = Bench::new(World::contiguous(10, &[25, 20, 0, 5]));
        bench.run(None, false).expect("assembled");
        let touched =
            || std::fs::metadata(bench.output("0")).expect("there").modified().expect("a time");
        let before = touched();
        bench.run(None, false).expect("adopted");
        assert_eq!(touched(), before);

        for other in [&b"shorter"[..], &[9; 25]] {
            std::fs::write(bench.output("0"), other).expect("written");
            let error = bench.run(None, false).expect_err("other content");
            assert!(matches!(error, DiskError::Different(_)) && error.is_input(), "{error}");
            assert_eq!(bench.read("0"), other);
            assert_eq!(bench.temporaries(), 0);
            bench.run(None, true).expect("forced");
            assert_eq!(bench.read("0"), bench.world.file(0));
        }
    }

    #[test]
    fn a_file_that_can_not_be_whole_is_left_alone_with_what_lies_there() {
        let bench = Bench::new(World::contiguous(10, &[25, 20]));
        std::fs::remove_file(bench.piece(4)).expect("removed");
        std::fs::create_dir_all(bench.output("d")).expect("made");
        std::fs::write(bench.output("d/1"), "mine").expect("written");
        let files = bench.run(None, false).expect("assembled");
        assert_eq!(files[0], Assembled { file: 0, written: true, holes: vec![] });
        let hole = 15..20;
        assert_eq!(files[1], Assembled { file: 1, written: false, holes: vec![hole] });
        assert_eq!(bench.read("d/1"), b"mine");
        let error = bench.run(Some(0), false).expect_err("filled, it would replace mine");
        assert!(error.to_string().contains("d/1`"), "{error}");
    }

    #[test]
    fn only_wanted_files_are_written() {
        let bench = Bench::new(World::contiguous(10, &[25, 20]));
        // Not wanted, so that nobody misses it.
        std::fs::remove_file(bench.piece(4)).expect("removed");
        let files = bench.run_of(&[true, false], None, false).expect("assembled");
        assert_eq!(files, [Assembled { file: 0, written: true, holes: vec![] }]);
        assert!(!bench.output("d").exists());
    }

    #[test]
    fn a_link_in_the_way_is_refused_and_what_it_names_kept() {
        let bench = Bench::new(World::contiguous(10, &[25, 20]));
        let outside = bench.temporary.path().join("outside");
        std::fs::create_dir_all(&outside).expect("made");
        std::fs::create_dir_all(bench.output("")).expect("made");
        std::os::unix::fs::symlink(&outside, bench.output("d")).expect("a link");
        let error = bench.run(None, true).expect_err("a link");
        assert!(matches!(error, DiskError::Symlink(_)), "{error}");
        assert_eq!(std::fs::read_dir(&outside).expect("a folder").count(), 0);
    }

    #[test]
    fn two_files_of_one_path_are_refused() {
        let bench = Bench::new(World::named("a", 10, &[("a", 5), ("b", 5), ("a", 5)]));
        let error = bench.run(Some(0), true).expect_err("a conflict");
        assert!(matches!(error, DiskError::Conflict(_)) && error.is_input(), "{error}");
        assert!(!bench.output("").exists());
    }

    #[test]
    fn cancelled_it_changes_no_file() {
        let bench = Bench::new(World::contiguous(10, &[5000]));
        let info = &bench.world.info;
        let store = PieceStore::open(&bench.temporary.path().join("pieces"), Arc::clone(info));
        let store = store.expect("a store");
        let assembly =
            Assembly { info, source: &store, wanted: &[true], fill: Some(0), force: false };
        let cancelled = AtomicBool::new(false);
        let progress = |_| cancelled.store(true, Ordering::Relaxed);
        let files = assembly.run(&bench.output(""), &progress, &cancelled).expect("no failure");
        assert_eq!(files, None);
        assert_eq!(std::fs::read_dir(bench.output("")).expect("a folder").count(), 0);
    }
}
