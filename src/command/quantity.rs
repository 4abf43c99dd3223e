//! Sizes, rates and durations as people type them: `64KiB`, `10M`, `30s`.

use std::time::Duration;

/// Bytes: `64KiB`, `10M` (10,000,000), `512`.
///
/// # Errors
/// A sentence for clap.
pub(super) fn size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| format!("`{text}` is no size like `64KiB` or `10M`"))
}

/// Bytes that a budget of memory may be: below a few reads of a socket nothing would move.
const MEMORY_MIN: u64 = 4 << 20;

/// A budget of memory: a size of at least 4 MiB.
///
/// # Errors
/// A sentence for clap.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < MEMORY_MIN => Err(format!("`{text}` is too little: at least `4MiB`")),
        bytes => Ok(bytes),
    }
}

/// Time: `30s`, `5m`, `1h 30m`.
///
/// # Errors
/// A sentence for clap.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no time like `30s` or `5m`"))
}

/// Bytes a second: `500k`, `10M`, `1MiB/s`; 0 is no limit.
///
/// # Errors
/// A sentence for clap.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    size(text.strip_suffix("/s").unwrap_or(text))
        .map_err(|_| format!("`{text}` is no rate like `500k` or `10M`"))
}

/// How many times: `1`, `2.5`.
///
/// # Errors
/// A sentence for clap.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio >= 0.0);
    ratio.ok_or_else(|| format!("`{text}` is no ratio like `1` or `2.5`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_unless_they_say_bi() {
        let cases = [("64KiB", 65536), ("10M", 10_000_000), ("1kB", 1000), ("512", 512), ("0", 0)];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "-1", "10 Q"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_budget_of_memory_has_a_least() {
        assert_eq!(memory("4MiB"), Ok(4 << 20));
        assert!(memory("4MB").is_err_and(|why| why.contains("`4MB` is too little")));
    }

    #[test]
    fn rates_are_sizes_a_second() {
        assert_eq!((rate("500k"), rate("1MiB/s"), rate("0")), (Ok(500_000), Ok(1 << 20), Ok(0)));
        assert!(rate("fast").is_err_and(|why| why.contains("`fast` is no rate")));
    }

    #[test]
    fn a_ratio_is_a_number_from_zero_on() {
        assert_eq!(ratio("2.5"), Ok(2.5));
        for bad in ["-1", "inf", "nan", "x", ""] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("5").is_err());
    }
}
