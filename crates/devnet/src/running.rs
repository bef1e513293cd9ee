//! A whole development chain in one call: open, served, making blocks.

use std::net::SocketAddr;

use pocket_runtime::{fs::Lock, shutdown::Shutdown, task::Task};

use crate::{
    chain::Chain,
    devnet::{self, Settings, StartError},
    wire::{self, ServeError, Servers},
};

/// Starts development chains.
#[derive(Debug)]
pub struct Devnet;

/// Why a chain does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be opened.
    #[error("failed to open the chain")]
    Open(#[from] StartError),
    /// It could not be served.
    #[error("failed to serve the chain")]
    Serve(#[from] ServeError),
}

/// A chain that runs until the shutdown it was started with.
#[derive(Debug)]
pub struct Running {
    /// The chain.
    pub chain: Chain,
    /// Where Cosmos gRPC listens.
    pub grpc_addr: SocketAddr,
    /// Where JSON-RPC and WebSocket listen.
    pub rpc_addr: SocketAddr,
    /// Where REST listens.
    pub rest_addr: SocketAddr,
    /// Where control listens.
    pub control_addr: SocketAddr,
    servers: Servers,
    driver: Task<()>,
    // Given up last, when nothing can write any more.
    lock: Option<Lock>,
}

impl Devnet {
    /// Opens the chain that the settings describe, listens, and makes blocks, until `shutdown`.
    ///
    /// # Errors
    /// When the chain cannot be opened or an address cannot be had.
    pub fn start<'a>(
        settings: &'a Settings,
        shutdown: &'a Shutdown,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, RunError>> + Send + 'a>> {
        Self::start_watched(settings, None, shutdown)
    }

    /// As [`Devnet::start`], with a heartbeat that stops when blocks do.
    ///
    /// # Errors
    /// As [`Devnet::start`].
    pub fn start_watched<'a>(
        settings: &'a Settings,
        heartbeat: Option<pocket_runtime::admin::Heartbeat>,
        shutdown: &'a Shutdown,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, RunError>> + Send + 'a>> {
        // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
        Box::pin(Self::open(settings, heartbeat, shutdown))
    }

    async fn open(
        settings: &Settings,
        heartbeat: Option<pocket_runtime::admin::Heartbeat>,
        shutdown: &Shutdown,
    ) -> Result<Running, RunError> {
        let opened = devnet::open(settings)?;
        let servers = wire::serve(&opened.chain, settings, shutdown).await?;
        let driver = devnet::spawn_driver(&opened.chain, heartbeat, shutdown);
        let bound = servers.bound;
        Ok(Running {
            chain: opened.chain,
            grpc_addr: bound.grpc_addr,
            rpc_addr: bound.rpc_addr,
            rest_addr: bound.rest_addr,
            control_addr: bound.control_addr,
            servers,
            driver,
            lock: opened.lock,
        })
    }
}

impl Running {
    /// Waits until the shutdown has come and everything has left.
    pub async fn stopped(self) {
        self.servers.stopped().await;
        if let Err(error) = self.driver.await {
            tracing::error!(%error, "the maker of blocks ended early");
        }
        drop(self.lock);
    }
}
