//! The chain's blocks as they come.
//!
//! The node's event stream says that there is a block; the block itself is read by height, because only that answer has
//! its hash. While the stream is silent or broken the newest block is polled for, so a proxy that eats `WebSocket`s costs
//! a moment and never a session.
//!
//! The height never goes back for a node that is behind: an endpoint failed over to, or another node behind the same name.
//! Only a development chain that was restored goes back, and is followed once it shows a block that cannot belong to what
//! was seen before: see [`seen`].

mod seen;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pocket_runtime::clock::{self, UnixTime};
use pocket_runtime::net::Alpn;
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::{net, task};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::QueryError;
use crate::rpc::Rpc;

pub(crate) use self::seen::Found;
use self::seen::{Place, Seen};

/// A gap longer than this is jumped: whoever needs those blocks asks for them.
const GAP_MAX: i64 = 256;

/// Pause before the event stream is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Largest frame of the event stream: a header and its events.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Time given to opening the event stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// A block, as far as sessions, windows and proofs need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its height; the first is 1.
    pub height: i64,
    /// Its hash: that of its header.
    pub hash: [u8; 32],
    /// Its time, by the chain's clock.
    pub time: UnixTime,
}

#[derive(Clone, Copy)]
pub(crate) struct FollowOptions {
    pub(crate) poll: Duration,
    pub(crate) silence: Duration,
}

/// The newest block, those before it, and those to come. Clones share one follower.
#[derive(Clone)]
pub struct Blocks {
    shared: Arc<Shared>,
}

struct Shared {
    rpc: Arc<Rpc>,
    /// The newest block and those before it; written by the follower, read by everyone, never held over an await.
    seen: Mutex<Seen>,
    /// Told of each new block. Waiters wake in the order they came, so that a simulated world tells one story: a
    /// `watch` channel would wake them in an order of its own.
    changed: Notify,
    /// How often everything seen before was undone; beside the lock, since it is looked at for every fact.
    histories: AtomicU64,
}

impl Shared {
    fn latest(&self) -> Block {
        self.lock().latest()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blocks {
    pub(crate) fn follow(rpc: Arc<Rpc>, first: Block, options: FollowOptions, shutdown: Shutdown) -> Self {
        let shared = Arc::new(Shared {
            rpc,
            seen: Mutex::new(Seen::new(first)),
            changed: Notify::new(),
            histories: AtomicU64::new(0),
        });
        let follower = Follower { shared: shared.clone(), options };
        drop(task::spawn("chain blocks", follower.run(shutdown)));
        Self { shared }
    }

    /// The newest block seen. Its height grows; it falls only on a development chain that was restored.
    pub fn latest(&self) -> Block {
        self.shared.latest()
    }

    /// Height of the newest block seen.
    pub fn height(&self) -> i64 {
        self.latest().height
    }

    /// How often the chain turned out to have another history, so that nothing known of it holds any more.
    pub(crate) fn histories(&self) -> u64 {
        self.shared.histories.load(Ordering::Acquire)
    }

    /// Waits until a block at or above `height` has been seen, and returns the newest.
    pub async fn reached(&self, height: i64) -> Block {
        self.newest_that(|latest| latest.height >= height).await
    }

    /// Waits until the newest block is another than `last`, and returns it. That is a higher one; or, on a development chain
    /// that was restored, perhaps a lower one, which is the next to act on all the same.
    pub async fn next(&self, last: Option<Block>) -> Block {
        self.newest_that(|latest| last != Some(*latest)).await
    }

    async fn newest_that(&self, is_it: impl Fn(&Block) -> bool) -> Block {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a block between the two is not slept through.
            changed.as_mut().enable();
            let latest = self.latest();
            if is_it(&latest) {
                return latest;
            }
            changed.await;
        }
    }

    /// Waits for the block that follows `height` and returns it: the block at `height + 1`, whatever has come since.
    ///
    /// # Errors
    /// [`QueryError`] if that block has passed and the node cannot show it any more.
    pub async fn after(&self, height: i64) -> Result<Block, QueryError> {
        self.reached(height + 1).await;
        self.at(height + 1).await
    }

    /// Returns the block at `height`, from those kept or from the node.
    ///
    /// # Errors
    /// [`QueryError`], of the kind `Ahead` if there is no such block yet.
    pub async fn at(&self, height: i64) -> Result<Block, QueryError> {
        if let Some(block) = self.kept(height) {
            return Ok(block);
        }
        self.shared.rpc.block(height).await.map(|found| found.block)
    }

    fn kept(&self, height: i64) -> Option<Block> {
        self.shared.lock().kept(height)
    }
}

struct Follower {
    shared: Arc<Shared>,
    options: FollowOptions,
}

impl Follower {
    async fn run(self, shutdown: Shutdown) {
        let mut endpoint = 0;
        while !shutdown.is_triggered() {
            let following = self.listen(endpoint);
            match shutdown.unless_triggered(following).await {
                None => return,
                Some(reason) => tracing::debug!(%reason, endpoint, "event stream of the node ended; polling"),
            }
            // The stream is gone: poll for a while, then try the next endpoint's stream.
            let pause = clock::now() + RECONNECT_PAUSE;
            while clock::now() < pause && !shutdown.is_triggered() {
                self.poll_once().await;
                tokio::time::sleep(self.options.poll.min(RECONNECT_PAUSE)).await;
            }
            endpoint = (endpoint + 1) % self.shared.rpc.endpoint_count();
        }
    }

