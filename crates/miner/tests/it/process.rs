//! The binary, as an operator meets it.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const KEY: &str = "2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a";
const ADDRESS: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";

fn check(folder: &Path, settings: &str) -> Output {
    let config = folder.join("miner.yaml");
    pocket_runtime::fs::write_atomic(&config, settings.as_bytes()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_pocket-miner")).arg("--config").arg(config).arg("--check").output().unwrap()
}

fn settings(folder: &Path) -> String {
    let keys = folder.join("keys.yaml");
    pocket_runtime::fs::write_private(&keys, format!("keys:\n  - {KEY}\n").as_bytes()).unwrap();
    let node = "pocket_node: {query_node_rpc_url: 'http://127.0.0.1:26657', query_node_grpc_url: '127.0.0.1:9090'}";
    format!("{node}\nkeys: {{keys_file: '{}'}}\n", keys.display())
}

pub(crate) fn good_settings_are_told_with_the_suppliers_they_mine_for() {
    let folder = TempDir::new().unwrap();
    let output = check(folder.path(), &settings(folder.path()));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told} {}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("valid") && told.contains(ADDRESS) && !told.contains(KEY), "{told}");
}

pub(crate) fn wrong_settings_are_refused_with_what_to_write() {
    let folder = TempDir::new().unwrap();
    let good = settings(folder.path());
    let cases = [
        (format!("{good}batch_sizes: 3\n"), "batch_size"),
        (format!("{good}transaction: {{gas_price: 1pokt}}\n"), "gas_price"),
        (good.replace("keys.yaml", "nothing.yaml"), "nothing.yaml"),
        ("pocket_node: {query_node_rpc_url: 'http://a:1', query_node_grpc_url: 'a:2'}\n".to_owned(), "keys_file"),
    ];
    for (settings, remedy) in cases {
        let output = check(folder.path(), &settings);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{settings}: {told}");
        assert!(told.contains(remedy), "{settings}: {told}");
    }
}

pub(crate) fn an_unknown_flag_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_pocket-miner")).arg("--confg").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("--config"), "{told}");
}
