//! A real Prometheus scrapes a real network under load: every panel of every committed board has data, and no alert fires.
//! Where Prometheus is missing this is reported as ignored, unless `POCKET_TESTBED=required`, under which it fails.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests stand outside the house: they start its processes and speak to them over plain sockets"
)]

mod boards;
mod http;
mod process;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};

use process::{Network, Prometheus};

/// Programs of `pocket up` that are scraped, by the names of their workloads.
const JOBS: [&str; 4] = ["relayer", "miner", "gateway", "backend"];

/// Relays of the load, in parts, so that counters are seen to move.
const PARTS: usize = 3;
const RELAYS: usize = 60;

/// How long targets, load, settlement and the last expression may take together on a machine that does something else.
const PATIENCE: Duration = Duration::from_mins(2);

/// Pause between looks.
const POLL: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("POCKET_TESTBED").is_ok_and(|value| value == "required");
    let missing = process::on_path("prometheus").is_none();
    let run = || every_panel_has_data().map_err(|error| format!("{error:#}").into());
    let trial = Trial::test("every_panel_has_data_under_load_and_no_alert_fires", run);
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(missing && !required)]).exit_code()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn every_panel_has_data() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let network = Network::up()?;
    let prometheus = Prometheus::start(folder.path(), &scraping(&network)?)?;
    let deadline = Instant::now() + PATIENCE;
    wait(deadline, "every program is scraped", || Ok(prometheus.query("up == 1")?.len() == JOBS.len()))?;
    for _ in 0..PARTS {
        network.relays(RELAYS)?;
        // One that must be refused, so that refusals are seen as well.
        http::post(network.address("relayer")?, "/", "no relay")?;
        std::thread::sleep(POLL);
    }
    let mut empty = boards::expressions(&root())?;
    ensure!(!empty.is_empty(), "the boards ask nothing");
    let total = empty.len();
    let waited = wait(deadline, "every panel has data", || {
        let mut still = Vec::new();
        for (place, expr) in std::mem::take(&mut empty) {
            if !has_data(&prometheus.query(&expr)?) {
                still.push((place, expr));
            }
        }
        empty = still;
        Ok(empty.is_empty())
    });
    waited.with_context(|| format!("{} of {total} have none: {empty:#?}", empty.len()))?;
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}")?;
    ensure!(firing.is_empty(), "alerts fire in a clean run: {firing:#?}");
    Ok(())
}

/// Whether an answer has a sample that is a number.
fn has_data(samples: &[Value]) -> bool {
    samples.iter().any(|sample| sample["value"][1].as_str().is_some_and(|value| value != "NaN"))
}

/// A configuration for the ports of this run, under the job names of the rendered ones, with the committed alerts.
fn scraping(network: &Network) -> anyhow::Result<Value> {
    let mut jobs = Vec::new();
    for name in JOBS {
        let target = network.address(&format!("{name}_metrics"))?;
        jobs.push(json!({"job_name": name, "static_configs": [{"targets": [target], "labels": {"instance": name}}]}));
    }
    let alerts = root().join("grafana/alerts.yaml").canonicalize()?;
    Ok(json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [alerts.to_string_lossy()],
        "scrape_configs": jobs,
    }))
}

fn wait(deadline: Instant, what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    while !holds()? {
        ensure!(Instant::now() < deadline, "in time: {what}");
        std::thread::sleep(POLL);
    }
    Ok(())
}
