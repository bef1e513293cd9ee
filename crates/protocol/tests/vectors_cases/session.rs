//! `session.json`.

use std::collections::BTreeMap;

use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::session::{QueryGetSessionRequest, QueryGetSessionResponse};
use pocket_proto::pocket::shared::{
    ServiceConfigUpdate, ServiceRevenueShare, Supplier, SupplierEndpoint, SupplierServiceConfig,
};
use pocket_protocol::height::Height;
use pocket_protocol::params::{self, SessionState, Shared, SharedState};
use pocket_protocol::session::{self, ChainFacts};
use pocket_protocol::windows::Windows;
use prost::Message as _;
use serde_json::Value;

use super::support::{Kind, bytes, check_go, int, is_ok, list, list_or_null, run, text_of, uint};

#[test]
fn vectors_session() {
    run(
        "session.json",
        &[
            ("grid", Kind::Here(grid)),
            ("params_validate", Kind::Here(params_validate)),
            ("session_id", Kind::Here(session_id)),
            ("get_session", Kind::Here(get_session)),
            ("params_history", Kind::Here(params_history)),
            ("session_params_history", Kind::Here(session_params_history)),
        ],
    );
}

fn shared(params: &Value) -> Shared {
    Shared {
        num_blocks_per_session: uint(params, "num_blocks_per_session"),
        grace_period_end_offset_blocks: uint(params, "grace_period_end_offset_blocks"),
        claim_window_open_offset_blocks: uint(params, "claim_window_open_offset_blocks"),
        claim_window_close_offset_blocks: uint(params, "claim_window_close_offset_blocks"),
        proof_window_open_offset_blocks: uint(params, "proof_window_open_offset_blocks"),
        proof_window_close_offset_blocks: uint(params, "proof_window_close_offset_blocks"),
        supplier_unbonding_period_sessions: uint(params, "supplier_unbonding_period_sessions"),
        application_unbonding_period_sessions: uint(params, "application_unbonding_period_sessions"),
        compute_units_to_tokens_multiplier: uint(params, "compute_units_to_tokens_multiplier"),
        gateway_unbonding_period_sessions: uint(params, "gateway_unbonding_period_sessions"),
        compute_unit_cost_granularity: uint(params, "compute_unit_cost_granularity"),
        session_grid_anchor_height: uint(params, "session_grid_anchor_height"),
        session_number_at_anchor: uint(params, "session_number_at_anchor"),
    }
}

fn grid(case: &Value) {
    let params = shared(&case["params"]);
    assert_eq!(params.pending_sessions(), int(case, "pending_sessions"));
    assert_eq!(params.offsets().sum(), int(case, "session_end_to_proof_close"));
    assert!(!list(case, "rows").is_empty());
    for row in list(case, "rows") {
        let height = int(row, "height");
        let session = params.session_at(height);
        let windows = Windows::of(session, params.offsets());
        let ours = [
            ("number", session.number),
            ("start", session.start),
            ("end", session.end),
            ("next_start", session.next_start()),
            ("grace_end", windows.grace_end),
            ("claim_open", windows.claim_open),
            ("claim_close", windows.claim_close),
            ("proof_open", windows.proof_open),
            ("proof_close", windows.proof_close),
            ("seed_block", windows.seed_height()),
            ("settlement_session_end_plus", windows.settlement_height()),
            ("earliest_claim_commit", windows.earliest_claim_commit(b"any hash", "any supplier")),
            ("earliest_proof_commit", windows.earliest_proof_commit(b"any hash", "any supplier")),
        ];
        for (field, ours) in ours {
            assert_eq!(ours, int(row, field), "{field} at {height}");
        }
        assert_eq!(session.starts_at(height), row["is_start"].as_bool().expect("a bool"), "is_start at {height}");
        assert_eq!(session.ends_at(height), row["is_end"].as_bool().expect("a bool"), "is_end at {height}");
        assert_eq!(params.windows_at(height), windows);
    }
}

