//! The tool on a Redis server that programs of another kind use as well.
//!
//! A harness of its own: where there is no redis-server these are reported as ignored, never as passed.

use std::process::{Command, ExitCode, Output};

use anyhow::{Context as _, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use pocket_store::{Durability, MinedRelay, Namespace, Store, StoreOptions};
use pocket_testbed::redis::{Need, needs};
use pocket_testbed::{Config, RedisServer, Version};
use prost::Message as _;

const SUPPLIER: &str = "pokt1xwh8ww4n8ecxavguwv4078z8d4pkse4szgry84";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = Version::ALL.map(|version| {
        let need = needs(version);
        let ignored = matches!(need, Need::Skip { .. });
        let run = move || match need {
            Need::Fail { reason } => Err(Failed::from(reason)),
            _ => run(relays_of_another_relayer(version)).map_err(|error| Failed::from(format!("{error:#}"))),
        };
        Trial::test(format!("{version}::relays_of_another_relayer_are_no_bug_of_the_ledger"), run)
            .with_ignored_flag(ignored)
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test)
}

/// A relay that can be sent as text, so that the server may be told of it in plain words.
fn relay(number: u8) -> MinedRelay {
    MinedRelay {
        relay_bytes: format!("relay {number}").into(),
        session_id: "session".to_owned(),
        session_end_height: 20,
        supplier_operator_address: SUPPLIER.to_owned(),
        published_at_unix_nano: 1,
        ..MinedRelay::default()
    }
}

fn ledger(server: &RedisServer, more: &[&str]) -> anyhow::Result<(Output, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_pocket"))
        .args(["ledger", "--redis-url", &server.tcp_url()])
        .args(more)
        .output()
        .context("the binary runs")?;
    let said = String::from_utf8(output.stdout.clone())?;
    Ok((output, said))
}

async fn relays_of_another_relayer(version: Version) -> anyhow::Result<()> {
    let server = RedisServer::start(version, Config::durable()).await?;
    let store = Store::redis(&server.url(), StoreOptions::new(Namespace::default(), Durability::Process)).await?;
    store.append(relay(0)).await?;
    let stream = store.names().stream(SUPPLIER);
    for number in 1..=3 {
        // As the reference's relayer does: one field, and no counter.
        let data = String::from_utf8(relay(number).encode_to_vec())?;
        let answer = server.command(&["XADD", &stream, "*", "data", &data])?;
        ensure!(answer.starts_with('$'), "{answer}");
    }
    let (output, said) = ledger(&server, &[])?;
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("logged 1 + foreign 3 = ") && said.contains("pending 4"), "{said}");
    ensure!(said.contains("foreign 3: "), "it says what that means: {said}");
    let (_, said) = ledger(&server, &["--json"])?;
    let json: serde_json::Value = serde_json::from_str(&said)?;
    ensure!(json["balanced"] == true && json["foreign"] == 3 && json["logged"] == 1, "{said}");

    // What left the log and nobody knows where to is no other program's matter.
    server.command(&["XTRIM", &stream, "MAXLEN", "2"])?;
    let (output, said) = ledger(&server, &[])?;
    ensure!(output.status.code() == Some(1), "{said}");
    Ok(())
}
