//! The wire: what a real node speaks, over real sockets or those of a simulated world.
//!
//! Four listeners over one [`Chain`]: Cosmos gRPC, `CometBFT` JSON-RPC with its WebSocket, REST, and the control of the
//! chain itself. Each turns bytes into a question to the chain and an answer into bytes; rules live elsewhere. Recorded
//! answers of a real node are the test: same methods, shapes, codes and texts.
//!
//! Deliberately not here: proofs of inclusion (`prove` is read and ignored), compression, TLS, and evidence, peers and
//! consensus rounds, which a chain of one validator does not have.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pocket_runtime::{
    http::{self, ServeOptions},
    net::{BindError, TcpListener},
    shutdown::Shutdown,
    task::{self, Task},
};

use crate::{chain::Chain, devnet::Settings};

mod abci;
mod control;
mod grpc;
mod node;
mod page;
mod rest;
mod rpc;

/// How long a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a client may read nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// Where the chain listens, with the ports that the system chose for 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Cosmos gRPC.
    pub grpc_addr: SocketAddr,
    /// `CometBFT` JSON-RPC and WebSocket.
    pub rpc_addr: SocketAddr,
    /// REST.
    pub rest_addr: SocketAddr,
    /// gRPC `pocket.devnet.v1.Control`.
    pub control_addr: SocketAddr,
}

/// The servers of a chain.
#[derive(Debug)]
pub struct Servers {
    /// Where they listen.
    pub bound: Bound,
    tasks: Vec<Task<()>>,
}

impl Servers {
    /// Waits until all servers have left, which they do at shutdown.
    pub async fn stopped(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a server of the chain ended early");
            }
        }
    }
}

/// Why the chain does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be had.
    #[error("failed to open the {what} listener ({setting})")]
    Bind {
        /// What would have listened.
        what: &'static str,
        /// The setting that holds its address.
        setting: &'static str,
        /// Why.
        #[source]
        source: BindError,
    },
    /// Control would be open to others.
    #[error(
        "control_addr: {address} is not a loopback address, and whoever reaches it commands the chain; use 127.0.0.1, or \
         say `control_open: true` where nobody else reaches it"
    )]
    ControlNotLoopback {
        /// The address.
        address: SocketAddr,
    },
}

async fn bind(what: &'static str, setting: &'static str, address: &str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { what, setting, source })
}

/// Opens all listeners and serves the chain on them until `shutdown`. Port 0 lets the system choose.
///
/// # Errors
/// When an address cannot be had, or control would listen on more than the loopback and nobody said that it may.
pub async fn serve(chain: &Chain, settings: &Settings, shutdown: &Shutdown) -> Result<Servers, ServeError> {
    let asked: Result<SocketAddr, _> = settings.control_addr.parse();
    if let Ok(address) = asked
        && !address.ip().is_loopback()
        && !settings.control_open
    {
        return Err(ServeError::ControlNotLoopback { address });
    }
    let grpc = bind("gRPC", "grpc_addr", &settings.grpc_addr).await?;
    let rpc = bind("RPC", "rpc_addr", &settings.rpc_addr).await?;
    let rest = bind("REST", "rest_addr", &settings.rest_addr).await?;
    let control = bind("control", "control_addr", &settings.control_addr).await?;
    let bound = Bound {
        grpc_addr: grpc.local_addr(),
        rpc_addr: rpc.local_addr(),
        rest_addr: rest.local_addr(),
        control_addr: control.local_addr(),
    };
    let queries = grpc::Queries { chain: chain.clone(), rpc_address: Arc::from(bound.rpc_addr.to_string()) };
    let tasks = vec![
        spawn_grpc("devnet-grpc", grpc, queries.routes().await, shutdown),
        spawn_rpc(rpc, queries.clone(), settings, shutdown),
        spawn_rest(rest, queries, settings, shutdown),
        spawn_grpc("devnet-control", control, control::Control { chain: chain.clone() }.routes(), shutdown),
    ];
    Ok(Servers { bound, tasks })
}

fn spawn_grpc(
    name: &'static str,
    listener: TcpListener,
    routes: tonic::service::Routes,
    shutdown: &Shutdown,
) -> Task<()> {
    let shutdown = shutdown.clone();
    task::spawn(name, async move {
        if let Err(error) = pocket_runtime::grpc::serve(listener, routes, shutdown).await {
            tracing::error!(server = name, error = pocket_runtime::process::chain(&error), "gRPC server failed");
        }
    })
}

fn options(name: &'static str, settings: &Settings) -> ServeOptions {
    ServeOptions {
        name,
        max_connections: settings.limits.connections_max,
        header_timeout: HEADER_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        write_timeout: WRITE_TIMEOUT,
        max_headers: 100,
        max_header_bytes: 64 << 10,
        h2c: false,
        max_streams: STREAMS_MAX,
    }
}

fn spawn_rpc(listener: TcpListener, queries: grpc::Queries, settings: &Settings, shutdown: &Shutdown) -> Task<()> {
    let rpc = rpc::Rpc::new(queries, settings.limits.body_bytes_max, shutdown.clone());
    let (options, shutdown) = (options("devnet-rpc", settings), shutdown.clone());
    task::spawn("devnet-rpc", async move {
        let served = http::serve(listener, options, move |request| rpc.clone().serve(request), shutdown).await;
        tracing::debug!(cut = served.cut, "RPC server left");
    })
}

fn spawn_rest(listener: TcpListener, queries: grpc::Queries, settings: &Settings, shutdown: &Shutdown) -> Task<()> {
    let body_bytes_max = settings.limits.body_bytes_max;
    let (options, shutdown) = (options("devnet-rest", settings), shutdown.clone());
    task::spawn("devnet-rest", async move {
        let answer = move |request| rest::serve(queries.clone(), body_bytes_max, request);
        let served = http::serve(listener, options, answer, shutdown).await;
        tracing::debug!(cut = served.cut, "REST server left");
    })
}
