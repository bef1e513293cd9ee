//! Read verbs for people: on a store of this process, on a server, or on a running owner's admin socket.
//!
//! The socket speaks one JSON document a line: `{"read": …}` in, `{"ok": …}` or `{"error": "…"}` out. It answers reads
//! only, so nothing that reaches it can change what is earned.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pocket_runtime::net::{self, Listener, TcpStream};
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::task;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::boundary::SupplierState;
use crate::error::StoreError;
use crate::lease::{LeaseInfo, LeaseName};
use crate::ledger::Ledger;
use crate::lock;
use crate::relay::LogStats;
use crate::session::StoredSession;
use crate::store::{KeyInfo, Store, StoreOptions};

/// Connections served at a time.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a question.
const QUESTION_BYTES_MAX: u64 = 64 << 10;
/// How long a connection may be silent.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// How long an owner may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A question to the owner of a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "read", rename_all = "snake_case")]
enum Question {
    Keys { pattern: String, stats: bool },
    Sessions { supplier: String },
    Lease { supplier: Option<String> },
    Ledger { supplier: Option<String> },
    KnownSuppliers,
    SupplierStates,
    LogStats { supplier: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(serde_json::Value),
    Error(String),
}

/// Answers read verbs on a loopback or unix socket until shutdown.
///
/// Name the socket in [`Store::disk`], so that tools find it.
pub fn serve(store: Store, listener: Listener, shutdown: Shutdown) -> task::Task<()> {
    task::spawn("store-admin", async move {
        let connections = task::Group::new("store-admin-connection", CONNECTIONS_MAX);
        loop {
            tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                accepted = listener.accept() => match accepted {
                    // Beyond the limit the connection is dropped: tools try again.
                    Ok((stream, _)) => drop(connections.try_spawn(converse(store.clone(), stream))),
                    Err(error) => net::pause_after(&error).await,
                },
            }
        }
        connections.join_all(Duration::from_millis(200)).await;
    })
}

async fn converse(store: Store, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let mut question = (&mut stream).take(QUESTION_BYTES_MAX);
        match tokio::time::timeout(SILENCE_MAX, question.read_line(&mut line)).await {
            Ok(Ok(length)) if length > 0 => {}
            _ => return,
        }
        let answer = match serde_json::from_str(&line) {
            Ok(question) => answer(&store, question).await,
            Err(error) => Answer::Error(format!("the question cannot be read: {error}")),
        };
        let mut text = serde_json::to_vec(&answer).expect("answers have text keys only, so they are always JSON");
        text.push(b'\n');
        if stream.write_all(&text).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn answer(store: &Store, question: Question) -> Answer {
    fn value<T: Serialize>(result: Result<T, StoreError>) -> Answer {
        match result {
            Ok(value) => match serde_json::to_value(value) {
                Ok(value) => Answer::Ok(value),
                Err(error) => Answer::Error(error.to_string()),
            },
            Err(error) => Answer::Error(error.to_string()),
        }
    }
    match question {
        Question::Keys { pattern, stats } => value(store.keys(&pattern, stats).await),
        Question::Sessions { supplier } => value(store.sessions(&supplier).await),
        Question::Lease { supplier } => {
            let name = supplier.map_or(LeaseName::Leader, LeaseName::Supplier);
            value(store.lease(&name).await)
        }
        Question::Ledger { supplier } => value(store.ledger(supplier.as_deref()).await),
        Question::KnownSuppliers => value(store.known_suppliers().await),
        Question::SupplierStates => value(store.suppliers().await),
        Question::LogStats { supplier } => value(store.log_stats(&supplier).await),
    }
}

/// The store of a running process, seen through its admin socket.
#[derive(Debug, Clone)]
pub struct Remote {
    address: Arc<str>,
}

impl Remote {
    /// Names an owner's admin socket: `host:port`, or the path of a unix socket.
    pub fn new(address: &str) -> Self {
        Self { address: address.into() }
    }

    async fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T, StoreError> {
        const OPERATION: &str = "read the store of the running process";
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(&question))
            .await
            .map_err(|error| StoreError::unavailable(OPERATION, error))?
            .map_err(|error| StoreError::unavailable(OPERATION, error))?;
        match serde_json::from_str(&answer) {
            Ok(Answer::Ok(value)) => {
                serde_json::from_value(value).map_err(|error| StoreError::corrupt(&*self.address, error))
            }
            Ok(Answer::Error(said)) => Err(StoreError::unavailable(OPERATION, said)),
            Err(error) => Err(StoreError::corrupt(&*self.address, error)),
        }
    }

    async fn exchange(&self, question: &Question) -> std::io::Result<String> {
        let mut stream = if self.address.contains('/') {
            net::connect_unix(Path::new(&*self.address)).await?
        } else {
            net::connect(&self.address).await?
        };
        let mut text = serde_json::to_vec(question).expect("questions have text keys only, so they are always JSON");
        text.push(b'\n');
        stream.write_all(&text).await?;
        stream.flush().await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok(line)
    }
}

