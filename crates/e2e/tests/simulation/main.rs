//! The whole line in one thread: gateway, relayer, miner and chain under one seed, with no real socket.
//!
//! Twice the same seed tells the same story, event by event.

use std::rc::Rc;
use std::time::Duration;

use pocket_chain::Chain;
use pocket_config::{
    backend::Backend, devnet::Devnet, document, facts, gateway::Gateway, miner::Miner, relayer::Relayer,
};
use pocket_runtime::fs;
use pocket_runtime::http::{Client, ClientOptions, Request, StatusCode};
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::simulation::{Ended, HostResult, World, event};
use pocket_store::{Durability, Namespace, Store, StoreOptions};

/// A session and its settlement at the block time below take far less.
const UNTIL: Duration = Duration::from_mins(3);

/// Relays sent by the user.
const RELAYS: u64 = 40;

const NODE: &str = "pocket_node: {query_node_rpc_url: 'http://devnet:26657', query_node_grpc_url: 'devnet:9090', grpc_insecure: true, poll_interval_ms: 200}";
const APP1: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";

fn keys(prefix: &str) -> String {
    let keys = facts::development_keys();
    let own = keys.iter().filter(|key| key.name.starts_with(prefix));
    let lines = own.map(|key| ["  - \"", &key.private_key, "\"\n"].concat());
    std::iter::once("keys:\n".to_owned()).chain(lines).collect()
}

async fn devnet() -> HostResult {
    let settings = "rpc_addr: 0.0.0.0:26657\ngrpc_addr: 0.0.0.0:9090\nrest_addr: 0.0.0.0:1317\ncontrol_addr: 127.0.0.1:9099\nrelayer_endpoint: supplier:8080\nblock_time_ms: 500\nmetrics: {enabled: false}";
    let settings = document::load::<Devnet>(settings)?.settings;
    let running = pocket_devnet::running::Devnet::start(&settings, &Shutdown::never()).await?;
    running.stopped().await;
    Ok(())
}

async fn backend() -> HostResult {
    let settings = document::load::<Backend>("listen_addr: 0.0.0.0:8545\nmetrics: {enabled: false}")?.settings;
    pocket_backend::start(&settings, &Shutdown::never()).await?.ended().await;
    Ok(())
}

/// Relayer and miner on one store.
async fn supplier() -> HostResult {
    fs::write_atomic("/keys.yaml", keys("supplier").as_bytes())?;
    let shared = format!("{NODE}\nkeys: {{keys_file: /keys.yaml}}\nstore: {{kind: embedded}}");
    let relayer = format!(
        "{shared}\nlisten_addr: 0.0.0.0:8080\nmetrics: {{enabled: false}}\nhealth_check: {{enabled: false}}\nservices: {{develop-http: {{backends: {{jsonrpc: {{url: 'http://backend:8545'}}}}}}}}"
    );
    let miner = format!("{shared}\nmetrics: {{enabled: false}}");
    let relayer = document::load::<Relayer>(&relayer)?.settings;
    let miner = document::load::<Miner>(&miner)?.settings;

    let shutdown = Shutdown::never();
    let chain = Chain::connect(&relayer.pocket_node, Duration::from_secs(30), &shutdown).await?;
    let store = Store::memory(StoreOptions::new(Namespace::default(), Durability::Process));
    let _relayer =
        pocket_relayer::start(&relayer, pocket_relayer::Deps { chain: chain.clone(), store: store.clone() }, &shutdown)
            .await?;
    let _miner = pocket_miner::start(&miner, pocket_miner::Deps { chain, store }, &shutdown).await?;
    std::future::pending().await
}

