//! `pocket up` and Prometheus, gone when their handles drop.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use pocket_testbed::binary;
use serde_json::Value;

use crate::http;

/// How long Prometheus may take to answer after it was started.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How often another free port is tried: between the look and the start somebody else may take it.
const PORTS_MAX: usize = 5;

/// Pause between looks.
const POLL: Duration = Duration::from_millis(50);

/// Returns where a program of the system is.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|binary| binary.exists())
}

/// A whole network on free ports.
pub(crate) struct Network {
    child: Child,
    started: Value,
}

impl Network {
    pub(crate) fn up() -> anyhow::Result<Self> {
        let mut child = Command::new(binary("pocket")?)
            .args(["up", "--ports", "auto", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?);
        let mut first = String::new();
        lines.read_line(&mut first)?;
        // Its events are not looked at, and must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let started = serde_json::from_str(&first);
        let mut network = Self { child, started: Value::Null };
        network.started = started.with_context(|| format!("it said: {first}"))?;
        Ok(network)
    }

    /// Returns the address of a door, such as `relayer_metrics`.
    pub(crate) fn address(&self, door: &str) -> anyhow::Result<&str> {
        self.started["addresses"][door].as_str().with_context(|| format!("there is no {door}"))
    }

    /// Sends relays through the gateway, and checks every answer.
    pub(crate) fn relays(&self, count: usize) -> anyhow::Result<()> {
        let url = self.started["gateway_url"].as_str().context("a gateway")?;
        let count = count.to_string();
        let arguments = ["relay", "jsonrpc", "--url", url, "--count", &count, "--concurrency", "2"];
        let output = Command::new(binary("pocket")?).args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Prometheus with its data in a folder.
pub(crate) struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    pub(crate) fn start(folder: &Path, config: &Value) -> anyhow::Result<Self> {
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config.to_string())?;
        for _ in 0..PORTS_MAX {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let mut prometheus = Self::at(folder, &file, format!("127.0.0.1:{port}"))?;
            if prometheus.ready()? {
                return Ok(prometheus);
            }
        }
        let log = std::fs::read_to_string(folder.join("prometheus.log")).unwrap_or_default();
        bail!("Prometheus did not start:\n{log}")
    }

    fn at(folder: &Path, file: &Path, address: String) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("prometheus.log"))?;
        let child = Command::new(on_path("prometheus").context("no prometheus: run `make testbed`")?)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, address })
    }

    /// Waits until it answers; false if it has ended.
    fn ready(&mut self) -> anyhow::Result<bool> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if http::get(&self.address, "/-/ready").is_ok_and(|body| body.contains("Ready")) {
                return Ok(true);
            }
            ensure!(Instant::now() < deadline, "Prometheus does not answer");
            std::thread::sleep(POLL);
        }
        Ok(false)
    }

    /// Returns the samples of an expression.
    pub(crate) fn query(&self, expr: &str) -> anyhow::Result<Vec<Value>> {
        let body = http::get(&self.address, &format!("/api/v1/query?query={}", http::escaped(expr)))?;
        let answer: Value = serde_json::from_str(&body)?;
        ensure!(answer["status"] == "success", "{expr}: {body}");
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
