//! Which piece length suits how much content: for `create`, and for the linter.

/// The shortest that is chosen: a block (BEP 3 clients ask for 16 KiB).
pub const CHOSEN_MIN: u32 = 16 << 10;
/// The longest that is chosen; several clients refuse longer ones.
pub const CHOSEN_MAX: u32 = 16 << 20;

/// The piece length for `total` bytes: the shortest power of two whose square is a hundred times
/// the total. So pieces and their number grow alike: 163 pieces of 16 KiB, 10,485 of 1 MiB.
///
/// It is what libtorrent 2.1.1 chooses (asked for 548 totals, those on both sides of each step
/// among them), so that both make one torrent of one content.
///
/// ```
/// use rtor::torrent::piece_length;
/// assert_eq!(piece_length::suited(2_684_355), 16 << 10);
/// assert_eq!(piece_length::suited(2_684_356), 32 << 10);
/// assert_eq!(piece_length::suited(1 << 30), 512 << 10);
/// ```
#[must_use]
pub fn suited(total: u64) -> u32 {
    let mut length = CHOSEN_MIN;
    // A hundredth of the square, to the nearest byte.
    while length < CHOSEN_MAX && total > (u64::from(length) * u64::from(length) + 50) / 100 {
        length *= 2;
    }
    length
}
