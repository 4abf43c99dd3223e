//! A discovery guest as the host sees it: [`Instance`], a safe handle on one table's instance.

use super::raw::{RawSink, RawWish, Table};
use super::{Answer, Fact, INTERFACE, Wish, fact::lent_slice};
use crate::host::HostBox;
pub use crate::strategy::host::Poisoned;
use crate::{Entry, Lent, Level, NoTable, Services, Status, abi};
use std::ffi::c_void;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Wishes that one call may push; a guest that pushes more loses the rest.
pub const WISHES_MAX: usize = 4096;
/// Bytes of text or payload that one wish may carry.
pub const WISH_BYTES_MAX: usize = 64 << 10;
/// Addresses that one `found` may carry.
pub const ADDRS_MAX: usize = 4096;

/// The discovery table of a plugin.
///
/// # Errors
/// Why there is none.
pub fn table(entry: &'static Entry) -> Result<&'static Table, NoTable> {
    let functions = [
        offset_of!(Table, create),
        offset_of!(Table, destroy),
        offset_of!(Table, handle),
        offset_of!(Table, deadline),
    ];
    // SAFETY: `interface` answers with null or a table that is valid for ever.
    unsafe { abi::table((entry.interface)(Lent::text(INTERFACE)), &functions) }
}

/// One instance of a discovery plugin.
pub struct Instance {
    table: &'static Table,
    instance: NonNull<c_void>,
    poisoned: bool,
    host: ManuallyDrop<HostBox>,
}

// SAFETY: `[engine]` functions may be called from any one thread at a time; `&mut` sees to that.
unsafe impl Send for Instance {}

impl Instance {
    /// Makes an instance of `entry`'s discovery guest.
    ///
    /// # Errors
    /// The status that the guest answered, or `FAILED` if the plugin is no discovery guest; what
    /// it had to say went to `services`.
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

    /// Whether it may run on private torrents (BEP 27).
    #[must_use]
    pub const fn on_private(&self) -> bool {
        self.table.on_private == 1
    }

    /// The BEP 10 messages that it speaks. Names that are not UTF-8 are left out.
    pub fn extensions(&self) -> impl Iterator<Item = &'static str> {
        // SAFETY: a table lends its names for ever.
        let names: &'static [Lent<'static>] =
            unsafe { lent_slice(self.table.extensions, self.table.extension_count) };
        // SAFETY: as above.
        names.iter().filter_map(|name| unsafe { name.utf8() })
    }

    /// A fact goes in; what the guest wants is appended to `wishes`.
    ///
    /// # Errors
    /// [`Poisoned`] if the guest broke, now or before.
    pub fn handle(
        &mut self,
        now_us: u64,
        fact: &Fact<'_>,
        wishes: &mut Vec<Wish<'static>>,
    ) -> Result<Answer, Poisoned> {
        if self.poisoned {
            return Err(Poisoned);
        }
        let mut pushed = Pushed { room: WISHES_MAX, refused: 0, wishes };
        let sink = RawSink {
            size: size_of::<RawSink>() as u32,
            reserved: 0,
            context: (&raw mut pushed).cast(),
            push,
        };
        // SAFETY: fact and sink are lent until the call returns.
        let status = fact.with_raw(|fact| unsafe {
            (self.table.handle)(self.instance.as_ptr(), now_us, fact, &raw const sink)
        });
        if pushed.refused > 0 {
            let text = format!("{} wishes were refused: malformed or too large", pushed.refused);
            self.host.services().log(Level::Warning, &text);
        }
        match status {
            Status::OK => Ok(Answer::Mine),
            Status::DECLINED => Ok(Answer::Declined),
            _ => {
                self.poisoned = true;
                Err(Poisoned)
            }
        }
    }

    /// When to send it [`Fact::Deadline`], in microseconds of `now_us`. Never, once poisoned.
    pub fn deadline(&mut self) -> Option<u64> {
        let mut deadline_us = u64::MAX;
        if !self.poisoned {
            // SAFETY: a place for one number, lent until the call returns.
            let status =
                unsafe { (self.table.deadline)(self.instance.as_ptr(), &raw mut deadline_us) };
            self.poisoned = status != Status::OK;
        }
        (deadline_us != u64::MAX && !self.poisoned).then_some(deadline_us)
    }

    /// Whether the guest broke.
    #[must_use]
    pub const fn poisoned(&self) -> bool {
        self.poisoned
    }
}

struct Pushed<'a> {
    room: usize,
    refused: usize,
    wishes: &'a mut Vec<Wish<'static>>,
}

unsafe extern "C" fn push(context: *mut c_void, wish: *const RawWish) -> Status {
    // SAFETY: `context` is the `Pushed` of the call that this one is inside of.
    let pushed = unsafe { &mut *context.cast::<Pushed<'_>>() };
    // SAFETY: the guest lends the wish, with the body that its kind names, for this call.
    let wish = unsafe { wish.as_ref().and_then(|raw| Wish::from_raw(raw)) };
    match wish {
        Some(wish) if pushed.room > 0 && within_limits(&wish) => {
            pushed.room -= 1;
            pushed.wishes.push(wish.into_owned());
            Status::OK
        }
        _ => {
            pushed.refused += 1;
            Status::FAILED
        }
    }
}

fn within_limits(wish: &Wish<'_>) -> bool {
    match wish {
        Wish::Found { source, addrs } => source.len() <= WISH_BYTES_MAX && addrs.len() <= ADDRS_MAX,
        Wish::SendExtension { name, payload, .. } => name.len() + payload.len() <= WISH_BYTES_MAX,
        Wish::SendDatagram { bytes, .. } => bytes.len() <= WISH_BYTES_MAX,
        Wish::HttpGet { url, .. } => url.len() <= WISH_BYTES_MAX,
        Wish::Resolve { host, .. } => host.len() <= WISH_BYTES_MAX,
        Wish::Report { subject, text, .. } => subject.len() + text.len() <= WISH_BYTES_MAX,
        Wish::Heard { source, .. } => source.len() <= WISH_BYTES_MAX,
        Wish::JoinMulticast { .. } | Wish::Finished => true,
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
