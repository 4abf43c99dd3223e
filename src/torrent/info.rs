//! [`Info`]: the info dictionary, parsed once and valid for ever.
//!
//! v1 (BEP 3), v2 and hybrid (BEP 52) become the same shape. A hybrid is laid out and checked as
//! its v1 half says, files contiguous with padding between them, because that is what most peers
//! speak; its two halves must describe the same files. The roots of the v2 half are kept.
//!
//! What a careful reader would refuse is refused here, with the byte: impossible lengths, unsafe
//! paths, a repeated key (parsers differ on which one counts), half of a v1 half (they differ on the
//! info hash). What can be shown and downloaded but not written, two files of one path, is
//! [`Info::conflict`]. What is merely odd is a [`Finding`].

use super::bencode::{Kind, Note, NoteKind, Tape, Value};
use super::file_list::{self, Listed};
use super::file_tree::{self, LayerError};
use super::finding::{Finding, Severity};
use super::layout::LayoutError;
use super::metainfo_error::{MetainfoError, Place, bytes, count, required, wrong_kind};
use super::piece_hash::MerkleRoot;
use super::piece_layers::LAYERS_BYTES_MAX;
use super::{
    BLOCK_LENGTH, InfoHashV1, InfoHashV2, InfoHashes, LayersDue, Layout, PathConflict, PieceHashes,
    PieceLayers, SafePath,
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What the info dictionary says, with its raw bytes beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The raw bytes as they lay in the file: what the info hash is the hash of.
    pub raw: Bytes,
    /// The torrent's names among peers.
    pub hashes: InfoHashes,
    /// The suggested name, safe as one path component. Several files lie in a folder of this
    /// name; their paths in [`Layout::files`] begin with it.
    pub name: String,
    /// Pieces, blocks and files.
    pub layout: Layout,
    /// What each piece must hash to.
    pub pieces: PieceHashes,
    /// Only trackers may be asked for peers (BEP 27).
    pub private: bool,
    /// `source`, by which trackers make the same content a different torrent.
    pub source: Option<String>,
    /// What only some files have, by index into [`Layout::files`].
    pub extras: BTreeMap<usize, FileExtra>,
    /// The root of each file's Merkle tree (BEP 52), a file of [`Layout::files`] each; `None` for
    /// padding and empty files. No element at all for v1.
    pub roots: Vec<Option<[u8; 32]>>,
    /// The layers of those trees, as far as they are known: all of v2, perhaps none of a hybrid.
    pub layers: PieceLayers,
    /// Why the files can't all be written, if so.
    pub conflict: Option<PathConflict>,
    /// What is odd. Offsets count in `raw`.
    pub findings: Vec<Finding>,
}

/// Bytes of an unknown `meta version` that are shown: it may be a string of millions.
const VERSION_SHOWN_MAX: usize = 64;

/// What only some files have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileExtra {
    /// The path as the torrent has it, `/` between components, where that is not UTF-8.
    pub path_bytes: Option<Vec<u8>>,
    /// To be made executable (BEP 47, `x`).
    pub executable: bool,
    /// To be hidden (BEP 47, `h`).
    pub hidden: bool,
    /// A symbolic link to this file of the torrent (BEP 47, `l`). It has no bytes of its own, and
    /// is never made as a link.
    pub symlink: Option<String>,
}

impl Info {
    /// Parses `raw`, an info dictionary and nothing more. `piece_layers` is the raw dictionary
    /// that stands beside it (BEP 52); pure v2 with a file of several pieces needs it.
    ///
    /// # Errors
    /// With a sentence and the byte if it is no info dictionary that can be downloaded.
    pub fn parse(raw: Bytes, piece_layers: Option<&[u8]>) -> Result<Self, MetainfoError> {
        let layers = piece_layers
            .map(|bytes| scan(bytes, "piece layers"))
            .transpose()
            .map_err(|why| why.within(Place::PieceLayers))?;
        let tape = scan(&raw, "info").map_err(|why| why.within(Place::Info))?;
        let hashes = InfoHashes {
            v1: tape.root().entry(b"pieces").is_some().then(|| InfoHashV1::of(&raw)),
            v2: tape.root().entry(b"file tree").is_some().then(|| InfoHashV2::of(&raw)),
        };
        let fallback = hashes.to_string();
        let mut draft =
            Draft::read(tape.root(), fallback.as_bytes()).map_err(|why| why.within(Place::Info))?;
        draft.note(tape.notes());
        draft.finish(raw.clone(), layers.as_ref().map(Tape::root))
    }