/// A store to be read, wherever it is: what `inspect` and the command line stand on.
#[derive(Debug, Clone)]
pub enum Reading {
    /// One that this process holds, or a server.
    Store(Store),
    /// One that another process holds.
    Remote(Remote),
}

/// Writes one method per read verb that asks whichever store it is.
macro_rules! readings {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty, $store:expr, $question:expr;)*) => {
        impl Reading {
            $(
                $(#[$doc])*
                pub async fn $name(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                    match self {
                        Self::Store(store) => ($store)(store $(, $argument)*).await,
                        Self::Remote(remote) => remote.ask($question).await,
                    }
                }
            )*
        }
    };
}

readings! {
    /// Returns the keys that match a pattern of Redis' `KEYS`; see [`Store::keys`].
    keys(pattern: &str, stats: bool) -> Vec<KeyInfo>,
        async |store: &Store, pattern, stats| store.keys(pattern, stats).await,
        Question::Keys { pattern: pattern.to_owned(), stats };
    /// Returns the records of a supplier's sessions.
    sessions(supplier: &str) -> Vec<StoredSession>,
        async |store: &Store, supplier| store.sessions(supplier).await,
        Question::Sessions { supplier: supplier.to_owned() };
    /// Returns who leads.
    leader() -> Option<LeaseInfo>,
        async |store: &Store| store.leader().await,
        Question::Lease { supplier: None };
    /// Returns who owns a supplier.
    owner(supplier: &str) -> Option<LeaseInfo>,
        async |store: &Store, supplier: &str| store.lease(&LeaseName::Supplier(supplier.to_owned())).await,
        Question::Lease { supplier: Some(supplier.to_owned()) };
    /// Returns where every relay of one supplier, or of all, went.
    ledger(supplier: Option<&str>) -> Ledger,
        async |store: &Store, supplier| store.ledger(supplier).await,
        Question::Ledger { supplier: supplier.map(str::to_owned) };
    /// Returns the suppliers that the store knows.
    known_suppliers() -> Vec<String>,
        async |store: &Store| store.known_suppliers().await,
        Question::KnownSuppliers;
    /// Returns every supplier's state.
    supplier_states() -> Vec<SupplierState>,
        async |store: &Store| store.suppliers().await,
        Question::SupplierStates;
    /// Returns what a supplier's log holds now.
    log_stats(supplier: &str) -> LogStats,
        async |store: &Store, supplier| store.log_stats(supplier).await,
        Question::LogStats { supplier: supplier.to_owned() };
}

impl Reading {
    /// Opens the store in a folder for reading: through its owner's admin socket while one runs, else by itself.
    pub async fn folder(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        if !pocket_runtime::fs::exists(folder) {
            return Err(StoreError::Setup {
                problem: format!("there is no folder {}", folder.display()),
                remedy: "name the folder that was given to --data".to_owned(),
            });
        }
        match Store::disk(folder, None, options).await {
            Ok(store) => Ok(Self::Store(store)),
            Err(error @ StoreError::InUse { .. }) => match lock::read(folder).and_then(|owner| owner.admin) {
                Some(address) => Ok(Self::Remote(Remote::new(&address))),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}
