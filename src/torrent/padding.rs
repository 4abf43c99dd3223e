//! Padding (BEP 47): the zeros behind files by which the next one begins a piece of its own.
//!
//! BEP 52 needs it in hybrids, whose v2 half lays every file from a piece boundary on. The last
//! file is padded too, as libtorrent 2.1 does, so that both make one torrent of one content.

/// Zeros behind each of the files of these `lengths`; none where nothing lies behind or before.
///
/// ```
/// use rtor::torrent::padding;
/// assert_eq!(padding::behind(&[1, 0, 16384, 16385], 16384), [16383, 0, 0, 16383]);
/// assert_eq!(padding::behind(&[1], 16384), [0], "one file alone");
/// ```
#[must_use]
pub fn behind(lengths: &[u64], piece_length: u32) -> Vec<u64> {
    let piece_length = u64::from(piece_length);
    let alone = lengths.len() == 1;
    let zeros = |length: &u64| match length % piece_length {
        0 => 0,
        _ if alone => 0,
        over => piece_length - over,
    };
    lengths.iter().map(zeros).collect()
}
