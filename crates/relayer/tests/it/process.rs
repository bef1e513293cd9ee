//! The binary: what it checks, and how it words what is wrong.

use std::path::Path;
use std::process::{Command, Output};

use pocket_runtime::fs;

use crate::support::{address, key};

fn relayer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pocket-relayer")).args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn config(folder: &Path, lines: &str) -> String {
    let keys = folder.join("keys.yaml");
    let secret = key("supplier1").to_hex_secret();
    fs::write_private(&keys, format!("keys: [{}]\n", *secret).as_bytes()).expect("a key file");
    let path = folder.join("relayer.yaml");
    let text = format!(
        "keys: {{keys_file: \"{}\"}}\n\
         pocket_node: {{query_node_rpc_url: \"http://127.0.0.1:1\", query_node_grpc_url: \"127.0.0.1:1\"}}\n\
         services: {{eth: {{backends: {{jsonrpc: {{url: \"http://127.0.0.1:8545\"}}}}}}}}\n{lines}\n",
        keys.display()
    );
    fs::write_atomic(&path, text.as_bytes()).expect("a settings file");
    path.display().to_string()
}

#[test]
fn check_says_what_the_settings_amount_to_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = relayer(&["--check", "--config", &config(folder.path(), "store: {durability: disk}")]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for expected in [
        "valid",
        "durability: disk (survives loss of power)",
        "spool: none",
        "largest request: 1032192 bytes",
        &address("supplier1"),
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert!(!said.contains(key("supplier1").to_hex_secret().as_str()));
}

#[test]
fn check_says_which_services_ask_for_a_mode_that_is_not_here() {
    let folder = tempfile::tempdir().expect("a folder");
    let backends = "backends: {jsonrpc: {url: \"http://127.0.0.1:8545\"}}";
    let services = |modes: [(&str, &str); 3]| {
        let service = |(id, mode): (&str, &str)| format!("{id}: {{{mode}{backends}}}");
        format!("services: {{{}}}", modes.map(service).join(", "))
    };
    let check = |default: &str, modes| {
        let path = config(folder.path(), default);
        let written = fs::read_to_string(&path).expect("readable");
        let services = services(modes);
        let line = |line: &str| if line.starts_with("services") { services.clone() } else { line.to_owned() };
        let changed: Vec<String> = written.lines().map(line).collect();
        fs::write_atomic(&path, changed.join("\n").as_bytes()).expect("written");
        let output = relayer(&["--check", "--config", &path]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let (eager, optimistic) = ("validation_mode: eager, ", "validation_mode: optimistic, ");
    let said = check("default_validation_mode: eager", [("a", ""), ("b", optimistic), ("c", eager)]);
    assert!(said.contains("note: services.b: `optimistic`"), "{said}");
    assert!(said.contains("checked eagerly"), "{said}");
    let said = check("default_validation_mode: optimistic", [("a", ""), ("b", optimistic), ("c", eager)]);
    assert!(said.contains("note: services.a, services.b: `optimistic`"), "{said}");
    let said = check("default_validation_mode: eager", [("a", ""), ("b", eager), ("c", eager)]);
    assert!(!said.contains("optimistic"), "{said}");
}

#[test]
fn an_unknown_flag_and_an_unknown_key_get_the_nearest() {
    let output = relayer(&["--chekc", "--config", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--check"), "{}", text(&output.stderr));

    let folder = tempfile::tempdir().expect("a folder");
    let output = relayer(&["--check", "--config", &config(folder.path(), "relay_metre: {enabled: true}")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `relay_meter`?"), "{}", text(&output.stderr));
}

#[test]
fn a_missing_key_file_and_a_backend_that_is_none_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(folder.path(), "");
    fs::remove_file(folder.path().join("keys.yaml")).expect("removed");
    let output = relayer(&["--check", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("keys.yaml"), "{}", text(&output.stderr));

    let services = "services: {eth: {backends: {jsonrpc: {url: \"http:///path\"}}}}";
    let path = config(folder.path(), "");
    let written = fs::read_to_string(&path).expect("readable");
    let changed: Vec<&str> =
        written.lines().map(|line| if line.starts_with("services") { services } else { line }).collect();
    fs::write_atomic(&path, changed.join("\n").as_bytes()).expect("written");
    let output = relayer(&["--check", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("services.eth.backends.jsonrpc: the URL names no host"), "{said}");
}
