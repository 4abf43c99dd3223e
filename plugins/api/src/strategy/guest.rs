//! A strategy as its author sees it: the [`Strategy`] trait, and the shim behind it.

use super::{INTERFACE, RawSwarm, Table};
use crate::{ABI, Entry, Host, HostHandle, Lent, Level, Options, Status, guard};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

/// What is known of the swarm, lent for one call.
pub struct Swarm<'a> {
    /// How many connected peers have each piece.
    pub availability: &'a [u16],
    /// 0 not wanted, 1 to 7 wanted, 4 is normal; one a piece.
    pub priority: &'a [u8],
    /// Chance: the same for the whole run.
    pub seed: u64,
    /// Pieces had so far.
    pub have_count: u32,
    /// The piece that a reader waits for; 0 if nobody reads.
    pub playhead: u32,
    have: &'a [u64],
}

impl<'a> Swarm<'a> {
    /// A swarm from its columns; `have` has one bit a piece, least significant first.
    ///
    /// # Panics
    /// If the columns are not of one length: a guest reads them by `availability`'s.
    #[must_use]
    pub const fn new(
        availability: &'a [u16],
        priority: &'a [u8],
        have: &'a [u64],
        seed: u64,
        have_count: u32,
        playhead: u32,
    ) -> Self {
        assert!(priority.len() == availability.len(), "one priority a piece");
        assert!(have.len() >= availability.len().div_ceil(64), "one bit a piece");
        Self { availability, priority, seed, have_count, playhead, have }
    }

    /// Pieces of the torrent.
    #[must_use]
    pub const fn piece_count(&self) -> usize {
        self.availability.len()
    }

    /// Whether `piece` is verified and kept. Pieces beyond the torrent are not.
    #[must_use]
    pub fn has(&self, piece: u32) -> bool {
        let word = self.have.get(piece as usize / 64).copied().unwrap_or(0);
        word >> (piece % 64) & 1 == 1
    }

    /// A number for `piece` that looks random and is the same at every call of this run.
    #[must_use]
    pub const fn shuffle(&self, piece: u32) -> u32 {
        // splitmix64's finalizer: every bit of seed and piece moves every bit of the answer.
        let mut x = self.seed ^ (piece as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x >> 32) as u32
    }

    pub(super) const fn raw(&self) -> RawSwarm {
        RawSwarm {
            size: size_of::<RawSwarm>() as u32,
            piece_count: self.availability.len() as u32,
            availability: self.availability.as_ptr(),
            priority: self.priority.as_ptr(),
            have: self.have.as_ptr(),
            seed: self.seed,
            have_count: self.have_count,
            playhead: self.playhead,
        }
    }

    /// # Safety
    /// `raw` must point to columns of `piece_count` entries that live for `'a`.
    unsafe fn from_raw(raw: *const RawSwarm) -> Self {
        // SAFETY: the caller's promise, here and below.
        let raw = unsafe { &*raw };
        let count = raw.piece_count as usize;
        if count == 0 {
            return Self::new(&[], &[], &[], raw.seed, raw.have_count, raw.playhead);
        }
        // SAFETY: the columns have `piece_count` entries, `have` one bit for each.
        let (availability, priority, have) = unsafe {
            (
                std::slice::from_raw_parts(raw.availability, count),
                std::slice::from_raw_parts(raw.priority, count),
                std::slice::from_raw_parts(raw.have, count.div_ceil(64)),
            )
        };
        Self::new(availability, priority, have, raw.seed, raw.have_count, raw.playhead)
    }
}

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
