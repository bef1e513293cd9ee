use std::collections::BTreeSet;
use std::path::PathBuf;

use pocket_proto::pocket::session;
use serde_json::Value;
use tonic::{Code, Status};

use super::{is_like, of};
use crate::error::QueryErrorKind::{self, Ahead, NotFound, Refused, Unavailable};
use crate::methods;
use crate::node::Method;

/// Every method that is called, by its path, with what the chain refuses it by.
macro_rules! asked {
    ($($method:ident),* $(,)?) => {
        fn verdict(path: &str, status: &Status) -> Option<QueryErrorKind> {
            $(if methods::$method.path == path {
                return Some(of(methods::$method.refusals, status));
            })*
            None
        }
    };
}

asked!(
    ACCOUNT,
    BALANCE,
    BROADCAST_TX,
    TX,
    SIMULATE,
    APPLICATION,
    ALL_CLAIMS,
    CLAIM,
    PROOF_PARAMS,
    COMPUTE_UNITS_AT_HEIGHT,
    DIFFICULTY_AT_HEIGHT,
    SERVICE,
    SESSION,
    SESSION_PARAMS,
    SHARED_PARAMS_AT_HEIGHT,
    SUPPLIER,
);

fn recordings() -> Vec<Value> {
    let folder = std::env::var_os("POCKET_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors")),
        PathBuf::from,
    );
    let files = std::fs::read_dir(folder.join("node/grpc")).expect("the folder of recordings");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        serde_json::from_str(&text).expect("recordings are JSON")
    };
    files.map(read).collect()
}

#[test]
fn every_recorded_refusal_of_a_real_node_is_known_as_one() {
    let mut seen = BTreeSet::new();
    for recorded in recordings().iter().filter(|recorded| recorded["error"].is_object()) {
        let path = recorded["method"].as_str().expect("a method");
        let error = &recorded["error"];
        let code = Code::from(i32::try_from(error["code"].as_i64().expect("a code")).expect("a code"));
        let status = Status::new(code, error["message"].as_str().expect("text"));
        let Some(found) = verdict(path, &status) else { continue };
        let text = status.message();
        let expected = match code {
            _ if text.contains("ahead of the last committed block") || text.contains("height in the future") => Ahead,
            Code::NotFound => NotFound,
            _ => Refused,
        };
        assert_eq!(found, expected, "{path}: {status:?}");
        seen.insert((path.to_owned(), format!("{found:?}")));
    }
    assert!(seen.len() >= 12, "{seen:#?}");
}

const SESSION: &Method<session::QueryGetSessionRequest, session::QueryGetSessionResponse> = &methods::SESSION;

#[track_caller]
fn check(status: &Status, kind: QueryErrorKind) {
    assert_eq!(of(SESSION.refusals, status), kind, "{status:?}");
}

#[test]
fn what_a_node_or_a_proxy_says_of_itself_is_no_word_of_the_chain() {
    check(&Status::internal("h2 protocol error: http2 error"), Unavailable);
    check(&Status::unknown("h2 protocol error: error reading a body from connection"), Unavailable);
    check(&Status::unknown("transport error"), Unavailable);
    check(&Status::unavailable("tcp connect error"), Unavailable);
    check(&Status::resource_exhausted("too many requests"), Unavailable);
    check(&Status::aborted("drained"), Unavailable);
    check(&Status::cancelled("operation was canceled"), Unavailable);
    check(&Status::deadline_exceeded("context deadline exceeded"), Unavailable);
    check(&Status::not_found("no route"), Unavailable);
    check(&Status::permission_denied("no such key"), Unavailable);
    check(&Status::unimplemented("grpc-status header missing, mapped from HTTP status code 404"), Unavailable);
    check(&Status::internal("runtime error: invalid memory address or nil pointer dereference: panic"), Unavailable);
    check(&Status::data_loss(""), Unavailable);
    check(&Status::ok(""), Unavailable);
}

#[test]
fn what_a_node_has_not_or_no_longer_says_nothing_about_the_chain() {
    check(
        &Status::unknown(
            "codespace sdk code 38: not found: failed to load state at height 5; version mismatch on immutable IAVL tree; \
             version does not exist. Version has either been pruned, or is for a future block height (latest height: 90)",
        ),
        Unavailable,
    );
    check(
        &Status::unknown(
            "codespace sdk code 26: invalid height: context did not contain latest block height in either check state or \
             finalize block state (90)",
        ),
        Unavailable,
    );
    check(
        &Status::unknown(
            "codespace sdk code 26: invalid height: cannot query with height in the future; please provide a valid height",
        ),
        Ahead,
    );
    check(
        &Status::internal(
            "block height 61 is ahead of the last committed block height 60: error during session hydration",
        ),
        Ahead,
    );
}

#[test]
fn the_chains_own_words_count_only_under_its_own_status() {
    let words =
        "application \"a\" not staked for service ID \"s\": application in session not staked for requested service";
    check(&Status::internal(words), Refused);
    check(&Status::unavailable(words), Unavailable);
    check(&Status::unknown(words), Unavailable);
    check(&Status::internal(format!("{words}, says the cache of a proxy")), Unavailable);
    let trimmed = "could not find app with address \"a\" at height 31: application for session not found not found";
    check(&Status::internal(trimmed), Refused);
    // Another method's refusal.
    check(&Status::not_found("app address: a: application not found"), Unavailable);
}

#[test]
fn patterns_are_whole_texts() {
    for (text, pattern, fits) in [
        ("account a not found", "account * not found", true),
        ("account a not found here", "account * not found", false),
        ("no account a not found", "account * not found", false),
        ("account not found", "account * not found", false),
        ("service ID is required", "service ID is required", true),
        ("service ID is required?", "service ID is required", false),
        ("x with gas used: '1'", "* with gas used: '*'", true),
        ("x with gas used: ", "* with gas used: '*'", false),
        ("x with gas used: '", "* with gas used: '*'", false),
        ("a: b", "a: *", true),
    ] {
        assert_eq!(is_like(text, pattern), fits, "{text}");
    }
}