    /// Follows the event stream until it breaks. Polls whenever it has been silent for too long.
    async fn listen(&self, endpoint: usize) -> String {
        let opening = tokio::time::timeout(OPEN_TIMEOUT, self.open(endpoint)).await;
        let mut stream = match opening {
            Ok(Ok(stream)) => stream,
            Ok(Err(reason)) => return reason,
            Err(_) => return "opening took too long".to_owned(),
        };
        // Blocks made between the last one read and the subscription.
        self.poll_once().await;
        loop {
            match tokio::time::timeout(self.options.silence, stream.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => match announced_height(&text) {
                    Announcement::Block(height) => self.advance_to(height).await,
                    Announcement::Nothing => {}
                    Announcement::Refused(reason) => return reason,
                },
                Ok(Some(Ok(Message::Close(_))) | None) => return "closed by the node".to_owned(),
                Ok(Some(Ok(_))) => {
                    // Pings are answered when the stream is next flushed.
                    if let Err(error) = stream.flush().await {
                        return error.to_string();
                    }
                }
                Ok(Some(Err(error))) => return error.to_string(),
                Err(_) => {
                    let before = self.shared.latest().height;
                    self.poll_once().await;
                    if self.shared.latest().height > before {
                        return "silent although there are new blocks".to_owned();
                    }
                }
            }
        }
    }

    async fn open(&self, endpoint: usize) -> Result<EventStream, String> {
        let (authority, is_tls) = self.shared.rpc.authority(endpoint);
        let stream =
            if is_tls { net::connect_tls(&authority, Alpn::Http1).await } else { net::connect(&authority).await };
        let stream = stream.map_err(|error| error.to_string())?;
        let config = WebSocketConfig::default().max_message_size(Some(FRAME_BYTES_MAX));
        let scheme = if is_tls { "wss" } else { "ws" };
        let url = format!("{scheme}://{authority}/websocket");
        let (mut stream, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(config))
            .await
            .map_err(|error| error.to_string())?;
        let subscribe =
            r#"{"jsonrpc":"2.0","method":"subscribe","id":0,"params":{"query":"tm.event='NewBlockHeader'"}}"#;
        stream.send(Message::text(subscribe)).await.map_err(|error| error.to_string())?;
        Ok(stream)
    }

    async fn poll_once(&self) {
        match self.shared.rpc.latest_block().await {
            Ok(found) => self.fill_and_publish(&found).await,
            Err(error) => tracing::debug!(%error, "polling for the newest block failed"),
        }
    }

    async fn advance_to(&self, height: i64) {
        // An old height too: it may be another block.
        match self.shared.rpc.block(height).await {
            Ok(found) => self.fill_and_publish(&found).await,
            Err(error) => tracing::debug!(%error, height, "an announced block could not be read yet"),
        }
    }

    /// Publishes a block that the node shows, and before it every block between the last one and it.
    async fn fill_and_publish(&self, found: &Found) {
        let known = self.shared.latest().height;
        let height = found.block.height;
        if height - known > GAP_MAX {
            // Those in between, which are jumped, do not show whether the history is still the one that was followed.
            self.read_and_publish(known).await;
        } else {
            for between in known + 1..height {
                if !self.read_and_publish(between).await {
                    break;
                }
            }
        }
        self.publish(found);
    }

    /// Returns whether the block could be read.
    async fn read_and_publish(&self, height: i64) -> bool {
        match self.shared.rpc.block(height).await {
            Ok(found) => {
                self.publish(&found);
                true
            }
            Err(error) => {
                tracing::debug!(%error, height, "a block in between could not be read");
                false
            }
        }
    }

    fn publish(&self, found: &Found) {
        let height = found.block.height;
        let (known, place) = {
            let mut seen = self.shared.lock();
            let (known, place) = (seen.latest().height, seen.take(found));
            if place == Place::OtherHistory {
                self.shared.histories.fetch_add(1, Ordering::AcqRel);
            }
            (known, place)
        };
        match place {
            Place::Old if height == known => return,
            Place::Old => {
                tracing::debug!(height, known, "a node is behind");
                return;
            }
            Place::OtherHistory => {
                tracing::warn!(height, known, "the chain has another history than it had; following it from there");
            }
            Place::Newer => {}
        }
        self.shared.changed.notify_waiters();
    }
}

type EventStream = tokio_tungstenite::WebSocketStream<net::TcpStream>;

enum Announcement {
    Block(i64),
    Nothing,
    Refused(String),
}

fn announced_height(text: &str) -> Announcement {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(text) else { return Announcement::Nothing };
    if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
        return Announcement::Refused(format!("the node refused the subscription: {error}"));
    }
    let height = &message["result"]["data"]["value"]["header"]["height"];
    height.as_str().and_then(|text| text.parse().ok()).map_or(Announcement::Nothing, Announcement::Block)
}
