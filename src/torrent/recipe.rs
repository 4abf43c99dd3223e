//! [`Recipe`]: all that makes a v1 torrent (BEP 3), and its bytes.
//!
//! The same recipe is always the same bytes. The info dictionary has what libtorrent's has for
//! the same files, so that both make one torrent: `attr` for executables (BEP 47), and no key
//! that says nothing.

use super::bencode::Node;
use bytes::Bytes;

/// A torrent to be made.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The file's name, or that of the folder.
    pub name: Vec<u8>,
    /// The files in order; a single file without components is the torrent itself.
    pub files: Vec<RecipeFile>,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// The SHA-1 of each piece.
    pub pieces: Vec<[u8; 20]>,
    /// Only trackers may be asked for peers (BEP 27).
    pub private: bool,
    /// `source`: makes it another torrent on each tracker.
    pub source: Option<String>,
    /// Tiers of trackers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// A comment.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When, in seconds since 1970.
    pub creation_date: Option<i64>,
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
        dictionary([
            ("announce", first.map(|url| Node::from(&**url))),
            ("announce-list", several.then(tiers)),
            ("comment", text(&self.comment)),
            ("created by", text(&self.created_by)),
            ("creation date", self.creation_date.map(Node::from)),
            ("info", Some(self.info())),
            ("url-list", (!self.web_seeds.is_empty()).then(|| urls(&self.web_seeds))),
        ])
        .encode()
    }

    fn info(&self) -> Node {
        let single = match &self.files[..] {
            [one] if one.components.is_empty() => Some(one),
            _ => None,
        };
        let files = || Node::List(self.files.iter().map(RecipeFile::entry).collect());
        dictionary([
            ("attr", single.and_then(RecipeFile::attr)),
            ("files", single.is_none().then(files)),
            ("length", single.map(RecipeFile::length)),
            ("name", Some(Node::from(&*self.name))),
            ("piece length", Some(Node::from(i64::from(self.piece_length)))),
            ("pieces", Some(Node::from(self.pieces.concat()))),
            ("private", self.private.then(|| Node::from(1))),
            ("source", self.source.as_deref().map(Node::from)),
        ])
    }
}

impl RecipeFile {
    fn entry(&self) -> Node {
        let path = self.components.iter().map(|component| Node::from(&**component)).collect();
        dictionary([
            ("attr", self.attr()),
            ("length", Some(self.length())),
            ("path", Some(Node::List(path))),
        ])
    }

    fn attr(&self) -> Option<Node> {
        self.executable.then(|| Node::from("x"))
    }

    /// No file has more bytes than an `i64` counts: offsets in files are one.
    fn length(&self) -> Node {
        Node::from(i64::try_from(self.length).unwrap_or(i64::MAX))
    }
}

fn dictionary<const N: usize>(entries: [(&'static str, Option<Node>); N]) -> Node {
    let known = entries.into_iter().filter_map(|(key, node)| Some((Bytes::from(key), node?)));
    Node::dictionary(known)
}
