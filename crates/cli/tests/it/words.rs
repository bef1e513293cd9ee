//! What is said without a network: suggestions, lists, remedies.

use crate::tool::{good, good_json, refused};

#[test]
fn an_unknown_flag_or_verb_is_answered_with_the_nearest() {
    for (args, suggestion) in [
        (&["up", "--prots", "auto"][..], "--ports"),
        (&["up", "--block-tim", "1s"], "--block-time"),
        (&["relay", "jsonrpc", "--concurency", "4"], "--concurrency"),
        (&["chain", "warp", "--to-claim-windw"], "--to-claim-window"),
        (&["kyes"], "keys"),
        (&["redis", "leadr"], "leader"),
    ] {
        let (code, words) = refused(args);
        assert_eq!(code, 2, "{args:?}: {words}");
        assert!(words.contains(suggestion), "{args:?}: {words}");
    }
}

#[test]
fn a_wrong_value_is_answered_with_what_to_write() {
    let (code, words) = refused(&["up", "--block-time", "150"]);
    assert_eq!(code, 2);
    assert!(words.contains("150ms"), "{words}");
    let (code, words) = refused(&["up", "--ports", "auto", "--profile", "loud"]);
    assert_eq!(code, 2);
    assert!(words.contains("seed") && words.contains("load"), "{words}");
    for url in ["http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/v10?x=/v1", "127.0.0.1:1/v1"] {
        let (code, words) = refused(&["relay", "jsonrpc", "--url", url, "--count", "1000"]);
        assert_eq!(code, 2, "{url}: {words}");
        assert!(words.contains("http://127.0.0.1:1/v1") && !words.contains("404"), "{url}: {words}");
    }
    let (code, words) = refused(&["up", "--ports", "auto", "--log", "info,pocket=loud"]);
    assert_eq!(code, 2);
    assert!(words.contains("is not a log filter"), "{words}");
}

#[test]
fn keys_lists_every_account_and_secrets_only_when_asked() {
    let accounts = good_json(&["keys", "--json"]);
    let accounts = accounts.as_array().expect("a list");
    assert_eq!(accounts.len(), 25);
    assert!(accounts.iter().all(|account| account.get("private_key").is_none()));
    let table = good(&["keys"]);
    assert!(table.contains("pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4"), "{table}");
    assert!(!table.contains("2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a"));
    let secrets = good_json(&["keys", "--secrets", "--json"]);
    assert_eq!(
        secrets[3]["private_key"], "2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a",
        "{}",
        secrets[3]["name"]
    );
}

#[test]
fn reading_where_nothing_runs_says_what_to_do() {
    // Port 9 is nobody's: it discards what it gets, where it is served at all.
    let (_, words) = refused(&["ledger", "--admin", "127.0.0.1:9"]);
    assert!(words.contains("pocket up"), "{words}");
    let (_, words) = refused(&["chain", "status", "--control", "127.0.0.1:9"]);
    assert!(words.contains("--control"), "{words}");
    let folder = tempfile::tempdir().expect("a folder");
    let (_, words) = refused(&["ledger", "--data", folder.path().to_str().expect("text")]);
    assert!(words.contains("no store in"), "{words}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "reading writes nothing");
    let (_, words) = refused(&["redis", "sessions", "--supplier", "supplier99", "--admin", "127.0.0.1:9"]);
    assert!(!words.is_empty());
}

#[test]
fn a_standalone_file_is_checked_without_being_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let written = good(&["keys", "--write", folder.path().join("keys").to_str().expect("text")]);
    let keys = written.lines().next().expect("the suppliers' file").to_owned();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/standalone.yaml");
    let text = std::fs::read_to_string(example).expect("an example").replace("run/supplier-keys.yaml", &keys);

    let told = good(&["standalone", "--check", "--config", &write("right.yaml", &text)]);
    assert!(told.contains("valid") && told.contains("pokt19a3t4yunp0dlpfjrp7qwnzwlrzd5fzs2gjaaaj"), "{told}");
    assert!(told.contains("answered means process") && told.contains("mines for 15 suppliers"), "{told}");

    let (code, words) =
        refused(&["standalone", "--check", "--config", &write("wrong.yaml", &text.replace("data_dir", "data_dri"))]);
    assert_eq!(code, 2);
    assert!(words.contains("did you mean `data_dir`?"), "{words}");
    let (code, words) =
        refused(&["standalone", "--check", "--config", &write("keyless.yaml", &text.replace(&keys, "nowhere.yaml"))]);
    assert_eq!(code, 2);
    assert!(words.contains("nowhere.yaml"), "{words}");
}
