//! [`Metainfo`]: a `.torrent` file (BEP 3), parsed.
//!
//! The info dictionary is taken as the bytes it is, never encoded again. Around it, what can't be
//! used is left out and found fault with instead of refused: a malformed comment is no reason not
//! to have the content. Trailing data is tolerated for the same reason.

use super::bencode::{Kind, NoteKind, Tape, Value};
use super::info::{finding_of_note, lossy};
use super::metainfo_error::{MetainfoError, Place, required, wrong_kind};
use super::{Finding, Info, Severity, Torrent};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes that a `.torrent` may have: several times the largest that are known, and little enough
/// to hold in memory.
pub const METAINFO_BYTES_MAX: usize = 64 << 20;

/// What is said of fields that are left out, at most: a list of a million may have as many faults.
const FINDINGS_MAX: usize = 100;

/// A `.torrent` file.
#[derive(Clone, Debug)]
pub struct Metainfo {
    /// What it says.
    pub torrent: Torrent,
    /// What is odd about the file around the info dictionary; offsets count in the file.
    pub findings: Vec<Finding>,
}

impl Metainfo {
    /// Parses a file's bytes.
    ///
    /// # Errors
    /// With a sentence and the byte of the file if it is no torrent that can be used.
    ///
    /// ```
    /// use rtor::torrent::Metainfo;
    /// let file = b"d8:announce3:u:/4:infod6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    /// let torrent = Metainfo::parse(file.as_slice().into())?.torrent;
    /// assert_eq!(torrent.trackers, [["u:/"]]);
    /// assert_eq!(torrent.hashes.to_string(), "e92d0b2f283d87b37085cc5046bf8110f65bb180");
    /// # Ok::<(), rtor::torrent::MetainfoError>(())
    /// ```
    pub fn parse(file: Bytes) -> Result<Self, MetainfoError> {
        if file.len() > METAINFO_BYTES_MAX {
            let sentence =
                format!("more than the {METAINFO_BYTES_MAX} bytes that a torrent may have");
            return Err(MetainfoError::at(METAINFO_BYTES_MAX, sentence));
        }
        let Outer { mut torrent, mut findings, info, layers } = Outer::read(&file)?;
        torrent.piece_layers = layers.clone().map(|span| file.slice(span));
        let parsed = Info::parse(file.slice(info.clone()), torrent.piece_layers.as_deref())
            .map_err(|why| match why.place {
                Place::File => why,
                Place::Info => why.shifted(info.start),
                Place::PieceLayers => why.shifted(layers.unwrap_or_default().start),
            })?;
        findings.extend(parsed.findings.iter().cloned().map(|mut finding| {
            finding.offset = finding.offset.map(|offset| offset + info.start as u64);
            finding
        }));
        torrent.hashes = parsed.hashes;
        torrent.name = Some(parsed.name.clone());
        torrent.info = Some(parsed.into());
        Ok(Self { torrent, findings })
    }
}

/// What stands around the info dictionary.
struct Outer {
    torrent: Torrent,
    findings: Vec<Finding>,
    info: Range<usize>,
    layers: Option<Range<usize>>,
}

impl Outer {
    fn read(file: &[u8]) -> Result<Self, MetainfoError> {
        let tape = Tape::scan_prefix(file)?;
        let root = tape.root();
        if root.kind() != Kind::Dictionary {
            return Err(wrong_kind(root, "a torrent", Kind::Dictionary));
        }
        let info = required(root, "the torrent", "info")?;
        if info.kind() != Kind::Dictionary {
            return Err(wrong_kind(info, "info", Kind::Dictionary));
        }
        for key in ["info", "piece layers"] {
            let mut twins = root.entries().into_iter().flatten().filter(|e| e.0 == key.as_bytes());
            if let (Some(_), Some((_, second))) = (twins.next(), twins.next()) {
                let sentence = format!("`{key}` stands twice in the torrent, the second time");
                return Err(MetainfoError::at(second.offset(), sentence));
            }
        }
        let layers = root.entry(b"piece layers").filter(|v| v.kind() == Kind::Dictionary);
        let mut findings = Vec::new();
        if let Some(trailing) = file.len().checked_sub(tape.consumed()).filter(|n| *n > 0) {
            let message = format!("`{trailing}` bytes stand behind the torrent's end");
            let finding = Finding::new("trailing-data", Severity::Warning, message);
            findings.push(finding.at(tape.consumed()));
        }
        let inside = |offset: usize| {
            info.span().contains(&offset) || layers.is_some_and(|l| l.span().contains(&offset))
        };
        let notes = tape.notes().iter().filter(|note| {
            // The info dictionary is scanned again, by itself.
            !inside(note.offset) || note.kind == NoteKind::RepeatedKey
        });
        findings.extend(notes.map(finding_of_note));
        let torrent = Fields { root, findings: &mut findings }.torrent();
        Ok(Self { torrent, findings, info: info.span(), layers: layers.map(Value::span) })
    }
}

