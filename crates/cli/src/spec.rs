//! `pocket spec`: hands over to `pocket-spec`, a program of its own, so that this one does not link Nickel.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use pocket_localnet::Network;
use pocket_runtime::process::Exit;

const PROGRAM: &str = "pocket-spec";

/// Name of a whole page.
const PAGE: &str = "config.ncl";

/// Whatever `pocket-spec` takes.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// `render`, `plan`, `ports`, `explain`, `lock`, `import`, `new`, `pin`, with their own arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

/// Becomes `pocket-spec`.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    // Comes back only if it did not succeed.
    Err(unavailable(&Command::new(program()).args(&args.rest).exec()))
}

/// Asks `pocket-spec` for the network of a page: a whole one, `config.ncl`, or one to lay over that of this folder.
/// What it refuses it says itself.
pub(crate) fn network(page: &Path) -> anyhow::Result<Network> {
    let mut command = Command::new(program());
    command.arg("network");
    if page.file_name().is_some_and(|name| name == PAGE) {
        let folder = page.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        command.arg("--root").arg(folder);
    } else {
        command.arg("--overlay").arg(page);
    }
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| unavailable(&error))?;
    if !output.status.success() {
        bail!("the spec was refused, and nothing was started");
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("`{PROGRAM}` is of another version than this program; build both: `cargo build --release -p pocket -p {PROGRAM}`")
    })
}

/// The one beside this program, or else the one in `PATH`.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(PROGRAM));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}

fn unavailable(error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "`{PROGRAM}` could not be run ({error}); build it with `cargo build --release -p {PROGRAM}`, which puts it beside this program"
    )
}
