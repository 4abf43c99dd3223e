//! What crosses the boundary in every interface: the entry, its version, lent bytes, a status.
//!
//! The layouts here are frozen for ABI major 1; `tests/abi.rs` of the root package holds their
//! offsets as numbers and compiles `rtor.h` against them.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// The version of the boundary that this crate speaks.
pub const ABI: Version = Version { major: 1, minor: 2 };

/// A version of the boundary: `major` must be equal on both sides, `minor` only appends.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Changes when an old guest can no longer be called.
    pub major: u16,
    /// Grows when something was appended.
    pub minor: u16,
}

/// Bytes lent for the length of one call (or, inside an [`Entry`], for ever).
///
/// Text is UTF-8. A null `data` with `size` 0 is the empty string.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a> {
    data: *const u8,
    size: usize,
    life: PhantomData<&'a [u8]>,
}

// SAFETY: a `Lent` is a shared slice in another form.
unsafe impl Send for Lent<'_> {}
// SAFETY: as above; nothing is ever written through it.
unsafe impl Sync for Lent<'_> {}

impl<'a> Lent<'a> {
    /// Lends `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { data: bytes.as_ptr(), size: bytes.len(), life: PhantomData }
    }

    /// Lends `text`.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::new(text.as_bytes())
    }

    /// How many bytes are lent: to be asked before [`Lent::bytes`] where a limit holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.size
    }

    /// Whether nothing is lent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The lent bytes.
    ///
    /// # Safety
    /// The other side must have lent `size` readable bytes that live for `'a`.
    #[must_use]
    pub unsafe fn bytes(self) -> &'a [u8] {
        if self.data.is_null() || self.size == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// The lent bytes as text, or `None` if they are not UTF-8.
    ///
    /// # Safety
    /// As for [`Lent::bytes`].
    #[must_use]
    pub unsafe fn utf8(self) -> Option<&'a str> {
        // SAFETY: the caller's promise.
        std::str::from_utf8(unsafe { self.bytes() }).ok()
    }
}

/// How a call ended. A number, since reading an unknown Rust enum would be undefined.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// Done.
    pub const OK: Self = Self(0);
    /// Not mine: the host may offer the fact to the next guest.
    pub const DECLINED: Self = Self(1);
    /// Refused; the guest has said why through [`Host`](crate::Host)'s log.
    pub const FAILED: Self = Self(2);
    /// The guest broke (a panic): the instance is never called again.
    pub const POISONED: Self = Self(3);
}

/// A plugin: the one symbol that its file exports.
#[repr(C)]
pub struct Entry {
    /// The boundary it was built for; first, and frozen for ever.
    pub abi: Version,
    /// `size_of::<Entry>()` on the guest's side.
    pub size: u32,
    /// What a person types: `rarest`. Letters, digits and `-`.
    pub id: Lent<'static>,
    /// The plugin's own version: `1.2.0`.
    pub version: Lent<'static>,
    /// One sentence for `rtor plugins`.
    pub about: Lent<'static>,
    /// `[any]` The table of interface `id`, null if this guest has none; valid for ever.
    pub interface: unsafe extern "C" fn(id: Lent<'_>) -> *const c_void,
}

/// Why a plugin has no table of an interface that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTable {
    /// The plugin does not offer the interface.
    Absent,
    /// The table says that it has `size` bytes, and the interface's first revision had `needed`.
    TooSmall {
        /// What the table says.
        size: u32,
        /// What it needs at least.
        needed: usize,
    },
    /// A function of the table is null, or the table is not aligned.
    Malformed,
}

/// A struct that begins with its size in bytes as a `u32`, and only grows, by whole words.
///
/// # Safety
/// `repr(C)`; what was appended after `FIRST_BYTES` may be all zeros; `FUNCTIONS` are the offsets
/// of all fields before `FIRST_BYTES` that may not be zero.
pub(crate) unsafe trait Grown: Copy {
    /// Bytes of the first revision.
    const FIRST_BYTES: usize;
    /// Offsets of the functions that every revision has.
    const FUNCTIONS: &'static [usize];
}

/// A copy of the struct at `raw`: what its maker did not know of yet is zero, and what we do not
/// know of yet is left out.
///
/// A copy and no reference, since a struct that is smaller than ours has no reference of our
/// type; and since a null function behind a reference would be undefined before it is called.
///
/// # Safety
/// `raw` must be null or point to a `u32` size and as many bytes as that says.
pub(crate) unsafe fn grown<T: Grown>(raw: *const T) -> Result<T, NoTable> {
    if raw.is_null() {
        return Err(NoTable::Absent);
    }
    if !raw.is_aligned() {
        return Err(NoTable::Malformed);
    }
    // SAFETY: it begins with its size.
    let size = unsafe { raw.cast::<u32>().read() };
    if (size as usize) < T::FIRST_BYTES {
        return Err(NoTable::TooSmall { size, needed: T::FIRST_BYTES });
    }
    // Half a word is no field: half a pointer would be one to nowhere.
    let bytes = (size as usize).min(size_of::<T>()) / size_of::<usize>() * size_of::<usize>();
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: there are at least `bytes` on both sides, and `copy` is ours alone.
    unsafe { copy.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(raw.cast(), bytes) };
    for &offset in T::FUNCTIONS {
        // SAFETY: a field of the first revision, all of which was copied, as a number.
        if unsafe { copy.as_ptr().byte_add(offset).cast::<usize>().read() } == 0 {
            return Err(NoTable::Malformed);
        }
    }
    // SAFETY: no function of the first revision is null, and the rest may be zeros.
    Ok(unsafe { copy.assume_init() })
}
