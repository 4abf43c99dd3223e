//! A strategy as the host sees it: [`Instance`], a safe handle on one table's instance.

use super::{INTERFACE, Swarm, Table};
use crate::host::HostBox;
use crate::{Entry, Lent, Level, NoTable, Services, Status, abi};
use std::ffi::c_void;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// The guest broke, and this instance will not be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poisoned;

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
pub struct Instance {
    table: &'static Table,
    instance: NonNull<c_void>,
    poisoned: bool,
    host: ManuallyDrop<HostBox>,
}

// SAFETY: `[engine]` functions may be called from any one thread at a time; `&mut` sees to that.
unsafe impl Send for Instance {}

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
        let host = HostBox::new(services);
        let mut instance = ptr::null_mut();
        // SAFETY: the host table lives in `host`, which this handle keeps.
        let status =
            unsafe { (table.create)(host.as_ptr(), Lent::text(options), &raw mut instance) };
        match NonNull::new(instance) {
            Some(instance) if status == Status::OK => {
                Ok(Self { table, instance, poisoned: false, host: ManuallyDrop::new(host) })
            }
            _ => Err(if status == Status::OK { Status::FAILED } else { status }),
        }
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
        self.host.services().log(level, text);
    }

    fn call(
        &mut self,
        f: impl FnOnce(&'static Table, *mut c_void) -> Status,
    ) -> Result<(), Poisoned> {
        if self.poisoned || f(self.table, self.instance.as_ptr()) != Status::OK {
            self.poisoned = true;
            return Err(Poisoned);
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A poisoned instance is never called again, not even to be destroyed. It leaks, and so
        // does its host table: a thread of the guest's may still call back.
        if !self.poisoned {
            // SAFETY: `instance` came from `create` and is not used again; the guest lets go of
            // its host table in `destroy`, and neither is touched afterwards.
            unsafe {
                (self.table.destroy)(self.instance.as_ptr());
                ManuallyDrop::drop(&mut self.host);
            }
        }
    }
}