fn params_validate(case: &Value) {
    check_go(text_of(case, "name"), &case["go"], shared(&case["params"]).validate());
}

fn session_id(case: &Value) {
    let start = shared(&case["params"]).session_at(int(case, "height")).start;
    assert_eq!(start, int(case, "start"));
    let (hash, service, application) =
        (bytes(case, "block_hash"), text_of(case, "service_id"), text_of(case, "application_address"));
    assert_eq!(session::preimage(&hash, service, application, start), bytes(case, "preimage"));
    assert_eq!(session::id(&hash, service, application, start), text_of(case, "session_id"));
}

/// The chain that a case describes.
struct Recorded {
    height: Height,
    shared: Shared,
    suppliers_per_session: u64,
    block_hashes: BTreeMap<Height, Vec<u8>>,
    application: Option<Application>,
    configs: Vec<ServiceConfigUpdate>,
}

impl ChainFacts for Recorded {
    fn height(&self) -> Height {
        self.height
    }

    fn shared_params_at(&self, _height: Height) -> Shared {
        self.shared
    }

    fn suppliers_per_session_at(&self, _height: Height) -> u64 {
        self.suppliers_per_session
    }

    fn block_hash(&self, height: Height) -> Vec<u8> {
        self.block_hashes.get(&height).cloned().unwrap_or_default()
    }

    fn application(&self, address: &str) -> Option<Application> {
        self.application.clone().filter(|application| application.address == address)
    }

    fn service_configs(&self, service_id: &str) -> Vec<ServiceConfigUpdate> {
        let serves = |config: &&ServiceConfigUpdate| {
            config.service.as_ref().is_some_and(|service| service.service_id == service_id)
        };
        self.configs.iter().filter(serves).cloned().collect()
    }

    /// All recorded suppliers own themselves and stake the same.
    fn supplier(&self, operator: &str) -> Option<Supplier> {
        Some(Supplier {
            owner_address: operator.to_owned(),
            operator_address: operator.to_owned(),
            stake: Some(Coin { denom: "upokt".to_owned(), amount: "1000000".to_owned() }),
            ..Supplier::default()
        })
    }
}

impl Recorded {
    fn of(case: &Value) -> Self {
        let hashes = case["block_hashes"].as_object().expect("block hashes");
        let application = case["application"].as_str().map(|hex| {
            let bytes = hex::decode(hex).expect("hexadecimal");
            Application::decode(&bytes[..]).expect("an application")
        });
        Self {
            height: int(case, "current_height"),
            shared: shared(&case["shared_params"]),
            suppliers_per_session: uint(case, "num_suppliers_per_session"),
            block_hashes: hashes
                .iter()
                .map(|(height, hash)| {
                    let hash = hex::decode(hash.as_str().expect("a hash")).expect("hexadecimal");
                    (height.parse().expect("a height"), hash)
                })
                .collect(),
            application,
            configs: list_or_null(case, "suppliers").iter().flat_map(configs).collect(),
        }
    }
}

fn configs(supplier: &Value) -> Vec<ServiceConfigUpdate> {
    let operator = text_of(supplier, "operator_address");
    let config = |entry: &Value| ServiceConfigUpdate {
        operator_address: operator.to_owned(),
        service: Some(SupplierServiceConfig {
            service_id: text_of(supplier, "service_id").to_owned(),
            endpoints: vec![SupplierEndpoint {
                url: text_of(entry, "url").to_owned(),
                rpc_type: 3,
                configs: Vec::new(),
            }],
            rev_share: vec![ServiceRevenueShare { address: operator.to_owned(), rev_share_percentage: 100 }],
        }),
        activation_height: int(entry, "activation_height"),
        deactivation_height: int(entry, "deactivation_height"),
    };
    list(supplier, "history").iter().map(config).collect()
}

