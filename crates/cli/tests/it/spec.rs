//! `pocket spec` is `pocket-spec`, wherever that is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// The tool in a folder of its own, where nothing stands beside it.
fn alone(folder: &Path) -> impl Fn(&[&str]) -> Output {
    let program = folder.join("pocket");
    std::fs::copy(env!("CARGO_BIN_EXE_pocket"), &program).expect("copied");
    move |args| Command::new(&program).args(args).env("PATH", "").output().expect("it runs")
}

#[test]
fn the_spec_is_a_program_beside_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let pocket = alone(folder.path());
    let without = pocket(&["spec", "render"]);
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert_eq!(without.status.code(), Some(1), "{said}");
    assert!(said.contains("cargo build --release -p pocket-spec"), "{said}");

    let beside = folder.path().join("pocket-spec");
    std::fs::write(&beside, "#!/bin/sh\necho \"$@\"\nexit 7\n").expect("written");
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let with = pocket(&["spec", "render", "--check", "--help"]);
    assert_eq!(String::from_utf8_lossy(&with.stdout), "render --check --help\n");
    assert_eq!(with.status.code(), Some(7), "its exit code is passed on");
}
