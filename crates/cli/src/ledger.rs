//! `pocket ledger`: where every relay and every upokt went.

use std::fmt::Write;

use pocket_runtime::process::Exit;
use pocket_store::Ledger;
use serde_json::json;

use crate::output::{self, grouped};
use crate::reading::{self, Source};

/// Whose ledger, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Only this supplier: operator address, or an account's name.
    #[arg(long)]
    supplier: Option<String>,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// Ends with a failure if the ledger does not balance, so that scripts may ask.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let supplier = args.supplier.as_deref().map(reading::supplier).transpose()?;
    let ledger = args.source.open().await?.ledger(supplier.as_deref()).await?;
    if args.json {
        output::tell_json(&json(&ledger)?)?;
    } else {
        output::put(&text(&ledger));
    }
    if ledger.balances() {
        return Ok(Exit::Success);
    }
    output::say(
        "The ledger does not balance. While relays are in flight a reading may be between two steps; if it stays so, it is a bug, or relays were trimmed from the log.",
    );
    Ok(Exit::Failure)
}

/// The ledger with its differences, for programs.
pub(crate) fn json(ledger: &Ledger) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(ledger)?;
    let differences: std::collections::BTreeMap<&str, i64> = ledger.differences().into_iter().collect();
    value["differences"] = json!(differences);
    value["balanced"] = json!(ledger.balances());
    Ok(value)
}

/// The equations with their numbers, for people.
pub(crate) fn text(ledger: &Ledger) -> String {
    let Ledger { served, skipped, logged, spooled, lost_before_log, .. } = ledger;
    let differences: std::collections::BTreeMap<&str, i64> = ledger.differences().into_iter().collect();
    let mut text = String::new();
    let mut line = |equation: &str, left: &str, total: String, terms: &[(&str, i64)]| {
        let right: Vec<String> = terms.iter().map(|(name, value)| format!("{name} {}", grouped(*value))).collect();
        let difference = differences.get(equation).copied().unwrap_or(0);
        let _ = writeln!(text, "{left} {total} = {}   (difference {difference})", right.join(" + "));
    };
    line(
        "served",
        "relays served",
        grouped(*served),
        &[("skipped", *skipped), ("logged", *logged), ("spooled", *spooled), ("lost before log", *lost_before_log)],
    );
    // Programs of another kind are named only where there are some.
    let logged_by_all = match ledger.foreign {
        0 => grouped(*logged),
        foreign => format!("{} + foreign {}", grouped(*logged), grouped(foreign)),
    };
    let mut ends = vec![
        ("leaves", ledger.leaves),
        ("collapsed", ledger.collapsed),
        ("rejected", ledger.rejected),
        ("pending", ledger.pending),
    ];
    if ledger.taken > 0 {
        ends.push(("taken", ledger.taken));
    }
    line("logged", "       logged", logged_by_all, &ends);
    line(
        "leaves",
        "       leaves",
        grouped(ledger.leaves),
        &[("claimed", ledger.claimed), ("unclaimed", ledger.unclaimed), ("open", ledger.open)],
    );
    line(
        "claimed",
        "      claimed",
        grouped(ledger.claimed),
        &[
            ("settled with proof", ledger.settled_proved),
            ("settled without", ledger.settled_unproved),
            ("expired", ledger.expired),
            ("discarded", ledger.discarded),
            ("waiting", ledger.waiting),
        ],
    );
    let upokt = &ledger.upokt;
    line(
        "upokt",
        "upokt claimed",
        grouped(upokt.claimed),
        &[
            ("paid", upokt.paid),
            ("capped", upokt.capped),
            ("expired", upokt.expired),
            ("discarded", upokt.discarded),
            ("forgone", upokt.forgone),
            ("waiting", upokt.waiting),
        ],
    );
    for (term, count, means) in [
        ("foreign", ledger.foreign, "put into the log by relayers that count nothing, such as the reference's"),
        ("taken", ledger.taken, "taken from the log by miners of another kind, which account for them"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{term} {}: {means}", grouped(count));
        }
    }
    for (what, reasons) in [("rejected", &ledger.rejected_by_reason), ("unclaimed", &ledger.unclaimed_by_reason)] {
        for (reason, count) in reasons {
            let _ = writeln!(text, "{what} because of {reason}: {}{}", grouped(*count), explained(reason));
        }
    }
    text
}

/// What a reason means where its word does not say it.
fn explained(reason: &str) -> &'static str {
    match reason {
        "other_root" => " (another miner has claimed these sessions)",
        _ => "",
    }
}
