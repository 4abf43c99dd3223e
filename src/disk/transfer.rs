//! Bytes from one file to another without a way through us.
//!
//! `copy_file_range` shares the blocks where the file system can (XFS, Btrfs), has a server copy
//! (NFS, SMB), and else copies in the kernel: measured on ext4, that takes what a `pwrite` from a
//! warm buffer takes. Blocks are shared only whole, so what lies equally askew in both files goes in
//! three parts, whose middle is whole blocks. Where the kernel can't, it is read and written.

use super::positioned::{read_all_at, write_all_at};
use super::store::CHUNK_LENGTH;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, IoSlice};

/// Bytes of the blocks that most file systems share by.
const BLOCK_BYTES: u64 = 4096;

/// Copies `length` bytes at `from` of `source` to `to` of `target`.
///
/// # Errors
/// If the system refuses, or `source` is shorter.
pub(super) fn transfer(
    source: &File,
    from: u64,
    target: &File,
    to: u64,
    length: u64,
) -> io::Result<()> {
    let skewed = from % BLOCK_BYTES;
    let askew = (BLOCK_BYTES - skewed) % BLOCK_BYTES;
    let whole = length.saturating_sub(askew) / BLOCK_BYTES * BLOCK_BYTES;
    let cuts = match skewed == to % BLOCK_BYTES && skewed != 0 && whole > 0 {
        true => [askew, whole, length - askew - whole],
        false => [length, 0, 0],
    };
    let mut done = 0;
    for part in cuts {
        if !in_kernel(source, from + done, target, to + done, part)? {
            through_us(source, from + done, target, to + done, part)?;
        }
        done += part;
    }
    Ok(())
}

/// Whether the kernel did it.
fn in_kernel(
    source: &File,
    mut from: u64,
    target: &File,
    mut to: u64,
    length: u64,
) -> io::Result<bool> {
    let end = to + length;
    while to < end {
        let left = usize::try_from(end - to).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), left) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            // Two file systems, one that can't, or a kernel or sandbox without the call.
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                return Ok(false);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

fn through_us(source: &File, from: u64, target: &File, to: u64, length: u64) -> io::Result<()> {
    let mut buffer = vec![0; u64::from(CHUNK_LENGTH).min(length) as usize];
    let mut done = 0;
    while done < length {
        let size = (length - done).min(buffer.len() as u64) as usize;
        let chunk = &mut buffer[..size];
        read_all_at(source, from + done, chunk)?;
        write_all_at(target, to + done, vec![IoSlice::new(chunk)])?;
        done += size as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::FileExt as _;

    proptest! {
        /// Wherever it lies, and by either way: these bytes are the source's, the others untouched.
        #[test]
        fn exactly_these_bytes_are_copied(
            from in 0_u64..20_000,
            to in 0_u64..20_000,
            alike: bool,
            length in 0_u64..700_000,
        ) {
            let to = if alike { to / BLOCK_BYTES * BLOCK_BYTES + from % BLOCK_BYTES } else { to };
            let bytes: Vec<u8> = (0..800_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let source = tempfile::tempfile().expect("a file");
            source.write_all_at(&bytes, 0).expect("written");
            let mut due = vec![7; 800_000];
            due[to as usize..(to + length) as usize]
                .copy_from_slice(&bytes[from as usize..(from + length) as usize]);
            let copies = [transfer as fn(&File, u64, &File, u64, u64) -> io::Result<()>, through_us];
            for copy in copies {
                let target = tempfile::tempfile().expect("a file");
                target.write_all_at(&vec![7; 800_000], 0).expect("written");
                copy(&source, from, &target, to, length).expect("copied");
                let mut there = vec![0; 800_000];
                target.read_exact_at(&mut there, 0).expect("read");
                prop_assert!(there == due);
            }
        }
    }

    #[test]
    fn a_source_that_ends_before_is_an_error() {
        let (source, target) = (tempfile::tempfile(), tempfile::tempfile());
        let (source, target) = (source.expect("a file"), target.expect("a file"));
        source.write_all_at(&[1; 100], 0).expect("written");
        let error = transfer(&source, 50, &target, 0, 51).expect_err("one byte short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
