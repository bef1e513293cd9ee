//! How Compose sees that a service works: a command inside its container.

use serde_json::{Value, json};

use crate::emit::foreign::list;
use crate::images::PROBE;
use crate::plan::{Plan, Workload};

/// Returns the check. What does its work and ends has none.
pub(super) fn check(plan: &Plan, workload: &Workload) -> Option<Value> {
    let command = command(plan, workload)?;
    let health = &workload.health;
    let mut test = vec!["CMD".to_owned()];
    test.extend(command);
    Some(json!({
        "test": list(&test),
        "interval": format!("{}s", health.period_seconds),
        "timeout": format!("{}s", health.timeout_seconds),
        "retries": health.patience,
        "start_period": format!("{}s", health.start_seconds),
        // Whoever waits for it should not wait a whole period more.
        "start_interval": "1s",
    }))
}

fn command(plan: &Plan, workload: &Workload) -> Option<Vec<String>> {
    if workload.one_shot {
        return None;
    }
    if let Some(command) = &workload.health.command {
        return Some(command.clone());
    }
    let probe = workload.health.ready.as_ref()?;
    let port = workload.port(&probe.port).filter(|port| port.live)?;
    let url = format!("http://127.0.0.1:{}{}", port.container, probe.path);
    let ours = plan.images[&workload.image].binary.is_some();
    // Images of others have a shell with a small client; ours have our own alone.
    let words: &[&str] = if ours { &[PROBE] } else { &["wget", "-q", "-O", "/dev/null"] };
    Some(words.iter().map(|word| (*word).to_owned()).chain([url]).collect())
}
