//! JSON by hand: what no recording shows.

use pocket_proto::{
    any,
    cosmos::{base::v1beta1::Coin, tx::v1beta1::TxBody},
    json::{self, JsonError},
    pocket::{
        application::{Application, UndelegatingGatewayList},
        proof::{MsgCreateClaim, QueryAllClaimsRequest, query_all_claims_request::Filter},
        tokenomics::{self, EventClaimSettled, EventSettlementBatch, RewardDistributionDetail, SettlementOpReason},
    },
    type_url,
};
use prost::Message as _;

#[test]
fn a_typed_event_lists_its_fields_sorted_with_json_values() {
    let event = EventClaimSettled {
        num_relays: 14,
        claimed_upokt: "1400000upokt".into(),
        proof_requirement_int: 1,
        reward_distribution: [("pokt1b".into(), "2upokt".into()), ("pokt1a".into(), "1upokt".into())].into(),
        reward_distribution_detailed: vec![RewardDistributionDetail {
            recipient_address: "pokt1a".into(),
            op_reason: SettlementOpReason::TlmRelayBurnEqualsMintSupplierShareholderRewardDistribution.into(),
            amount: "1upokt".into(),
        }],
        ..Default::default()
    };
    let (name, attributes) = json::event_of(&event).unwrap();
    assert_eq!(name, "pocket.tokenomics.EventClaimSettled");
    assert!(attributes.is_sorted());
    assert_eq!(attributes.len(), 20);
    let value = |key: &str| &attributes.iter().find(|(name, _)| name == key).unwrap().1;
    assert_eq!(value("num_relays"), "\"14\"");
    assert_eq!(value("claimed_upokt"), "\"1400000upokt\"");
    assert_eq!(value("proof_requirement_int"), "1");
    assert_eq!(value("settled_upokt"), "\"\"");
    assert_eq!(value("reward_distribution"), r#"{"pokt1a":"1upokt","pokt1b":"2upokt"}"#);
    assert_eq!(
        value("reward_distribution_detailed"),
        r#"[{"recipient_address":"pokt1a","op_reason":"TLM_RELAY_BURN_EQUALS_MINT_SUPPLIER_SHAREHOLDER_REWARD_DISTRIBUTION","amount":"1upokt"}]"#
    );

    let batch = EventSettlementBatch { op_reason: 99, num_claims: 2, ..Default::default() };
    let (_, attributes) = json::event_of(&batch).unwrap();
    assert!(attributes.contains(&("num_claims".into(), "2".into())));
    assert!(attributes.contains(&("op_reason".into(), "99".into())), "an unknown enum value is its number");
}

#[test]
fn fields_keep_the_order_of_declaration() {
    let params = tokenomics::Params { mint_ratio: 0.975, ..Default::default() };
    assert_eq!(
        json::rest_of(&params).unwrap(),
        r#"{"dao_reward_address":"","mint_allocation_percentages":null,"global_inflation_per_claim":0,"mint_equals_burn_claim_distribution":null,"mint_ratio":0.975,"overservicing_bonus_multiplier":"0"}"#
    );
}

#[test]
fn number_keys_of_a_map_are_sorted_by_value() {
    let list = |name: &str| UndelegatingGatewayList { gateway_addresses: vec![name.into()] };
    let application = Application {
        pending_undelegations: [(100, list("b")), (20, list("a"))].into(),
        stake: Some(Coin { denom: "upokt".into(), amount: "0".into() }),
        ..Default::default()
    };
    assert!(
        json::rest_of(&application).unwrap().contains(
            r#""pending_undelegations":{"20":{"gateway_addresses":["a"]},"100":{"gateway_addresses":["b"]}}"#
        )
    );
}

#[test]
fn of_a_oneof_only_the_member_that_is_set_is_written() {
    let by_session = QueryAllClaimsRequest { pagination: None, filter: Some(Filter::SessionId(String::new())) };
    assert_eq!(json::rest_of(&by_session).unwrap(), r#"{"pagination":null,"session_id":""}"#);
    assert_eq!(json::rest_of(&QueryAllClaimsRequest::default()).unwrap(), r#"{"pagination":null}"#);
}

#[test]
fn an_any_is_opened_if_its_type_is_known() {
    let claim = MsgCreateClaim { root_hash: vec![1], ..Default::default() };
    assert_eq!(any(&claim).type_url, "/pocket.proof.MsgCreateClaim");
    assert_eq!(type_url::<MsgCreateClaim>(), "/pocket.proof.MsgCreateClaim");
    let unknown = prost_types::Any { type_url: "/cosmos.gov.v1.MsgVote".into(), value: vec![8, 1] };
    let body = TxBody { messages: vec![any(&claim), unknown], ..Default::default() };
    let json = json::of(&body).unwrap();
    assert_eq!(json["messages"][0]["@type"], "/pocket.proof.MsgCreateClaim");
    assert_eq!(json["messages"][0]["root_hash"], "AQ==");
    assert_eq!(json["messages"][1]["value"], "CAE=");
    let garbage = prost_types::Any { type_url: "/pocket.proof.MsgCreateClaim".into(), value: vec![8, 1] };
    let body = TxBody { messages: vec![garbage], ..Default::default() };
    let json = json::of(&body).unwrap();
    assert_eq!(json["messages"][0]["@type"], "/pocket.proof.MsgCreateClaim");
    assert_eq!(json["messages"][0]["value"], "CAE=", "bytes of another type stay bytes");
    let duration = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
    let body = TxBody { messages: vec![any(&duration)], ..Default::default() };
    assert_eq!(json::of(&body).unwrap()["messages"][0]["value"], "1.500s");
}

#[test]
fn bytes_that_are_no_such_message_are_refused_in_words() {
    let unknown = json::to_json("pocket.Nothing", &[]).unwrap_err();
    assert_eq!(unknown.to_string(), "no message is named pocket.Nothing; names are full, such as pocket.proof.Claim");
    let truncated = json::to_json("pocket.proof.Claim", &[0x0a, 5, b'x']).unwrap_err();
    assert_eq!(truncated.to_string(), "bytes of pocket.proof.Claim are malformed: they end inside a field");
    let wrong = json::to_json("pocket.proof.Claim", &[0x08, 5]).unwrap_err();
    assert_eq!(wrong.to_string(), "bytes of pocket.proof.Claim are malformed: a field has the wrong wire type");
    let mut nested = Vec::new();
    for _ in 0..200 {
        nested = prost_types::Any { type_url: "/google.protobuf.Any".into(), value: nested }.encode_to_vec();
    }
    assert!(matches!(json::to_json("google.protobuf.Any", &nested), Err(JsonError::TooDeep { .. })));
}