    /// An info dictionary that is known by its parts alone: of simulated torrents and of tests.
    #[must_use]
    pub fn of_parts(layout: Layout, pieces: PieceHashes) -> Self {
        Self {
            raw: Bytes::new(),
            hashes: InfoHashes { v1: Some(InfoHashV1::of(&[])), v2: None },
            name: layout.files().first().map_or("", |file| file.path.as_str()).to_owned(),
            conflict: PathConflict::find(&layout),
            layout,
            pieces,
            private: false,
            source: None,
            extras: BTreeMap::new(),
            roots: Vec::new(),
            layers: PieceLayers::default(),
            findings: Vec::new(),
        }
    }

    /// The layers that `raw`, an info dictionary and nothing more, is to be used with (BEP 52).
    ///
    /// # Errors
    /// If it is none that can be downloaded, as far as that is known without them.
    pub fn layers_due(raw: &[u8]) -> Result<LayersDue, MetainfoError> {
        let due = |tape: &Tape<'_>| Draft::read(tape.root(), b"?")?.layers_due();
        let tape = scan(raw, "info").map_err(|why| why.within(Place::Info))?;
        due(&tape).map_err(|why| why.within(Place::Info))
    }

    /// The dictionary of layers that is to stand beside it (BEP 52); `None` for v1, and for a hybrid
    /// whose layers are not known.
    #[must_use]
    pub fn piece_layers(&self) -> Option<Bytes> {
        let piece_length = u64::from(self.layout.piece_length());
        let mut files = self.layout.files().iter().zip(&self.roots);
        let is_known = |root: &[u8; 32]| self.layers.layer(root).is_some();
        let known = files
            .all(|(file, root)| file.length <= piece_length || root.as_ref().is_none_or(is_known));
        (self.hashes.v2.is_some() && known).then(|| self.layers.encode())
    }

    /// What stands in for the info dictionary of a magnet until that is known: no piece, no file.
    #[must_use]
    pub fn unknown(hashes: InfoHashes) -> Self {
        let mut info = Self::of_parts(Layout::unknown(), PieceHashes::V1(Vec::new()));
        info.hashes = hashes;
        info
    }

    /// Whether it is more than what stands in for one.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.layout.piece_count() > 0
    }

    /// Whether file `index` is written: not padding, and no symbolic link.
    #[must_use]
    pub fn is_written(&self, index: usize) -> bool {
        let pad = self.layout.files().get(index).is_none_or(|file| file.pad);
        !pad && self.extras.get(&index).is_none_or(|extra| extra.symlink.is_none())
    }
}

/// The torrent's name; the one that is said to be UTF-8 if there are two.
fn named(info: Value<'_>) -> Option<Value<'_>> {
    info.entry(b"name.utf-8").or_else(|| info.entry(b"name"))
}

/// That `info`, which is v2 and has no `pieces`, has no files of v1 either: with them some readers give
/// it a v1 info hash too, and it would be two torrents.
fn no_v1_half(info: Value<'_>) -> Result<(), MetainfoError> {
    for key in ["files", "length"] {
        if let Some(value) = info.entry(key.as_bytes()) {
            let sentence = format!("`{key}` of v1 without `pieces`");
            return Err(MetainfoError::at(value.offset(), sentence));
        }
    }
    Ok(())
}

/// A dictionary in which no key is repeated.
fn scan<'a>(raw: &'a [u8], name: &str) -> Result<Tape<'a>, MetainfoError> {
    let tape = Tape::scan(raw)?;
    if tape.root().kind() != Kind::Dictionary {
        return Err(wrong_kind(tape.root(), name, Kind::Dictionary));
    }
    match tape.notes().iter().find(|note| note.kind == NoteKind::RepeatedKey) {
        Some(note) => {
            let sentence = format!("a key of `{name}` stands twice, the second time");
            Err(MetainfoError::at(note.offset, sentence))
        }
        None => Ok(tape),
    }
}

/// An info dictionary on the way.
struct Draft<'a> {
    info: Value<'a>,
    name: &'a [u8],
    piece_length: Value<'a>,
    v1: Option<V1<'a>>,
    v2: Option<Vec<Listed<'a>>>,
    findings: Vec<Finding>,
}

struct V1<'a> {
    files: Vec<Listed<'a>>,
    pieces: Value<'a>,
}

