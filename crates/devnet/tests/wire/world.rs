//! A chain with its listeners open, and clients of each.

use std::{collections::VecDeque, time::Duration};

use pocket_config::facts::Facts;
use pocket_devnet::{
    Chain, Settings, Time,
    clock::{Clock, Pace},
    engine::{Engine, Options},
    genesis,
    mempool::Limits,
    wire::{self, Bound},
};
use pocket_runtime::{
    http::{Client, ClientOptions, Request},
    net,
    shutdown::{self, ShutdownTrigger},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Channel,
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) bound: Bound,
    http: Client,
    _trigger: ShutdownTrigger,
}

/// Returns the default settings with ports that the system chooses.
pub(crate) fn settings() -> Settings {
    let mut settings: Settings = pocket_config::document::load("{}").expect("the defaults are whole").settings;
    for address in
        [&mut settings.grpc_addr, &mut settings.rpc_addr, &mut settings.rest_addr, &mut settings.control_addr]
    {
        "127.0.0.1:0".clone_into(address);
    }
    settings
}

/// Where the relayer of the recorded network was staked to be.
fn relayer_endpoint() -> String {
    let genesis = crate::read(&crate::folder().join("node/genesis.json"));
    let suppliers = genesis.as_object().expect("an object").iter().find(|(name, _)| name.starts_with("suppliers"));
    let url = &suppliers.expect("it names suppliers").1[0]["services"][0]["endpoints"][0]["url"];
    url.as_str().and_then(|url| url.split_once("://")).expect("a URL").1.to_owned()
}

impl World {
    /// Opens a chain at genesis, whose blocks are made by hand.
    pub(crate) async fn open() -> Self {
        let mut facts = Facts::localnet("seed").expect("the profile exists");
        facts.relayer_endpoint = relayer_endpoint();
        let state = genesis::state(&facts, 1).expect("the facts make a network");
        let options = Options {
            seed: 1,
            minimum_gas_price: 0,
            mempool: Limits { txs: 5_000, tx_bytes: 1 << 20 },
            states_kept: 1_000,
            blocks_kept: 1_000,
            snapshots_max: 4,
        };
        // A grid far in the past: blocks then follow the newest one's time, which a test may set.
        let clock = Clock::new(Pace::Manual, 1, Time::default());
        Self::over(Chain::new(Engine::new(options, clock, state, VecDeque::new())), &settings()).await
    }

    pub(crate) async fn over(chain: Chain, settings: &Settings) -> Self {
        let (trigger, shutdown) = shutdown::channel(Duration::from_millis(200));
        let servers = wire::serve(&chain, settings, &shutdown).await.expect("free ports");
        let http = Client::new(ClientOptions {
            connect_timeout: DEADLINE,
            request_timeout: DEADLINE,
            idle_per_host: 4,
            idle_timeout: DEADLINE,
            max_per_host: 8,
            max_response_bytes: 64 << 20,
        });
        Self { chain, bound: servers.bound, http, _trigger: trigger }
    }

    pub(crate) fn make_until(&self, height: i64) {
        while self.chain.height() < height {
            self.chain.produce_block().expect("a block");
        }
    }

    pub(crate) fn grpc(&self) -> Channel {
        pocket_runtime::grpc::channel(&self.bound.grpc_addr.to_string(), DEADLINE).expect("an address")
    }

    pub(crate) fn control(&self) -> Channel {
        pocket_runtime::grpc::channel(&self.bound.control_addr.to_string(), DEADLINE).expect("an address")
    }

    /// Sends one HTTP request; returns status, headers and body.
    pub(crate) async fn http(&self, address: std::net::SocketAddr, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("content-type", "application/json")
            .body(body.as_bytes().to_vec())
            .expect("a request");
        let response = self.http.send(request).await.expect("an answer");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        Answer {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            cache_control: header("cache-control"),
            server_time: header("x-server-time"),
            body: String::from_utf8(response.body().to_vec()).expect("text"),
        }
    }

    pub(crate) async fn rpc(&self, body: &str) -> Answer {
        self.http(self.bound.rpc_addr, "POST", "/", body).await
    }

    pub(crate) async fn uri(&self, path: &str) -> Answer {
        self.http(self.bound.rpc_addr, "GET", path, "").await
    }

    pub(crate) async fn socket(&self) -> Socket {
        let address = self.bound.rpc_addr.to_string();
        let stream = net::connect(&address).await.expect("a connection");
        let url = format!("ws://{address}/websocket");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("a websocket");
        Socket(socket)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) cache_control: Option<String>,
    pub(crate) server_time: Option<String>,
    pub(crate) body: String,
}

pub(crate) struct Socket(pub(crate) WebSocketStream<net::TcpStream>);

impl Socket {
    pub(crate) async fn say(&mut self, text: &str) {
        use futures_util::SinkExt;
        self.0.send(Message::text(text)).await.expect("the node listens");
    }

    /// Returns the next text; nothing when the node has closed.
    pub(crate) async fn hear(&mut self) -> Option<String> {
        use futures_util::StreamExt;
        loop {
            let message = tokio::time::timeout(DEADLINE, self.0.next()).await.expect("the node says something");
            match message {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(crate) async fn ask(&mut self, text: &str) -> String {
        self.say(text).await;
        self.hear().await.expect("an answer")
    }
}

/// Calls a gRPC method with bytes; returns the bytes and headers of the answer.
pub(crate) async fn unary(
    channel: Channel,
    path: &str,
    metadata: &[(String, String)],
    request: Vec<u8>,
) -> Result<(Vec<u8>, MetadataMap), Status> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    client.ready().await.map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
    let mut request = tonic::Request::new(request);
    for (name, value) in metadata {
        let name: tonic::metadata::AsciiMetadataKey = name.parse().expect("a metadata name");
        request.metadata_mut().insert(name, value.parse().expect("a metadata value"));
    }
    let path = path.parse().expect("a path");
    let response = client.unary(request, path, Raw).await?;
    let metadata = response.metadata().clone();
    Ok((response.into_inner(), metadata))
}

/// Passes messages on as bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use bytes::Buf;
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}
