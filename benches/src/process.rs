//! Child processes: started, waited for, measured, gone with their handle.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pocket_runtime::http::{Client, ClientOptions, Request};
use tokio::time::Instant;

/// How long a process may take to be ready, on a machine that does something else beside.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// Pause between looks.
const POLL: Duration = Duration::from_millis(20);

/// Lines of a log that are shown when its process failed.
const LOG_LINES: usize = 30;

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a binary; its log goes to a file in `folder`.
    ///
    /// # Errors
    /// It cannot be started.
    #[expect(clippy::disallowed_methods, reason = "the log file belongs to another process of the real machine")]
    pub fn start(folder: &Path, name: &str, binary: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.log"));
        let log = std::fs::File::create(&path).with_context(|| format!("write {}", path.display()))?;
        let child = mortal(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        Ok(Self { name: name.to_owned(), child, log: path })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `url` answers 200.
    ///
    /// # Errors
    /// It ended, or was not ready in time; with the end of its log.
    pub async fn ready(&mut self, url: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let client = client(Duration::from_secs(2));
        loop {
            self.check()?;
            let request = Request::get(url).body(bytes::Bytes::new()).with_context(|| format!("`{url}`"))?;
            if client.send(request).await.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready within {READY_TIMEOUT:?}:\n{}", self.name, self.last_lines());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// It has ended; with the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}:\n{}", self.name, self.last_lines());
        }
        Ok(())
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that gives up after `timeout`.
pub fn client(timeout: Duration) -> Client {
    Client::new(ClientOptions {
        connect_timeout: timeout,
        request_timeout: timeout,
        idle_per_host: 4,
        idle_timeout: Duration::from_secs(10),
        max_per_host: 4,
        max_response_bytes: 1 << 20,
    })
}

/// A command that ends with this process even if this one is killed, where `setpriv` is installed.
pub fn mortal(binary: &Path) -> Command {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&on_path).any(|folder| folder.join("setpriv").exists()) {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
    command
}
