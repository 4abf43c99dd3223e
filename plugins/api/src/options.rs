//! [`Options`]: what stands behind the colon in `--strategy NAME:key=value,..`.

/// The options a person gave to one plugin.
///
/// ```
/// let options = rtor_plugin::Options::new("from=12,wrap");
/// assert_eq!(options.value("from"), Some("12"));
/// assert_eq!(options.value("wrap"), Some(""));
/// assert_eq!(options.keys().collect::<Vec<_>>(), ["from", "wrap"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    text: &'a str,
}

impl<'a> Options<'a> {
    /// Reads `key=value,key=value`; a key alone has the empty value.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The value of `key`; the last one given counts.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.pairs().filter(|(k, _)| *k == key).last().map(|(_, value)| value)
    }

    /// The keys in the order given.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.pairs().map(|(key, _)| key)
    }

    /// Refuses every key that is not in `known`, with a sentence that names it.
    ///
    /// # Errors
    /// The sentence.
    pub fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.keys().find(|key| !known.contains(key)) {
            None => Ok(()),
            Some(key) if known.is_empty() => Err(format!("unknown option `{key}`: it takes none")),
            Some(key) => Err(format!("unknown option `{key}`: it takes {}", known.join(", "))),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.text
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').unwrap_or((part, "")))
    }
}
