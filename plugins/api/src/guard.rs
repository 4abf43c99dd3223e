//! [`guard`]: where a guest's panic stops.

use crate::Status;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body`; a panic inside becomes [`Status::POISONED`].
///
/// It must run in the guest's own shim: a panic that unwinds out of a loaded library aborts the
/// process, and the host's `catch_unwind` cannot catch another `std`'s panic.
pub fn guard(body: impl FnOnce() -> Status) -> Status {
    // Unwind safety: a poisoned instance is never called again, so nobody sees its torn state.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // Dropping what was thrown may panic again, this time outside of the net: it leaks.
        std::mem::forget(payload);
        Status::POISONED
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("thrown again while the first panic is put away");
        }
    }

    #[test]
    fn a_panic_whose_payload_panics_stops_here_too() {
        assert_eq!(guard(|| std::panic::panic_any(Bomb)), Status::POISONED);
    }
}
