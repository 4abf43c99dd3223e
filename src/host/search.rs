//! [`Places`]: where plugin files are looked for, and in which order.
//!
//! `--plugin FILE`, `$RTOR_PLUGIN_PATH`, `$XDG_DATA_HOME/rtor/plugins` and
//! `<exe>/../lib/rtor/plugins`; never the working directory: only a file that a person typed may
//! be relative to it. The environment comes in as parameters.

use super::HostError;
use std::ffi::OsStr;
use std::fs::{metadata, read_dir};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files that one folder may offer; what lies beyond, by name, is not looked at.
const FILES_PER_FOLDER_MAX: usize = 256;

/// Where to look for plugins.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// `--plugin FILE`, in the order given.
    pub files: &'a [PathBuf],
    /// `$RTOR_PLUGIN_PATH`: files and folders with `:` between.
    pub plugin_path: Option<&'a OsStr>,
    /// `$XDG_DATA_HOME`.
    pub data_home: Option<&'a OsStr>,
    /// `$HOME`, for where `$XDG_DATA_HOME` is not set.
    pub home: Option<&'a OsStr>,
    /// The running program, for the plugins that were installed with it.
    pub exe: Option<&'a Path>,
    /// Whether the bundled plugins are used: not with `--no-bundled`.
    pub bundled: bool,
}

impl Places<'_> {
    /// The bundled plugins and no file.
    pub const BUNDLED: Places<'static> = Places {
        files: &[],
        plugin_path: None,
        data_home: None,
        home: None,
        exe: None,
        bundled: true,
    };

    /// The two folders that need not be named, most personal first.
    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let absolute = |path: &OsStr| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        // A relative `$XDG_DATA_HOME` is to be ignored (XDG Base Directory Specification).
        let data_home = self
            .data_home
            .and_then(absolute)
            .or_else(|| Some(self.home.and_then(absolute)?.join(".local/share")));
        let personal = data_home.map(|home| home.join("rtor/plugins"));
        let prefix =
            self.exe.filter(|exe| exe.is_absolute()).and_then(|exe| exe.parent()?.parent());
        personal.into_iter().chain(prefix.map(|prefix| prefix.join("lib/rtor/plugins")))
    }
}

/// The files that lie in the places to look, besides those named by `--plugin`, best first; and
/// what is wrong with the places.
pub(super) fn found(places: &Places<'_>) -> (Vec<PathBuf>, Vec<HostError>) {
    let (mut files, mut complaints) = (Vec::new(), Vec::new());
    let elements = places.plugin_path.unwrap_or_default().as_bytes();
    if !elements.is_empty() {
        for element in elements.split(|&byte| byte == b':') {
            let path = Path::new(OsStr::from_bytes(element));
            if !path.is_absolute() {
                complaints.push(HostError::RelativePath { path: path.to_owned() });
            } else if is_library(path) && !metadata(path).is_ok_and(|meta| meta.is_dir()) {
                // A file that is not there is worth a word: it was named. A folder is not.
                files.push(path.to_owned());
            } else {
                files.extend(libraries(path));
            }
        }
    }
    files.extend(places.folders().flat_map(|folder| libraries(&folder)));
    (files, complaints)
}

/// The libraries of a folder, by name.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_library(path)).collect();
    files.sort();
    files.truncate(FILES_PER_FOLDER_MAX);
    files
}

fn is_library(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("so"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    /// Files in the world, places to look in it (`~` is its root), and what is found.
    fn check(world: &[&str], places: Places<'_>, expected: &[&str], complaints: &[&str]) {
        let root = tempfile::tempdir().expect("a folder");
        let real = |text: &OsStr| {
            text.to_str().expect("UTF-8").replace('~', root.path().to_str().expect("UTF-8"))
        };
        for file in world {
            let file = root.path().join(file);
            create_dir_all(file.parent().expect("in a folder")).expect("a folder");
            write(file, "").expect("a file");
        }
        let [plugin_path, data_home, home] =
            [places.plugin_path, places.data_home, places.home].map(|text| text.map(real));
        let exe = places.exe.map(|exe| PathBuf::from(real(exe.as_os_str())));
        let places = Places {
            plugin_path: plugin_path.as_deref().map(OsStr::new),
            data_home: data_home.as_deref().map(OsStr::new),
            home: home.as_deref().map(OsStr::new),
            exe: exe.as_deref(),
            ..places
        };
        let (files, said) = found(&places);
        let files: Vec<_> = files
            .iter()
            .map(|file| file.strip_prefix(root.path()).expect("in the world"))
            .collect();
        assert_eq!(files, expected.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(said.iter().map(ToString::to_string).collect::<Vec<_>>(), complaints);
    }

    #[test]
    fn places_are_searched_from_the_most_to_the_least_personal() {
        check(
            &[
                "a/libb.so",
                "a/liba.so",
                "a/README",
                "one.so",
                "data/rtor/plugins/libc.so",
                "usr/lib/rtor/plugins/libd.so",
            ],
            Places {
                plugin_path: Some(OsStr::new("~/one.so:~/missing:~/a")),
                data_home: Some(OsStr::new("~/data")),
                home: Some(OsStr::new("~/nowhere")),
                exe: Some(Path::new("~/usr/bin/rtor")),
                ..Places::BUNDLED
            },
            &[
                "one.so",
                "a/liba.so",
                "a/libb.so",
                "data/rtor/plugins/libc.so",
                "usr/lib/rtor/plugins/libd.so",
            ],
            &[],
        );
    }

    #[test]
    fn without_a_data_home_the_home_s_own_is_searched() {
        for data_home in [None, Some(OsStr::new("")), Some(OsStr::new("relative"))] {
            check(
                &[".local/share/rtor/plugins/liba.so"],
                Places { data_home, home: Some(OsStr::new("~")), ..Places::BUNDLED },
                &[".local/share/rtor/plugins/liba.so"],
                &[],
            );
        }
    }

    #[test]
    fn an_empty_or_relative_element_is_never_the_working_directory() {
        check(
            &[],
            Places { plugin_path: Some(OsStr::new(":.:plugins/liba.so")), ..Places::BUNDLED },
            &[],
            &[
                "RTOR_PLUGIN_PATH names ``, which is no absolute path: it is ignored",
                "RTOR_PLUGIN_PATH names `.`, which is no absolute path: it is ignored",
                "RTOR_PLUGIN_PATH names `plugins/liba.so`, which is no absolute path: it is ignored",
            ],
        );
        check(
            &[],
            Places { plugin_path: Some(OsStr::new("")), home: None, ..Places::BUNDLED },
            &[],
            &[],
        );
    }
}
