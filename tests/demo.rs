//! `scripts/demo`, the first command of the README, at work.

use crate::harness::parts::project;
use std::path::Path;
use std::process::Command;

#[test]
fn the_demo_ends_with_what_was_seeded() {
    let rtor = Path::new(env!("CARGO_BIN_EXE_rtor"));
    let ran = Command::new(project("scripts/demo"))
        .arg("--built")
        .arg(rtor.parent().expect("it lies in a folder"))
        .output()
        .expect("the script starts");
    let (said, talk) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{talk}");
    assert_eq!(said.matches("byte for byte what was seeded").count(), 2, "{said}\n{talk}");
}
