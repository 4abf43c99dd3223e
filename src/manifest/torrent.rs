//! The section `torrent`: [`Torrent`] to JSON and back.

use super::ManifestError;
use crate::torrent::{Info, InfoHashV1, InfoHashV2, InfoHashes, Torrent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

type Section = Map<String, Value>;

/// Writes the known fields in their order, then whatever else stood in `old`.
pub(super) fn write(torrent: &Torrent, mut old: Section) -> Section {
    let info = torrent.info.as_deref();
    let layout = info.map(|info| &info.layout);
    let known = [
        ("name", json!(torrent.name)),
        ("info_hash_v1", json!(torrent.hashes.v1.map(|hash| hash.to_string()))),
        ("info_hash_v2", json!(torrent.hashes.v2.map(|hash| hash.to_string()))),
        ("piece_length", json!(layout.map(|layout| layout.piece_length()))),
        ("piece_count", json!(layout.map(|layout| layout.piece_count()))),
        ("total_length", json!(layout.map(|layout| layout.total_length()))),
        ("private", json!(info.is_some_and(|info| info.private))),
        ("files", info.map_or_else(|| json!([]), |info| files(info, old.remove("files")))),
        ("trackers", json!(torrent.trackers)),
        ("web_seeds", json!(torrent.web_seeds)),
        ("nodes", json!(torrent.nodes)),
        ("peers", json!(torrent.peers)),
        ("comment", json!(torrent.comment)),
        ("created_by", json!(torrent.created_by)),
        ("creation_date", json!(torrent.creation_date)),
        ("source", json!(info.and_then(|info| info.source.as_deref()))),
        ("info", json!(info.map(|info| BASE64.encode(&info.raw)))),
        ("piece_layers", json!(torrent.piece_layers.as_ref().map(|raw| BASE64.encode(raw)))),
    ];
    let mut section = Section::new();
    for (key, value) in known {
        old.remove(key);
        section.insert(key.to_owned(), value);
    }
    if !torrent.select.is_empty() {
        old.remove("select");
        section.insert("select".to_owned(), json!(torrent.select));
    }
    section.extend(old);
    section
}

/// The keys of a file that are written anew, whatever stood there.
const FILE_KEYS: [&str; 8] =
    ["path", "length", "offset", "pad", "path_bytes", "executable", "hidden", "symlink"];

/// The files; what else stood beside the same path in `old` stays with it.
fn files(info: &Info, old: Option<Value>) -> Value {
    let mut old = match old {
        Some(Value::Array(files)) => files,
        _ => Vec::new(),
    };
    let file = |(index, file): (usize, &crate::torrent::FileEntry)| {
        let mut entry = json!({
            "path": file.path.as_str(),
            "length": file.length,
            "offset": file.offset,
            "pad": file.pad,
        });
        if let Some(extra) = info.extras.get(&index) {
            if let Some(bytes) = &extra.path_bytes {
                entry["path_bytes"] = json!(BASE64.encode(bytes));
            }
            if extra.executable {
                entry["executable"] = json!(true);
            }
            if extra.hidden {
                entry["hidden"] = json!(true);
            }
            if let Some(target) = &extra.symlink {
                entry["symlink"] = json!(target);
            }
        }
        if let Some(Value::Object(old)) = old.get_mut(index).map(Value::take)
            && old.get("path") == entry.get("path")
            && let Value::Object(entry) = &mut entry
        {
            entry.extend(old.into_iter().filter(|(key, _)| !FILE_KEYS.contains(&&**key)));
        }
        entry
    };
    info.layout.files().iter().enumerate().map(file).collect()
}

/// Reads the section; `info` is parsed and must hash to the info hashes.
pub(super) fn read(section: &Section) -> Result<Torrent, ManifestError> {
    let stated = InfoHashes {
        v1: hash(section, "info_hash_v1", "40 hexadecimal digits", InfoHashV1::from_hex)?,
        v2: hash(section, "info_hash_v2", "64 hexadecimal digits", InfoHashV2::from_hex)?,
    };
    if stated.v1.is_none() && stated.v2.is_none() {
        return Err(ManifestError::Field { field: "info_hash_v1", wanted: "given, nor is v2" });
    }
    let layers = base64(section, "piece_layers")?;
    let mut torrent = match base64(section, "info")? {
        None => Torrent::unresolved(stated),
        Some(raw) => {
            let info = Info::parse(raw.into(), layers.as_deref())?;
            agree("info_hash_v1", stated.v1, info.hashes.v1)?;
            agree("info_hash_v2", stated.v2, info.hashes.v2)?;
            Torrent::of_info(info)
        }
    };
    torrent.piece_layers = layers.map(Into::into);
    if torrent.info.is_none() {
        torrent.name = text(section, "name")?;
    }
    torrent.trackers = field(section, "trackers", "a list of lists of URLs")?;
    torrent.web_seeds = field(section, "web_seeds", "a list of URLs")?;
    torrent.nodes = field(section, "nodes", "a list of hosts and ports")?;
    torrent.peers = field(section, "peers", "a list of addresses")?;
    torrent.comment = text(section, "comment")?;
    torrent.created_by = text(section, "created_by")?;
    torrent.creation_date = field(section, "creation_date", "a number of seconds")?;
    torrent.select = field(section, "select", "a list of ranges of files")?;
    Ok(torrent)
}

/// A hash that is stated must be the real one; one that is not stated is not missed.
fn agree<T: PartialEq + ToString>(
    field: &'static str,
    stated: Option<T>,
    real: Option<T>,
) -> Result<(), ManifestError> {
    match stated {
        Some(stated) if real.as_ref() != Some(&stated) => Err(ManifestError::Forged {
            field,
            stated: stated.to_string(),
            real: real.map_or_else(|| "none".to_owned(), |real| real.to_string()),
        }),
        _ => Ok(()),
    }
}

fn hash<T>(
    section: &Section,
    field: &'static str,
    wanted: &'static str,
    read: fn(&str) -> Option<T>,
) -> Result<Option<T>, ManifestError> {
    text(section, field)?
        .map(|digits| read(&digits).ok_or(ManifestError::Field { field, wanted }))
        .transpose()
}

fn text(section: &Section, name: &'static str) -> Result<Option<String>, ManifestError> {
    field(section, name, "a string")
}

fn base64(section: &Section, name: &'static str) -> Result<Option<Vec<u8>>, ManifestError> {
    let wrong = |_| ManifestError::Field { field: name, wanted: "base64" };
    text(section, name)?.map(|text| BASE64.decode(text).map_err(wrong)).transpose()
}

/// A field that may be missing or null.
fn field<T: serde::de::DeserializeOwned + Default>(
    section: &Section,
    field: &'static str,
    wanted: &'static str,
) -> Result<T, ManifestError> {
    match section.get(field) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| ManifestError::Field { field, wanted }),
    }
}