async fn gateway() -> HostResult {
    fs::write_atomic("/key.yaml", keys("gateway").as_bytes())?;
    let settings = format!(
        "{NODE}\nlisten_addr: 0.0.0.0:3069\nmetrics: {{enabled: false}}\ngateway_key_file: /key.yaml\napplications: ['{APP1}']"
    );
    let settings = document::load::<Gateway>(&settings)?.settings;
    let shutdown = Shutdown::never();
    let chain = Chain::connect(&settings.pocket_node, Duration::from_secs(30), &shutdown).await?;
    pocket_gateway::start(&settings, chain, &shutdown).await?.ended().await;
    Ok(())
}

async fn user(settled: Rc<std::cell::Cell<u64>>) -> HostResult {
    let client = Client::new(ClientOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(20),
        idle_per_host: 4,
        idle_timeout: Duration::from_secs(30),
        max_per_host: 4,
        max_response_bytes: 1 << 20,
    });
    let mut answered = 0;
    let mut id = 0;
    while answered < RELAYS {
        id += 1;
        let body = format!(r#"{{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":{id}}}"#);
        let request = Request::post("http://gateway:3069/v1")
            .header("target-service-id", "develop-http")
            .header("content-type", "application/json")
            .body(body)?;
        match client.send(request).await {
            Ok(response) if response.status() == StatusCode::OK => {
                let expected = format!(
                    r#"{{"id":{id},"jsonrpc":"2.0","result":{{"method":"eth_blockNumber","params":[],"status":"ok"}}}}"#
                );
                assert_eq!(response.body(), expected.as_bytes());
                answered += 1;
                event(format!("relay {id} answered by {:?}", response.headers().get("x-supplier-address")));
            }
            // The house is still starting.
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    let node = document::load::<Gateway>(&format!("{NODE}\ngateway_key_file: none\napplications: ['{APP1}']"))?
        .settings
        .pocket_node;
    let chain = Chain::connect(&node, Duration::from_secs(30), &Shutdown::never()).await?;
    let last = chain.shared_at(chain.height()).await?.windows_at(chain.height()).settlement_height() + 1;
    chain.blocks().reached(last).await;
    for height in 1..=last {
        let results = chain.block_results(height).await?;
        for one in &results.txs_results {
            let did: Vec<_> = one.events.iter().filter(|one| one.kind.starts_with("pocket.")).collect();
            let did: Vec<_> = did
                .iter()
                .map(|one| (&one.kind, one.text("supplier_operator_address"), one.integer("num_relays")))
                .collect();
            event(format!("block {height} has a transaction: code {}, {did:?}", one.code));
        }
        let block = chain.blocks().at(height).await?;
        event(format!("block {height} is {:02x?}", &block.hash[..4]));
        for one in results.finalize_block_events {
            if one.kind == "pocket.tokenomics.EventClaimSettled" {
                let relays = one.integer("num_relays").unwrap_or_default().unsigned_abs();
                settled.set(settled.get() + relays);
                event(format!("{relays} relays of {:?} settled at {height}", one.text("supplier_operator_address")));
            }
        }
    }
    Ok(())
}

fn story(seed: u64) -> Vec<String> {
    let settled = Rc::new(std::cell::Cell::new(0));
    let mut world = World::new(seed);
    world.host("devnet", devnet);
    world.host("backend", backend);
    world.host("supplier", supplier);
    world.host("gateway", gateway);
    world.client("user", user(settled.clone()));
    let ended = world.run(UNTIL).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(ended, Ended::Finished, "seed {seed}");
    assert_eq!(settled.get(), RELAYS, "seed {seed}: every answered relay is settled, once");
    world.events()
}

#[test]
fn the_whole_line_tells_the_same_story_for_the_same_seed() {
    let seed = std::env::var("POCKET_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    println!("POCKET_SEED={seed}");
    let first = story(seed);
    let second = story(seed);
    for (index, (one, other)) in first.iter().zip(&second).enumerate() {
        assert_eq!(one, other, "the stories part at event {index}");
    }
    assert_eq!(first.len(), second.len());
    assert_ne!(first, story(seed + 1), "another seed tells another story");
}
