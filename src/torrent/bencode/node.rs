//! [`Node`]: what we write ourselves. Keys are sorted by construction, so that the same torrent
//! is always the same bytes.

use bytes::Bytes;
use std::collections::BTreeMap;

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `i42e`
    Integer(i64),
    /// `4:spam`
    Bytes(Bytes),
    /// `l..e`
    List(Vec<Self>),
    /// `d..e`
    Dictionary(BTreeMap<Bytes, Self>),
    /// A value that is bencode already: a torrent's raw info dictionary.
    Raw(Bytes),
}

impl Node {
    /// A dictionary of `entries`, in any order.
    ///
    /// ```
    /// use rtor::torrent::bencode::Node;
    /// let node = Node::dictionary([("b", Node::from(1)), ("a", Node::from("x"))]);
    /// assert_eq!(node.encode(), b"d1:a1:x1:bi1ee");
    /// ```
    pub fn dictionary<K: Into<Bytes>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Dictionary(entries.into_iter().map(|(key, node)| (key.into(), node)).collect())
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Self::Bytes(bytes) => write_bytes(bytes, out),
            Self::List(nodes) => {
                out.push(b'l');
                nodes.iter().for_each(|node| node.write(out));
                out.push(b'e');
            }
            Self::Dictionary(entries) => {
                out.push(b'd');
                for (key, node) in entries {
                    write_bytes(key, out);
                    node.write(out);
                }
                out.push(b'e');
            }
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

impl From<i64> for Node {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for Node {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl From<Bytes> for Node {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Node {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<Self>> for Node {
    fn from(nodes: Vec<Self>) -> Self {
        Self::List(nodes)
    }
}
