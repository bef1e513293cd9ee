//! Transactions: what lets them in, what they cost, what a failure leaves behind.

use pocket_devnet::mempool::SubmitError;
use pocket_protocol::tx::Order;
use prost_types::Timestamp;

use crate::support::{GAS, Net, attribute, facts, find, options};

fn ordered(sequence: u64) -> Order {
    Order::Ordered { sequence, timeout_height: 0 }
}

#[test]
fn sequences_count_within_the_mempool_and_in_blocks() {
    let net = Net::new();
    net.make_until(1);
    let send = |sequence, coins| net.sign_with("app1", &[net.send("app1", "app2", coins)], ordered(sequence), GAS, 0);
    assert_eq!(net.chain.submit(&send(0, 1)).unwrap().code, 0);
    assert_eq!(net.chain.submit(&send(1, 2)).unwrap().code, 0, "the check counts what waits");
    let refused = net.chain.submit(&send(1, 3)).unwrap();
    assert_eq!((refused.code, refused.codespace.as_str()), (32, "sdk"));
    assert_eq!(refused.log, "account sequence mismatch, expected 2, got 1: incorrect account sequence");
    net.chain.produce_block().unwrap();
    let app1 = net.address("app1");
    assert_eq!(net.chain.state().accounts.get(&app1).unwrap().sequence, 2);
    assert_eq!(net.chain.submit(&send(2, 4)).unwrap().code, 0);
}

#[test]
fn a_timeout_can_be_used_once_per_signer_and_is_forgotten_when_it_is_over() {
    let net = Net::new();
    net.make_until(1);
    let now = net.chain.state().time;
    let timeout = Timestamp { seconds: now.seconds + 5, nanos: 7 };
    let send =
        |from, coins| net.sign_with(from, &[net.send(from, "app2", coins)], Order::Unordered { timeout }, GAS, 0);
    assert_eq!(net.chain.submit(&send("app1", 1)).unwrap().code, 0);
    assert_eq!(net.chain.submit(&send("app3", 1)).unwrap().code, 0, "another signer");
    let refused = net.chain.submit(&send("app1", 2)).unwrap();
    assert_eq!(refused.code, 18);
    assert!(refused.log.contains("has already used timeout"), "{}", refused.log);
    net.chain.produce_block().unwrap();
    assert_eq!(net.chain.submit(&send("app1", 2)).unwrap().code, 18);
    assert_eq!(net.chain.state().nonces.size(), 2);
    net.make_until(8);
    assert_eq!(net.chain.submit(&send("app1", 2)).unwrap().code, 42, "its time is over");
    assert_eq!(net.chain.state().nonces.size(), 0);
}

#[test]
fn the_same_bytes_are_not_seen_twice_unless_they_failed() {
    let mut net = Net::new();
    net.make_until(1);
    let tx = {
        let message = net.send("app1", "app2", 1);
        net.sign("app1", &[message], 0)
    };
    assert_eq!(net.chain.submit(&tx).unwrap().code, 0);
    assert_eq!(net.chain.submit(&tx).unwrap_err(), SubmitError::InCache);
    net.chain.produce_block().unwrap();
    assert_eq!(net.chain.submit(&tx).unwrap_err(), SubmitError::InCache);
    let refused = net.sign_with("app1", &[net.send("app1", "app2", 1)], ordered(9), GAS, 0);
    for _ in 0..2 {
        assert_eq!(net.chain.submit(&refused).unwrap().code, 32, "a refused one may come again");
    }
}

#[test]
fn a_failed_message_keeps_the_fee_and_nothing_else() {
    let mut net = Net::new();
    net.make_until(1);
    let before = (net.balance("app1"), net.balance("app2"));
    let messages = [net.send("app1", "app2", 5), net.send("app1", "app2", 10_u128.pow(18))];
    let tx = net.sign("app1", &messages, 3);
    let result = net.deliver_bytes(&tx);
    assert_eq!((result.code, result.codespace.as_str()), (5, "sdk"));
    assert!(result.log.starts_with("failed to execute message; message index: 1: spendable balance"), "{}", result.log);
    assert_eq!((net.balance("app1"), net.balance("app2")), (before.0 - 3, before.1));
    let kinds: Vec<&str> = result.events.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(kinds, ["coin_spent", "coin_received", "transfer", "message", "tx", "tx"]);
    assert!(result.data.is_empty());
}

