//! Measures the disk: a torrent of 1 MiB pieces kept, checked and stored, then verified.
//!
//! `cargo run --release --example disk_throughput [MIB] [FOLDER]`. Prints GiB/s and CPU seconds,
//! through the page cache. Blocks are cut from one buffer, as a socket's are: nothing is copied.

#![expect(
    clippy::disallowed_methods,
    reason = "a measurement: it looks at the clock, its arguments and /proc"
)]

use bytes::Bytes;
use rtor::disk::{Disk, Done, FileStore, PieceStore, Store, check};
use rtor::torrent::{Info, Layout, PieceHashes, SafePath};
use sha1::Digest as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;

const PIECE_LENGTH: u32 = 1 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mib: u64 = arguments.next().map_or(1024, |mib| mib.parse().expect("a number of MiB"));
    let folder = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let temporary = tempfile::tempdir_in(folder).expect("a folder");
    let threads = std::thread::available_parallelism().map_or(2, usize::from);

    let piece: Bytes =
        (0..PIECE_LENGTH).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let info = Arc::new(info(mib, &piece));
    for (name, files) in [("pieces", false), ("files", true)] {
        let root = temporary.path().join(name);
        let to_write = store(&root, &info, files);
        measure(&format!("{name}: keep, check, store"), mib, || {
            run(to_write, threads, &info, &piece);
        });
        let to_read = store(&root, &info, files);
        measure(&format!("{name}: verify"), mib, || {
            let states = check::piece_states(&to_read, &info, &|_| {}, &AtomicBool::new(false));
            let states = states.expect("not cancelled");
            assert!(states.iter().all(|state| *state == check::PieceState::Ok));
        });
    }
}

fn info(mib: u64, piece: &[u8]) -> Info {
    let path = SafePath::from_components([&b"file"[..]]).expect("a name");
    let layout = Layout::contiguous(PIECE_LENGTH.into(), [(path, mib << 20, false)]);
    let hash = sha1::Sha1::digest(piece).into();
    let hashes = PieceHashes::V1(vec![hash; mib as usize]);
    Info::of_parts(layout.expect("a layout"), hashes)
}

fn store(root: &Path, info: &Arc<Info>, files: bool) -> Store {
    let info = Arc::clone(info);
    if files {
        Store::Files(FileStore::make(root, info, false).expect("a store"))
    } else {
        Store::Pieces(PieceStore::make(root, info).expect("a store"))
    }
}

fn run(store: Store, threads: usize, info: &Info, piece_data: &Bytes) {
    let (sender, done) = channel();
    let mut disk =
        Disk::open(store, 128 << 20, threads, move |d| drop(sender.send(d))).expect("a disk");
    let mut left = info.layout.piece_count();
    let mut answered = |answer| match answer {
        Done::Checked { good: true, .. } => left -= 1,
        other => panic!("{other:?}"),
    };
    for piece in info.layout.pieces() {
        for block in info.layout.blocks(piece) {
            let from = block.offset() as usize;
            disk.keep(block, piece_data.slice(from..from + block.length() as usize));
        }
        disk.check(piece, false);
        while !disk.takes_blocks(0) {
            answered(done.recv().expect("an answer"));
        }
        done.try_iter().for_each(&mut answered);
    }
    let peak_mib = disk.memory_peak() >> 20;
    drop(disk);
    done.iter().for_each(&mut answered);
    assert_eq!(left, 0, "every piece is answered");
    println!("  peak memory of block buffers: {peak_mib} MiB");
}

fn measure(what: &str, mib: u64, work: impl FnOnce()) {
    let (start, cpu) = (std::time::Instant::now(), cpu_seconds());
    work();
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{what}: {:.2} GiB/s, {seconds:.2} s, {cpu:.2} CPU s", mib as f64 / 1024.0 / seconds);
}

/// Time that this process has run, in user and kernel mode; the kernel counts it in 1/100 s.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    [11, 12].iter().map(|i| fields[*i].parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
