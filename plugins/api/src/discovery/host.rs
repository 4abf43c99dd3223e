//! A discovery guest as the host sees it: [`Instance`], a safe handle on one table's instance.

use super::raw::{RawSink, RawWish, Table};
use super::{Answer, Fact, INTERFACE, Wish, fact::lent_slice};
pub use crate::instance::Poisoned;
use crate::instance::{self, Create, Destroy, Life};
use crate::{Entry, Lent, Level, NoTable, Services, Status};
use std::ffi::c_void;
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
pub fn table(entry: &'static Entry) -> Result<Table, NoTable> {
    instance::table(entry)
}

/// One instance of a discovery plugin.
pub struct Instance(instance::Instance<Table>);

impl Life for Table {
    const INTERFACE: &'static str = INTERFACE;

    fn create(&self) -> Create {
        self.create
    }

    fn destroy(&self) -> Destroy {
        self.destroy
    }
}

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
        instance::Instance::create(entry, options, services).map(Self)
    }

    /// Whether it may run on private torrents (BEP 27).
    #[must_use]
    pub const fn on_private(&self) -> bool {
        self.0.table().on_private == 1
    }

    /// The BEP 10 messages that it speaks. Names that are not UTF-8 are left out.
    pub fn extensions(&self) -> impl Iterator<Item = &'static str> {
        let table = self.0.table();
        // SAFETY: a table lends its names for ever.
        let names: &'static [Lent<'static>] =
            unsafe { lent_slice(table.extensions, table.extension_count) };
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
        let mut pushed = Pushed { room: WISHES_MAX, refused: 0, wishes };
        let sink = RawSink {
            size: size_of::<RawSink>() as u32,
            reserved: 0,
            context: (&raw mut pushed).cast(),
            push,
        };
        let status = self.0.call(&[Status::OK, Status::DECLINED], |table, instance| {
            // SAFETY: fact and sink are lent until the call returns.
            fact.with_raw(|fact| unsafe { (table.handle)(instance, now_us, fact, &raw const sink) })
        });
        if pushed.refused > 0 {
            let text = format!("{} wishes were refused: malformed or too large", pushed.refused);
            self.0.say(Level::Warning, &text);
        }
        Ok(if status? == Status::OK { Answer::Mine } else { Answer::Declined })
    }

    /// When to send it [`Fact::Deadline`], in microseconds of `now_us`. Never, once poisoned.
    pub fn deadline(&mut self) -> Option<u64> {
        let mut deadline_us = u64::MAX;
        // SAFETY: a place for one number, lent until the call returns.
        let answered = self.0.call(&[Status::OK], |table, instance| unsafe {
            (table.deadline)(instance, &raw mut deadline_us)
        });
        (deadline_us != u64::MAX && answered.is_ok()).then_some(deadline_us)
    }

    /// Whether the guest broke.
    #[must_use]
    pub const fn poisoned(&self) -> bool {
        self.0.poisoned()
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
        Wish::Keep { bytes } => bytes.len() <= WISH_BYTES_MAX,
        Wish::JoinMulticast { .. } | Wish::Finished | Wish::JoinDht { .. } => true,
    }
}
