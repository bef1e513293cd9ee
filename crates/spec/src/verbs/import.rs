//! `import`: a reference's settings file in the spec's words, and what could not be carried.

use std::fmt::Write as _;

use pocket_config::document::{self, Settings};
use pocket_config::{miner::Miner, relayer::Relayer};
use serde_json::{Map, Value};

use crate::nickel::Contract;
use crate::page::Page;

/// Settings that the spec decides from elsewhere, and from where.
const DECIDED: [(&str, &str); 12] = [
    ("listen_addr", "workloads.<name>.ports"),
    ("metrics.addr", "workloads.<name>.ports"),
    ("health_check.addr", "workloads.<name>.ports"),
    ("redis.url", "workloads.redis.ports"),
    ("pocket_node.query_node_rpc_url", "workloads.validator.ports"),
    ("pocket_node.query_node_grpc_url", "workloads.validator.ports"),
    ("pocket_node.grpc_insecure", "the development chain, which speaks plain text"),
    ("pocket_node.chain_id", "network.chain_id"),
    ("keys.keys_file", "workloads.<name>.secrets"),
    ("keys.keys_dir", "workloads.<name>.secrets"),
    ("block_time_seconds", "network.block_time_ms"),
    ("services", "services, with a workload behind each"),
];

/// Returns Nickel for `local.ncl`, and one line for each key that is not in it.
///
/// # Errors
/// If the text is neither a relayer's nor a miner's settings file.
pub fn import(page: &Page, text: &str) -> anyhow::Result<(String, Vec<String>)> {
    let as_relayer = document::load::<Relayer>(text);
    let as_miner = document::load::<Miner>(text);
    match (as_relayer, as_miner) {
        (Ok(loaded), _) => carry::<Relayer>(page, text, &serde_json::to_value(&loaded.settings)?, loaded.notes),
        (Err(_), Ok(loaded)) => carry::<Miner>(page, text, &serde_json::to_value(&loaded.settings)?, loaded.notes),
        (Err(relayer), Err(miner)) => {
            anyhow::bail!("this is no settings file of a relayer ({relayer}), and none of a miner ({miner})")
        }
    }
}

fn carry<T: Settings>(
    page: &Page,
    text: &str,
    whole: &Value,
    mut left: Vec<String>,
) -> anyhow::Result<(String, Vec<String>)> {
    let written: Value = serde_saphyr::from_str(text)?;
    let mut carried = common(&written, whole, &document::defaults(T::SECTION));
    for (path, by) in DECIDED {
        let parts: Vec<&str> = path.split('.').collect();
        if take(&mut carried, &parts) {
            left.push(format!("`{path}` is not carried: it is decided by {by}"));
        }
    }
    prune(&mut carried);
    let path = vec!["settings".to_owned(), T::SECTION.to_owned()];
    let body = nickel(page, &path, &carried, 1);
    Ok((format!("# Carried over by `pocket spec import`.\n{{\n  settings.{} = {body},\n}}\n", T::SECTION), left))
}

/// What of a file has an effect and differs from the defaults.
fn common(written: &Value, whole: &Value, base: &Value) -> Value {
    let (Value::Object(written), Value::Object(whole)) = (written, whole) else { return whole.clone() };
    let mut kept = Map::new();
    for (key, value) in written {
        let Some(read) = whole.get(key) else { continue };
        let usual = base.get(key).unwrap_or(&Value::Null);
        if read != usual && !(read.is_number() && read.as_f64() == usual.as_f64()) {
            kept.insert(key.clone(), common(value, read, usual));
        }
    }
    Value::Object(kept)
}

fn take(value: &mut Value, path: &[&str]) -> bool {
    match (value, path) {
        (Value::Object(object), [last]) => object.remove(*last).is_some(),
        (Value::Object(object), [first, rest @ ..]) => object.get_mut(*first).is_some_and(|inner| take(inner, rest)),
        _ => false,
    }
}

fn prune(value: &mut Value) {
    if let Value::Object(object) = value {
        object.values_mut().for_each(prune);
        object.retain(|_, inner| inner.as_object().is_none_or(|inner| !inner.is_empty()));
    }
}

fn nickel(page: &Page, path: &[String], value: &Value, depth: usize) -> String {
    match value {
        Value::Object(object) => {
            let indent = "  ".repeat(depth + 1);
            let mut fields = String::new();
            for (key, inner) in object {
                let path = [path, std::slice::from_ref(key)].concat();
                let _ = writeln!(fields, "{indent}{} = {},", name(key), nickel(page, &path, inner, depth + 1));
            }
            format!(
                "{{
{fields}{}}}",
                "  ".repeat(depth)
            )
        }
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(|inner| nickel(page, path, inner, depth)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) if is_tag(page, path) => format!("'{text}"),
        // In Nickel a `%{` inside a text begins an expression.
        Value::String(_) => value.to_string().replace("%{", "\\%{"),
        other => other.to_string(),
    }
}

fn is_tag(page: &Page, path: &[String]) -> bool {
    let field = page.schema.find(path).ok().flatten();
    field.is_some_and(|field| field.contracts.iter().any(|contract| matches!(contract, Contract::Tags(_))))
}

fn name(key: &str) -> String {
    let plain = key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
        && key.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if plain { key.to_owned() } else { format!("\"{key}\"") }
}
