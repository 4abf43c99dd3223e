//! BEP 52's `file tree` and `piece layers`: files in the order of the tree, each with the root of
//! its Merkle tree, and the layer of that tree whose nodes are the pieces.

use super::bencode::{Kind, Value};
use super::file_list::{Listed, attributes};
use super::metainfo_error::{MetainfoError, bytes, count, required, wrong_kind};
use super::piece_hash::{MerkleRoot, merkle_root};
use super::piece_layers::filler;
use super::{BLOCK_LENGTH, Layout, PieceLayers};
use std::collections::BTreeMap;

/// The files of a tree, in its order.
pub(super) fn files(tree: Value<'_>) -> Result<Vec<Listed<'_>>, MetainfoError> {
    let mut files = Vec::new();
    walk(tree, &mut Vec::new(), &mut files)?;
    Ok(files)
}

/// Goes down one folder. The scan has bounded the depth (`bencode::DEPTH_MAX`).
fn walk<'a>(
    folder: Value<'a>,
    path: &mut Vec<&'a [u8]>,
    files: &mut Vec<Listed<'a>>,
) -> Result<(), MetainfoError> {
    let entries = folder.entries().ok_or_else(|| wrong_kind(folder, "file tree", Kind::Dictionary));
    for (name, entry) in entries? {
        if name.is_empty() {
            let sentence = "a folder of `file tree` is a file too: an empty name";
            return Err(MetainfoError::at(entry.offset(), sentence));
        }
        path.push(name);
        let leaf = entry.entry(b"").filter(|_| entry.entries().is_some_and(|e| e.count() == 1));
        match leaf {
            Some(leaf) => files.push(file(leaf, path.clone(), entry.offset())?),
            None => walk(entry, path, files)?,
        }
        path.pop();
    }
    Ok(())
}

fn file<'a>(
    leaf: Value<'a>,
    components: Vec<&'a [u8]>,
    offset: usize,
) -> Result<Listed<'a>, MetainfoError> {
    let length = count(required(leaf, "a file of `file tree`", "length")?, "length")?;
    let root = match leaf.entry(b"pieces root") {
        Some(root) if length > 0 => {
            let bytes = bytes(root, "pieces root")?;
            Some(<[u8; 32]>::try_from(bytes).map_err(|_| {
                let sentence = format!("`pieces root` has {} bytes, not 32", bytes.len());
                MetainfoError::at(root.offset(), sentence)
            })?)
        }
        None if length > 0 => {
            let sentence = "no `pieces root` for a file that is not empty";
            return Err(MetainfoError::at(leaf.offset(), sentence));
        }
        _ => None,
    };
    let (attr, symlink) = attributes(leaf)?;
    Ok(Listed { components, offset, length, attr, symlink, root })
}

/// Why layers are not those of the files.
pub(super) enum LayerError {
    /// A file of several pieces has none: its index.
    Missing(usize),
    /// One is malformed or does not hash to its file's root.
    Wrong(MetainfoError),
}

/// What each piece must hash to: from `layers` for files of several pieces, each checked against
/// its file's root; the root itself for others. `roots` are the files' of `layout`, which is by
/// file. And the layers that were used.
pub(super) fn piece_roots(
    layout: &Layout,
    roots: &[Option<[u8; 32]>],
    layers: Option<Value<'_>>,
) -> Result<(Vec<MerkleRoot>, PieceLayers), LayerError> {
    let layers: BTreeMap<&[u8], Value<'_>> =
        layers.and_then(Value::entries).into_iter().flatten().collect();
    let piece_leaves = layout.piece_length() / BLOCK_LENGTH;
    let filler = filler(layout.piece_length());
    let mut pieces = Vec::with_capacity(layout.piece_count());
    let mut used = PieceLayers::default();
    for (index, (file, root)) in layout.files().iter().zip(roots).enumerate() {
        let Some(root) = root else { continue };
        if file.length <= u64::from(layout.piece_length()) {
            let leaves = file.length.div_ceil(u64::from(BLOCK_LENGTH)).next_power_of_two() as u32;
            pieces.push(MerkleRoot { root: *root, leaves });
            continue;
        }
        let layer = layers.get(&root[..]).ok_or(LayerError::Missing(index))?;
        let count = file.length.div_ceil(u64::from(layout.piece_length())) as usize;
        let nodes = nodes(*layer, count).map_err(LayerError::Wrong)?;
        if merkle_root(nodes.clone(), count.next_power_of_two(), filler) != *root {
            let sentence = format!("the piece layer of `{}` does not hash to its root", file.path);
            return Err(LayerError::Wrong(MetainfoError::at(layer.offset(), sentence)));
        }
        used.insert(*root, nodes.concat().into());
        pieces.extend(nodes.into_iter().map(|root| MerkleRoot { root, leaves: piece_leaves }));
    }
    Ok((pieces, used))
}

/// The files of several pieces: each root once, and how many pieces it has.
pub(super) fn layers_due(layout: &Layout, roots: &[Option<[u8; 32]>]) -> Vec<([u8; 32], usize)> {
    let piece_length = u64::from(layout.piece_length());
    let files = layout.files().iter().zip(roots).filter(|(file, _)| file.length > piece_length);
    let counts = files
        .filter_map(|(file, root)| Some(((*root)?, file.length.div_ceil(piece_length) as usize)));
    counts.collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn nodes(layer: Value<'_>, count: usize) -> Result<Vec<[u8; 32]>, MetainfoError> {
    let bytes = bytes(layer, "piece layers")?;
    let (nodes, rest) = bytes.as_chunks::<32>();
    if nodes.len() != count || !rest.is_empty() {
        let sentence = format!(
            "a piece layer has {} bytes where {count} pieces need {}",
            bytes.len(),
            count * 32
        );
        return Err(MetainfoError::at(layer.offset(), sentence));
    }
    Ok(nodes.to_vec())
}
