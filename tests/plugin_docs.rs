//! `docs/PLUGINS.md` held to its word: its sources are those of `plugins/examples`, its commands
//! run as they stand, and it documents every plugin that is bundled.

use crate::harness::parts::project;
use rtor::host::Registry;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The blocks of the document that are marked with `language`.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(project("docs/PLUGINS.md")).expect("a document");
    let mark = format!("\n```{language}\n");
    let rest = text.split(mark.as_str()).skip(1);
    rest.map(|rest| rest.split("\n```").next().unwrap_or(rest).trim_end().to_owned()).collect()
}

fn sources(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else {
            out.push((path.clone(), std::fs::read_to_string(path).expect("a source is text")));
        }
    }
}

#[test]
fn what_it_shows_is_what_stands_in_the_examples() {
    let mut files = Vec::new();
    sources(&project("plugins/examples"), &mut files);
    for (language, shown) in [("rust", 1), ("toml", 1), ("c", 2)] {
        let blocks = blocks(language);
        assert_eq!(blocks.len(), shown, "blocks of {language}");
        for block in blocks {
            let found = files.iter().any(|(_, text)| text.contains(&block));
            assert!(found, "no file of plugins/examples has this in it:\n{block}");
        }
    }
}

#[test]
fn its_commands_run_as_they_stand() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The project's folder as a reader has it, but for what the commands make in it.
    for name in ["Cargo.toml", "Cargo.lock", "src", "plugins", "tests", "examples"] {
        std::os::unix::fs::symlink(project(name), folder.path().join(name)).expect("a link");
    }
    let rtor = Path::new(env!("CARGO_BIN_EXE_rtor")).parent().expect("in a folder");
    let path = std::env::var("PATH").expect("a search path");
    // Whatever the umask of this run is: a file that everybody may write is not loaded.
    let script = format!("umask 022\n{}\n", blocks("sh").join("\n"));
    let done = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", rtor.display()))
        .env("CARGO_NET_OFFLINE", "true")
        // Flags that were meant for this build are not meant for that one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}\n{said}");
    let listed = String::from_utf8_lossy(&done.stdout);
    for id in ["evens", "backwards", "ahead"] {
        assert!(listed.contains(&format!("{{\"id\":\"{id}\"")), "`{id}` in {listed}");
    }
}

#[test]
fn it_documents_every_bundled_plugin_and_its_options() {
    let text = std::fs::read_to_string(project("docs/PLUGINS.md")).expect("a document");
    for plugin in Registry::bundled().plugins() {
        assert!(text.contains(&format!("\n### `{}`", plugin.id)), "`{}` has no section", plugin.id);
    }
    for option in ["`window`", "`tail`", "`rate`", "`bootstrap`", "`read-only`"] {
        assert!(text.contains(option), "{option}");
    }
}
