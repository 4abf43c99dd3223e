//! [`PluginList`]: what `rtor plugins` prints for programs.
//!
//! A document of its own and no manifest: it says nothing of a torrent, and no verb reads it.

use super::line::line;
use serde::Serialize;

/// Every plugin that can be used.
///
/// ```
/// use rtor::manifest::plugins::{PluginList, PluginRow};
/// let rarest = PluginRow {
///     id: "rarest",
///     version: "0.1.0",
///     about: "rare pieces first",
///     interfaces: &["rtor.strategy/1"],
///     file: None,
///     overrides_bundled: false,
/// };
/// let text = String::from_utf8(PluginList { plugins: vec![rarest] }.to_bytes())?;
/// assert_eq!(text, "{\"plugins\":[{\"id\":\"rarest\",\"version\":\"0.1.0\",\
///     \"about\":\"rare pieces first\",\"interfaces\":[\"rtor.strategy/1\"],\
///     \"file\":null,\"overrides_bundled\":false}]}\n");
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct PluginList<'a> {
    /// In the order in which they are found.
    pub plugins: Vec<PluginRow<'a>>,
}

/// One plugin.
#[derive(Clone, Debug, Serialize)]
pub struct PluginRow<'a> {
    /// What a person types.
    pub id: &'a str,
    /// The plugin's own version.
    pub version: &'a str,
    /// One sentence.
    pub about: &'a str,
    /// `rtor.strategy/1`, `rtor.discovery/1`.
    pub interfaces: &'a [&'a str],
    /// Where it was loaded from; null if it is linked in. Bytes that are not UTF-8 are replaced.
    pub file: Option<String>,
    /// Whether it is used instead of a bundled plugin of the same id.
    pub overrides_bundled: bool,
}

impl PluginList<'_> {
    /// The document, its line break too.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        line(self)
    }
}
