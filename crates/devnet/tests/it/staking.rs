//! Staking, unstaking, delegating.

use pocket_config::facts::{Account, Amount, RevShare, Supplier};
use pocket_crypto::{address::Address, keys::SecretKey};
use pocket_proto::pocket::{
    application::{MsgDelegateToGateway, MsgStakeApplication, MsgUndelegateFromGateway, MsgUnstakeApplication},
    gateway::{MsgStakeGateway, MsgUnstakeGateway},
    service::MsgAddService,
    session::QueryGetSessionRequest,
    shared::{ApplicationServiceConfig, Service, SupplierServiceConfig},
    supplier::{MsgStakeSupplier, MsgUnstakeSupplier},
};

use crate::support::{Net, SERVICE, amount, facts, find, options, own_events};

#[test]
fn a_supplier_that_unstakes_serves_out_its_session_and_gets_its_stake_back() {
    let mut net = Net::new();
    net.make_until(3);
    let operator = net.address("supplier1").to_string();
    let unstake = MsgUnstakeSupplier { signer: operator.clone(), operator_address: operator.clone() };
    let result = net.deliver("supplier1", pocket_proto::any(&unstake));
    assert_eq!(result.code, 0, "{}", result.log);
    find(&result.events, "pocket.supplier.EventSupplierUnbondingBegin");
    let again = net.deliver("supplier1", pocket_proto::any(&unstake));
    assert_eq!(again.code, 1, "it is unbonding already");
    net.make_until(11);
    assert!(net.session(10).suppliers.iter().any(|supplier| supplier.operator_address == operator));
    assert!(!net.session(11).suppliers.iter().any(|supplier| supplier.operator_address == operator));
    let before = net.balance("supplier1");
    // Twenty sessions of ten blocks after the one it ended with.
    net.make_until(209);
    assert!(net.chain.state().suppliers.contains_key(&net.address("supplier1")));
    net.make_until(210);
    assert!(!net.chain.state().suppliers.contains_key(&net.address("supplier1")));
    assert_eq!(net.balance("supplier1"), before + 2_000_000);
    let block = net.chain.block(Some(210)).unwrap();
    assert!(own_events(&block).contains(&"pocket.supplier.EventSupplierUnbondingEnd"));
}

#[test]
fn a_supplier_restakes_for_the_next_session() {
    let mut net = Net::new();
    net.make_until(3);
    let operator = net.address("supplier1").to_string();
    let mut services = net.chain.state().supplier_hydrated(&operator).unwrap().services;
    services.truncate(1);
    services[0].endpoints[0].url = "http://elsewhere:1".to_owned();
    let stake = |coins, services: &[SupplierServiceConfig]| {
        pocket_proto::any(&MsgStakeSupplier {
            signer: operator.clone(),
            owner_address: operator.clone(),
            operator_address: operator.clone(),
            stake: Some(amount(coins)),
            services: services.to_vec(),
        })
    };
    let before = net.balance("supplier1");
    let message = stake(3_000_000, &services);
    assert_eq!(net.deliver("supplier1", message).code, 0);
    assert_eq!(net.balance("supplier1"), before - 1_000_000 - 1_000_000, "the raise and the fee");
    net.make_until(11);
    let url = |height| {
        let session = net.session(height);
        let supplier = session.suppliers.iter().find(|supplier| supplier.operator_address == operator).unwrap().clone();
        supplier.services[0].endpoints[0].url.clone()
    };
    assert_eq!((url(10).as_str(), url(11).as_str()), ("http://127.0.0.1:8080", "http://elsewhere:1"));
    let message = stake(10, &services);
    let refused = net.deliver("supplier1", message);
    assert!(refused.log.contains("must stake at least 1000000upokt"), "{}", refused.log);
}

