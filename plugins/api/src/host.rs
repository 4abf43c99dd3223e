//! [`Host`]: what a guest may call back, on any thread.

use crate::Lent;
use std::ffi::c_void;
use std::sync::Arc;

/// How much a line of talk matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// Worth a line with `-v`.
    Info,
    /// A person should know.
    Warning,
    /// It could not be done.
    Error,
}

impl Level {
    /// The number that crosses.
    #[must_use]
    pub const fn raw(self) -> u32 {
        match self {
            Self::Debug => 0,
            Self::Info => 1,
            Self::Warning => 2,
            Self::Error => 3,
        }
    }

    /// From the number that crossed; an unknown one is an error.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warning,
            _ => Self::Error,
        }
    }
}

/// The host's half of a conversation, in C layout. It outlives the instance that it was given to.
#[repr(C)]
pub struct Host {
    /// `size_of::<Host>()` on the host's side.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The host's own; handed back in every call.
    pub context: *mut c_void,
    /// `[any]` Says one line; `level` is 0 debug, 1 info, 2 warning, 3 error.
    pub log: unsafe extern "C" fn(context: *mut c_void, level: u32, text: Lent<'_>),
    /// `[any]` Asks for a `woken` fact soon. For guests that run a thread of their own.
    pub wake: unsafe extern "C" fn(context: *mut c_void),
}

/// What the host does when a guest calls back. Called from any thread.
pub trait Services: Send + Sync {
    /// One line of talk from a guest.
    fn log(&self, level: Level, text: &str);
    /// The guest wants a [`Fact::Woken`](crate::discovery::Fact::Woken) soon.
    fn wake(&self) {}
}

/// The host's side of one [`Host`] table: keeps it alive for an instance.
pub(crate) struct HostBox {
    table: Box<Host>,
    // The double box gives a thin pointer for `context`.
    services: Box<Arc<dyn Services>>,
}

impl HostBox {
    pub(crate) fn new(services: Arc<dyn Services>) -> Self {
        let services = Box::new(services);
        let context: *const Arc<dyn Services> = &raw const *services;
        let table = Box::new(Host {
            size: size_of::<Host>() as u32,
            reserved: 0,
            context: context.cast_mut().cast(),
            log: log_shim,
            wake: wake_shim,
        });
        Self { table, services }
    }

    pub(crate) fn services(&self) -> &dyn Services {
        &**self.services
    }

    pub(crate) fn as_ptr(&self) -> *const Host {
        &raw const *self.table
    }
}

unsafe extern "C" fn log_shim(context: *mut c_void, level: u32, text: Lent<'_>) {
    // SAFETY: `context` is the `Arc` of a `HostBox` that outlives the instance.
    let services = unsafe { &*context.cast::<Arc<dyn Services>>() };
    // SAFETY: the guest lends its text for this call.
    let text = String::from_utf8_lossy(unsafe { text.bytes() });
    services.log(Level::from_raw(level), &text);
}

unsafe extern "C" fn wake_shim(context: *mut c_void) {
    // SAFETY: as in `log_shim`.
    unsafe { &*context.cast::<Arc<dyn Services>>() }.wake();
}

/// A guest's safe view of its [`Host`].
#[derive(Clone, Copy)]
pub struct HostHandle(*const Host);

// SAFETY: both functions of the table are `[any]`, and the table outlives the instance.
unsafe impl Send for HostHandle {}
// SAFETY: as above.
unsafe impl Sync for HostHandle {}

impl HostHandle {
    /// # Safety
    /// `host` must be valid for as long as the instance lives.
    pub(crate) const unsafe fn new(host: *const Host) -> Self {
        Self(host)
    }

    /// Says one line.
    pub fn log(&self, level: Level, text: &str) {
        // SAFETY: the promise of `new`.
        unsafe { ((*self.0).log)((*self.0).context, level.raw(), Lent::text(text)) }
    }

    /// Asks for a `woken` fact soon; may be called from any thread.
    pub fn wake(&self) {
        // SAFETY: the promise of `new`.
        unsafe { ((*self.0).wake)((*self.0).context) }
    }
}
