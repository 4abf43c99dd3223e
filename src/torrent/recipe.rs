//! [`Recipe`]: all that makes a torrent (BEP 3, BEP 52), and its bytes.
//!
//! The same recipe is always the same bytes. The info dictionary has what libtorrent's has for
//! the same files, so that both make one torrent: `attr` for executables (BEP 47), and no key
//! that says nothing.

use super::FileRoot;
use super::bencode::Node;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A torrent to be made.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// Which info dictionary.
    pub format: Format,
    /// The file's name, or that of the folder.
    pub name: Vec<u8>,
    /// The files in order, of which v2 wants that of [`Format::compare`]; a single file without
    /// components is the torrent itself.
    pub files: Vec<RecipeFile>,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// The SHA-1 of each piece; nobody asks for them in v2.
    pub pieces: Vec<[u8; 20]>,
    /// Only trackers may be asked for peers (BEP 27).
    pub private: bool,
    /// `source`: makes it another torrent on each tracker.
    pub source: Option<String>,
    /// Tiers of trackers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// DHT nodes to begin with (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// A comment.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When, in seconds since 1970.
    pub creation_date: Option<i64>,
}

/// Which info dictionary a torrent has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// SHA-1 of pieces over all files (BEP 3).
    #[default]
    V1,
    /// A tree of SHA-256 for each file (BEP 52).
    V2,
    /// Both, with padding (BEP 52, "Upgrade path").
    Hybrid,
}

/// One file of it.
#[derive(Clone, Debug, Default)]
pub struct RecipeFile {
    /// Its path below the folder.
    pub components: Vec<Vec<u8>>,
    /// Bytes in it.
    pub length: u64,
    /// To be made executable.
    pub executable: bool,
    /// Zeros behind it, as v1 lists them (BEP 47).
    pub padding: u64,
    /// Its tree; v2 needs one of every file that is not empty.
    pub root: Option<FileRoot>,
}

impl Format {
    /// Whether peers that only know v1 understand it.
    #[must_use]
    pub const fn has_v1(self) -> bool {
        matches!(self, Self::V1 | Self::Hybrid)
    }

    /// Whether it has a file tree.
    #[must_use]
    pub const fn has_v2(self) -> bool {
        matches!(self, Self::V2 | Self::Hybrid)
    }

    /// The order of two files: by the bytes of their paths in v1, as libtorrent does; in v2 as its
    /// tree lists them, folder by folder. They differ where a name goes on with what sorts before
    /// `/`, as `d-1` beside `d/a` does.
    #[must_use]
    pub fn compare(self, a: &[Vec<u8>], b: &[Vec<u8>]) -> std::cmp::Ordering {
        match self {
            Self::V1 => a.join(&b'/').cmp(&b.join(&b'/')),
            Self::V2 | Self::Hybrid => a.cmp(b),
        }
    }
}

