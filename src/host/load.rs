//! The loader: from a file to a [`Plugin`].
//!
//! The file's name gives the symbol: `librtor_strategy_rarest.so` exports
//! `rtor_strategy_rarest_plugin`. A plugin in C is checked field by field before Rust sees a
//! reference to it. Libraries are never closed: threads, thread-locals and tables of theirs may
//! be in use for as long as the program runs.
//!
//! The one place of this crate with `unsafe` in it.
#![allow(unsafe_code, reason = "a loaded file is taken at its word, after these checks")]

use super::{HostError, Origin, Plugin, trust::trusted};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rtor_plugin::{ABI, Entry, Lent, NoTable, Version, discovery, strategy};
use std::ffi::c_void;
use std::mem::{ManuallyDrop, offset_of};
use std::path::{Path, PathBuf};

/// Bytes of an id: a person types it.
const ID_BYTES_MAX: usize = 64;
/// Bytes of a version or of the sentence about a plugin: a table shows them.
const TEXT_BYTES_MAX: usize = 512;

/// Loads the plugin in `path`.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn open(path: &Path) -> Result<Plugin, HostError> {
    let file = trusted(path)?;
    let symbol = symbol(&file).ok_or_else(|| HostError::FileName { path: path.to_owned() })?;
    // SAFETY: opening runs the file's constructors. A person put the file where plugins are
    // looked for or named it, and nobody else could have written it: `trusted` saw to that.
    let library =
        unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
            HostError::Unloadable { path: path.to_owned(), why: why(&error, &file) }
        })?;
    let library = ManuallyDrop::new(library);
    // SAFETY: only the address is taken here; `checked` looks at what lies there.
    let entry = unsafe { library.get::<*const c_void>(symbol.as_str()) }
        .map_err(|_| HostError::SymbolMissing { path: path.to_owned(), symbol })?
        .as_raw_ptr();
    described(checked(path, entry)?, Origin::File(file))
}

/// Reads what a plugin says of itself.
///
/// # Errors
/// It breaks a rule of the boundary.
pub(super) fn described(entry: &'static Entry, origin: Origin) -> Result<Plugin, HostError> {
    let path = match &origin {
        Origin::Bundled => PathBuf::from("bundled"),
        Origin::File(path) => path.clone(),
    };
    let text = |lent: Lent<'static>, bytes_max: usize, what: &'static str| {
        if lent.len() > bytes_max {
            return Err(HostError::Malformed { path: path.clone(), what });
        }
        // SAFETY: an entry lends its texts for ever.
        let text = unsafe { lent.utf8() }.filter(|text| !text.contains(char::is_control));
        text.ok_or_else(|| HostError::Malformed { path: path.clone(), what })
    };
    let id = text(entry.id, ID_BYTES_MAX, "id")?;
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(HostError::Malformed { path, what: "id" });
    }
    let version = text(entry.version, TEXT_BYTES_MAX, "version")?;
    let about = text(entry.about, TEXT_BYTES_MAX, "description")?;
    let mut interfaces = Vec::new();
    let mut offered = |interface, what, table: Result<(), NoTable>| match table {
        Ok(()) => {
            interfaces.push(interface);
            Ok(())
        }
        Err(NoTable::Absent) => Ok(()),
        Err(NoTable::TooSmall { size, needed }) => {
            Err(HostError::TooSmall { path: path.clone(), what, size, needed })
        }
        Err(NoTable::Malformed) => Err(HostError::Malformed { path: path.clone(), what }),
    };
    let table = strategy::host::table(entry).map(|_| ());
    offered(strategy::INTERFACE, "strategy table", table)?;
    let table = discovery::host::table(entry).map(|_| ());
    offered(discovery::INTERFACE, "discovery table", table)?;
    if interfaces.is_empty() {
        return Err(HostError::NoInterface { path });
    }
    Ok(Plugin { entry, id, version, about, interfaces, origin, overrides: None })
}

/// The entry at `address`, if it is one that this build can call.
fn checked(path: &Path, address: *mut c_void) -> Result<&'static Entry, HostError> {
    let path = || path.to_owned();
    let entry = address.cast::<Entry>();
    if entry.is_null() || !entry.is_aligned() {
        return Err(HostError::Malformed { path: path(), what: "entry" });
    }
    // SAFETY: the symbol is exported under a name that promises an entry, and every entry, of
    // any version, begins with the version and its size.
    let (abi, size) = unsafe {
        let size = entry.byte_add(offset_of!(Entry, size)).cast::<u32>();
        (entry.cast::<Version>().read(), size.read())
    };
    if abi.major != ABI.major {
        return Err(HostError::WrongAbi { path: path(), found: abi.major, ours: ABI.major });
    }
    let needed = size_of::<Entry>();
    if (size as usize) < needed {
        return Err(HostError::TooSmall { path: path(), what: "entry", size, needed });
    }
    // SAFETY: the entry has the size of ours or a larger one. The function is looked at as a
    // number, since a reference to an entry in which it is null would be undefined.
    let function = unsafe { entry.byte_add(offset_of!(Entry, interface)).cast::<usize>().read() };
    if function == 0 {
        return Err(HostError::Malformed { path: path(), what: "entry" });
    }
    // SAFETY: aligned, large enough, of our major version, its function not null; the library
    // is never closed, so it lives for ever.
    Ok(unsafe { &*entry })
}

/// The symbol that a file of this name exports.
fn symbol(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let stem = name.split_once(".so").map_or(name, |(stem, _)| stem);
    let stem = stem.strip_prefix("lib").unwrap_or(stem).replace('-', "_");
    let valid = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    valid.then(|| format!("{stem}_plugin"))
}

/// What the system's linker says, without the wrapping and the path, which is said already.
fn why(error: &libloading::Error, file: &Path) -> String {
    let text =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix(&format!("{}: ", file.display())).unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_gives_its_symbol() {
        for (file, expected) in [
            ("/x/librtor_strategy_rarest.so", Some("rtor_strategy_rarest_plugin")),
            ("/x/my-guest.so.1.2", Some("my_guest_plugin")),
            ("/x/guest", Some("guest_plugin")),
            ("/x/lib.so", None),
            ("/x/a b.so", None),
        ] {
            assert_eq!(symbol(Path::new(file)).as_deref(), expected, "{file}");
        }
    }
}
