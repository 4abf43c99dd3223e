//! [`Instance`]: the host's hold on one instance of a guest, whatever its interface.
//!
//! The life of an instance is the same in every interface: made with a host table of its own,
//! called by one thread at a time, never again once it broke, ended once. It stands here once,
//! and the handles of the interfaces add what their functions are called with.

use crate::abi::{Grown, grown};
use crate::host::HostBox;
use crate::{Entry, Host, Lent, Level, NoTable, Services, Status};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// The guest broke, and this instance will not be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poisoned;

/// `create` of a table.
pub(crate) type Create = unsafe extern "C" fn(
    host: *const Host,
    options: Lent<'_>,
    instance: *mut *mut c_void,
) -> Status;

/// `destroy` of a table.
pub(crate) type Destroy = unsafe extern "C" fn(instance: *mut c_void);

/// A table whose instances are made and ended as all are.
pub(crate) trait Life: Grown {
    /// The id of the interface that it is the table of.
    const INTERFACE: &'static str;

    fn create(&self) -> Create;
    fn destroy(&self) -> Destroy;
}

/// A plugin's table of one interface, or why it has none.
pub(crate) fn table<T: Life>(entry: &'static Entry) -> Result<T, NoTable> {
    // SAFETY: `interface` answers with null or a table that is valid for ever.
    unsafe { grown((entry.interface)(Lent::text(T::INTERFACE)).cast::<T>()) }
}

/// One instance, and the table that it is called through.
pub(crate) struct Instance<T: Life> {
    table: T,
    instance: NonNull<c_void>,
    poisoned: bool,
    host: ManuallyDrop<HostBox>,
}

// SAFETY: `[engine]` functions may be called from any one thread at a time, and `&mut` sees to
// that; a table is constant data and functions.
unsafe impl<T: Life> Send for Instance<T> {}

impl<T: Life> Instance<T> {
    /// An instance of the plugin, or the status that the guest answered; `FAILED` if it has no
    /// such table.
    pub(crate) fn create(
        entry: &'static Entry,
        options: &str,
        services: Arc<dyn Services>,
    ) -> Result<Self, Status> {
        let table = table::<T>(entry).map_err(|_| Status::FAILED)?;
        let host = HostBox::new(services);
        let mut instance = ptr::null_mut();
        // SAFETY: the host table lives in `host`, which this handle keeps.
        let status =
            unsafe { (table.create())(host.as_ptr(), Lent::text(options), &raw mut instance) };
        match NonNull::new(instance) {
            Some(instance) if status == Status::OK => {
                Ok(Self { table, instance, poisoned: false, host: ManuallyDrop::new(host) })
            }
            _ => Err(if status == Status::OK { Status::FAILED } else { status }),
        }
    }

    pub(crate) const fn table(&self) -> &T {
        &self.table
    }

    pub(crate) const fn poisoned(&self) -> bool {
        self.poisoned
    }

    /// Never calls it again.
    pub(crate) const fn poison(&mut self) -> Poisoned {
        self.poisoned = true;
        Poisoned
    }

    /// Calls it, unless it broke; an answer that is not one of `fine` breaks it.
    pub(crate) fn call(
        &mut self,
        fine: &[Status],
        f: impl FnOnce(&T, *mut c_void) -> Status,
    ) -> Result<Status, Poisoned> {
        if self.poisoned {
            return Err(Poisoned);
        }
        let status = f(&self.table, self.instance.as_ptr());
        if fine.contains(&status) { Ok(status) } else { Err(self.poison()) }
    }

    /// Says one line to the host, in the guest's place.
    pub(crate) fn say(&self, level: Level, text: &str) {
        self.host.services().log(level, text);
    }
}

impl<T: Life> Drop for Instance<T> {
    fn drop(&mut self) {
        // A poisoned instance is never called again, not even to be destroyed. It leaks, and so
        // does its host table: a thread of the guest's may still call back.
        if !self.poisoned {
            // SAFETY: `instance` came from `create` and is not used again; the guest lets go of
            // its host table in `destroy`, and neither is touched afterwards.
            unsafe {
                (self.table.destroy())(self.instance.as_ptr());
                ManuallyDrop::drop(&mut self.host);
            }
        }
    }
}
