//! Prometheus' own tool over what is rendered. Where it is missing these are reported as ignored, unless
//! `POCKET_TESTBED=required`, under which they fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use pocket_runtime::fs;
use pocket_spec::emit;
use pocket_spec::plan::Plan;
use tempfile::TempDir;

/// A test that needs the tool.
pub(crate) fn trial(name: &str, run: fn() -> Result<(), Failed>) -> Trial {
    let required = std::env::var("POCKET_TESTBED").is_ok_and(|value| value == "required");
    let missing = find().is_none();
    let run = move || {
        if missing { Err("no promtool: run `make testbed`".into()) } else { run() }
    };
    Trial::test(name, run).with_ignored_flag(missing && !required)
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("promtool")).find(|binary| binary.exists())
}

/// Runs the tool in a folder; its words if it refuses.
fn promtool(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let binary = find().ok_or("no promtool")?;
    let output =
        Command::new(binary).args(arguments).current_dir(folder).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// The files in one folder, as they are mounted.
fn laid_out(plan: &Plan) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in emit::prometheus::emit(plan) {
        let name = file.path.replace('/', "-").replace("grafana-", "");
        fs::write_atomic(folder.path().join(name), file.content.as_bytes()).expect("written");
    }
    folder
}

pub(crate) fn configurations_are_accepted() -> Result<(), Failed> {
    let folder = laid_out(&crate::plan(""));
    for name in ["tilt-docker-config-prometheus.yml", "tilt-k8s-config-prometheus.yml"] {
        promtool(folder.path(), &["check", "config", name])?;
    }
    Ok(())
}

pub(crate) fn rules_are_accepted() -> Result<(), Failed> {
    Ok(promtool(laid_out(&crate::plan("")).path(), &["check", "rules", "alerts.yaml"])?)
}

pub(crate) fn alerts_fire() -> Result<(), Failed> {
    Ok(promtool(laid_out(&crate::plan("")).path(), &["test", "rules", "alerts.test.yaml"])?)
}

/// The tests would tell: one alert asks for what never is, another for what always is.
pub(crate) fn a_blunt_alert_is_found() -> Result<(), Failed> {
    let mut plan = crate::plan("");
    let change = |plan: &mut Plan, name: &str, expr: &str| {
        expr.clone_into(&mut plan.observability.alerts.get_mut(name).expect("an alert").expr);
    };
    change(&mut plan, "TargetDown", "up == 2");
    change(&mut plan, "NoLeader", "sum(pocket_miner_leader) == 1");
    let told = promtool(laid_out(&plan).path(), &["test", "rules", "alerts.test.yaml"]);
    let told = told.err().ok_or("blunt alerts passed")?;
    for name in ["TargetDown", "NoLeader"] {
        if !told.contains(name) {
            return Err(format!("{name} is not told of: {told}").into());
        }
    }
    Ok(())
}
