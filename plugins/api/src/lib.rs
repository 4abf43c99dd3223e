//! The boundary between rtor and its plugins.
//!
//! A plugin is one static [`Entry`] in C layout. Linked into the binary or loaded from a file,
//! it is the same table; a plugin in C (see `include/rtor.h`) is the same table too. Guests in
//! Rust implement [`strategy::Strategy`] or [`discovery::Discovery`] and call
//! [`export_plugin!`]; the host talks to either through the safe handles in
//! [`strategy::host`] and [`discovery::host`].
//!
//! Decided here, once, for both sides:
//! - Interfaces are asked for by id with a revision in the name (`rtor.strategy/1`); structs
//!   begin with their size and only grow, so an old guest works in a new host.
//! - Everything crosses borrowed: what a pointer shows is valid until the call returns, the
//!   other side copies what it keeps, and nobody frees the other's memory.
//! - No Rust enum, `bool`, `String` or trait object crosses, and no panic: [`guard`] stops it
//!   in the guest's own `std`, since one `std` cannot catch another's.
//!
//! Beside the boundary stands what many guests need and none should write again: [`bencode`],
//! [`Chance`], addresses in compact form. None of that crosses.
//!
//! This crate does no I/O, reads no clock, and depends on nothing but `std`.
#![allow(
    unsafe_code,
    reason = "the boundary itself: raw tables on one side, safe halves on the other"
)]

mod abi;
mod addr;
pub mod bencode;
mod chance;
pub mod discovery;
mod guard;
mod host;
mod instance;
mod options;
mod secret;
pub mod strategy;

pub use abi::{ABI, Entry, Lent, NoTable, Status, Version};
pub use addr::Addr;
pub use chance::Chance;
pub use guard::guard;
pub use host::{Host, HostHandle, Level, Services};
pub use options::Options;
pub use secret::{Key, SecretChance};

/// Makes a crate a plugin: exports its one [`Entry`] under the crate's own name.
///
/// The symbol is `<crate name>_plugin`, so that many plugins link into one binary and the
/// loader derives the symbol from the file's name (`librtor_strategy_rarest.so` exports
/// `rtor_strategy_rarest_plugin`).
///
/// ```text
/// rtor_plugin::export_plugin!(Strategy: Rarest);
/// ```
#[macro_export]
macro_rules! export_plugin {
    (Strategy: $guest:ty) => {
        /// This plugin's table, the same through both doors.
        #[allow(unsafe_code, reason = "a C symbol needs a name of its own")]
        #[unsafe(export_name = concat!(env!("CARGO_CRATE_NAME"), "_plugin"))]
        pub static PLUGIN: $crate::Entry =
            $crate::strategy::entry::<$guest>(env!("CARGO_PKG_VERSION"));
    };
    (Discovery: $guest:ty) => {
        /// This plugin's table, the same through both doors.
        #[allow(unsafe_code, reason = "a C symbol needs a name of its own")]
        #[unsafe(export_name = concat!(env!("CARGO_CRATE_NAME"), "_plugin"))]
        pub static PLUGIN: $crate::Entry =
            $crate::discovery::entry::<$guest>(env!("CARGO_PKG_VERSION"));
    };
}
