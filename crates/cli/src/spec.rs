//! `pocket spec`: hands over to `pocket-spec`, a program of its own, so that this one does not link Nickel.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::anyhow;
use pocket_runtime::process::Exit;

const PROGRAM: &str = "pocket-spec";

/// Whatever `pocket-spec` takes.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// `render`, `plan`, `ports`, `explain`, `lock`, `import`, `new`, `pin`, with their own arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

/// Becomes `pocket-spec`: the one beside this program, or else the one in `PATH`.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(PROGRAM));
    let program = beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(PROGRAM));
    // Comes back only if it did not succeed.
    let error = Command::new(&program).args(&args.rest).exec();
    Err(anyhow!(
        "`{PROGRAM}` could not be run ({error}); build it with `cargo build --release -p pocket-spec`, which puts it beside this program"
    ))
}
