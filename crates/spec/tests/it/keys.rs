//! Keys, addresses and the genesis transaction.

use pocket_spec::emit::genesis;
use pocket_spec::lock::Lock;
use pocket_spec::page::{Overlay, Page};

use crate::world::{local, plan, root};

#[test]
fn the_committed_lock_is_what_the_page_derives() {
    let page = Page::read(&root(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    let derived = Lock::derive(&page.spec).expect("keys can be derived");
    assert_eq!(Lock::read(&page).unwrap_or_else(|error| panic!("{error:#}")), derived);
}

/// The chain's own tool signed the reference's genesis transaction; the same keys and words give the same bytes here.
#[test]
fn the_genesis_transaction_is_signed_as_the_chains_own_tool_signs_it() {
    let page = Page::read(&root(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    let lock = Lock::read(&page).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(
        lock.validator.gentx_signature,
        "TctI6t9VAwnoKDpJORoxhmr7Rhy7Sf/NkrLd2sIoUP1VqJAQcm2RF6bZcIqwbVsM2V0rTu/QbMv8HuiPvDbw4A=="
    );
    assert_eq!(lock.validator.consensus_address, "1CC11D16F106427D16DE0700241F00C95D7C8746");
    assert_eq!(lock.validator.node_id, "e129407f16366e1d3dbd5a69cd4388aa9b7d69a1");
}

#[test]
fn a_lock_of_another_mnemonic_is_refused_with_the_place_and_the_remedy() {
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let page = Page::read(&root(), &local(&format!("{{ accounts.app1.mnemonic = \"{words}\" }}"))).expect("a page");
    let error = format!("{:#}", Lock::read(&page).expect_err("the committed lock is of the committed page"));
    assert!(error.contains("account `app1` from another mnemonic"), "{error}");
    assert!(error.contains("local.ncl:1") && error.contains("run `pocket spec lock`"), "{error}");
}

#[test]
fn an_account_without_words_is_given_the_same_ones_every_time() {
    let overlay = local("{ accounts.extra = {} }");
    let (one, other) = (plan(&overlay), plan(&overlay));
    let words = |plan: &pocket_spec::plan::Plan| plan.account("extra").map(|account| account.mnemonic.clone());
    assert_eq!(words(&one), words(&other));
    assert_eq!(words(&one).expect("it is there").split(' ').count(), 24);
    assert_eq!(one.account("extra").map(|account| account.number), Some(25));
}

#[test]
fn the_supply_is_the_sum_of_all_balances_and_modules_hold_what_was_staked() {
    let plan = plan(&Overlay::None);
    let genesis = genesis::genesis(&plan);
    let amounts = |list: &serde_json::Value| -> u128 {
        let list = list.as_array().expect("a list");
        list.iter()
            .map(|coin| coin["amount"].as_str().and_then(|text| text.parse::<u128>().ok()).expect("an amount"))
            .sum()
    };
    let bank = &genesis["app_state"]["bank"];
    let balances: u128 = bank["balances"].as_array().expect("a list").iter().map(|one| amounts(&one["coins"])).sum();
    assert_eq!(amounts(&bank["supply"]), balances);
    let staked: u128 = plan.applications.iter().map(|application| u128::from(application.stake)).sum();
    let module = pocket_crypto::address::Address::module("application");
    let held = bank["balances"].as_array().expect("a list").iter().find(|one| one["address"] == module.as_str());
    assert_eq!(held.map(|one| amounts(&one["coins"])), Some(staked));
}

/// What a real node answered about its genesis, against ours.
#[test]
fn the_genesis_has_the_parameters_and_stakes_that_a_real_node_had() {
    let recorded: serde_json::Value = serde_json::from_str(include_str!("real_node_genesis.json")).expect("JSON");
    let genesis = genesis::genesis(&plan(&Overlay::None));
    let state = &genesis["app_state"];
    for (module, params) in recorded["params"].as_object().expect("modules") {
        assert_eq!(numbers(&state[module.as_str()]["params"]), numbers(params), "parameters of {module}");
    }
    assert_eq!(state["application"]["applicationList"], recorded["applications"]);
    assert_eq!(state["gateway"]["gatewayList"], recorded["gateways"]);
    assert_eq!(state["service"]["serviceList"], recorded["services"]);
    let suppliers = state["supplier"]["supplierList"].as_array().expect("a list");
    assert_eq!(&serde_json::json!(suppliers[..2]), &recorded["suppliers_first_2_of_15"]);
    assert_eq!(genesis["chain_id"], recorded["chain_id"]);
    assert_eq!(genesis["genesis_time"], recorded["genesis_time"]);
}

/// 1 and 1.0 are one number.
fn numbers(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(object) => object.iter().map(|(key, inner)| (key.clone(), numbers(inner))).collect(),
        serde_json::Value::Number(number) => number.as_f64().map_or(serde_json::Value::Null, serde_json::Value::from),
        other => other.clone(),
    }
}
