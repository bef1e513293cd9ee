//! Relayer and miner alone, on a node, a backend and a gateway that are other people's.

use std::time::Duration;

use pocket_chain::Chain;
use pocket_config::document;
use pocket_config::facts::development_keys;
use pocket_localnet::standalone::{self, Running};
use pocket_runtime::fs;
use pocket_runtime::http::{Client, ClientOptions, Request};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::{self, Shutdown, ShutdownTrigger};
use pocket_store::{Reading, Remote};
use pocket_testbed::PrivateDevnet;
use serde_json::json;

use crate::world::until;

const GRACE: Duration = Duration::from_secs(5);

/// Everybody else.
struct Others {
    devnet: PrivateDevnet,
    backend: pocket_backend::Running,
    gateway: pocket_gateway::Running,
    relayer_port: u16,
    trigger: ShutdownTrigger,
}

fn keys(prefix: &str) -> String {
    let keys: Vec<String> = development_keys()
        .into_iter()
        .filter(|key| key.name.starts_with(prefix))
        .map(|key| format!("\"{}\"", key.private_key))
        .collect();
    format!("keys: [{}]\n", keys.join(", "))
}

async fn others(folder: &std::path::Path) -> Others {
    let relayer_port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().port();
    let devnet = format!("block_time_ms: 100\nrelayer_endpoint: '127.0.0.1:{relayer_port}'\n");
    let devnet = pocket_testbed::devnet(&devnet).await.expect("a chain");
    let (trigger, shutdown) = shutdown::channel(GRACE);
    let backend = document::load("listen_addr: '127.0.0.1:0'\nmetrics: {enabled: false}").expect("settings").settings;
    let backend = pocket_backend::start(&backend, &shutdown).await.expect("a backend");
    let key_file = folder.join("gateway.yaml");
    fs::write_private(&key_file, keys("gateway").as_bytes()).expect("a file");
    let settings = json!({
        "listen_addr": "127.0.0.1:0",
        "pocket_node": devnet.node(),
        "gateway_key_file": key_file,
        "applications": ["pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4"],
        "metrics": {"enabled": false},
    });
    let settings: pocket_config::gateway::Gateway = document::load(&settings.to_string()).expect("settings").settings;
    let chain = Chain::connect(&devnet.node(), GRACE, &shutdown).await.expect("a connection");
    let gateway = pocket_gateway::start(&settings, chain, &shutdown).await.expect("a gateway");
    Others { devnet, backend, gateway, relayer_port, trigger }
}

impl Others {
    async fn standalone(&self, folder: &std::path::Path, shutdown: &Shutdown) -> Running {
        let key_file = folder.join("suppliers.yaml");
        fs::write_private(&key_file, keys("supplier").as_bytes()).expect("a file");
        let off = json!({"enabled": false, "addr": ""});
        let settings = json!({
            "common": {
                "store": {"data_dir": folder.join("store")},
                "pocket_node": self.devnet.node(),
                "keys": {"keys_file": key_file},
                "metrics": off,
            },
            "relayer": {
                "listen_addr": format!("127.0.0.1:{}", self.relayer_port),
                "health_check": off,
                "services": {"develop-http": {"backends": {"jsonrpc": {"url": format!("http://{}", self.backend.addr)}}}},
            },
        });
        let settings = pocket_config::standalone::load(&settings.to_string()).expect("settings").settings;
        assert!(standalone::check(&settings).expect("valid").iter().any(|line| line == "mines for 15 suppliers"));
        standalone::start(settings, shutdown).await.expect("relayer and miner")
    }

    async fn relay(&self, id: u64) {
        let client = Client::new(ClientOptions {
            connect_timeout: GRACE,
            request_timeout: GRACE,
            idle_per_host: 1,
            idle_timeout: GRACE,
            max_per_host: 1,
            max_response_bytes: 1 << 20,
        });
        let body = format!(r#"{{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":{id}}}"#);
        let request = Request::post(format!("http://{}/v1", self.gateway.addr))
            .header("target-service-id", "develop-http")
            .header("content-type", "application/json")
            .body(body)
            .expect("a request");
        let answer = client.send(request).await.expect("an answer");
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_are_paid_across_a_restart_and_the_admin_socket_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let others = others(folder.path()).await;
    let (trigger, shutdown) = shutdown::channel(GRACE);
    let running = others.standalone(folder.path(), &shutdown).await;
    for id in 1..=10 {
        others.relay(id).await;
    }
    let remote = Reading::Remote(Remote::new(&running.admin_addr.to_string()));
    let ledger = remote.ledger(None).await.expect("a ledger");
    assert_eq!(ledger.served, 10, "{ledger:?}");
    trigger.trigger();
    running.ended().await;

    let (trigger, shutdown) = shutdown::channel(GRACE);
    let running = others.standalone(folder.path(), &shutdown).await;
    for id in 11..=15 {
        others.relay(id).await;
    }
    until("fifteen relays are settled", || async {
        let ledger = running.store.ledger(None).await.expect("a ledger");
        (ledger.settled_proved == 15 && ledger.balances()).then_some(()).ok_or(format!("{ledger:?}"))
    })
    .await;
    trigger.trigger();
    running.ended().await;
    others.trigger.trigger();
    others.gateway.ended().await;
    others.backend.ended().await;
}
