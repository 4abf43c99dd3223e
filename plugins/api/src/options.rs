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

    /// The value of `key` in bytes: digits, with `K`, `M`, `G` for thousands of them, or `KiB`,
    /// `MiB`, `GiB`, and with `B` or without.
    ///
    /// # Errors
    /// A sentence: it is something else, or too large.
    ///
    /// ```
    /// let options = rtor_plugin::Options::new("window=16MiB,rate=2M,tail=x");
    /// assert_eq!(options.bytes("window"), Ok(Some(16 << 20)));
    /// assert_eq!(options.bytes("rate"), Ok(Some(2_000_000)));
    /// assert_eq!(options.bytes("other"), Ok(None));
    /// assert_eq!(options.bytes("tail"), Err("`tail=x` is no size: 16MiB is one".to_owned()));
    /// ```
    pub fn bytes(&self, key: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = value.split_at(digits);
        let unit: Option<u64> = match unit.strip_suffix('B').unwrap_or(unit) {
            "" => Some(1),
            "K" => Some(1_000),
            "M" => Some(1_000_000),
            "G" => Some(1_000_000_000),
            "Ki" => Some(1 << 10),
            "Mi" => Some(1 << 20),
            "Gi" => Some(1 << 30),
            _ => None,
        };
        let bytes =
            number.parse().ok().zip(unit).and_then(|(n, unit): (u64, u64)| n.checked_mul(unit));
        bytes.map(Some).ok_or_else(|| format!("`{key}={value}` is no size: 16MiB is one"))
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
