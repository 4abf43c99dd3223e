//! A strategy as the host sees it: [`Instance`], a safe handle on one table's instance.

use super::{INTERFACE, Swarm, Table};
pub use crate::instance::Poisoned;
use crate::instance::{self, Create, Destroy, Life};
use crate::{Entry, Lent, Level, NoTable, Services, Status, abi};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;

/// The strategy table of a plugin.
///
/// # Errors
/// Why there is none.
pub fn table(entry: &'static Entry) -> Result<&'static Table, NoTable> {
    let functions = [
        offset_of!(Table, create),
        offset_of!(Table, destroy),
        offset_of!(Table, epoch),
        offset_of!(Table, rank),
    ];
    // SAFETY: `interface` answers with null or a table that is valid for ever.
    unsafe { abi::table((entry.interface)(Lent::text(INTERFACE)), &functions) }
}

/// One instance of a strategy plugin.
pub struct Instance(instance::Instance<&'static Table>);

impl Life for &'static Table {
    fn create(&self) -> Create {
        self.create
    }

    fn destroy(&self) -> Destroy {
        self.destroy
    }
}

impl Instance {
    /// Makes an instance of `entry`'s strategy.
    ///
    /// # Errors
    /// The status that the guest answered, or `FAILED` if the plugin is no strategy; what it had
    /// to say went to `services`.
    pub fn create(
        entry: &'static Entry,
        options: &str,
        services: Arc<dyn Services>,
    ) -> Result<Self, Status> {
        let table = table(entry).map_err(|_| Status::FAILED)?;
        instance::Instance::create(table, options, services).map(Self)
    }

    /// When this number changes, all keys are to be asked for again.
    ///
    /// # Errors
    /// [`Poisoned`] if the guest broke, now or before.
    pub fn epoch(&mut self, swarm: &Swarm<'_>) -> Result<u64, Poisoned> {
        let raw = swarm.raw();
        let mut epoch = 0;
        // SAFETY: everything is lent until the call returns.
        self.call(|table, instance| unsafe {
            (table.epoch)(instance, &raw const raw, &raw mut epoch)
        })?;
        Ok(epoch)
    }

    /// Writes the keys of `pieces`, smaller first.
    ///
    /// # Errors
    /// [`Poisoned`] if the guest broke, now or before; `keys` may then be half written.
    ///
    /// # Panics
    /// If `pieces` and `keys` differ in length, or a piece is not of this torrent: a guest in C
    /// would read beyond the columns.
    pub fn rank(
        &mut self,
        swarm: &Swarm<'_>,
        pieces: &[u32],
        keys: &mut [u64],
    ) -> Result<(), Poisoned> {
        assert_eq!(pieces.len(), keys.len(), "one key a piece");
        assert!(
            pieces.iter().all(|&piece| (piece as usize) < swarm.piece_count()),
            "pieces of this torrent"
        );
        let raw = swarm.raw();
        // SAFETY: everything is lent until the call returns; the lengths are equal.
        self.call(|table, instance| unsafe {
            (table.rank)(instance, &raw const raw, pieces.as_ptr(), keys.as_mut_ptr(), pieces.len())
        })
    }

    /// Says one line to the host, in the guest's place.
    pub(super) fn say(&self, level: Level, text: &str) {
        self.0.say(level, text);
    }

    fn call(&mut self, f: impl FnOnce(&Table, *mut c_void) -> Status) -> Result<(), Poisoned> {
        self.0.call(&[Status::OK], |table, instance| f(table, instance)).map(|_| ())
    }
}
