//! The files of an info dictionary as it lists them, before they are laid out: BEP 3's `length`
//! or `files`, with BEP 47's attributes.

use super::bencode::{Kind, Value};
use super::metainfo_error::{MetainfoError, bytes, count, required, wrong_kind};
use super::safe_path::{PathError, SafePath};

/// One file as the torrent lists it.
pub(super) struct Listed<'a> {
    /// Its path, without the torrent's name before it.
    pub(super) components: Vec<&'a [u8]>,
    /// Where the path stands.
    pub(super) offset: usize,
    /// Bytes in it.
    pub(super) length: u64,
    /// BEP 47's attributes, a letter each.
    pub(super) attr: &'a [u8],
    /// Where a symbolic link leads, from the torrent's root.
    pub(super) symlink: Vec<&'a [u8]>,
    /// BEP 52's root of the file's Merkle tree.
    pub(super) root: Option<[u8; 32]>,
}

impl Listed<'_> {
    /// Whether it is padding (BEP 47).
    pub(super) fn is_pad(&self) -> bool {
        self.attr.contains(&b'p')
    }

    /// Where it is written: below `folder`, if there is one.
    pub(super) fn path(&self, folder: Option<&[u8]>) -> Result<SafePath, MetainfoError> {
        SafePath::from_components(folder.into_iter().chain(self.components.iter().copied()))
            .map_err(|why| unsafe_path(&why, self.offset))
    }
}

/// What a path that can't be used is called.
pub(super) fn unsafe_path(why: &PathError, offset: usize) -> MetainfoError {
    MetainfoError::at(offset, why.to_string())
}

/// The files of a v1 info dictionary; `name` is the one file's name if there is only one.
pub(super) fn v1<'a>(info: Value<'a>, name: &'a [u8]) -> Result<Vec<Listed<'a>>, MetainfoError> {
    let Some(files) = info.entry(b"files") else {
        let length = info.entry(b"length").ok_or_else(|| {
            let sentence = "neither `length` nor `files` in the info dictionary";
            MetainfoError::at(info.offset(), sentence)
        })?;
        let (attr, symlink) = attributes(info)?;
        return Ok(vec![Listed {
            components: vec![name],
            offset: info.entry(b"name").unwrap_or(info).offset(),
            length: count(length, "length")?,
            attr,
            symlink,
            root: None,
        }]);
    };
    let items = files.items().ok_or_else(|| wrong_kind(files, "files", Kind::List))?;
    items.map(v1_file).collect()
}

fn v1_file(file: Value<'_>) -> Result<Listed<'_>, MetainfoError> {
    if file.kind() != Kind::Dictionary {
        return Err(wrong_kind(file, "files", Kind::Dictionary));
    }
    let length = count(required(file, "a file's dictionary", "length")?, "length")?;
    let path = match file.entry(b"path.utf-8") {
        Some(path) if path.kind() == Kind::List => path,
        _ => required(file, "a file's dictionary", "path")?,
    };
    let components = components(path, "path")?;
    if components.is_empty() {
        return Err(unsafe_path(&PathError::Empty, path.offset()));
    }
    let (attr, symlink) = attributes(file)?;
    Ok(Listed { components, offset: path.offset(), length, attr, symlink, root: None })
}

/// BEP 47's `attr` and `symlink path` of a file's dictionary. An `attr` that is no string says
/// nothing.
pub(super) fn attributes(file: Value<'_>) -> Result<(&[u8], Vec<&[u8]>), MetainfoError> {
    let attr = file.entry(b"attr").and_then(Value::bytes).unwrap_or_default();
    let symlink = match file.entry(b"symlink path") {
        Some(path) if attr.contains(&b'l') => components(path, "symlink path")?,
        _ => Vec::new(),
    };
    Ok((attr, symlink))
}

fn components<'a>(path: Value<'a>, key: &str) -> Result<Vec<&'a [u8]>, MetainfoError> {
    let items = path.items().ok_or_else(|| wrong_kind(path, key, Kind::List))?;
    items.map(|component| bytes(component, key)).collect()
}
