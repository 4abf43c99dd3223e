//! [`Media`]: what kind of file a path names, by its extension; nothing is opened.

use std::fmt;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Media {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Text that goes with a video.
    Subtitle,
    /// A picture.
    Image,
    /// Text, books and documents.
    Text,
    /// Packed files, volumes of archives among them.
    Archive,
    /// The image of a disk or disc.
    Disk,
    /// Something that runs.
    Program,
    /// Something about the other files: checksums, notes, playlists.
    Extra,
    /// Anything else.
    Other,
}

const EXTENSIONS: &[(Media, &[&str])] = &[
    (
        Media::Video,
        &[
            "3gp", "asf", "avi", "divx", "f4v", "flv", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4",
            "mpe", "mpeg", "mpg", "mts", "ogm", "ogv", "rm", "rmvb", "ts", "vob", "webm", "wmv",
        ],
    ),
    (
        Media::Audio,
        &[
            "aac", "ac3", "aif", "aiff", "alac", "ape", "dff", "dsf", "dts", "eac3", "flac", "m4a",
            "m4b", "mka", "mp2", "mp3", "mpc", "oga", "ogg", "opus", "tak", "tta", "wav", "wma",
            "wv",
        ],
    ),
    (Media::Subtitle, &["ass", "idx", "smi", "srt", "ssa", "sub", "sup", "vtt"]),
    (
        Media::Image,
        &["avif", "bmp", "gif", "heic", "jpeg", "jpg", "jxl", "png", "svg", "tif", "tiff", "webp"],
    ),
    (
        Media::Text,
        &[
            "azw3", "cbr", "cbz", "csv", "djvu", "doc", "docx", "epub", "html", "json", "md",
            "mobi", "odt", "pdf", "rtf", "tex", "txt", "xml",
        ],
    ),
    (
        Media::Archive,
        &["7z", "bz2", "gz", "lz", "lz4", "rar", "tar", "tbz2", "tgz", "txz", "xz", "zip", "zst"],
    ),
    (Media::Disk, &["cue", "dmg", "img", "iso", "mdf", "nrg", "qcow2", "vdi", "vmdk"]),
    (
        Media::Program,
        &[
            "apk", "appimage", "bat", "com", "deb", "dll", "exe", "jar", "msi", "pkg", "rpm",
            "scr", "sh", "so",
        ],
    ),
    (
        Media::Extra,
        &["log", "m3u", "m3u8", "md5", "nfo", "par2", "sfv", "sha1", "sha256", "torrent"],
    ),
];

impl Media {
    /// The kind of the file at `path`.
    ///
    /// ```
    /// use rtor::torrent::media::Media;
    /// assert_eq!(Media::of("a/Film.2010.MKV"), Media::Video);
    /// assert_eq!(Media::of("film.r07"), Media::Archive);
    /// assert_eq!(Media::of("README"), Media::Other);
    /// ```
    #[must_use]
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((_, extension)) = name.rsplit_once('.') else { return Self::Other };
        let extension = extension.to_ascii_lowercase();
        let known = EXTENSIONS
            .iter()
            .find(|(_, extensions)| extensions.contains(&extension.as_str()))
            .map(|(kind, _)| *kind);
        known.unwrap_or_else(|| if is_volume(&extension) { Self::Archive } else { Self::Other })
    }
}

/// `r00`, `z01`, `001`: one volume of an archive.
fn is_volume(extension: &str) -> bool {
    let digits = extension.strip_prefix(['r', 's', 'z']).unwrap_or(extension);
    (2..=3).contains(&digits.len())
        && extension.len() == 3
        && digits.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Subtitle => "subtitle",
            Self::Image => "image",
            Self::Text => "text",
            Self::Archive => "archive",
            Self::Disk => "disk",
            Self::Program => "program",
            Self::Extra => "extra",
            Self::Other => "other",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_has_one_kind() {
        let mut seen = std::collections::BTreeSet::new();
        for extension in EXTENSIONS.iter().flat_map(|(_, extensions)| *extensions) {
            assert!(seen.insert(extension), "{extension} stands twice");
        }
    }

    #[test]
    fn volumes_are_archives_and_years_are_not() {
        for (path, kind) in [
            ("a.001", Media::Archive),
            ("a.z01", Media::Archive),
            ("a.part1.rar", Media::Archive),
            ("a.2010", Media::Other),
            ("a.r1", Media::Other),
            (".mkv/file", Media::Other),
            ("", Media::Other),
        ] {
            assert_eq!(Media::of(path), kind, "{path}");
        }
    }
}
