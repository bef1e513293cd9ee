//! A private redis-server.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::Instant;

/// How long a server may take to answer after it was started.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Waits between two looks at a server that starts.
const POLL: Duration = Duration::from_millis(5);

/// A version that tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 7.0, as system packages have it: the oldest we support in the wild.
    V7_0,
    /// 8.2.
    V8_2,
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 2] = [Self::V7_0, Self::V8_2];

    /// Returns `7.0` or `8.2`.
    pub fn word(self) -> &'static str {
        match self {
            Self::V7_0 => "7.0",
            Self::V8_2 => "8.2",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis-{}", self.word())
    }
}

/// Returns the folder that `make testbed` fills: `POCKET_TESTBED_DIR`, else `POCKET_TESTBED` if it is a path, else
/// `target/testbed` beside the workspace.
fn folder() -> PathBuf {
    let path = |name: &str| std::env::var(name).ok().filter(|value| value.contains('/')).map(PathBuf::from);
    path("POCKET_TESTBED_DIR").or_else(|| path("POCKET_TESTBED")).unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
        target.join("testbed")
    })
}

/// Returns whether a missing server is a failure rather than a reason to skip.
pub fn required() -> bool {
    std::env::var("POCKET_TESTBED").is_ok_and(|value| value == "required")
}

/// Returns the binary of a version: in `target/testbed/redis-VERSION`, else `redis-server` on PATH if it is that version.
pub fn find(version: Version) -> anyhow::Result<PathBuf> {
    let own = folder().join(version.to_string()).join("redis-server");
    if says_version(&own, version) {
        return Ok(own);
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&on_path) {
        let binary = folder.join("redis-server");
        if binary.exists() && says_version(&binary, version) {
            return Ok(binary);
        }
    }
    bail!("no redis-server {} in {} or on PATH; run `make testbed`", version.word(), own.display())
}

fn says_version(binary: &Path, version: Version) -> bool {
    let Ok(output) = Command::new(binary).arg("--version").output() else { return false };
    String::from_utf8_lossy(&output.stdout).contains(&format!("v={}.", version.word()))
}

/// What a custom harness does with a test that needs a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Run it.
    Met,
    /// Report it as ignored.
    Skip {
        /// Why.
        reason: String,
    },
    /// Let it fail.
    Fail {
        /// Why.
        reason: String,
    },
}

/// Decides what to do with tests that need a server of this version.
pub fn needs(version: Version) -> Need {
    match find(version) {
        Ok(_) => Need::Met,
        Err(error) if required() => Need::Fail { reason: format!("POCKET_TESTBED=required, and {error}") },
        Err(error) => Need::Skip { reason: error.to_string() },
    }
}

/// How a server keeps what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether it writes an append-only file.
    pub append_only: bool,
    /// `always`, `everysec` or `no`.
    pub append_fsync: &'static str,
    /// Further settings, as in `redis.conf`.
    pub settings: Vec<(String, String)>,
}

impl Config {
    /// Returns a server that forgets nothing that it has answered, however it ends: an append-only file, synced at once.
    pub fn durable() -> Self {
        Self { append_only: true, append_fsync: "always", settings: Vec::new() }
    }

    /// Returns what operators run: an append-only file, synced each second. Killed, the server may forget two seconds,
    /// because it puts off writing while it syncs.
    pub fn each_second() -> Self {
        Self { append_fsync: "everysec", ..Self::durable() }
    }

    /// Returns a server that forgets everything when it ends.
    pub fn forgetful() -> Self {
        Self { append_only: false, append_fsync: "no", settings: Vec::new() }
    }
}

/// A redis-server of one test. Dropping it ends the server and deletes its data.
#[derive(Debug)]
pub struct RedisServer {
    binary: PathBuf,
    folder: tempfile::TempDir,
    config: Config,
    port: u16,
    // None while it is killed.
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub async fn start(version: Version, config: Config) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pocket-redis-").tempdir().context("make the server's folder")?;
        let mut server = Self { binary: find(version)?, folder, config, port: 0, child: None };
        server.run().await?;
        Ok(server)
    }

    /// Returns `unix://…` of this server.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Returns `redis://127.0.0.1:PORT` of this server. The port stays the same over restarts.
    pub fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the port of [`Self::tcp_url`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder with its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends the server as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have died by itself; either way it is gone after the wait.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server again on its data, ending it first if it runs, and waits until it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.run().await
    }

    /// Stops the server where it stands (`SIGSTOP`): connections stay, nothing answers.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP")
    }

    /// Lets a paused server go on.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("the server does not run")?;
        let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status()?;
        ensure!(status.success(), "kill -{name} failed");
        Ok(())
    }

    /// Sends one command to the server and returns its answer as it is on the wire.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(self.socket()).context("connect to the server")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let count = words.len();
        let mut request = vec![format!("*{count}\r\n")];
        request.extend(words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())));
        stream.write_all(request.concat().as_bytes())?;
        let mut answer = vec![0; 64 << 10];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        for _ in 0..3 {
            if self.port == 0 {
                self.port = free_port()?;
            }
            self.child = Some(self.spawn()?);
            match self.ready().await {
                Ok(()) => return Ok(()),
                // Somebody else may have taken the port in between: choose another, unless clients know this one.
                Err(error) if self.port_was_taken() => {
                    self.kill();
                    self.port = 0;
                    drop(error);
                }
                Err(error) => {
                    self.kill();
                    return Err(error);
                }
            }
        }
        bail!("found no free port for redis-server in three tries")
    }

    fn port_was_taken(&self) -> bool {
        std::fs::read_to_string(self.folder.path().join("log")).is_ok_and(|log| log.contains("Address already in use"))
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let folder = self.folder.path();
        // A server must not outlive a test process that is killed; the handle cannot see to that.
        let mut command = if has_setpriv() {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(&self.binary);
            command
        } else {
            Command::new(&self.binary)
        };
        let on = |value: bool| if value { "yes" } else { "no" };
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--daemonize", "no"]);
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(folder);
        command.arg("--logfile").arg(folder.join("log"));
        command.args(["--appendonly", on(self.config.append_only), "--appendfsync", self.config.append_fsync]);
        for (name, value) in &self.config.settings {
            command.arg(format!("--{name}")).arg(value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("run {}", self.binary.display()))
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if self.command(&["PING"]).is_ok_and(|answer| answer.contains("PONG")) {
                return Ok(());
            }
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("redis-server ended with {status}: {}", log());
            }
            if Instant::now() > deadline {
                bail!("redis-server does not answer within {START_TIMEOUT:?}: {}", log());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn has_setpriv() -> bool {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&on_path).any(|folder| folder.join("setpriv").exists())
}

#[expect(clippy::disallowed_methods, reason = "the port is for another program, so no door of ours can open it")]
fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}
