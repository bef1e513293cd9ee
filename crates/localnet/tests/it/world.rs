//! A network of a test, and its client.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use pocket_localnet::{Localnet, Options, Ports, Running, StartError, Summary};
use pocket_runtime::http::{Client, ClientOptions, Request, Response};
use pocket_runtime::shutdown::{self, ShutdownTrigger};

/// How long a test waits for anything at all.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct World {
    pub(crate) running: Running,
    trigger: ShutdownTrigger,
    client: Client,
}

pub(crate) fn options(data: Option<&Path>) -> Options {
    Options {
        network: None,
        data_dir: data.map(Path::to_path_buf),
        block_time: Duration::from_millis(100),
        ports: Ports::Auto,
        profile: "seed".to_owned(),
        seed: 7,
        grace: Duration::from_secs(5),
    }
}

pub(crate) async fn start(options: Options) -> Result<World, StartError> {
    let (trigger, shutdown) = shutdown::channel(Duration::from_secs(5));
    let running = Localnet::start(options, &shutdown).await?;
    let client = Client::new(ClientOptions {
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(30),
        idle_per_host: 8,
        idle_timeout: Duration::from_secs(30),
        max_per_host: 8,
        max_response_bytes: 1 << 20,
    });
    Ok(World { running, trigger, client })
}

impl World {
    /// Sends one call through the gateway.
    pub(crate) async fn call(&self, service: &str, body: String) -> Response<Bytes> {
        let request = Request::post(self.running.addresses.gateway_url())
            .header("target-service-id", service)
            .header("content-type", "application/json")
            .body(body)
            .expect("a request");
        self.client.send(request).await.expect("an answer")
    }

    /// Sends the documented call under an id, and checks the answer to the byte; returns the supplier.
    pub(crate) async fn relay(&self, id: u64) -> String {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":{id}}}"#);
        let answer = self.call("develop-http", body).await;
        let expected = format!(
            r#"{{"id":{id},"jsonrpc":"2.0","result":{{"method":"eth_blockNumber","params":[],"status":"ok"}}}}"#
        );
        assert_eq!(String::from_utf8_lossy(answer.body()), expected, "status {}", answer.status());
        assert_eq!(answer.status(), 200);
        answer.headers()["x-supplier-address"].to_str().expect("text").to_owned()
    }

    /// Waits until as many relays are settled.
    pub(crate) async fn settled(&self, relays: i64) {
        until("every relay is settled", || async {
            let ledger = self.running.ledger().await.expect("a ledger");
            (ledger.settled_proved + ledger.settled_unproved == relays).then_some(()).ok_or(format!("{ledger:?}"))
        })
        .await;
    }

    pub(crate) async fn stop(self) -> Summary {
        self.trigger.trigger();
        self.running.stopped().await
    }
}

/// Waits for a condition, and says what was the matter if it does not come.
pub(crate) async fn until<F, Fut>(what: &str, condition: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        match condition().await {
            Ok(()) => return,
            Err(state) if tokio::time::Instant::now() > deadline => panic!("not in time: {what}; now: {state}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
