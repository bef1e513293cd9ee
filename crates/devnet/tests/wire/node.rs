//! The raw answers in `node.json`: kinds `rpc` and `rpc_json`.

use std::collections::BTreeMap;

use pocket_proto::{
    cosmos::{
        auth::v1beta1::{BaseAccount, ModuleAccount, QueryAccountRequest, QueryAccountResponse},
        base::tendermint::v1beta1::GetNodeInfoResponse,
        tx::v1beta1::{GetTxsEventRequest, GetTxsEventResponse},
    },
    json,
    pocket::session::{QueryGetSessionRequest, Session},
};
use prost::Message;
use serde_json::Value;
use tonic::Status;

use crate::{
    compare::{Json, difference, skeleton, words},
    folder, read,
    world::{World, unary},
};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

async fn call<A: Message + Default>(world: &World, path: &str, request: impl Message) -> Result<A, Status> {
    let (bytes, _) = unary(world.grpc(), path, &[], request.encode_to_vec()).await?;
    Ok(A::decode(bytes.as_slice()).expect("an answer of its type"))
}

/// Asserts that a call was refused with the recorded words, as a Go client prints them.
fn check_refusal<A: std::fmt::Debug>(name: &str, case: &Value, answered: Result<A, Status>) {
    let status = answered.expect_err(name);
    let ours = format!("rpc error: code = {:?} desc = {}", status.code(), status.message());
    assert_eq!(words(&ours), words(text(&case["go"], "error")), "{name}");
}

#[tokio::test]
async fn vectors_node_raw_answers_are_the_nodes() {
    let world = World::open().await;
    let file = read(&folder().join("node.json"));
    let cases = file["cases"].as_array().expect("cases");
    let newest = |case: &Value| case["answer"]["result"]["response"]["last_block_height"].as_str()?.parse().ok();
    world.make_until(cases.iter().find_map(newest).expect("the newest height was asked for"));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases {
        match text(case, "kind") {
            "rpc" => rpc(&world, case, cases).await,
            "rpc_json" => rpc_json(&world, case).await,
            // Checked without a wire, in `vectors`.
            _ => continue,
        }
        *counts.entry(text(case, "kind")).or_default() += 1;
    }
    assert_eq!(counts.len(), 2, "both kinds are there");
    for (kind, count) in counts {
        println!("node.json {kind}: {count} cases");
    }
}

/// Returns the word behind some words of the recorded refusal: what was asked for, where nothing else says it.
fn asked<'a>(case: &'a Value, behind: &str) -> &'a str {
    let error = text(&case["go"], "error");
    let rest = &error[error.find(behind).unwrap_or_else(|| panic!("no `{behind}` in {error}")) + behind.len()..];
    rest.split(' ').next().expect("split gives at least one part")
}

async fn rpc(world: &World, case: &Value, cases: &[Value]) {
    const ACCOUNT: &str = "/cosmos.auth.v1beta1.Query/Account";
    let name = text(case, "name");
    let address = |address: &str| QueryAccountRequest { address: address.to_owned() };
    if name.starts_with("auth-account") {
        let bytes = hex::decode(text(case, "value")).expect("hexadecimal");
        let module = text(case, "type_url").ends_with("ModuleAccount");
        let theirs = if module {
            ModuleAccount::decode(bytes.as_slice()).expect("an account").base_account.expect("a base")
        } else {
            BaseAccount::decode(bytes.as_slice()).expect("an account")
        };
        let answer: QueryAccountResponse = call(world, ACCOUNT, address(&theirs.address)).await.expect(name);
        let ours = answer.account.expect("an account");
        assert_eq!(ours.type_url, text(case, "type_url"), "{name}");
        if module {
            // The number says in which order the modules first held anything.
            let number = theirs.account_number;
            let mut ours = ModuleAccount::decode(ours.value.as_slice()).expect("an account");
            ours.base_account.as_mut().expect("a base").account_number = number;
            assert_eq!(hex::encode(ours.encode_to_vec()), text(case, "value"), "{name}");
        } else {
            // The sequence is what the account had sent by then.
            let ours =
                BaseAccount { sequence: theirs.sequence, ..BaseAccount::decode(ours.value.as_slice()).expect("one") };
            assert_eq!(ours, theirs, "{name}");
        }
    } else if name.starts_with("get-txs-event") {
        let events = case["events"].as_array().into_iter().flatten();
        let request = GetTxsEventRequest {
            events: events.map(|event| event.as_str().expect("text").to_owned()).collect(),
            query: text(case, "query").to_owned(),
            ..GetTxsEventRequest::default()
        };
        let answered = call::<GetTxsEventResponse>(world, "/cosmos.tx.v1beta1.Service/GetTxsEvent", request).await;
        if case["go"]["ok"] == true {
            // Nothing was sent to this chain.
            assert_eq!(answered.expect(name).total, 0, "{name}");
        } else {
            check_refusal(name, case, answered);
        }
    } else {
        match name {
            "get-node-info" => {
                let path = "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo";
                let (ours, _) = unary(world.grpc(), path, &[], Vec::new()).await.expect(name);
                let kind = <GetNodeInfoResponse as prost::Name>::full_name();
                let shape = |bytes: &[u8]| {
                    let mut json = Json::parse(&json::to_json_string(&kind, bytes).expect("an answer of its type"));
                    for key in ["build_deps", "name", "app_name", "version", "go_version"] {
                        json.without(key);
                    }
                    skeleton(&json)
                };
                let theirs = hex::decode(text(case, "bytes")).expect("hexadecimal");
                let (theirs, ours) = (shape(&theirs), shape(&ours));
                assert!(theirs == ours, "{}", difference(name, &theirs, &ours));
            }
            "get-session-future" => {
                // Of the application and service that the recorded session is of.
                let recorded = cases.iter().find(|case| text(case, "kind") == "session").expect("a session");
                let session = hex::decode(text(recorded, "session")).expect("hexadecimal");
                let session = Session::decode(session.as_slice()).expect("a session");
                let request = QueryGetSessionRequest {
                    application_address: text(recorded, "application").to_owned(),
                    service_id: session.header.expect("a header").service_id,
                    block_height: asked(case, "block height ").parse().expect("a height"),
                };
                let answered =
                    unary(world.grpc(), "/pocket.session.Query/GetSession", &[], request.encode_to_vec()).await;
                check_refusal(name, case, answered);
            }
            "account-unknown" => {
                let request = address(asked(case, "desc = account "));
                check_refusal(name, case, call::<QueryAccountResponse>(world, ACCOUNT, request).await);
            }
            other => panic!("unknown case {other}"),
        }
    }
}

async fn rpc_json(world: &World, case: &Value) {
    let name = text(case, "name");
    let answer = world.uri(text(case, "path")).await;
    let mut theirs = Json::parse(&case["answer"].to_string());
    let mut ours = Json::parse(&answer.body);
    for json in [&mut theirs, &mut ours] {
        json.sort();
        json.without("channels");
    }
    let (theirs, ours) = (skeleton(&theirs), skeleton(&ours));
    assert!(theirs == ours, "{}", difference(name, &theirs, &ours));
}
