//! `pocket spec` is `pocket-spec`, wherever that is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

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

/// What a network is begun with comes from the program beside this one; what it refuses stops the start.
#[test]
fn up_takes_its_network_from_a_spec() {
    let folder = tempfile::tempdir().expect("a folder");
    let pocket = alone(folder.path());
    let script = |text: &str| {
        let beside = folder.path().join("pocket-spec");
        std::fs::write(&beside, text).expect("written");
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).expect("executable");
    };
    let up = || pocket(&["up", "--ports", "auto", "--json", "--spec", "mine.ncl"]);
    script("#!/bin/sh\necho \"$@ is refused\" >&2\nexit 1\n");
    let refused = up();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("network --overlay mine.ncl is refused") && said.contains("nothing was started"), "{said}");

    script(&format!("#!/bin/sh\necho '{}'\n", json!({"facts": {}})));
    let strange = up();
    let said = String::from_utf8_lossy(&strange.stderr).into_owned();
    assert!(strange.status.code() == Some(1) && said.contains("is of another version"), "{said}");
}