impl<'a> Draft<'a> {
    /// Reads `info`; `fallback` is its name if it has none.
    fn read(info: Value<'a>, fallback: &'a [u8]) -> Result<Self, MetainfoError> {
        let name = match named(info) {
            Some(value) => Some(bytes(value, "name")?).filter(|name| !name.is_empty()),
            None => None,
        };
        let name = name.unwrap_or(fallback);
        let tree = match info.entry(b"meta version").map(|v| (v, v.int())) {
            None | Some((_, Some(1))) => None,
            Some((_, Some(2))) => Some(required(info, "the v2 info dictionary", "file tree")?),
            Some((version, _)) => {
                let raw = version.raw();
                let shown = raw.get(..VERSION_SHOWN_MAX).unwrap_or(raw).escape_ascii();
                let sentence = format!("`meta version` is `{shown}`, where 1 and 2 are known");
                return Err(MetainfoError::at(version.offset(), sentence));
            }
        };
        let v1 = match info.entry(b"pieces") {
            Some(pieces) => Some(V1 { files: file_list::v1(info, name)?, pieces }),
            None if tree.is_none() => {
                return Err(MetainfoError::at(info.offset(), "no `pieces` in the info dictionary"));
            }
            None => no_v1_half(info).map(|()| None)?,
        };
        Ok(Self {
            info,
            name,
            piece_length: required(info, "the info dictionary", "piece length")?,
            v1,
            v2: tree.map(file_tree::files).transpose()?,
            findings: Vec::new(),
        })
    }

    /// Turns what the scan noted into findings.
    fn note(&mut self, notes: &[Note]) {
        self.findings.extend(notes.iter().map(finding_of_note));
        if named(self.info).and_then(Value::bytes).is_none_or(<[u8]>::is_empty) {
            let message = "no `name`: the info hash stands for it";
            self.findings.push(Finding::new("name-missing", Severity::Warning, message));
        }
        let both = self.info.entry(b"files").is_some() && self.info.entry(b"length").is_some();
        if let (true, Some(length)) = (both, self.info.entry(b"length")) {
            let message = "both `length` and `files`: `files` counts";
            let finding = Finding::new("length-and-files", Severity::Warning, message);
            self.findings.push(finding.at(length.offset()));
        }
    }

    fn finish(self, raw: Bytes, layers: Option<Value<'_>>) -> Result<Info, MetainfoError> {
        let in_info = |why: MetainfoError| why.within(Place::Info);
        let safe_name = SafePath::from_components([self.name]).map_err(|why| {
            let offset = named(self.info).unwrap_or(self.info).offset();
            in_info(MetainfoError::at(offset, format!("{why} as the torrent's name")))
        })?;
        let piece_length = count(self.piece_length, "piece length").map_err(in_info)?;
        if let Some(tree) = &self.v2 {
            self.check_v2_piece_length(piece_length).map_err(in_info)?;
            if let Some(v1) = &self.v1 {
                same_files(v1, tree, piece_length, self.info).map_err(in_info)?;
            }
        }
        let shape = Shape::new(&self).map_err(in_info)?;
        let layout = self.layout(piece_length, &shape, self.v1.is_none()).map_err(in_info)?;
        let mut findings = self.findings.clone();
        let (pieces, known_layers) = match &self.v1 {
            Some(v1) => {
                let hashes = v1_hashes(v1.pieces, layout.piece_count()).map_err(in_info)?;
                let known = match &self.v2 {
                    Some(_) => self.hybrid_layers(piece_length, layers, &mut findings)?,
                    None => PieceLayers::default(),
                };
                (PieceHashes::V1(hashes), known)
            }
            None => {
                let (roots, known) = self.v2_roots(&layout, layers)?;
                (PieceHashes::V2(roots), known)
            }
        };
        Ok(Info {
            hashes: InfoHashes {
                v1: self.v1.is_some().then(|| InfoHashV1::of(&raw)),
                v2: self.v2.is_some().then(|| InfoHashV2::of(&raw)),
            },
            name: safe_name.as_str().to_owned(),
            pieces,
            private: self.private(),
            source: self.info.entry(b"source").and_then(Value::bytes).map(lossy),
            extras: shape.extras(),
            roots: self.v2.as_deref().map(|tree| shape.roots(tree)).unwrap_or_default(),
            layers: known_layers,
            conflict: PathConflict::find(&layout),
            findings,
            layout,
            raw,
        })
    }

