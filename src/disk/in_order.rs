//! Work on all cores that is begun in its order, so that a disk reads forward.

use super::store::CHUNK_LENGTH;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Calls `work` for every number below `count`, with a buffer of [`CHUNK_LENGTH`]; what it returned,
/// in order. `None` if `cancelled` was set before all were done.
pub(super) fn in_order<T: Send>(
    count: usize,
    cancelled: &AtomicBool,
    work: impl Fn(usize, &mut [u8]) -> T + Sync,
) -> Option<Vec<T>> {
    let next = AtomicUsize::new(0);
    let parts: Vec<Vec<(usize, T)>> = (0..rayon::current_num_threads().min(count))
        .into_par_iter()
        .map(|_| {
            let mut buffer = vec![0; CHUNK_LENGTH as usize];
            let mut part = Vec::new();
            while !cancelled.load(Ordering::Relaxed)
                && let number = next.fetch_add(1, Ordering::Relaxed)
                && number < count
            {
                part.push((number, work(number, &mut buffer)));
            }
            part
        })
        .collect();
    let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
    // Set after the last, it changes nothing.
    if all.len() < count {
        return None;
    }
    all.sort_unstable_by_key(|(number, _)| *number);
    Some(all.into_iter().map(|(_, result)| result).collect())
}
