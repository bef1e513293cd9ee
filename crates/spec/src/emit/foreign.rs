//! What programs of others are told: Redis, a real node, PATH, Prometheus, Grafana, Loki. Ours read `/config/config.yaml`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plan::{Plan, Workload};
use crate::spec::EnvironmentKind;

/// What a container of a workload is told beyond what the plan says of every workload.
#[derive(Debug, Default)]
pub struct Told {
    /// In place of the image's entry point.
    pub command: Vec<String>,
    /// After the entry point.
    pub args: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Rendered files and folders, from the repository's root, by their path inside.
    pub files: BTreeMap<String, String>,
    /// Rendered files with keys, likewise.
    pub secret_files: BTreeMap<String, String>,
}

/// Folder of a real node's settings inside, from which its home is laid out.
const NODE_FILES: &str = "/config";

/// Files of a real node that hold no key.
pub const NODE_CONFIGS: [&str; 5] =
    ["genesis.json", "config.toml", "app.toml", "client.toml", "priv_validator_state.json"];

/// Returns what a workload is told.
pub fn told(plan: &Plan, kind: EnvironmentKind, workload: &Workload) -> Told {
    match workload.image.as_str() {
        "redis" => redis(plan),
        "pocketd" => node(workload),
        "path" => path(workload),
        "prometheus" => prometheus(plan, kind),
        "grafana" => grafana(plan),
        "loki" => Told { args: words(&["-config.file=/etc/loki/local-config.yaml"]), ..Told::default() },
        _ => ours(workload),
    }
}

fn ours(workload: &Workload) -> Told {
    let config = workload.configs.first().map(|config| format!("--config={}", config.path));
    Told { args: workload.args.iter().cloned().chain(config).collect(), ..Told::default() }
}

fn redis(plan: &Plan) -> Told {
    let settings = &plan.settings.redis;
    let append = if settings.append_only { "yes" } else { "no" };
    let memory = format!("{}mb", settings.max_memory_mib);
    let args = words(&[
        "redis-server",
        "--dir",
        "/data",
        "--maxmemory",
        &memory,
        "--maxmemory-policy",
        &settings.eviction,
        "--appendonly",
        append,
        "--appendfsync",
        &settings.fsync,
    ]);
    Told { args, ..Told::default() }
}

/// A node wants everything below one home. What keeps it from signing a height twice is never overwritten, and a chain
/// with another genesis is refused.
fn node(workload: &Workload) -> Told {
    let script = format!(
        "set -eu
mkdir -p /data/config /data/data
if test -e /data/config/genesis.json && ! cmp -s {NODE_FILES}/genesis.json /data/config/genesis.json; then
  echo 'the chain in /data has another genesis: reset chain and store together' >&2
  exit 1
fi
cd {NODE_FILES}
cp genesis.json config.toml app.toml client.toml /keys/node_key.json /keys/priv_validator_key.json /data/config/
test -e /data/data/priv_validator_state.json || cp priv_validator_state.json /data/data/
exec pocketd {}
",
        workload.args.join(" ")
    );
    let file = |name: &str| (format!("{NODE_FILES}/{name}"), format!("tilt/config/{name}"));
    Told {
        command: words(&["/bin/sh", "-c"]),
        args: vec![script],
        files: NODE_CONFIGS.iter().map(|name| file(name)).collect(),
        ..Told::default()
    }
}

/// PATH keeps its keys in its settings, so its settings are a secret.
fn path(workload: &Workload) -> Told {
    let config = ("/config/config.yaml".to_owned(), super::path::RENDERED.to_owned());
    Told { args: workload.args.clone(), secret_files: BTreeMap::from([config]), ..Told::default() }
}

fn prometheus(plan: &Plan, kind: EnvironmentKind) -> Told {
    let scraped = match kind {
        EnvironmentKind::Docker => "tilt/docker/config/prometheus.yml",
        EnvironmentKind::Kubernetes => "tilt/k8s/config/prometheus.yml",
    };
    let retention = format!("--storage.tsdb.retention.time={}d", plan.observability.scrape.retention_days);
    Told {
        args: words(&[
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            &retention,
            "--web.enable-lifecycle",
        ]),
        files: pairs(&[
            ("/etc/prometheus/prometheus.yml", scraped),
            ("/etc/prometheus/alerts.yaml", "grafana/alerts.yaml"),
        ]),
        ..Told::default()
    }
}

fn grafana(plan: &Plan) -> Told {
    Told {
        env: pairs(&[
            ("GF_AUTH_ANONYMOUS_ENABLED", "true"),
            ("GF_SECURITY_ADMIN_PASSWORD", &plan.observability.admin_password),
            ("GF_USERS_ALLOW_SIGN_UP", "false"),
        ]),
        files: pairs(&[
            ("/etc/grafana/provisioning", "grafana/provisioning"),
            ("/var/lib/grafana/dashboards", "grafana/dashboards"),
            // Alerts and panels lead there; Grafana serves what lies below its own `public`.
            ("/usr/share/grafana/public/runbook.md", "grafana/runbook.md"),
        ]),
        ..Told::default()
    }
}

/// Words as JSON.
pub fn list(words: &[String]) -> Value {
    words.iter().map(|word| Value::String(word.clone())).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