    /// BEP 52: "must be a power of two and at least 16KiB".
    fn check_v2_piece_length(&self, length: u64) -> Result<(), MetainfoError> {
        if length.is_power_of_two() && length >= u64::from(BLOCK_LENGTH) {
            return Ok(());
        }
        let sentence = format!(
            "`piece length` is `{length}`, where v2 needs a power of two from {BLOCK_LENGTH} on"
        );
        Err(MetainfoError::at(self.piece_length.offset(), sentence))
    }

    fn layout(
        &self,
        piece_length: u64,
        shape: &Shape<'_, 'a>,
        by_file: bool,
    ) -> Result<Layout, MetainfoError> {
        let mut files = Vec::with_capacity(shape.files.len());
        for file in shape.files {
            files.push((file.path(shape.folder)?, file.length, file.is_pad()));
        }
        let lay = if by_file { Layout::by_file } else { Layout::contiguous };
        lay(piece_length, files).map_err(|why| {
            let place = match why {
                LayoutError::PieceLength(_) => self.piece_length,
                _ => [&b"files"[..], b"length", b"file tree"]
                    .iter()
                    .find_map(|key| self.info.entry(key))
                    .unwrap_or(self.info),
            };
            MetainfoError::at(place.offset(), why.to_string())
        })
    }

    fn v2_roots(
        &self,
        layout: &Layout,
        layers: Option<Value<'_>>,
    ) -> Result<(Vec<MerkleRoot>, PieceLayers), MetainfoError> {
        let tree = self.v2.as_deref().unwrap_or_default();
        file_tree::piece_roots(layout, &self.tree_roots(), layers).map_err(|why| match why {
            LayerError::Wrong(why) => why.within(Place::PieceLayers),
            LayerError::Missing(file) => {
                let path = layout.files().get(file).map_or("", |file| file.path.as_str());
                let offset = tree.get(file).map_or(0, |file| file.offset);
                MetainfoError::at(offset, format!("no `piece layers` for `{path}`"))
                    .within(Place::Info)
            }
        })
    }

    /// A hybrid works without layers, but not with wrong ones.
    fn hybrid_layers(
        &self,
        piece_length: u64,
        layers: Option<Value<'_>>,
        findings: &mut Vec<Finding>,
    ) -> Result<PieceLayers, MetainfoError> {
        let layout = self.tree(piece_length).map_err(|why| why.within(Place::Info))?;
        match file_tree::piece_roots(&layout, &self.tree_roots(), layers) {
            Ok((_, known)) => Ok(known),
            Err(LayerError::Wrong(why)) => Err(why.within(Place::PieceLayers)),
            Err(LayerError::Missing(_)) => {
                let message = "the hybrid has no complete `piece layers`: only its v1 half works";
                findings.push(Finding::new("layers-missing", Severity::Warning, message));
                Ok(PieceLayers::default())
            }
        }
    }

    /// The v2 half by itself: its files, each from a piece boundary on.
    fn tree(&self, piece_length: u64) -> Result<Layout, MetainfoError> {
        let files = self.v2.as_deref().unwrap_or_default();
        self.layout(piece_length, &Shape { files, folder: None }, true)
    }

    /// The roots of those files.
    fn tree_roots(&self) -> Vec<Option<[u8; 32]>> {
        self.v2.iter().flatten().map(|file| file.root).collect()
    }

    fn layers_due(&self) -> Result<LayersDue, MetainfoError> {
        let private = self.private();
        if self.v2.is_none() {
            return Ok(LayersDue { private, ..LayersDue::default() });
        }
        let piece_length = count(self.piece_length, "piece length")?;
        self.check_v2_piece_length(piece_length)?;
        let layout = self.tree(piece_length)?;
        let files = file_tree::layers_due(&layout, &self.tree_roots());
        let bytes: usize = files.iter().map(|(_, count)| count * 32).sum();
        if bytes > LAYERS_BYTES_MAX {
            let sentence = format!("`piece layers` of `{bytes}` bytes, above {LAYERS_BYTES_MAX},");
            return Err(MetainfoError::at(self.piece_length.offset(), sentence));
        }
        Ok(LayersDue {
            piece_length: layout.piece_length(),
            files,
            needed: self.v1.is_none(),
            private,
        })
    }

    fn private(&self) -> bool {
        self.info.entry(b"private").and_then(Value::int).unwrap_or(0) != 0
    }
}

/// The files that are laid out, and the folder they lie in.
struct Shape<'l, 'a> {
    files: &'l [Listed<'a>],
    folder: Option<&'l [u8]>,
}

