//! The contracts against the Rust types that read what they let through: a field on one side only is named.

use std::collections::BTreeSet;

use pocket_config::{backend::Backend, devnet::Devnet, gateway::Gateway, miner::Miner, relayer::Relayer};
use pocket_spec::nickel::{Contract, Field};
use pocket_spec::schema::{Node, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::world::root;

/// A value of every field of a contract, those that may be absent included.
fn sample(schema: &Schema, node: &Node) -> Value {
    match node {
        Node::Record(contract, within) => {
            let fields = schema.fields(contract, within);
            let one = |field: &&Field| (field.path.last().cloned().unwrap_or_default(), of_field(schema, field));
            Value::Object(fields.iter().map(one).collect::<Map<String, Value>>())
        }
        Node::Each(inner) => json!({ "one": sample(schema, inner) }),
        Node::Leaf => json!("a text"),
    }
}

fn of_field(schema: &Schema, field: &Field) -> Value {
    match schema.behind(field) {
        Node::Each(inner) if *inner == Node::Leaf => json!({ "one": leaf(&field.contracts) }),
        Node::Leaf => leaf(&field.contracts),
        node => sample(schema, &node),
    }
}

fn leaf(contracts: &[Contract]) -> Value {
    match contracts.first() {
        Some(Contract::Each(inner)) => leaf(&[(**inner).clone()]),
        Some(Contract::List(inner)) => json!([leaf(&[(**inner).clone()])]),
        Some(Contract::Tags(tags)) => json!(tags[0]),
        Some(Contract::Plain("Bool")) => json!(true),
        Some(Contract::Name(name)) if ["Count", "Amount", "Fraction"].contains(&name.as_str()) => json!(1),
        Some(Contract::Name(name)) if name == "Status" => json!(200),
        _ => json!("a text"),
    }
}

/// Paths of all fields of a value.
fn paths(value: &Value, above: &str, into: &mut BTreeSet<String>) {
    if let Value::Object(object) = value {
        for (key, inner) in object {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            paths(inner, &path, into);
            into.insert(path);
        }
    }
}

#[track_caller]
fn check<T: DeserializeOwned + Serialize>(contract: &str) {
    let schema = Schema::read(&root()).expect("the contracts");
    let whole = sample(&schema, &Node::Record(contract.to_owned(), Vec::new()));
    // A field that only the contract has is refused here, by name.
    let read: T = serde_path_to_error::deserialize(&whole)
        .unwrap_or_else(|error| panic!("the contract {contract} and the Rust type differ: {error}"));
    // A field that only the Rust type has shows here.
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    paths(&whole, "", &mut ours);
    paths(&serde_json::to_value(read).expect("plain data"), "", &mut theirs);
    let only_rust: Vec<&String> = theirs.difference(&ours).collect();
    assert!(only_rust.is_empty(), "the contract {contract} lacks fields of the Rust type: {only_rust:?}");
}

#[test]
fn relayers_settings_are_those_of_their_contract() {
    check::<Relayer>("Relayer");
}

#[test]
fn miners_settings_are_those_of_their_contract() {
    check::<Miner>("Miner");
}

#[test]
fn gateways_settings_are_those_of_their_contract() {
    check::<Gateway>("Gateway");
}

#[test]
fn the_development_chains_settings_are_those_of_its_contract() {
    check::<Devnet>("Devnet");
}

#[test]
fn the_demo_backends_settings_are_those_of_its_contract() {
    check::<Backend>("Backend");
}

#[test]
fn every_field_says_what_it_is() {
    let schema = Schema::read(&root()).expect("the contracts");
    let silent: Vec<String> = schema
        .all()
        .filter(|field| field.path.len() > 1 && !field.contracts.is_empty() && field.doc.is_none())
        .map(|field| format!("{} {}", field.place, field.path.join(".")))
        .collect();
    // A title is its own document.
    let silent: Vec<&String> = silent.iter().filter(|field| field.rsplit('.').next() != Some("title")).collect();
    assert!(silent.is_empty(), "fields without a document: {silent:#?}");
}

#[test]
fn no_two_contracts_have_one_name() {
    let schema = Schema::read(&root()).expect("the contracts");
    let mut seen = BTreeSet::new();
    let tops = schema.all().filter(|field| field.path.len() == 1);
    let doubles: Vec<&str> = tops.map(|field| field.path[0].as_str()).filter(|name| !seen.insert(*name)).collect();
    assert!(doubles.is_empty(), "{doubles:?}");
}
