//! A relayer that stands still while the world goes on: stopped by a signal, as a paused machine is.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use pocket_chain::Chain;
use pocket_protocol::relay;
use pocket_runtime::http::{Method, Request};
use pocket_runtime::{fs, net, shutdown, task};
use pocket_store::Store;
use pocket_testbed::{Config, RedisServer, Version};

use crate::support::{
    Gate, PATIENCE, SERVICE, SeenList, Shape, address, backend, call, client, key, store_options, until,
};

/// A relayer as a process of its own.
struct Relayer {
    child: Child,
    port: u16,
}

impl Drop for Relayer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Relayer {
    async fn start(folder: &Path, settings: &str) -> anyhow::Result<Self> {
        // Nobody else asks for a port of this machine between the two.
        let port = net::TcpListener::bind("127.0.0.1:0").await?.local_addr().port();
        let path = folder.join("relayer.yaml");
        fs::write_atomic(&path, format!("listen_addr: 127.0.0.1:{port}\n{settings}").as_bytes())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_pocket-relayer"));
        let child = command.arg("--config").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let relayer = Self { child, port };
        until("the relayer serves", || async {
            let request = Request::get(relayer.url("/ready")).body(Vec::new()).expect("a request");
            client().send(request).await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        Ok(relayer)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        ensure!(status.success(), "kill -{name}: {status}");
        Ok(())
    }
}

/// The relay is with the backend when the relayer stops; when it goes on, the backend has answered and the claim is made.
pub(crate) async fn across_the_seal(version: Version) -> anyhow::Result<()> {
    let server = RedisServer::start(version, Config::durable()).await?;
    let store = Store::redis(&server.url(), store_options()).await?;
    let devnet = pocket_testbed::devnet("blocks: manual").await?;
    devnet.running.chain.advance(3)?;
    let (_trigger, leaving) = shutdown::channel(PATIENCE);
    let chain = Chain::connect(&devnet.node(), PATIENCE, &leaving).await?;
    let seen = SeenList::default();
    let backend = backend(seen.clone(), &leaving).await;

    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys.yaml");
    fs::write_private(&keys, format!("keys: [{}]\n", *key("supplier1").to_hex_secret()).as_bytes())?;
    let node = devnet.node();
    let settings = format!(
        "redis: {{url: \"{}\"}}\n\
         pocket_node: {{query_node_rpc_url: \"{}\", query_node_grpc_url: \"{}\", grpc_insecure: true}}\n\
         keys: {{keys_file: \"{}\"}}\nmetrics: {{enabled: false}}\nhealth_check: {{enabled: false}}\n\
         services: {{{SERVICE}: {{backends: {{jsonrpc: {{url: \"http://{backend}\"}}}}}}}}\n",
        server.tcp_url(),
        node.query_node_rpc_url,
        node.query_node_grpc_url,
        keys.display()
    );
    let relayer = Relayer::start(folder.path(), &settings).await?;

    let gate = Gate::shut();
    let session = chain.session(&address("app1"), SERVICE, chain.height()).await?;
    let shape = Shape {
        header: session.header.clone(),
        supplier: address("supplier1"),
        payload: call(&gate.path()),
        ring: vec![key("app1").public_key(), key("gateway1").public_key()],
        signer: key("gateway1"),
    };
    let request = Request::builder().method(Method::POST).uri(relayer.url("/v1"));
    let request = request.body(relay::request_bytes(&shape.signed()))?;
    let answer = task::spawn("client", async move { client().send(request).await });
    until("the backend has the request", || async { seen.lock().expect("not poisoned").len() == 1 }).await;

    relayer.signal("STOP")?;
    let height = devnet.running.chain.advance(u64::try_from(session.windows.seal() - chain.height())?)?;
    tokio::time::timeout(PATIENCE, chain.blocks().reached(height)).await?;
    // As a miner does before it seals. Nobody has a lease here.
    store.close_sessions(&address("supplier1"), session.end(), 0).await?;
    gate.open();
    relayer.signal("CONT")?;

    let answer = answer.await.context("the client lives")?.context("an answer comes")?;
    ensure!(answer.status() == 504, "{}: {:?}", answer.status(), answer.body());
    let ledger = store.ledger(None).await?;
    ensure!((ledger.served, ledger.logged) == (0, 0), "it was answered, or billed: {ledger:?}");
    Ok(())
}
