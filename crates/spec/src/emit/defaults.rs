//! `crates/config/defaults.json`: what a program does that is told nothing.

use serde_json::{Value, json};

use super::File;
use crate::plan::{ADDRESSES, Plan, section_of, set};
use crate::spec::EnvironmentKind;

/// Blocks that several programs share, and the section whose contract stands for all.
const SHARED: [(&str, &str); 5] = [
    ("redis", "relayer"),
    ("store", "relayer"),
    ("pocket_node", "relayer"),
    ("keys", "relayer"),
    ("logging", "relayer"),
];

/// Programs of ours.
const SECTIONS: [&str; 5] = ["relayer", "miner", "gateway", "devnet", "backend"];

/// Renders the file.
pub fn emit(plan: &Plan) -> Vec<File> {
    vec![File::json("crates/config/defaults.json", &defaults(plan))]
}

fn defaults(plan: &Plan) -> Value {
    let mut all = json!({"common": {}});
    for (block, section) in SHARED {
        all["common"][block] = section_of(&plan.settings, section)[block].clone();
    }
    for section in SECTIONS {
        let mut settings = section_of(&plan.settings, section);
        for (block, _) in SHARED {
            if let Some(own) = settings.get_mut(block) {
                *own = beyond(own, &all["common"][block]);
            }
        }
        for address in ADDRESSES.iter().filter(|address| address.section == section) {
            let workload = plan.environment(EnvironmentKind::Docker).workload(address.workload);
            if let Some(port) = workload.and_then(|workload| workload.port(address.port)) {
                let host = if address.open { "0.0.0.0" } else { "127.0.0.1" };
                set(&mut settings, address.path, json!(format!("{host}:{}", port.container)));
            }
        }
        all[section] = settings;
    }
    all
}

/// What a section says beyond the shared block.
fn beyond(own: &Value, shared: &Value) -> Value {
    let (Value::Object(own), Value::Object(shared)) = (own, shared) else { return own.clone() };
    own.iter()
        .filter(|(key, value)| shared.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
