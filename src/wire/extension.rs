//! [`ExtensionHandshake`]: which extensions a peer speaks, under which ids (BEP 10).

use super::Fault;
use crate::torrent::bencode::{Node, Tape};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The extended message id of the extension handshake itself.
pub const HANDSHAKE_ID: u8 = 0;
/// Extensions that one peer may announce; the rest is not kept.
const EXTENSIONS_MAX: usize = 64;
/// Bytes of a client's name that are kept.
const CLIENT_BYTES_MAX: usize = 64;

/// The payload of the extension handshake, as far as rtor speaks it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionHandshake {
    /// `m`: extension names and the ids under which the sender wants their messages; an id of 0
    /// switches one off.
    pub ids: BTreeMap<String, u8>,
    /// `v`: client and version.
    pub client: Option<String>,
    /// `reqq`: requests that the sender queues.
    pub reqq: Option<u32>,
    /// `p`: the TCP port that the sender listens on.
    pub port: Option<u16>,
    /// `metadata_size`: bytes of the info dictionary (BEP 9).
    pub metadata_size: Option<u32>,
    /// `upload_only`: the sender wants nothing any more (BEP 21).
    pub upload_only: Option<bool>,
}

impl ExtensionHandshake {
    /// As the payload of extended message 0.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let ids = self.ids.iter().map(|(name, id)| (name.clone(), Node::Integer(i64::from(*id))));
        let number = |n: Option<u32>| n.map(|n| Node::Integer(i64::from(n)));
        let entries = [
            ("m", Some(Node::dictionary(ids))),
            ("metadata_size", number(self.metadata_size)),
            ("p", number(self.port.map(u32::from))),
            ("reqq", number(self.reqq)),
            ("upload_only", number(self.upload_only.map(u32::from))),
            ("v", self.client.clone().map(|client| Node::Bytes(client.into()))),
        ];
        let given = entries.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Node::dictionary(given).encode().into()
    }

    /// Reads the payload of extended message 0; what follows the dictionary is ignored, and so
    /// are values of unexpected kinds, as every client's handshake has a few of its own.
    ///
    /// # Errors
    /// [`Fault::Extension`] if it does not begin with a valid dictionary.
    pub fn decode(payload: &[u8]) -> Result<Self, Fault> {
        let tape = Tape::scan_prefix(payload).map_err(|_| Fault::Extension)?;
        let root = tape.root();
        if root.entries().is_none() {
            return Err(Fault::Extension);
        }
        let number = |key: &[u8]| root.entry(key).and_then(|value| value.int());
        let ids = root.entry(b"m").and_then(|m| m.entries()).into_iter().flatten();
        Ok(Self {
            ids: ids
                .filter_map(|(name, id)| {
                    let name = std::str::from_utf8(name).ok()?.to_owned();
                    Some((name, u8::try_from(id.int()?).ok()?))
                })
                .take(EXTENSIONS_MAX)
                .collect(),
            client: root.entry(b"v").and_then(|v| v.bytes()).map(|name| {
                String::from_utf8_lossy(&name[..name.len().min(CLIENT_BYTES_MAX)]).into_owned()
            }),
            reqq: number(b"reqq").and_then(|n| u32::try_from(n).ok()),
            port: number(b"p").and_then(|n| u16::try_from(n).ok()).filter(|port| *port != 0),
            metadata_size: number(b"metadata_size").and_then(|n| u32::try_from(n).ok()),
            upload_only: number(b"upload_only").map(|n| n != 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_comes_back_as_it_went() {
        let handshake = ExtensionHandshake {
            ids: [("ut_pex".to_owned(), 1), ("ut_metadata".to_owned(), 2)].into(),
            client: Some("rtor 0.1".to_owned()),
            reqq: Some(1000),
            port: Some(6881),
            metadata_size: Some(31235),
            upload_only: Some(true),
        };
        assert_eq!(ExtensionHandshake::decode(&handshake.encode()), Ok(handshake));
    }

    #[test]
    fn odd_values_are_left_out_and_the_rest_is_kept() {
        let odd = b"d1:md6:ut_pexi300e5:ut_xxi3ee1:pi0e4:reqqi-1e1:vi7ee trailing";
        let handshake = ExtensionHandshake::decode(odd).expect("a dictionary");
        let ids = [("ut_xx".to_owned(), 3)].into();
        assert_eq!(handshake, ExtensionHandshake { ids, ..ExtensionHandshake::default() });
    }

    #[test]
    fn what_is_no_dictionary_is_a_fault() {
        for bad in [&b""[..], b"le", b"d", b"d1:m", b"i1e"] {
            assert_eq!(ExtensionHandshake::decode(bad), Err(Fault::Extension), "{bad:?}");
        }
    }
}
