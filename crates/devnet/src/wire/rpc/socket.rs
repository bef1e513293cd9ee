//! Connections by `WebSocket`: calls as by POST, and subscriptions to blocks and transactions.
//!
//! One task serves a connection. Nothing is queued for a slow client: what it has not yet been told is read from the
//! chain's memory of blocks when its turn comes, in order and without gaps. A client that takes no frame for
//! [`WRITE_WAIT`], or falls further behind than blocks are remembered, is dropped.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use pocket_runtime::{
    http::{Body, Incoming, Request, Response, StatusCode, header},
    task,
};
use serde_json::value::RawValue;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{Call, Failure, Outcome, Rpc, golang, methods, params::Params, shapes};
use crate::{
    block::Block,
    chain::FoundTx,
    query::{QUERY_BYTES_MAX, Query, values_in},
};

/// Connections with subscriptions, and subscriptions of one connection, as the node has them.
const CLIENTS_MAX: usize = 100;
const SUBSCRIPTIONS_MAX: usize = 5;
/// How often a client is asked whether it lives.
const PING_PERIOD: Duration = Duration::from_secs(27);
/// How long a client may be silent; it answers pings.
const READ_WAIT: Duration = Duration::from_mins(1);
/// How long a client may take to accept one frame.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// Counts connections that have subscriptions.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients(Arc<AtomicUsize>);

