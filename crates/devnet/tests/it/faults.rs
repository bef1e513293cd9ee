//! What goes wrong on request.

use std::time::Duration;

use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};

use crate::support::Net;

fn fault(kind: FaultKind) -> Fault {
    Fault { kind: kind.into(), ..Fault::default() }
}

#[test]
fn an_evicted_transaction_was_accepted_and_is_in_no_block() {
    let mut net = Net::new();
    net.make_until(1);
    net.chain.fault(Fault { count: 1, ..fault(FaultKind::Evict) }).unwrap();
    let message = net.send("app1", "app2", 1);
    let tx = net.sign("app1", &[message], 0);
    let accepted = net.chain.submit(&tx).unwrap();
    assert_eq!(accepted.code, 0);
    net.make_until(5);
    assert!(net.chain.tx(&accepted.hash).is_none());
    assert_eq!(net.deliver_bytes(&tx).code, 0, "the same bytes may come again, and the fault is spent");
}

#[test]
fn a_delayed_transaction_waits_its_blocks() {
    let mut net = Net::new();
    net.make_until(1);
    net.chain.fault(Fault { delay_blocks: 3, ..fault(FaultKind::Delay) }).unwrap();
    let message = net.send("app1", "app2", 1);
    let tx = net.sign("app1", &[message], 0);
    let accepted = net.chain.submit(&tx).unwrap();
    net.make_until(4);
    assert!(net.chain.tx(&accepted.hash).is_none());
    net.make_until(5);
    assert_eq!(net.chain.tx(&accepted.hash).unwrap().block.height(), 5);
}

#[test]
fn a_refusal_names_its_code_and_strikes_only_whom_it_should() {
    let mut net = Net::new();
    net.make_until(1);
    let refuse = Fault {
        code: 20,
        message: "mempool is full".to_owned(),
        supplier: net.address("supplier1").to_string(),
        ..fault(FaultKind::Reject)
    };
    let id = net.chain.fault(refuse).unwrap();
    let message = net.send("supplier1", "app2", 1);
    let tx = net.sign("supplier1", &[message], 0);
    for _ in 0..2 {
        let refused = net.chain.submit(&tx).unwrap();
        assert_eq!((refused.code, refused.codespace.as_str(), refused.log.as_str()), (20, "sdk", "mempool is full"));
    }
    let message = net.send("supplier2", "app2", 1);
    assert_eq!(net.deliver("supplier2", message).code, 0);
    assert_eq!(net.chain.faults()[0].struck, 2);
    assert_eq!(net.chain.clear_faults(&[id]), 1);
    assert_eq!(net.chain.submit(&tx).unwrap().code, 0);
}

#[test]
fn a_skewed_clock_runs_ahead_and_comes_back_without_going_back() {
    let net = Net::new();
    net.make_until(5);
    let before = net.chain.state().time;
    net.chain.fault(Fault { skew_ms: 60_000, blocks: 2, ..fault(FaultKind::Skew) }).unwrap();
    net.make_until(6);
    assert_eq!(net.chain.state().time.as_nanos() - before.as_nanos(), 61_000_000_000);
    net.make_until(8);
    let skewed = net.chain.state().time;
    net.make_until(9);
    let after = net.chain.state().time;
    assert!(after > skewed, "block time only moves on");
    assert!(after.as_nanos() - skewed.as_nanos() < 10_000_000);
    assert!(net.chain.faults().is_empty());
}

#[test]
fn servers_learn_what_to_do_to_an_answer() {
    let net = Net::new();
    let method = "/pocket.session.Query/GetSession";
    let slow = Fault { target: method.to_owned(), delay_ms: 40, ..fault(FaultKind::Delay) };
    net.chain.fault(slow).unwrap();
    assert_eq!(net.chain.answer_fault(method, None).delay, Duration::from_millis(40));
    assert_eq!(net.chain.answer_fault("block", None).delay, Duration::ZERO);
    assert!(net.chain.fault(fault(FaultKind::Reject)).is_err(), "a refusal needs a code");
}