impl Recipe {
    /// The bytes of the `.torrent`.
    ///
    /// ```
    /// use rtor::torrent::recipe::{Recipe, RecipeFile};
    /// let file = RecipeFile { length: 3, ..RecipeFile::default() };
    /// let recipe = Recipe {
    ///     name: b"x".to_vec(), files: vec![file], piece_length: 16384,
    ///     pieces: vec![*b"aaaaaaaaaaaaaaaaaaaa"], ..Recipe::default()
    /// };
    /// assert_eq!(
    ///     recipe.encode(),
    ///     b"d4:infod6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
    /// );
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = |text: &Option<String>| text.as_deref().map(Node::from);
        let urls = |urls: &[String]| Node::List(urls.iter().map(|u| Node::from(&**u)).collect());
        let first = self.trackers.iter().flatten().next();
        let several = self.trackers.iter().flatten().count() > 1;
        let tiers = || Node::List(self.trackers.iter().map(|tier| urls(tier)).collect());
        let node = |(host, port): &(String, u16)| {
            Node::List(vec![Node::from(&**host), Node::from(i64::from(*port))])
        };
        let nodes = || Node::List(self.nodes.iter().map(node).collect());
        dictionary([
            ("announce", first.map(|url| Node::from(&**url))),
            ("announce-list", several.then(tiers)),
            ("comment", text(&self.comment)),
            ("created by", text(&self.created_by)),
            ("creation date", self.creation_date.map(Node::from)),
            ("info", Some(self.info())),
            ("nodes", (!self.nodes.is_empty()).then(nodes)),
            ("piece layers", self.format.has_v2().then(|| self.piece_layers())),
            ("url-list", (!self.web_seeds.is_empty()).then(|| urls(&self.web_seeds))),
        ])
        .encode()
    }

    fn info(&self) -> Node {
        let (v1, v2) = (self.format.has_v1(), self.format.has_v2());
        let single = match &self.files[..] {
            [one] if one.components.is_empty() => Some(one),
            _ => None,
        };
        let files = || Node::List(self.files.iter().flat_map(RecipeFile::entries).collect());
        let single_v1 = single.filter(|_| v1);
        dictionary([
            ("attr", single_v1.and_then(RecipeFile::attr)),
            ("file tree", v2.then(|| self.file_tree())),
            ("files", (v1 && single.is_none()).then(files)),
            ("length", single_v1.map(|file| length(file.length))),
            ("meta version", v2.then(|| Node::from(2))),
            ("name", Some(Node::from(&*self.name))),
            ("piece length", Some(Node::from(i64::from(self.piece_length)))),
            ("pieces", v1.then(|| Node::from(self.pieces.concat()))),
            ("private", self.private.then(|| Node::from(1))),
            ("source", self.source.as_deref().map(Node::from)),
        ])
    }

    /// BEP 52, "file tree": a dictionary a folder, and below each file's name one with an empty key.
    fn file_tree(&self) -> Node {
        let mut tree = BTreeMap::new();
        for file in &self.files {
            let alone = [self.name.clone()];
            let path = if file.components.is_empty() { &alone[..] } else { &file.components };
            let mut folder = &mut tree;
            for name in path {
                let entry = folder.entry(Bytes::copy_from_slice(name));
                let below = entry.or_insert_with(|| Node::Dictionary(BTreeMap::new()));
                let Node::Dictionary(below) = below else { unreachable!("only leaves are others") };
                folder = below;
            }
            folder.insert(Bytes::new(), file.leaf());
        }
        Node::Dictionary(tree)
    }

    /// BEP 52, "piece layers": by the root of each file that has several pieces.
    fn piece_layers(&self) -> Node {
        let roots = self.files.iter().filter_map(|file| file.root.as_ref());
        let several = roots.filter(|root| !root.layer.is_empty());
        Node::dictionary(
            several
                .map(|root| (Bytes::copy_from_slice(&root.root), Node::from(root.layer.concat()))),
        )
    }
}

impl RecipeFile {
    /// In v1's list: the file, and its padding if it has any.
    fn entries(&self) -> impl Iterator<Item = Node> {
        let path = self.components.iter().map(|component| Node::from(&**component)).collect();
        let own = dictionary([
            ("attr", self.attr()),
            ("length", Some(length(self.length))),
            ("path", Some(Node::List(path))),
        ]);
        // BEP 47: the name is for clients that do not know padding.
        let padding = (self.padding > 0).then(|| {
            let path = vec![Node::from(".pad"), Node::from(self.padding.to_string().as_str())];
            dictionary([
                ("attr", Some(Node::from("p"))),
                ("length", Some(length(self.padding))),
                ("path", Some(Node::List(path))),
            ])
        });
        std::iter::once(own).chain(padding)
    }

    /// In v2's tree.
    fn leaf(&self) -> Node {
        let root = self.root.as_ref().filter(|_| self.length > 0);
        dictionary([
            ("attr", self.attr()),
            ("length", Some(length(self.length))),
            ("pieces root", root.map(|root| Node::from(&root.root[..]))),
        ])
    }

    fn attr(&self) -> Option<Node> {
        self.executable.then(|| Node::from("x"))
    }
}

/// No file has more bytes than an `i64` counts: offsets in files are one.
fn length(length: u64) -> Node {
    Node::from(i64::try_from(length).unwrap_or(i64::MAX))
}

fn dictionary<const N: usize>(entries: [(&'static str, Option<Node>); N]) -> Node {
    let known = entries.into_iter().filter_map(|(key, node)| Some((Bytes::from(key), node?)));
    Node::dictionary(known)
}