#[test]
fn a_message_announces_itself_before_what_it_does() {
    let mut net = Net::new();
    net.make_until(1);
    let message = net.send("app1", "app2", 5);
    let result = net.deliver("app1", message);
    let kinds: Vec<&str> = result.events.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(kinds, ["tx", "tx", "message", "coin_spent", "coin_received", "transfer", "message"]);
    let about = &result.events[2];
    assert_eq!(attribute(about, "action"), "/cosmos.bank.v1beta1.MsgSend");
    assert_eq!(attribute(about, "module"), "bank");
    assert!(result.events[2..].iter().all(|event| attribute(event, "msg_index") == "0"));
}

#[test]
fn a_fee_below_the_least_price_is_refused() {
    let mut options = options();
    options.minimum_gas_price = 1_000_000_000_000; // 0.000001upokt
    let mut net = Net::with(&facts(), options);
    net.make_until(1);
    let message = net.send("app1", "app2", 5);
    let tx = net.sign("app1", std::slice::from_ref(&message), 4);
    let refused = net.chain.submit(&tx).unwrap();
    assert_eq!((refused.code, refused.codespace.as_str()), (13, "sdk"));
    assert_eq!(refused.log, "insufficient fees; got: 4upokt required: 5upokt: insufficient fee");
    let tx = net.sign("app1", &[message], 5);
    assert_eq!(net.chain.submit(&tx).unwrap().code, 0);
}

#[test]
fn an_account_publishes_its_key_with_its_first_transaction() {
    let mut facts = facts();
    facts.public_keys_at_genesis = false;
    let mut net = Net::with(&facts, options());
    net.make_until(1);
    let app1 = net.address("app1");
    assert_eq!(net.chain.state().public_key(app1.as_str()), None);
    let message = net.send("app1", "app1", 1);
    assert_eq!(net.deliver("app1", message).code, 0);
    assert_eq!(net.chain.state().public_key(app1.as_str()), Some(net.key("app1").public_key()));
}

#[test]
fn someone_elses_signature_is_refused() {
    let net = Net::new();
    net.make_until(1);
    let state = net.chain.state();
    let number = state.accounts.get(&net.address("app1")).unwrap().number;
    let signer = pocket_protocol::tx::Signer { key: net.key("app2"), chain_id: "pocket", account_number: number };
    let options = pocket_protocol::tx::TxOptions {
        order: ordered(0),
        memo: "",
        gas_limit: GAS,
        fee: pocket_protocol::Upokt::ZERO,
    };
    let tx = signer.build(&[net.send("app1", "app2", 1)], &options);
    let refused = net.chain.submit(&tx.bytes).unwrap();
    assert_eq!((refused.code, refused.codespace.as_str()), (8, "sdk"), "{}", refused.log);
}

#[test]
fn gas_that_is_simulated_suffices() {
    let mut net = Net::new();
    net.make_until(1);
    let message = net.send("app1", "app2", 5);
    let mut gas_of = |fee| {
        let tx = net.sign("app1", std::slice::from_ref(&message), fee);
        let simulated = net.chain.simulate(&tx);
        assert_eq!(simulated.code, 0, "{}", simulated.log);
        assert_eq!(simulated.gas_wanted, -1);
        u64::try_from(simulated.gas_used).unwrap()
    };
    let gas = gas_of(1) * 17 / 10;
    let timeout = Timestamp { seconds: net.chain.state().time.seconds + 9, nanos: 1 };
    let tx = net.sign_with("app1", std::slice::from_ref(&message), Order::Unordered { timeout }, gas, 1);
    let before = net.balance("app1");
    let result = net.deliver_bytes(&tx);
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(net.balance("app1"), before - 6);
    assert_eq!(attribute(find(&result.events, "tx"), "fee"), "1upokt");
}

#[test]
fn bytes_that_are_no_transaction_are_refused() {
    let net = Net::new();
    net.make_until(1);
    for (bytes, code) in [(vec![1, 2, 3], 2), (Vec::new(), 18), (vec![0xff; 300], 2)] {
        let refused = net.chain.submit(&bytes).unwrap();
        assert_eq!(refused.code, code, "{}", refused.log);
        assert_eq!(net.chain.simulate(&bytes).code, code);
    }
    let error = net.chain.submit(&vec![0; 2 << 20]).unwrap_err();
    assert_eq!(error.to_string(), "Tx too large. Max size is 1048576, but got 2097152");
}