/// A connection's place among them, given up when dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Clients {
    fn enter(&self) -> Option<Place> {
        let free = |count: usize| (count < CLIENTS_MAX).then_some(count + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        Some(Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Answers the opening handshake, and serves the connection in a task of its own.
pub(super) fn upgrade(rpc: &Rpc, mut request: Request<Incoming>) -> Response<Body> {
    let refuse = |problem: &'static str| {
        let response = Response::builder().status(StatusCode::BAD_REQUEST).body(Body::from(problem));
        response.expect("the status is well formed")
    };
    let headers = request.headers();
    let wants = headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !wants {
        return refuse("Bad Request\nwebsocket: the client is not using the websocket protocol\n");
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return refuse("Bad Request\nwebsocket: 'Sec-WebSocket-Key' header is missing\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    let rpc = rpc.clone();
    drop(task::spawn("devnet-websocket", async move {
        let Ok(upgraded) = upgraded.await else { return };
        let config = WebSocketConfig::default()
            .max_message_size(Some(rpc.inner.body_bytes_max))
            .max_frame_size(Some(rpc.inner.body_bytes_max));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        Connection::new(rpc, socket).run().await;
    }));
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty());
    response.expect("the headers are well formed")
}

/// What one connection has asked to be told, by the text of the query.
struct Subscription {
    /// The id of the request, echoed in every event.
    id: String,
    query: Query,
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

struct Connection {
    rpc: Rpc,
    socket: Socket,
    subscriptions: BTreeMap<String, Subscription>,
    place: Option<Place>,
    blocks: Receiver<Arc<Block>>,
    /// The next block to tell of.
    next: i64,
    /// Up to here blocks may still come that were told of when they were overtaken; 0 when there are none.
    overtaken: i64,
}

/// The connection is over.
struct Over;

impl Connection {
    fn new(rpc: Rpc, socket: Socket) -> Self {
        let chain = &rpc.inner.queries.chain;
        let blocks = chain.subscribe();
        let next = chain.height() + 1;
        Self { rpc, socket, subscriptions: BTreeMap::new(), place: None, blocks, next, overtaken: 0 }
    }

    async fn run(mut self) {
        let shutdown = self.rpc.inner.shutdown.clone();
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_PERIOD, PING_PERIOD);
        let silence = tokio::time::sleep(READ_WAIT);
        tokio::pin!(silence);
        loop {
            let step = tokio::select! {
                biased;
                () = shutdown.triggered() => Err(Over),
                message = self.socket.next() => {
                    silence.as_mut().reset(tokio::time::Instant::now() + READ_WAIT);
                    self.hear(message).await
                }
                block = self.blocks.recv() => self.tell(block).await,
                _ = ping.tick() => self.send(Message::Ping(tungstenite::Bytes::new())).await,
                () = &mut silence => Err(Over),
            };
            if step.is_err() {
                break;
            }
        }
        let _closing = tokio::time::timeout(WRITE_WAIT, self.socket.close(None)).await;
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        match tokio::time::timeout(WRITE_WAIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Over),
            Err(_) => {
                tracing::debug!(wait_seconds = WRITE_WAIT.as_secs(), "websocket client takes nothing and is dropped");
                Err(Over)
            }
        }
    }

    async fn say(&mut self, text: String) -> Result<(), Over> {
        self.send(Message::text(text)).await
    }

    async fn hear(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), Over> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(bytes))) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => text.into(),
                Err(_) => return Err(Over),
            },
            // The library answers pings itself, with the next write or read.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over),
        };
        let call: Call<'_> = match serde_json::from_str(&text) {
            Ok(call) => call,
            Err(error) => {
                let problem = golang::json_problem(text.as_bytes()).unwrap_or_else(|| error.to_string());
                return self.say(Outcome::parse_error(&problem).text(None)).await;
            }
        };
        let Some(id) = call.id().map(str::to_owned) else { return Ok(()) };
        let answer = if methods::find(&call.method).is_some_and(|method| method.socket_only) {
            let params = Params::of_json(call.params.map(RawValue::get), &["query"]);
            let result = match params {
                Ok(params) => self.control(&call.method, &params, &id),
                Err(_) if call.method == "unsubscribe_all" => self.control(&call.method, &Params::of_uri(""), &id),
                Err(problem) => Err(Failure::Params(problem)),
            };
            Some(Outcome::of(result.map(|()| "{}".to_owned()), "json").text(Some(&id)))
        } else {
            self.rpc.answer(&call, true).await.0
        };
        match answer {
            Some(answer) => self.say(answer).await,
            None => Ok(()),
        }
    }

    fn control(&mut self, method: &str, params: &Params, id: &str) -> Result<(), Failure> {
        match method {
            "subscribe" => self.subscribe(params.text("query")?, id),
            "unsubscribe" => self.unsubscribe(&params.text("query")?),
            _ => {
                if self.subscriptions.is_empty() {
                    return Err(Failure::internal("subscription not found"));
                }
                self.subscriptions.clear();
                self.place = None;
                Ok(())
            }
        }
    }

    fn subscribe(&mut self, text: String, id: &str) -> Result<(), Failure> {
        if self.place.is_none() {
            let limit = || Failure::Internal(format!("max_subscription_clients {CLIENTS_MAX} reached"));
            self.place = Some(self.rpc.inner.clients.enter().ok_or_else(limit)?);
        }
        let added = self.add(text, id);
        if self.subscriptions.is_empty() {
            self.place = None;
        }
        added
    }

    fn add(&mut self, text: String, id: &str) -> Result<(), Failure> {
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(Failure::Internal(format!("max_subscriptions_per_client {SUBSCRIPTIONS_MAX} reached")));
        }
        if text.len() > QUERY_BYTES_MAX {
            return Err(Failure::internal("maximum query length exceeded"));
        }
        let query = parse(&text)?;
        if self.subscriptions.contains_key(&text) {
            return Err(Failure::internal("already subscribed"));
        }
        self.subscriptions.insert(text, Subscription { id: id.to_owned(), query });
        Ok(())
    }

    fn unsubscribe(&mut self, text: &str) -> Result<(), Failure> {
        parse(text)?;
        if self.subscriptions.remove(text).is_none() {
            return Err(Failure::internal("subscription not found"));
        }
        if self.subscriptions.is_empty() {
            self.place = None;
        }
        Ok(())
    }

    /// Tells of every block that was made since the last time.
    async fn tell(&mut self, block: Result<Arc<Block>, RecvError>) -> Result<(), Over> {
        let chain = self.rpc.inner.queries.chain.clone();
        let newest = match block {
            Ok(block) if block.height() < self.next && block.height() <= self.overtaken => return Ok(()),
            // A height that was told of before comes again after a snapshot was restored.
            Ok(block) if block.height() <= self.next => {
                self.next = block.height() + 1;
                self.overtaken = 0;
                return self.announce(&block).await;
            }
            Ok(block) => block.height(),
            Err(RecvError::Lagged(_)) => {
                self.blocks = chain.subscribe();
                self.overtaken = chain.height();
                self.overtaken
            }
            Err(RecvError::Closed) => return Err(Over),
        };
        while self.next <= newest {
            let Ok(block) = chain.block(Some(self.next)) else {
                tracing::debug!(height = self.next, "websocket client is too far behind and is dropped");
                return Err(Over);
            };
            self.next += 1;
            self.announce(&block).await?;
        }
        Ok(())
    }

    async fn announce(&mut self, block: &Arc<Block>) -> Result<(), Over> {
        let mut frames = Vec::new();
        for subscription in self.subscriptions.values() {
            announcements(subscription, block, &mut frames);
        }
        for frame in frames {
            self.say(frame).await?;
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<Query, Failure> {
    Query::parse(text).map_err(Failure::internal)
}

/// Writes what a subscription wants to know of a block.
fn announcements(subscription: &Subscription, block: &Arc<Block>, frames: &mut Vec<String>) {
    let query = &subscription.query;
    let mut frame = |kind: &str, value: &str, events: &str| {
        let result = format!(
            r#"{{"query":{},"data":{{"type":"tendermint/event/{kind}","value":{value}}},"events":{events}}}"#,
            shapes::text(query.text()),
        );
        frames.push(Outcome::Result(result).text(Some(&subscription.id)));
    };
    let of_block = |kind: &'static str| {
        move |key: &str| match key {
            "tm.event" => vec![Cow::Borrowed(kind)],
            _ if kind == "NewBlock" => values_in(block.events(), key),
            _ => Vec::new(),
        }
    };
    if query.matches(of_block("NewBlock")) {
        let value = format!(
            r#"{{"block":{},"block_id":{},"result_finalize_block":{}}}"#,
            shapes::block(block),
            shapes::block_id(&block.id),
            shapes::finalized(block),
        );
        let mut events = BTreeMap::new();
        collect(&mut events, block.events());
        frame("NewBlock", &value, &composite(events, &[("tm.event", "NewBlock")]));
    }
    if query.matches(of_block("NewBlockHeader")) {
        let value = format!(r#"{{"header":{}}}"#, shapes::header(&block.header));
        frame("NewBlockHeader", &value, &composite(BTreeMap::new(), &[("tm.event", "NewBlockHeader")]));
    }
    for index in 0..block.txs.len() {
        let found = FoundTx { block: Arc::clone(block), index };
        if found.matches(query) {
            let mut events = BTreeMap::new();
            collect(&mut events, found.result().events.iter());
            let (hash, height) = (hex::encode_upper(found.hash()), block.height().to_string());
            let own = [("tm.event", "Tx"), ("tx.hash", hash.as_str()), ("tx.height", height.as_str())];
            frame("Tx", &shapes::announced(&found), &composite(events, &own));
        }
    }
}

type Composite = BTreeMap<String, Vec<String>>;

fn collect<'a>(events: &mut Composite, from: impl Iterator<Item = &'a pocket_proto::tendermint::abci::Event>) {
    for event in from.filter(|event| !event.r#type.is_empty()) {
        for attribute in event.attributes.iter().filter(|attribute| attribute.index && !attribute.key.is_empty()) {
            let key = format!("{}.{}", event.r#type, attribute.key);
            events.entry(key).or_default().push(attribute.value.clone());
        }
    }
}

fn composite(mut events: Composite, own: &[(&str, &str)]) -> String {
    for (key, value) in own {
        events.entry((*key).to_owned()).or_default().push((*value).to_owned());
    }
    serde_json::to_string(&events).expect("texts are always JSON")
}
