//! What `pocket up` says when it serves.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use pocket_localnet::{Door, Running};

use crate::output::table;

/// The service whose protocol this version speaks.
pub(super) const SERVED: &str = "develop-http";

/// Addresses, services, accounts, and what to type next.
pub(super) fn text(data: Option<&Path>, block_time: Duration, running: &Running, took: Duration) -> String {
    let facts = &running.facts;
    let mut text = String::new();
    let mut line = |words: &str| {
        let _ = writeln!(text, "{words}");
    };
    let place = data.map_or("in memory".to_owned(), |folder| format!("kept in {}", folder.display()));
    line(&format!("A Pocket network is up ({} ms): chain `{}`, {place}.", took.as_millis(), facts.chain_id));
    let session = block_time * u32::try_from(facts.params.shared.num_blocks_per_session).unwrap_or(u32::MAX);
    line(&format!("A block every {block_time:?}, a session every {session:?}; a relay is paid within 27 blocks."));
    line("");

    let rows: Vec<Vec<String>> =
        running.addresses.iter().map(|(door, address)| vec![format!("  {address}"), door.about().to_owned()]).collect();
    line(&table(&["LISTENS ON", "WHAT"], &rows));
    line("  No port 6379: relayer and miner share an embedded store, so there is no Redis here to connect to.");
    line("  `pocket redis` and `pocket ledger` read that store; processes around a real Redis: see README.md.");
    line("");

    let url = running.addresses.gateway_url().replace("127.0.0.1", "localhost");
    line("SERVICES");
    for service in &facts.services {
        if service.id == SERVED {
            line(&format!("  {}", service.id));
            line(&format!(
                "    curl -X POST {url} -H \"Target-Service-Id: {}\" -H \"Content-Type: application/json\" \\",
                service.id
            ));
            line(r#"      -d '{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}'"#);
        } else {
            line(&format!("  {}  on the chain; its protocol ({}) is not served yet", service.id, service.rpc_type));
        }
    }
    line("");

    let rows: Vec<Vec<String>> = facts
        .accounts
        .iter()
        .map(|account| {
            vec![format!("  {}", account.name), account.address.clone(), crate::keys::role(facts, &account.name)]
        })
        .collect();
    line(&table(&["ACCOUNTS", "", ""], &rows));
    line("  The same at every start. Their keys are public: `pocket keys --secrets` shows them.");
    line("");

    let offset = |door: Door, flag: &str| {
        let address = running.addresses.of(door);
        if address.port() == door.port() { String::new() } else { format!(" {flag} {address}") }
    };
    let to_gateway = offset(Door::Gateway, "--url http://").replace("http:// ", "http://");
    let to_gateway = if to_gateway.is_empty() { to_gateway } else { format!("{to_gateway}/v1") };
    line("NEXT");
    line(&format!("  pocket relay jsonrpc --count 2000 --concurrency 16{to_gateway}"));
    line(&format!("  pocket ledger{}", offset(Door::StoreAdmin, "--admin")));
    line(&format!("  pocket redis sessions --supplier supplier1{}", offset(Door::StoreAdmin, "--admin")));
    line(&format!("  pocket chain warp --to-claim-window{}", offset(Door::Control, "--control")));
    line("  Ctrl-C drains and says what was settled.");
    line("");
    text
}
