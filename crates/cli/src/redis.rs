//! `pocket redis`: keys, sessions, leader.

use std::collections::BTreeMap;

use pocket_runtime::process::Exit;
use pocket_store::{Reading, StoredSession};
use serde_json::json;

use crate::output;
use crate::reading::{self, Source};

/// What is read, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists keys by pattern.
    Keys(Keys),
    /// Lists the sessions of a supplier, with their claims.
    Sessions(Sessions),
    /// Says which miner leads.
    Leader {
        /// One JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Keys {
    /// As in Redis' KEYS.
    #[arg(long, default_value = "ha:*")]
    pattern: String,
    /// Adds entries and bytes, and counts by type.
    #[arg(long)]
    stats: bool,
    /// Keys listed, at most; 0 for all.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// One JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Sessions {
    /// Operator address, or an account's name such as supplier1.
    #[arg(long)]
    supplier: String,
    /// Only this session, with all that is known of it.
    #[arg(long)]
    session: Option<String>,
    /// Only sessions in this state: open, sealed, claimed, proved, settled, unclaimed.
    #[arg(long)]
    state: Option<String>,
    /// One JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let store = args.source.open().await?;
    match args.verb {
        Verb::Keys(args) => keys(&store, &args).await,
        Verb::Sessions(args) => sessions(&store, &args).await,
        Verb::Leader { json } => leader(&store, json).await,
    }
}

async fn keys(store: &Reading, args: &Keys) -> anyhow::Result<Exit> {
    let found = store.keys(&args.pattern, args.stats).await?;
    let shown = if args.limit == 0 { found.len() } else { found.len().min(args.limit) };
    if args.json {
        output::tell_json(&&found[..shown])?;
        return Ok(Exit::Success);
    }
    let mut head = vec!["#", "KEY", "TYPE", "TTL"];
    if args.stats {
        head.extend(["ENTRIES", "BYTES"]);
    }
    let dash = || "-".to_owned();
    let rows: Vec<Vec<String>> = found[..shown]
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let ttl = key.ttl_seconds.map_or_else(dash, |seconds| format!("{seconds}s"));
            let mut row = vec![(index + 1).to_string(), key.key.clone(), key.kind.clone(), ttl];
            if args.stats {
                row.push(key.entries.map_or_else(dash, output::grouped));
                row.push(key.bytes.map_or_else(dash, output::grouped));
            }
            row
        })
        .collect();
    output::tell(&output::table(&head, &rows));
    if shown < found.len() {
        output::say(&format!("{} more: --limit {} shows all", found.len() - shown, found.len()));
    }
    if args.stats {
        let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for key in &found {
            let (count, bytes) = kinds.entry(&key.kind).or_default();
            *count += 1;
            *bytes += key.bytes.unwrap_or(0);
        }
        let rows: Vec<Vec<String>> = kinds
            .into_iter()
            .map(|(kind, (count, bytes))| vec![kind.to_owned(), output::grouped(count), output::grouped(bytes)])
            .collect();
        output::tell("");
        output::tell(&output::table(&["TYPE", "KEYS", "BYTES"], &rows));
    }
    Ok(Exit::Success)
}

async fn sessions(store: &Reading, args: &Sessions) -> anyhow::Result<Exit> {
    let supplier = reading::supplier(&args.supplier)?;
    let mut found = store.sessions(&supplier).await?;
    found.retain(|one| args.session.as_ref().is_none_or(|session| one.record.session == *session));
    found.retain(|one| args.state.as_ref().is_none_or(|state| one.record.state.word() == state));
    found.sort_by_key(|one| (one.record.start_height, one.record.session.clone()));
    if args.json || args.session.is_some() {
        output::tell(&serde_json::to_string_pretty(&found)?);
        return Ok(Exit::Success);
    }
    let row = |one: &StoredSession| {
        let record = &one.record;
        let paid = record.settlement.as_ref().map_or(0, |settlement| settlement.paid_upokt);
        vec![
            record.session.clone(),
            record.state.word().to_owned(),
            record.service.clone(),
            output::grouped(one.leaves),
            output::grouped(record.compute_units),
            record.start_height.to_string(),
            record.end_height.to_string(),
            output::grouped(record.claimed_upokt),
            output::grouped(paid),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let head =
        ["SESSION ID", "STATE", "SERVICE", "RELAYS", "COMPUTE UNITS", "START", "END", "CLAIMED UPOKT", "PAID UPOKT"];
    output::tell(&output::table(&head, &rows));
    let relays: u64 = found.iter().map(|one| one.leaves).sum();
    output::say(&format!("{} sessions, {} relays", found.len(), output::grouped(relays)));
    Ok(Exit::Success)
}

async fn leader(store: &Reading, as_json: bool) -> anyhow::Result<Exit> {
    let held = store.leader().await?;
    if as_json {
        let lease = held.map(
            |lease| json!({"holder": lease.holder, "epoch": lease.epoch, "ttl_seconds": lease.remaining.as_secs_f64()}),
        );
        output::tell_json(&lease)?;
        return Ok(Exit::Success);
    }
    match held {
        None => output::tell("no leader"),
        Some(lease) => {
            let status = match lease.remaining.as_secs() {
                21.. => "healthy",
                11..=20 => "ok",
                _ => "about to lapse",
            };
            output::tell(&format!("holder  {}", lease.holder));
            output::tell(&format!("epoch   {}", lease.epoch));
            output::tell(&format!("ttl     {:.1} s ({status})", lease.remaining.as_secs_f64()));
        }
    }
    Ok(Exit::Success)
}
