//! What is committed, and whom Prometheus asks.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Failed;
use pocket_spec::emit;
use pocket_spec::spec::EnvironmentKind;
use pocket_spec::write::{self, Change};

pub(crate) fn is_fresh() -> Result<(), Failed> {
    let plan = crate::plan("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let changes = write::compare(&root, &emit::sight(&plan))?;
    // Whether anything else was rendered once is another test's matter.
    let ours = changes.iter().filter(|change| !matches!(change, Change::Stale(_)));
    let faults: Vec<String> = ours.map(|change| format!("run `pocket spec render`: {change:?}")).collect();
    crate::none(&faults)
}

pub(crate) fn all_are_scraped() {
    let plan = crate::plan("{ workloads.relayer.replicas = 3 }");
    let jobs = |kind| {
        let config = emit::prometheus::config(&plan.observability, plan.environment(kind));
        config["scrape_configs"].as_array().expect("jobs").clone()
    };
    let docker = jobs(EnvironmentKind::Docker);
    let names: BTreeSet<&str> = docker.iter().filter_map(|job| job["job_name"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["backend", "gateway", "miner", "relayer", "validator"]));
    let relayer =
        |jobs: &[serde_json::Value]| jobs.iter().find(|job| job["job_name"] == "relayer").expect("a job").clone();

    // Docker starts the others with a profile only: they are found, and not missed.
    let in_docker = relayer(&docker);
    assert_eq!(
        in_docker["static_configs"],
        serde_json::json!([{"targets": ["relayer:9190"], "labels": {"instance": "relayer"}}])
    );
    assert_eq!(in_docker["dns_sd_configs"][0]["names"], serde_json::json!(["relayer-2", "relayer-3"]));

    let pods = relayer(&jobs(EnvironmentKind::Kubernetes));
    let targets: Vec<&str> = pods["static_configs"]
        .as_array()
        .expect("targets")
        .iter()
        .filter_map(|target| target["targets"][0].as_str())
        .collect();
    assert_eq!(targets, ["relayer-0:9190", "relayer-1:9190", "relayer-2:9190"]);
}