/// The optional fields; one that is malformed is left out with a finding.
struct Fields<'a, 'f> {
    root: Value<'a>,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Fields<'a, '_> {
    fn torrent(mut self) -> Torrent {
        let mut torrent = Torrent::unresolved(super::InfoHashes { v1: None, v2: None });
        torrent.trackers = self.trackers();
        torrent.web_seeds = self.web_seeds();
        torrent.nodes = self.nodes();
        torrent.comment = self.text("comment.utf-8").or_else(|| self.text("comment"));
        torrent.created_by = self.text("created by");
        torrent.creation_date = self.entry("creation date", Kind::Integer).and_then(Value::int);
        torrent
    }

    /// BEP 12: if there is an `announce-list`, `announce` does not count.
    fn trackers(&mut self) -> Vec<Vec<String>> {
        let mut tiers: Vec<Vec<String>> = Vec::new();
        let mut known = BTreeSet::new();
        let list = self.entry("announce-list", Kind::List);
        for tier in list.and_then(Value::items).into_iter().flatten() {
            // Some programs write a list of URLs where a list of tiers is due.
            let mut urls: Vec<String> = match tier.items() {
                Some(items) => items.filter_map(|url| self.url(url, "announce-list")).collect(),
                None => self.url(tier, "announce-list").into_iter().collect(),
            };
            // Each URL counts once, where it stands first.
            urls.retain(|url| known.insert(url.clone()));
            if !urls.is_empty() {
                tiers.push(urls);
            }
        }
        if tiers.is_empty()
            && let Some(value) = self.entry("announce", Kind::Bytes)
        {
            tiers.extend(self.url(value, "announce").map(|url| vec![url]));
        }
        tiers
    }

    /// BEP 19: one URL or a list of them.
    fn web_seeds(&mut self) -> Vec<String> {
        let Some(value) = self.root.entry(b"url-list") else { return Vec::new() };
        match value.items() {
            Some(items) => items.filter_map(|url| self.url(url, "url-list")).collect(),
            None => self.url(value, "url-list").into_iter().collect(),
        }
    }

    /// BEP 5, "Torrent file extensions": a list of pairs of host and port.
    fn nodes(&mut self) -> Vec<(String, u16)> {
        let list = self.entry("nodes", Kind::List);
        let mut nodes = Vec::new();
        for pair in list.and_then(Value::items).into_iter().flatten() {
            let mut items = pair.items().into_iter().flatten();
            let host = items.next().and_then(Value::text).filter(|host| !host.is_empty());
            let port = items.next().and_then(Value::int).and_then(|port| u16::try_from(port).ok());
            match (host, port) {
                (Some(host), Some(port)) => nodes.push((host.to_owned(), port)),
                _ => self.left_out("nodes", pair, "no pair of host and port"),
            }
        }
        nodes
    }