fn get_session(case: &Value) {
    let (name, go) = (text_of(case, "name"), &case["go"]);
    let recorded = Recorded::of(case);
    let request = QueryGetSessionRequest {
        application_address: text_of(&case["request"], "application_address").to_owned(),
        service_id: text_of(&case["request"], "service_id").to_owned(),
        block_height: int(&case["request"], "block_height"),
    };
    let ours = session::get_session(&recorded, &request);
    check_go(name, go, ours.clone());
    if !is_ok(go) {
        return;
    }
    let ours = ours.expect("checked above");
    let header = ours.header.clone().expect("a session has a header");
    assert_eq!(ours.session_id, text_of(go, "session_id"));
    assert_eq!(ours.session_number, int(go, "session_number"));
    assert_eq!(header.session_start_block_height, int(go, "start"));
    assert_eq!(header.session_end_block_height, int(go, "end"));
    let preimage = session::preimage(
        &recorded.block_hash(header.session_start_block_height),
        &request.service_id,
        &request.application_address,
        header.session_start_block_height,
    );
    let chains = list(go, "suppliers");
    assert_eq!(ours.suppliers.len(), chains.len(), "{name}");
    for (supplier, chains) in ours.suppliers.iter().zip(chains) {
        assert_eq!(supplier.operator_address, text_of(chains, "operator_address"), "{name}");
        assert_eq!(supplier.services[0].endpoints[0].url, text_of(chains, "url"), "{name}");
        assert_eq!(session::weight(&preimage, &supplier.operator_address), int(chains, "weight"), "{name}");
    }
    let response = QueryGetSessionResponse { session: Some(ours) };
    assert_eq!(hex::encode(response.encode_to_vec()), text_of(go, "response"), "{name}");
}

fn params_history(case: &Value) {
    let name = text_of(case, "name");
    let mut state = SharedState::new(shared(&case["initial_live_params"]));
    let mut changes = Vec::new();
    for height in 1..=int(case, "blocks_run") {
        let before = state.live;
        for step in list(case, "steps").iter().filter(|step| int(step, "height") == height) {
            let ours = match step["update_param"].as_str() {
                Some(param) => state.update_one(height, param, uint(step, "value")),
                None => state.update(height, shared(&step["update_params"])),
            };
            check_go(name, &step["go"], ours);
        }
        state.end_block(height);
        if state.live != before {
            changes.push((height, state.live));
        }
    }
    let chains: Vec<_> = list_or_null(case, "live_changes")
        .iter()
        .map(|change| (int(change, "after_block"), shared(&change["live_params"])))
        .collect();
    assert_eq!(changes, chains, "{name}: live parameters");
    let chains: Vec<_> = list_or_null(case, "history")
        .iter()
        .map(|entry| (int(entry, "effective_height"), shared(&entry["params"])))
        .collect();
    let ours: Vec<_> = state.history.iter().map(|(height, params)| (height, *params)).collect();
    assert_eq!(ours, chains, "{name}: history");
    for lookup in list(case, "params_at_height") {
        let height = int(lookup, "height");
        let params = state.at(height);
        assert_eq!(*params, shared(&lookup["params"]), "{name}: at {height}");
        let session = params.session_at(height);
        assert_eq!(
            [session.number, session.start, session.end],
            ["number", "start", "end"].map(|field| int(lookup, field)),
            "{name}: session at {height}"
        );
    }
}

/// The case starts from the default grid, and from what its history says of the height of the first update.
fn session_params_history(case: &Value) {
    let params =
        |value: &Value| params::Session { num_suppliers_per_session: uint(value, "num_suppliers_per_session") };
    let mut state = SessionState::new(params(&list(case, "history")[0]));
    for update in list(case, "updates") {
        state.update(int(update, "height"), params(update), &Shared::DEFAULT).expect("the chain took it");
    }
    let chains: Vec<_> =
        list(case, "history").iter().map(|entry| (int(entry, "effective_height"), params(entry))).collect();
    let ours: Vec<_> = state.history.iter().map(|(height, params)| (height, *params)).collect();
    assert_eq!(ours, chains);
    for lookup in list(case, "params_at_height") {
        assert_eq!(*state.at(int(lookup, "height")), params(lookup), "at {}", lookup["height"]);
    }
}
