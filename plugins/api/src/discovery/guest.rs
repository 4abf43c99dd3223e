//! A discovery guest as its author sees it: the [`Discovery`] trait, and the shim behind it.

use super::raw::{RawFact, RawSink, Table};
use super::{Fact, INTERFACE, Wish};
use crate::{ABI, Entry, Host, HostHandle, Lent, Level, Options, Status, guard};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

/// Whether a fact was for this guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was.
    Mine,
    /// It was not: a datagram of another protocol, say. The host offers it to the next guest.
    Declined,
}

/// Where wishes go during one call.
pub trait Wishes {
    /// Pushes a copy of `wish`.
    fn push(&mut self, wish: Wish<'_>);
}

impl Wishes for Vec<Wish<'static>> {
    fn push(&mut self, wish: Wish<'_>) {
        Self::push(self, wish.into_owned());
    }
}

/// A way to find peers. One instance serves one torrent.
pub trait Discovery: Sized + Send {
    /// What a person types: `tracker`.
    const ID: &'static str;
    /// One sentence for `rtor plugins`.
    const ABOUT: &'static str;
    /// Whether it may run on private torrents (BEP 27).
    const ON_PRIVATE: bool;
    /// The BEP 10 messages that it speaks, as lent names.
    const EXTENSIONS: &'static [Lent<'static>] = &[];

    /// An instance.
    ///
    /// # Errors
    /// A sentence for the person who typed the options.
    fn create(host: HostHandle, options: Options<'_>) -> Result<Self, String>;

    /// A fact goes in; everything that follows from it is pushed into `wishes`.
    fn handle(&mut self, now_us: u64, fact: &Fact<'_>, wishes: &mut dyn Wishes) -> Answer;

    /// When to send [`Fact::Deadline`] if nothing else happens, in microseconds of `now_us`.
    fn deadline(&self) -> Option<u64>;
}

/// The entry of a plugin that is one discovery guest. Called by
/// [`export_plugin!`](crate::export_plugin).
#[must_use]
pub const fn entry<D: Discovery>(version: &'static str) -> Entry {
    Entry {
        abi: ABI,
        size: size_of::<Entry>() as u32,
        id: Lent::text(D::ID),
        version: Lent::text(version),
        about: Lent::text(D::ABOUT),
        interface: interface::<D>,
    }
}

struct Shim<D>(PhantomData<D>);

impl<D: Discovery> Shim<D> {
    const TABLE: &'static Table = &Table {
        size: size_of::<Table>() as u32,
        on_private: D::ON_PRIVATE as u32,
        extensions: D::EXTENSIONS.as_ptr(),
        extension_count: D::EXTENSIONS.len(),
        create: create::<D>,
        destroy: destroy::<D>,
        handle: handle::<D>,
        deadline: deadline::<D>,
    };
}

/// The host's sink as a guest in Rust sees it.
struct Sink<'a>(&'a RawSink);

impl Wishes for Sink<'_> {
    fn push(&mut self, wish: Wish<'_>) {
        // The host reports a refused wish itself; there is nothing a guest could do about it.
        // SAFETY: the host's sink is valid for this call, the wish is lent for the inner one.
        let _ = wish.with_raw(|raw| unsafe { (self.0.push)(self.0.context, raw) });
    }
}

unsafe extern "C" fn interface<D: Discovery>(id: Lent<'_>) -> *const c_void {
    // SAFETY: the host lends the id for this call.
    if unsafe { id.bytes() } == INTERFACE.as_bytes() {
        ptr::from_ref(Shim::<D>::TABLE).cast()
    } else {
        ptr::null()
    }
}

unsafe extern "C" fn create<D: Discovery>(
    host: *const Host,
    options: Lent<'_>,
    instance: *mut *mut c_void,
) -> Status {
    guard(|| {
        // SAFETY: the host's table outlives the instance; options are lent for this call.
        let (host, options) = unsafe { (HostHandle::new(host), options.utf8()) };
        match D::create(host, Options::new(options.unwrap_or_default())) {
            Ok(guest) => {
                // SAFETY: the host gave a place for one pointer.
                unsafe { *instance = Box::into_raw(Box::new(guest)).cast() };
                Status::OK
            }
            Err(why) => {
                host.log(Level::Error, &why);
                Status::FAILED
            }
        }
    })
}

unsafe extern "C" fn destroy<D: Discovery>(instance: *mut c_void) {
    let _ = guard(|| {
        // SAFETY: `instance` came from `create` and is not used again.
        drop(unsafe { Box::from_raw(instance.cast::<D>()) });
        Status::OK
    });
}

unsafe extern "C" fn handle<D: Discovery>(
    instance: *mut c_void,
    now_us: u64,
    fact: *const RawFact,
    sink: *const RawSink,
) -> Status {
    guard(|| {
        // SAFETY: `instance` came from `create`; `[engine]` means one call at a time.
        let guest = unsafe { &mut *instance.cast::<D>() };
        // SAFETY: fact and sink are lent for this call.
        let (fact, sink) = unsafe { (Fact::from_raw(&*fact), &*sink) };
        match fact.map(|fact| guest.handle(now_us, &fact, &mut Sink(sink))) {
            Some(Answer::Mine) => Status::OK,
            Some(Answer::Declined) | None => Status::DECLINED,
        }
    })
}

unsafe extern "C" fn deadline<D: Discovery>(
    instance: *mut c_void,
    deadline_us: *mut u64,
) -> Status {
    guard(|| {
        // SAFETY: `instance` came from `create`; the host gave a place for one number.
        unsafe { *deadline_us = (*instance.cast::<D>()).deadline().unwrap_or(u64::MAX) };
        Status::OK
    })
}
