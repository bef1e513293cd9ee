//! `pocket`: the tool in people's hands.
//!
//! Each verb is a module with its arguments and one function that does it. Data goes to stdout, talk to stderr; with
//! `--json` the data is for programs. Exit codes: 0 done, 1 it failed, 2 the arguments or a settings file are wrong.
//!
//! Deliberately not here: how a network is put together (`localnet`), what is in a store and how it is found (`store`).

mod accounts;
mod chain;
mod direct;
mod keys;
mod ledger;
mod node;
mod output;
mod reading;
mod redis;
mod relay;
mod spec;
mod standalone;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pocket_runtime::process::{self, Exit};

/// A Pocket network, and what one does with it.
#[derive(Debug, Parser)]
#[command(name = "pocket", version, propagate_version = true, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs a whole Pocket network in this process: chain, gateway, relayer, miner, store, demo backend.
    Up(up::Args),
    /// Sends relays and checks the answers.
    #[command(subcommand)]
    Relay(relay::Verb),
    /// Lists the accounts of the development network.
    Keys(keys::Args),
    /// Puts the public keys of a development network's accounts on its chain.
    #[command(subcommand)]
    Accounts(accounts::Verb),
    /// Renders every file of the environments from config.ncl, and explains it: `pocket spec --help`.
    Spec(spec::Args),
    /// Moves the time of a development chain, and takes it back.
    Chain(chain::Args),
    /// Reads what relayers and miners share: a Redis server, or the store of a running `pocket up`.
    Redis(redis::Args),
    /// Says where every relay and every upokt went; the differences must be 0.
    Ledger(ledger::Args),
    /// Runs relayer and miner in one process on the embedded store, against any node.
    Standalone(standalone::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run("pocket", async move {
        let done = match args.verb {
            Verb::Up(args) => up::run(args).await,
            Verb::Relay(verb) => relay::run(verb).await,
            Verb::Keys(args) => keys::run(&args),
            Verb::Accounts(verb) => accounts::run(verb).await,
            Verb::Spec(args) => spec::run(&args),
            Verb::Chain(args) => chain::run(args).await,
            Verb::Redis(args) => redis::run(args).await,
            Verb::Ledger(args) => ledger::run(args).await,
            Verb::Standalone(args) => standalone::run(args).await,
        };
        done.unwrap_or_else(|error| {
            output::say(&format!("pocket: {}", process::chain(&*error)));
            Exit::Failure
        })
    })
}
