//! A strategy as its author sees it: the [`Strategy`] trait, and the shim behind it.

use super::{INTERFACE, RawSwarm, RawUrgent, Swarm, Table, Urgencies, Urgency};
use crate::{ABI, Entry, Host, HostHandle, Lent, Level, Options, Status, guard};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

/// An order of pieces. One instance serves one download.
pub trait Strategy: Sized + Send {
    /// What a person types: `rarest`.
    const ID: &'static str;
    /// One sentence for `rtor plugins`.
    const ABOUT: &'static str;

    /// An instance from what stands behind the colon in `--strategy NAME:key=value,..`.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    fn create(options: Options<'_>) -> Result<Self, String>;

    /// When this number changes, the keys of all pieces are asked for again. A strategy whose
    /// keys depend on the piece's own facts alone leaves it as it is.
    fn epoch(&mut self, _swarm: &Swarm<'_>) -> u64 {
        0
    }

    /// The second question, for a strategy that has an answer: `Some(Self::urgent)`, say.
    ///
    /// A constant and not a method, so that the host knows without asking which strategies have
    /// none, and so that it cannot be written and then forgotten to be announced.
    const URGENCY: Option<Urgency<Self>> = None;

    /// Writes one key for each of `pieces` (all valid, `keys` as long), smaller first.
    fn rank(&mut self, swarm: &Swarm<'_>, pieces: &[u32], keys: &mut [u64]);
}

/// The entry of a plugin that is one strategy. Called by [`export_plugin!`](crate::export_plugin).
#[must_use]
pub const fn entry<S: Strategy>(version: &'static str) -> Entry {
    Entry {
        abi: ABI,
        size: size_of::<Entry>() as u32,
        id: Lent::text(S::ID),
        version: Lent::text(version),
        about: Lent::text(S::ABOUT),
        interface: interface::<S>,
    }
}

struct Shim<S>(PhantomData<S>);

impl<S: Strategy> Shim<S> {
    const TABLE: &'static Table = &Table {
        size: size_of::<Table>() as u32,
        reserved: 0,
        create: create::<S>,
        destroy: destroy::<S>,
        epoch: epoch::<S>,
        rank: rank::<S>,
        urgent: if S::URGENCY.is_some() { Some(urgent::<S>) } else { None },
    };
}

unsafe extern "C" fn interface<S: Strategy>(id: Lent<'_>) -> *const c_void {
    // SAFETY: the host lends the id for this call.
    if unsafe { id.bytes() } == INTERFACE.as_bytes() {
        ptr::from_ref(Shim::<S>::TABLE).cast()
    } else {
        ptr::null()
    }
}

unsafe extern "C" fn create<S: Strategy>(
    host: *const Host,
    options: Lent<'_>,
    instance: *mut *mut c_void,
) -> Status {
    guard(|| {
        // SAFETY: the host's table outlives the instance; options are lent for this call.
        let (host, options) = unsafe { (HostHandle::new(host), options.utf8()) };
        match S::create(Options::new(options.unwrap_or_default())) {
            Ok(strategy) => {
                // SAFETY: the host gave a place for one pointer.
                unsafe { *instance = Box::into_raw(Box::new(strategy)).cast() };
                Status::OK
            }
            Err(why) => {
                host.log(Level::Error, &why);
                Status::FAILED
            }
        }
    })
}

unsafe extern "C" fn destroy<S: Strategy>(instance: *mut c_void) {
    let _ = guard(|| {
        // SAFETY: `instance` came from `create` and is not used again.
        drop(unsafe { Box::from_raw(instance.cast::<S>()) });
        Status::OK
    });
}

unsafe extern "C" fn epoch<S: Strategy>(
    instance: *mut c_void,
    swarm: *const RawSwarm,
    epoch: *mut u64,
) -> Status {
    guard(|| {
        // SAFETY: `instance` came from `create`; `[engine]` means one call at a time.
        let strategy = unsafe { &mut *instance.cast::<S>() };
        // SAFETY: the host lends the columns for this call, and a place for one number.
        unsafe { *epoch = strategy.epoch(&Swarm::from_raw(swarm)) };
        Status::OK
    })
}

unsafe extern "C" fn rank<S: Strategy>(
    instance: *mut c_void,
    swarm: *const RawSwarm,
    pieces: *const u32,
    keys: *mut u64,
    count: usize,
) -> Status {
    guard(|| {
        if count == 0 {
            return Status::OK;
        }
        // SAFETY: `instance` came from `create`; `[engine]` means one call at a time.
        let strategy = unsafe { &mut *instance.cast::<S>() };
        // SAFETY: the host lends `count` pieces and as many places for keys.
        let (pieces, keys) = unsafe {
            (std::slice::from_raw_parts(pieces, count), std::slice::from_raw_parts_mut(keys, count))
        };
        // SAFETY: the host lends the columns for this call.
        strategy.rank(&unsafe { Swarm::from_raw(swarm) }, pieces, keys);
        Status::OK
    })
}

unsafe extern "C" fn urgent<S: Strategy>(
    instance: *mut c_void,
    swarm: *const RawSwarm,
    list: *mut RawUrgent,
    capacity: usize,
    count: *mut usize,
) -> Status {
    guard(|| {
        // SAFETY: `instance` came from `create`; `[engine]` means one call at a time.
        let strategy = unsafe { &mut *instance.cast::<S>() };
        // SAFETY: the host lends `capacity` entries, whatever is in them.
        let list = unsafe { std::slice::from_raw_parts_mut(list, capacity) };
        let mut urgencies = Urgencies::new(list);
        if let Some(urgency) = S::URGENCY {
            // SAFETY: the host lends the columns for this call.
            urgency(strategy, &unsafe { Swarm::from_raw(swarm) }, &mut urgencies);
        }
        // SAFETY: the host gave a place for one number.
        unsafe { *count = capacity - urgencies.room() };
        Status::OK
    })
}