impl<'l, 'a> Shape<'l, 'a> {
    /// A single file lies in no folder: `length` in v1, in v2 a tree of one file that has the
    /// torrent's name.
    fn new(draft: &'l Draft<'a>) -> Result<Self, MetainfoError> {
        let (files, single): (&[Listed<'a>], bool) = match (&draft.v1, &draft.v2) {
            (Some(v1), _) => (&v1.files, draft.info.entry(b"files").is_none()),
            (None, Some(tree)) => {
                let single = matches!(&tree[..], [one] if one.components == [draft.name]);
                (tree, single)
            }
            (None, None) => (&[], true),
        };
        if files.is_empty() {
            return Err(MetainfoError::at(draft.info.offset(), "the torrent lists no file"));
        }
        Ok(Self { files, folder: (!single).then_some(draft.name) })
    }

    fn extras(&self) -> BTreeMap<usize, FileExtra> {
        let mut extras = BTreeMap::new();
        for (index, file) in self.files.iter().enumerate() {
            let all = || self.folder.into_iter().chain(file.components.iter().copied());
            let exact = all().all(|component| std::str::from_utf8(component).is_ok());
            let link = file.attr.contains(&b'l').then(|| lossy(&file.symlink.join(&b'/')));
            let extra = FileExtra {
                path_bytes: (!exact).then(|| all().collect::<Vec<_>>().join(&b'/')),
                executable: file.attr.contains(&b'x'),
                hidden: file.attr.contains(&b'h'),
                symlink: link,
            };
            if extra != FileExtra::default() {
                extras.insert(index, extra);
            }
        }
        extras
    }

    /// The roots of the v2 half, a file of this shape each.
    fn roots(&self, tree: &[Listed<'_>]) -> Vec<Option<[u8; 32]>> {
        let mut roots = tree.iter().map(|file| file.root);
        self.files.iter().map(|file| if file.is_pad() { None } else { roots.next()? }).collect()
    }
}

/// BEP 52, "Upgrade path": both halves describe the same files, padding aside, each from a piece
/// boundary on.
fn same_files(
    v1: &V1<'_>,
    tree: &[Listed<'_>],
    piece_length: u64,
    info: Value<'_>,
) -> Result<(), MetainfoError> {
    let mut offset = 0_u64;
    let mut of_tree = tree.iter();
    for file in &v1.files {
        if !file.is_pad() {
            let twin = of_tree.next();
            let same = twin.is_some_and(|twin| {
                twin.components == file.components && twin.length == file.length
            });
            if !same {
                let sentence = "the v1 and v2 halves describe different files, from the one";
                return Err(MetainfoError::at(file.offset, sentence));
            }
            if file.length > 0 && !offset.is_multiple_of(piece_length) {
                let sentence = "a file of a hybrid does not begin at a piece boundary, the one";
                return Err(MetainfoError::at(file.offset, sentence));
            }
        }
        offset = offset.saturating_add(file.length);
    }
    match of_tree.next() {
        None => Ok(()),
        Some(file) => {
            let sentence = "the v2 half has a file that the v1 half has not, the one";
            Err(MetainfoError::at(file.offset.max(info.offset()), sentence))
        }
    }
}

fn v1_hashes(pieces: Value<'_>, due: usize) -> Result<Vec<[u8; 20]>, MetainfoError> {
    let bytes = bytes(pieces, "pieces")?;
    let (hashes, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        let sentence = format!("`pieces` has {} bytes, no multiple of 20,", bytes.len());
        return Err(MetainfoError::at(pieces.offset(), sentence));
    }
    if hashes.len() != due {
        let sentence = format!("`pieces` has {} hashes for {due} pieces", hashes.len());
        return Err(MetainfoError::at(pieces.offset(), sentence));
    }
    Ok(hashes.to_vec())
}

/// What the scan noted, as a finding.
pub(super) fn finding_of_note(note: &Note) -> Finding {
    let (rule, message) = match note.kind {
        NoteKind::UnsortedKey => ("keys-unsorted", "a key stands behind one that sorts after it"),
        NoteKind::RepeatedKey => ("key-repeated", "a key stands twice: the first one counts"),
        NoteKind::IntegerForm => ("integer-form", "an integer has leading zeros or is `-0`"),
        NoteKind::LengthForm => ("length-form", "a string's length has leading zeros"),
    };
    Finding::new(rule, Severity::Warning, message).at(note.offset)
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
