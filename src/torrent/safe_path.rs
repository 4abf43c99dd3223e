//! [`SafePath`]: where a torrent's file goes, relative to a folder that the user chose.
//!
//! It can only be made safe: no `..`, no root, no empty component, no NUL, always UTF-8. What a
//! symlink in the target does is not known here; the `disk` room sees to that.

use std::fmt;
use std::path::{Path, PathBuf};

/// Components that one path may have.
pub const COMPONENTS_MAX: usize = 256;
/// Letters of a component that are shown when it is refused: it may have millions.
const SHOWN_MAX: usize = 200;

/// A relative path of plain components.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(String);

/// Why a path from a torrent can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It has no component at all.
    #[error("an empty path")]
    Empty,
    /// A component is empty, `.`, `..`, or has a `/` or NUL in it.
    #[error("an unsafe path component `{0}`")]
    Component(String),
    /// It has more than [`COMPONENTS_MAX`].
    #[error("a path of more than {COMPONENTS_MAX} components")]
    Deep,
}

impl SafePath {
    /// Joins `components`, given as the torrent's own bytes. Bytes that are not UTF-8 become
    /// U+FFFD; [`is_exact`](Self::is_exact) tells.
    ///
    /// # Errors
    /// If a component is empty, `.` or `..`, or has a separator or NUL in it.
    pub fn from_components<'a>(
        components: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, PathError> {
        let mut path = String::new();
        for (i, component) in components.into_iter().enumerate() {
            if i == COMPONENTS_MAX {
                return Err(PathError::Deep);
            }
            let text = String::from_utf8_lossy(component);
            let plain = !matches!(&*text, "" | "." | "..") && !text.contains(['/', '\0']);
            if !plain {
                let shown: String = text.chars().take(SHOWN_MAX).collect();
                let rest = if shown.len() < text.len() { ".." } else { "" };
                return Err(PathError::Component(format!("{}{rest}", shown.escape_debug())));
            }
            if i > 0 {
                path.push('/');
            }
            path.push_str(&text);
        }
        if path.is_empty() { Err(PathError::Empty) } else { Ok(Self(path)) }
    }

    /// Whether the path is, byte for byte, what `components` say.
    #[must_use]
    pub fn is_exact<'a>(&self, components: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let bytes: Vec<&[u8]> = components.into_iter().collect();
        self.0.as_bytes() == bytes.join(&b'/')
    }

    /// The path with `/` between components.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path below `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(components: &[&str]) -> Result<SafePath, PathError> {
        SafePath::from_components(components.iter().map(|c| c.as_bytes()))
    }

    #[test]
    fn plain_components_are_joined() {
        assert_eq!(path(&["a", "b c", "...", "ü"]).expect("plain").as_str(), "a/b c/.../ü");
    }

    #[test]
    fn whatever_climbs_or_hides_is_refused() {
        for bad in
            [&["a", ".."][..], &["."], &[""], &["a", "", "b"], &["/etc"], &["a/b"], &["a\0b"]]
        {
            assert!(matches!(path(bad), Err(PathError::Component(_))), "{bad:?}");
        }
        assert_eq!(path(&[]), Err(PathError::Empty));
        assert_eq!(path(&["d"; COMPONENTS_MAX + 1]), Err(PathError::Deep));
    }

    #[test]
    fn of_an_endless_component_the_beginning_is_shown() {
        let endless = "../".repeat(1_000_000);
        let why = path(&[&endless]).expect_err("it climbs").to_string();
        assert!(
            why.starts_with("an unsafe path component `../../") && why.ends_with("..`"),
            "{why}"
        );
        assert!(why.len() < 2 * SHOWN_MAX, "{} bytes", why.len());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_and_told() {
        let raw: [&[u8]; 1] = [b"a\xffb"];
        let path = SafePath::from_components(raw).expect("a name");
        assert_eq!(path.as_str(), "a\u{fffd}b");
        assert!(!path.is_exact(raw));
    }
}