#[test]
fn an_application_unstakes_and_gets_the_rest_of_its_stake() {
    let mut net = Net::new();
    net.make_until(3);
    let address = net.address("app2").to_string();
    let result = net.deliver("app2", pocket_proto::any(&MsgUnstakeApplication { address }));
    assert_eq!(result.code, 0, "{}", result.log);
    let before = net.balance("app2");
    net.make_until(29);
    assert!(net.chain.state().applications.contains_key(&net.address("app2")));
    net.make_until(30);
    assert!(!net.chain.state().applications.contains_key(&net.address("app2")));
    assert_eq!(net.balance("app2"), before + 10_000_000_000);
}

#[test]
fn an_application_changes_its_service_from_the_next_session() {
    let mut net = Net::new();
    net.make_until(3);
    let address = net.address("app1").to_string();
    let stake = |coins| {
        pocket_proto::any(&MsgStakeApplication {
            address: address.clone(),
            stake: Some(amount(coins)),
            services: vec![ApplicationServiceConfig { service_id: "develop-grpc".to_owned() }],
            per_session_spend_limit: None,
        })
    };
    let message = stake(10_000_000_000);
    let refused = net.deliver("app1", message);
    assert!(refused.log.contains("must be higher than previous stake amount"), "{}", refused.log);
    let message = stake(10_000_000_001);
    assert_eq!(net.deliver("app1", message).code, 0);
    net.make_until(11);
    let staked = |service: &str, height| {
        let chain = net.chain.state();
        let application = chain.applications.get(&net.address("app1")).unwrap();
        pocket_protocol::session::application_is_staked_for(application, service, height)
    };
    assert!(staked(SERVICE, 10) && !staked("develop-grpc", 10));
    assert!(!staked(SERVICE, 11) && staked("develop-grpc", 11));
}

#[test]
fn delegations_end_with_the_session_and_are_then_forgotten() {
    let mut net = Net::new();
    net.make_until(3);
    let (app_address, gateway_address) = (net.address("app1").to_string(), net.address("gateway1").to_string());
    let undelegate = pocket_proto::any(&MsgUndelegateFromGateway {
        app_address: app_address.clone(),
        gateway_address: gateway_address.clone(),
    });
    assert_eq!(net.deliver("app1", undelegate.clone()).code, 0);
    let application = |net: &Net| net.chain.state().applications.get(&net.address("app1")).unwrap().as_ref().clone();
    assert!(application(&net).delegatee_gateway_addresses.is_empty());
    let gateways = [gateway_address.clone()];
    assert_eq!(application(&net).pending_undelegations[&10].gateway_addresses, gateways);
    assert_eq!(pocket_protocol::ring::delegatees(&application(&net), 10), gateways);
    assert!(pocket_protocol::ring::delegatees(&application(&net), 20).is_empty());
    assert_eq!(net.deliver("app1", undelegate).code, 1, "there is nothing left to end");
    net.make_until(40);
    assert!(application(&net).pending_undelegations.is_empty());
    let delegate = pocket_proto::any(&MsgDelegateToGateway { app_address, gateway_address: gateway_address.clone() });
    let result = net.deliver("app1", delegate.clone());
    assert_eq!(result.code, 0, "{}", result.log);
    find(&result.events, "pocket.application.EventRedelegation");
    assert_eq!(application(&net).delegatee_gateway_addresses, [gateway_address]);
    assert_eq!(net.deliver("app1", delegate).code, 1);
}

#[test]
fn a_gateway_that_unstakes_loses_its_delegations() {
    let mut net = Net::new();
    net.make_until(3);
    let address = net.address("gateway1").to_string();
    assert_eq!(net.deliver("gateway1", pocket_proto::any(&MsgUnstakeGateway { address: address.clone() })).code, 0);
    net.make_until(10);
    let state = net.chain.state();
    assert!(state.applications.values().all(|application| application.delegatee_gateway_addresses.is_empty()));
    let before = net.balance("gateway1");
    net.make_until(20);
    assert_eq!(net.balance("gateway1"), before + 2_000_000);
    assert!(net.chain.state().gateways.is_empty());
    let again = MsgStakeGateway { address, stake: Some(amount(1_500_000)) };
    assert_eq!(net.deliver("gateway1", pocket_proto::any(&again)).code, 0);
    assert_eq!(net.chain.state().balance(Address::module("gateway").as_str()), 1_500_000);
}

