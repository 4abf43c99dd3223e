//! [`HostError`]: what can be wrong with a plugin, one sentence each.

use std::path::PathBuf;

/// What is wrong with a plugin file, or with the name of a plugin.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say what the variants are")]
pub enum HostError {
    #[error("the plugin `{path}` cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the plugin `{path}` is not a file")]
    NotAFile { path: PathBuf },
    #[error("the plugin `{path}` is writable by everybody")]
    WorldWritable { path: PathBuf },
    #[error("the plugin `{path}` lies in `{folder}`, in which everybody may replace it")]
    UnsafeFolder { path: PathBuf, folder: PathBuf },
    #[error("the plugin `{path}` is not a shared library (ELF)")]
    NotElf { path: PathBuf },
    #[error("the plugin `{path}` has a name that cannot name a symbol")]
    FileName { path: PathBuf },
    #[error("the plugin `{path}` cannot be loaded: {why}")]
    Unloadable { path: PathBuf, why: String },
    #[error("the plugin `{path}` does not export `{symbol}`")]
    SymbolMissing { path: PathBuf, symbol: String },
    #[error(
        "the plugin `{path}` was built for version {found} of the boundary, and this is {ours}"
    )]
    WrongAbi { path: PathBuf, found: u16, ours: u16 },
    #[error("the {what} of the plugin `{path}` has {size} bytes, and needs {needed}")]
    TooSmall { path: PathBuf, what: &'static str, size: u32, needed: usize },
    #[error("the {what} of the plugin `{path}` is malformed")]
    Malformed { path: PathBuf, what: &'static str },
    #[error("the plugin `{path}` offers no interface that is known here")]
    NoInterface { path: PathBuf },
    #[error("the plugins `{first}` and `{second}` both have the id `{id}`: the first is used")]
    DuplicateId { id: String, first: String, second: String },
    #[error("RTOR_PLUGIN_PATH names `{path}`, which is no absolute path: it is ignored")]
    RelativePath { path: PathBuf },
    #[error("there is no {kind} `{id}`")]
    Unknown { kind: &'static str, id: String, instead: String },
    #[error("the plugin `{id}` is no {kind}")]
    OtherKind { kind: &'static str, id: String },
    #[error("the {kind} `{id}` cannot start: {why}")]
    Refused { kind: &'static str, id: String, why: String },
    #[error("the {kind} `{id}` broke while it started")]
    Broke { kind: &'static str, id: String },
}

impl HostError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WorldWritable { path } => Some(format!("chmod o-w {}", path.display())),
            Self::FileName { .. } => Some("call it lib<name>.so".to_owned()),
            Self::Unknown { instead, .. } => Some(instead.clone()),
            _ => None,
        }
    }
}

/// Edits by which a name may differ from the one that was meant.
const TYPO_EDITS_MAX: usize = 2;

/// What to type instead of `name`.
pub(super) fn instead(name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|id| (edits(name, id), id)).min();
    match nearest {
        None => "there is none at all".to_owned(),
        Some((edits, id)) if edits <= TYPO_EDITS_MAX => format!("did you mean `{id}`?"),
        Some(_) => {
            let known: Vec<String> = known.iter().map(|id| format!("`{id}`")).collect();
            format!("there are {}", known.join(", "))
        }
    }
}

/// How many letters must be put in, left out or changed to make `b` of `a` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        row[0] = left;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            left = changed.min(diagonal + 1).min(left + 1);
            row[j + 1] = left;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_as_levenshtein_did() {
        for (a, b, n) in [("kitten", "sitting", 3), ("", "abc", 3), ("rarst", "rarest", 1)] {
            assert_eq!((edits(a, b), edits(b, a)), (n, n), "{a} {b}");
        }
    }
}
