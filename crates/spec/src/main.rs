//! `pocket-spec`: the doorstep of the spec. Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 it failed or
//! something differs, 2 the arguments are wrong.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pocket_runtime::fs;
use pocket_spec::emit;
use pocket_spec::page::{Overlay, Page};
use pocket_spec::verbs::{self, Addition, Packing};
use pocket_spec::write::Change;

/// One page, and everything that follows from it.
#[derive(Debug, Parser)]
#[command(name = "pocket-spec", version, arg_required_else_help = true)]
struct Args {
    /// Folder of config.ncl; found above the working folder when absent.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Lays this file over config.ncl in place of local.ncl.
    #[arg(long, global = true, value_name = "FILE")]
    overlay: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Writes every file that differs from the spec.
    Render {
        /// Writes nothing; shows what differs, and ends with 1 if anything does.
        #[arg(long)]
        check: bool,
    },
    /// Shows what was decided: names, replicas, images, order.
    Plan {
        /// All of it, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Prints the network as `pocket up --spec` takes it: facts, private keys and block time, as JSON. Keys that the lock
    /// lacks are derived.
    Network,
    /// Shows every host port and its owner.
    Ports,
    /// Tells what a field is, what it says, and who says so.
    Explain {
        /// Such as workloads.relayer.ports.relay.
        field: String,
    },
    /// Derives keys, addresses and the genesis transaction, and writes config.lock.json.
    Lock,
    /// Turns a reference's config.relayer.yaml or config.miner.yaml into the spec's words.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Adds something to config.ncl.
    #[command(subcommand)]
    New(New),
    /// Asks registries for the digests of images, and writes them into config.ncl.
    Pin,
    /// Packs the programs that cargo built as images, which `docker load` reads; `make images` builds them first.
    Images {
        /// Folder with the programs; that of this program when absent.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// Folder for the images; target/images beside config.ncl when absent.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Certificates of authorities to put inside; the system's when absent.
        #[arg(long, value_name = "FILE")]
        certificates: Option<PathBuf>,
        /// Address of the sources, for a label.
        #[arg(long, value_name = "URL")]
        source: Option<String>,
        /// Revision of the sources, for a label.
        #[arg(long)]
        revision: Option<String>,
        /// All of it, for programs.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum New {
    /// A service, with an application that pays for it.
    Service {
        /// Its id.
        name: String,
        /// `JsonRpc`, `Rest`, `CometBft`, `WebSocket` or `Grpc`.
        #[arg(long, default_value = "JsonRpc")]
        rpc_type: String,
        /// Workload behind it.
        #[arg(long, default_value = "backend")]
        workload: String,
        /// Port of that workload.
        #[arg(long, default_value = "http")]
        port: String,
    },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("pocket spec: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    let root = verbs::root(args.root)?;
    let overlay = match &args.overlay {
        Some(path) => Overlay::Text(path.display().to_string(), fs::read_to_string(path)?),
        None => Overlay::Local,
    };
    match args.verb {
        Verb::Render { check: true } => {
            let changes = verbs::check(&root, &overlay)?;
            for change in &changes {
                tell(&change_text(change));
            }
            if changes.is_empty() {
                say("everything is as the spec says");
                return Ok(ExitCode::SUCCESS);
            }
            say(&format!("{} files differ from the spec: run `pocket spec render`", changes.len()));
            return Ok(ExitCode::FAILURE);
        }
        Verb::Render { check: false } => {
            let changes = verbs::render(&root, &overlay)?;
            for change in &changes {
                tell(change.path());
            }
            say(&format!("{} files changed", changes.len()));
            if changes.iter().any(|change| emit::is_embedded(change.path())) {
                say("what is compiled into the programs has changed: build them, then render once more");
            }
        }
        Verb::Plan { json } => {
            let (_, plan) = verbs::planned(&root, &overlay)?;
            tell(&if json { serde_json::to_string_pretty(&plan)? } else { verbs::plan_text(&plan) });
        }
        Verb::Network => {
            let plan = verbs::imagined(&root, &overlay)?;
            tell(&serde_json::to_string(&emit::facts::network(&plan))?);
        }
        Verb::Ports => {
            let (_, plan) = verbs::planned(&root, &overlay)?;
            tell(&verbs::ports_text(&plan));
        }
        Verb::Explain { field } => tell(verbs::explain(&Page::read(&root, &overlay)?, &field)?.trim_end()),
        Verb::Lock => {
            let changed = verbs::lock(&root, &overlay)?;
            say(if changed { "config.lock.json is new: commit it" } else { "config.lock.json is as it was" });
        }
        Verb::Import { file } => {
            let page = Page::read(&root, &Overlay::None)?;
            let (text, left) = verbs::import(&page, &fs::read_to_string(&file)?)?;
            tell(text.trim_end());
            for line in &left {
                say(line);
            }
        }
        Verb::New(New::Service { name, rpc_type, workload, port }) => {
            let line = verbs::new_service(&root, &Addition { id: name, rpc_type, workload, port })?;
            tell(&line);
            say("config.ncl and config.lock.json have it; now run `pocket spec render`");
        }
        Verb::Pin => {
            for line in verbs::pin(&root)? {
                tell(&line);
            }
        }
        Verb::Images { from, out, certificates, source, revision, json } => {
            let (_, plan) = verbs::planned(&root, &overlay)?;
            let packing = Packing { from, out, certificates, address: source, revision };
            let written = verbs::images(&root, &plan, packing)?;
            tell(&if json { serde_json::to_string_pretty(&written)? } else { verbs::images_text(&written) });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Absent(path) => format!("{path}: is not there"),
        Change::Stale(path) => format!("{path}: is rendered no more"),
        Change::Differs(path, lines) => format!("{path}: differs\n{}", lines.trim_end()),
    }
}

/// Data. A reader that has gone is no fault of ours.
fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
