//! [`guard`]: where a guest's panic stops.

use crate::Status;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body`; a panic inside becomes [`Status::POISONED`].
///
/// It must run in the guest's own shim: a panic that unwinds out of a loaded library aborts the
/// process, and the host's `catch_unwind` cannot catch another `std`'s panic.
pub fn guard(body: impl FnOnce() -> Status) -> Status {
    // Unwind safety: a poisoned instance is never called again, so nobody sees its torn state.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Status::POISONED)
}