#[test]
fn a_service_is_added_for_a_fee_and_changes_its_price_at_a_session_start() {
    let mut net = Net::new();
    net.make_until(13);
    let add = |owner: String, compute_units_per_relay| {
        pocket_proto::any(&MsgAddService {
            owner_address: owner,
            service: Some(Service {
                id: "new".to_owned(),
                name: "new".to_owned(),
                compute_units_per_relay,
                ..Service::default()
            }),
        })
    };
    let owner = net.address("app1").to_string();
    let before = net.balance("app1");
    assert_eq!(net.deliver("app1", add(owner.clone(), 7)).code, 0);
    assert_eq!(net.balance("app1"), before - 1_000_000_000);
    assert_eq!(net.deliver("app1", add(owner, 9)).code, 0);
    let state = net.chain.state();
    assert_eq!((state.compute_units_at("new", 15), state.compute_units_at("new", 21)), (Some(7), Some(9)));
    let stranger = net.address("app2").to_string();
    assert_eq!(net.deliver("app2", add(stranger.clone(), 11)).code, 1);
    let tx = net.sign("app2", &[add(stranger, 0)], 0);
    assert_eq!(net.chain.submit(&tx).unwrap().codespace, "shared");
}

#[test]
fn a_remembered_choice_of_suppliers_is_the_choice() {
    let mut net = Net::new();
    let check = |net: &Net| {
        let state = net.chain.state();
        for application in ["app1", "app2"] {
            for block_height in [0, 1, 5, 10, 11, net.chain.height(), net.chain.height() + 1, -1] {
                for service_id in [SERVICE, "develop-websocket", "nope"] {
                    let request = QueryGetSessionRequest {
                        application_address: net.address(application).to_string(),
                        service_id: service_id.to_owned(),
                        block_height,
                    };
                    let plain = pocket_protocol::session::get_session(&state, &request);
                    assert_eq!(state.get_session(&request), plain);
                    assert_eq!(state.get_session(&request), plain, "asked again");
                }
            }
        }
    };
    net.make_until(12);
    check(&net);
    let operator = net.address("supplier4").to_string();
    let unstake = MsgUnstakeSupplier { signer: operator.clone(), operator_address: operator };
    assert_eq!(net.deliver("supplier4", pocket_proto::any(&unstake)).code, 0);
    check(&net);
    net.make_until(21);
    check(&net);
    assert_eq!(net.session(21).suppliers.len(), 14);
}

#[test]
fn thousands_of_suppliers_are_chosen_from() {
    const SUPPLIERS: usize = 3_000;
    let mut facts = facts();
    let model = facts.suppliers[0].clone();
    for number in 0..SUPPLIERS {
        let key = SecretKey::from_secret(format!("supplier {number}").as_bytes());
        let name = format!("many{number}");
        facts.accounts.push(Account {
            name: name.clone(),
            address: key.address().to_string(),
            public_key: key.public_key().to_string(),
            balance_upokt: Amount(10_000_000),
        });
        let rev_share = vec![RevShare { account: name.clone(), percentage: 100 }];
        facts.suppliers.push(Supplier { account: name.clone(), owner: name, rev_share, ..model.clone() });
    }
    let net = Net::with(&facts, options());
    net.make_until(25);
    let state = net.chain.state();
    assert_eq!(state.suppliers.size(), SUPPLIERS + 15);
    let mut seen = std::collections::BTreeSet::new();
    for height in [5, 15, 25] {
        let session = net.session(height);
        assert_eq!(session.suppliers.len(), 15);
        seen.extend(session.suppliers.into_iter().map(|supplier| supplier.operator_address));
    }
    assert!(seen.len() > 40, "each session chooses others: {}", seen.len());
    let hydrated = state.suppliers.keys().map(|operator| state.supplier_hydrated(operator.as_str()).unwrap());
    assert!(hydrated.into_iter().all(|supplier| supplier.service_config_history.len() == 5));
}
