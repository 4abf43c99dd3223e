//! [`of`]: a `.torrent` of what is known (BEP 3).

use super::Torrent;
use super::bencode::Node;
use bytes::Bytes;

/// The bytes of a `.torrent`; `None` while the info dictionary is not known. It stands there byte
/// for byte as it came, so the info hash is the same.
///
/// ```
/// use rtor::torrent::{Metainfo, metainfo_file};
/// let file = b"d8:announce3:u:/4:infod6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
/// let torrent = Metainfo::parse(file.as_slice().into())?.torrent;
/// assert_eq!(metainfo_file::of(&torrent).as_deref(), Some(file.as_slice()));
/// # Ok::<(), rtor::torrent::MetainfoError>(())
/// ```
#[must_use]
pub fn of(torrent: &Torrent) -> Option<Vec<u8>> {
    let info = torrent.info.as_ref()?;
    let text = |text: &String| Node::from(text.as_str());
    let texts = |texts: &[String]| Node::List(texts.iter().map(text).collect());
    let several = torrent.tracker_urls().nth(1).is_some();
    let tiers = torrent.trackers.iter().map(|tier| texts(tier)).collect();
    let nodes = torrent.nodes.iter().map(|(host, port)| {
        Node::List(vec![Node::from(host.as_str()), Node::Integer(i64::from(*port))])
    });
    let entries = [
        ("announce", torrent.tracker_urls().next().map(Node::from)),
        ("announce-list", several.then_some(Node::List(tiers))),
        ("comment", torrent.comment.as_ref().map(text)),
        ("created by", torrent.created_by.as_ref().map(text)),
        ("creation date", torrent.creation_date.map(Node::Integer)),
        ("info", Some(Node::Raw(info.raw.clone()))),
        ("nodes", (!torrent.nodes.is_empty()).then(|| Node::List(nodes.collect()))),
        ("piece layers", torrent.piece_layers.clone().map(Node::Raw)),
        ("url-list", (!torrent.web_seeds.is_empty()).then(|| texts(&torrent.web_seeds))),
    ];
    let given = entries.into_iter().filter_map(|(key, value)| Some((Bytes::from(key), value?)));
    Some(Node::dictionary(given).encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{Metainfo, magnet};

    #[test]
    fn what_a_magnet_says_stands_in_its_torrent() {
        let info = b"d6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
        let uri = "magnet:?xt=urn:btih:e92d0b2f283d87b37085cc5046bf8110f65bb180\
                   &tr=http://a/an&tr=udp://b:1&ws=http://w/";
        let mut torrent = magnet::parse(uri).expect("a magnet");
        assert_eq!(of(&torrent), None);
        let known = crate::torrent::Info::parse(info.as_slice().into(), None).expect("info");
        torrent.info = Some(known.into());
        let file = of(&torrent).expect("a torrent");
        let again = Metainfo::parse(file.into()).expect("ours");
        assert_eq!(again.findings, []);
        assert_eq!(again.torrent.hashes, torrent.hashes);
        assert_eq!(again.torrent.trackers, torrent.trackers);
        assert_eq!(again.torrent.web_seeds, torrent.web_seeds);
    }
}
