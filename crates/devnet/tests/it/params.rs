//! Parameters changed by authority.

use pocket_crypto::address::Address;
use pocket_proto::pocket::{service, session, shared};
use pocket_protocol::session::ChainFacts as _;
use prost_types::Any;

use crate::support::{Net, find};

fn shared_param(name: &str, value: u64) -> Any {
    pocket_proto::any(&shared::MsgUpdateParam {
        authority: Address::module("gov").to_string(),
        name: name.to_owned(),
        as_type: Some(shared::msg_update_param::AsType::AsUint64(value)),
    })
}

fn govern(net: &Net, message: Any) -> (u32, String) {
    let hash = net.chain.govern(vec![message]).unwrap();
    net.chain.produce_block().unwrap();
    let result = net.chain.tx(&hash).unwrap().result().clone();
    (result.code, result.log)
}

#[test]
fn a_new_session_length_waits_for_the_next_session() {
    let net = Net::new();
    net.make_until(12);
    assert_eq!(govern(&net, shared_param("num_blocks_per_session", 15)), (0, String::new()));
    let session_at = |height| net.chain.state().shared_at(height).session_at(height);
    assert_eq!(net.chain.state().shared.live.num_blocks_per_session, 10);
    assert_eq!(session_at(20).end, 20);
    assert_eq!((session_at(21).start, session_at(21).end), (21, 35));
    net.make_until(21);
    assert_eq!(net.chain.state().shared.live.num_blocks_per_session, 15);
    assert_eq!(net.session(0).header.unwrap().session_end_block_height, 35);
    assert_eq!(net.session(15).header.unwrap().session_end_block_height, 20, "the past keeps its own");
}

#[test]
fn an_invalid_value_changes_nothing() {
    let net = Net::new();
    net.make_until(3);
    let (code, log) = govern(&net, shared_param("grace_period_end_offset_blocks", 10));
    assert_eq!(code, 1);
    assert!(log.contains("GracePeriodEndOffsetBlocks (10) must be less than NumBlocksPerSession (10)"), "{log}");
    assert!(net.chain.state().shared.history.is_empty());
    let (code, log) = govern(&net, shared_param("no_such_thing", 10));
    assert_eq!(code, 1, "{log}");
}

#[test]
fn fewer_suppliers_serve_from_the_next_session() {
    let net = Net::new();
    net.make_until(3);
    let message = session::MsgUpdateParam {
        authority: Address::module("gov").to_string(),
        name: "num_suppliers_per_session".to_owned(),
        as_type: Some(session::msg_update_param::AsType::AsUint64(4)),
    };
    assert_eq!(govern(&net, pocket_proto::any(&message)).0, 0);
    net.make_until(15);
    assert_eq!(net.chain.state().suppliers_per_session_at(5), 15);
    assert_eq!((net.session(5).suppliers.len(), net.session(12).suppliers.len()), (15, 4));
}

#[test]
fn nobody_else_changes_parameters() {
    let mut net = Net::new();
    net.make_until(2);
    let message = service::MsgUpdateParam {
        authority: net.address("pnf").to_string(),
        name: "target_num_relays".to_owned(),
        as_type: Some(service::msg_update_param::AsType::AsUint64(4)),
    };
    let result = net.deliver("pnf", pocket_proto::any(&message));
    assert_eq!(result.code, 1);
    assert!(result.log.contains("invalid authority"), "{}", result.log);
    assert_eq!(net.chain.state().params.service.target_num_relays, 100_000);
    // The governance account's own messages need no signature, so nobody else may send them.
    let bytes = pocket_devnet::exec::governance(vec![shared_param("num_blocks_per_session", 15)], String::new());
    let refused = net.chain.submit(&bytes).unwrap();
    assert_eq!((refused.code, refused.codespace.as_str()), (15, "sdk"), "{}", refused.log);
    let _kept = find(&result.events, "tx");
}
