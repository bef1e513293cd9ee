//! What breaks: processes that can be killed, and started again as they were.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pocket_testbed::binary;
use tokio::time::Instant;

/// How long a process may take to be ready, on a machine that builds something else beside.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// Pause between looks.
const POLL: Duration = Duration::from_millis(20);

/// A binary of this workspace, its arguments, and its child while it runs.
pub(crate) struct Process {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    /// Address that answers `GET <path>` with 200 when the process is ready.
    ready: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that is not started yet. Its log goes to a file in `folder`.
    pub(crate) fn new(
        folder: &Path,
        binary_name: &str,
        label: &str,
        arguments: &[&str],
        ready: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name: label.to_owned(),
            binary: binary(binary_name)?,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            ready: ready.to_owned(),
            log: folder.join(format!("{label}.log")),
            child: None,
        })
    }

    /// Starts it, without waiting.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.binary)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("{} ended with {status}:\n{}", self.name, self.last_lines());
            }
            if answers(&self.ready).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready in time:\n{}", self.name, self.last_lines());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn answers(url: &str) -> bool {
    let client = crate::load::client(Duration::from_secs(1));
    let Ok(request) = pocket_runtime::http::Request::get(url).body(bytes::Bytes::new()) else { return false };
    client.send(request).await.is_ok_and(|response| response.status().is_success())
}