    /// A URL as it stands there; an empty one says nothing.
    fn url(&mut self, value: Value<'_>, key: &str) -> Option<String> {
        match value.text().map(str::trim_ascii) {
            Some("") => None,
            Some(url) => Some(url.to_owned()),
            None => {
                self.left_out(key, value, "no UTF-8 text");
                None
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.entry(key, Kind::Bytes).and_then(Value::bytes).map(lossy)
    }

    fn entry(&mut self, key: &str, due: Kind) -> Option<Value<'a>> {
        let value = self.root.entry(key.as_bytes())?;
        if value.kind() != due {
            self.left_out(key, value, &format!("{}, not {due}", value.kind()));
            return None;
        }
        Some(value)
    }

    fn left_out(&mut self, key: &str, value: Value<'_>, why: &str) {
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let message = format!("`{key}`, or a part of it, is left out: {why}");
        self.findings
            .push(Finding::new("field-malformed", Severity::Warning, message).at(value.offset()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{InfoHashV1, InfoHashV2, magnet};
    use proptest::prelude::*;

    const MADE: [&[u8]; 4] = [
        include_bytes!("../../tests/fixtures/metainfo/tree-v1.torrent"),
        include_bytes!("../../tests/fixtures/metainfo/tree-v2.torrent"),
        include_bytes!("../../tests/fixtures/metainfo/tree-hybrid.torrent"),
        include_bytes!("../../tests/fixtures/metainfo/one-hybrid.torrent"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever bytes are bent, it is refused with a place inside the file, or it is a torrent
        /// whose hashes are those of its raw info dictionary and whose pieces all have a hash.
        #[test]
        fn a_bent_torrent_is_refused_or_whole(
            which in 0..MADE.len(),
            bends in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"idle0123456789:-".to_vec())]), 0..4),
            cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        ) {
            let mut file = MADE[which].to_vec();
            for (at, byte) in bends {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            match Metainfo::parse(file.clone().into()) {
                Err(why) => prop_assert!(why.offset <= file.len() && why.place == Place::File, "{why}"),
                Ok(Metainfo { torrent, findings }) => {
                    let info = torrent.info.as_ref().expect("a file has one");
                    prop_assert!(file.windows(info.raw.len()).any(|part| part == &info.raw[..]));
                    prop_assert!(info.hashes.v1.is_none_or(|hash| hash == InfoHashV1::of(&info.raw)));
                    prop_assert!(info.hashes.v2.is_none_or(|hash| hash == InfoHashV2::of(&info.raw)));
                    prop_assert_eq!(info.pieces.piece_count(), info.layout.piece_count());
                    prop_assert!(info.roots.is_empty() || info.roots.len() == info.layout.files().len());
                    prop_assert!(findings.iter().all(|f| f.offset.is_none_or(|o| o <= file.len() as u64)));
                    let _ = (crate::torrent::lint::findings(&torrent), magnet::format(&torrent));
                }
            }
        }
    }

    /// A torrent with `value` for `key`, which sorts after `info`.
    fn with(key: &str, value: &str) -> Metainfo {
        let info = "d6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
        let file = format!("d4:info{info}{}:{key}{value}e", key.len());
        Metainfo::parse(file.into()).expect("the rest is a torrent")
    }

    #[test]
    fn a_tracker_counts_once_however_many_there_are() {
        let tier =
            |number: usize| format!("l{0}:http://{1}/{0}:http://{1}/e", 8 + 6, number + 100_000);
        let tiers: String = (0..50_000).chain(0..50_000).map(tier).collect();
        let file = format!(
            "d13:announce-listl{tiers}e4:infod6:lengthi3e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
        );
        let torrent = Metainfo::parse(file.into()).expect("a torrent").torrent;
        assert_eq!(torrent.trackers.len(), 50_000);
        assert!(torrent.trackers.iter().all(|tier| tier.len() == 1));
    }

    #[test]
    fn of_a_million_malformed_parts_a_few_are_told() {
        let Metainfo { torrent, findings } = with("nodes", &format!("l{}e", "i1e".repeat(300_000)));
        assert_eq!((torrent.nodes.len(), findings.len()), (0, FINDINGS_MAX));
    }

    #[test]
    fn the_roots_of_a_hybrid_stand_beside_its_files_and_not_beside_padding() {
        let torrent = Metainfo::parse(MADE[2].into()).expect("libtorrent made it").torrent;
        let info = torrent.info.expect("a file has one");
        for (file, root) in info.layout.files().iter().zip(&info.roots) {
            assert_eq!(root.is_some(), !file.pad && file.length > 0, "{}", file.path);
        }
    }
}
