//! Where everything listens: one table, tried as a whole before anything starts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use pocket_config::facts::{Listener, listeners};
use pocket_runtime::net::{BindError, TcpListener};
use serde::{Serialize, Serializer};

/// A listener of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// Where clients send requests.
    Gateway,
    /// Where gateways send relays.
    Relayer,
    /// The demo backend's JSON-RPC.
    Backend,
    /// The chain's Cosmos gRPC.
    Grpc,
    /// The chain's `CometBFT` JSON-RPC and WebSocket.
    Rpc,
    /// The chain's REST.
    Rest,
    /// The chain's control.
    Control,
    /// Read verbs of the embedded store.
    StoreAdmin,
    /// Liveness and readiness of the relayer.
    RelayerHealth,
    /// Metrics of the relayer.
    RelayerMetrics,
    /// Metrics of the miner.
    MinerMetrics,
    /// Metrics of the gateway.
    GatewayMetrics,
    /// Metrics of the backend.
    BackendMetrics,
}

impl Door {
    /// Every door, in the order people look for them.
    pub const ALL: [Self; 13] = [
        Self::Gateway,
        Self::Relayer,
        Self::Backend,
        Self::Grpc,
        Self::Rpc,
        Self::Rest,
        Self::Control,
        Self::StoreAdmin,
        Self::RelayerHealth,
        Self::RelayerMetrics,
        Self::MinerMetrics,
        Self::GatewayMetrics,
        Self::BackendMetrics,
    ];

    /// Returns its port in the table, which is rendered from the spec.
    ///
    /// # Panics
    /// If the table lacks it: a test looks at each.
    pub fn port(self) -> u16 {
        self.listener().port
    }

    fn listener(self) -> &'static Listener {
        listeners().get(self.name()).unwrap_or_else(|| panic!("facts/ports.json has {}", self.name()))
    }

    /// Returns its name, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Relayer => "relayer",
            Self::Backend => "backend",
            Self::Grpc => "chain_grpc",
            Self::Rpc => "chain_rpc",
            Self::Rest => "chain_rest",
            Self::Control => "chain_control",
            Self::StoreAdmin => "store_admin",
            Self::RelayerHealth => "relayer_health",
            Self::RelayerMetrics => "relayer_metrics",
            Self::MinerMetrics => "miner_metrics",
            Self::GatewayMetrics => "gateway_metrics",
            Self::BackendMetrics => "backend_metrics",
        }
    }

    /// Returns what is behind it, for people.
    pub fn about(self) -> &'static str {
        &self.listener().about
    }
}

/// Which ports are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Those of the table.
    Seed,
    /// Those of the table, moved up.
    Offset(u16),
    /// Whatever is free.
    Auto,
}

impl Ports {
    fn of(self, door: Door) -> Option<u16> {
        match self {
            Self::Seed => Some(door.port()),
            Self::Offset(offset) => door.port().checked_add(offset),
            Self::Auto => Some(0),
        }
    }
}

/// The addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(BTreeMap<Door, SocketAddr>);

impl Addresses {
    /// Returns where a door is.
    ///
    /// # Panics
    /// Never: there is an address for each door.
    pub fn of(&self, door: Door) -> SocketAddr {
        *self.0.get(&door).expect("every door was given an address when the ports were reserved")
    }

    /// Returns every door and where it is, in the order of [`Door::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Door, SocketAddr)> + '_ {
        Door::ALL.into_iter().map(|door| (door, self.of(door)))
    }

    /// Returns the URL that clients of the network use.
    pub fn gateway_url(&self) -> String {
        format!("http://{}/v1", self.of(Door::Gateway))
    }
}

impl Serialize for Addresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(door, address)| (door.name(), address.to_string())))
    }
}

/// Ports that cannot be had.
#[derive(Debug)]
pub struct PortsTaken {
    failed: Vec<(Door, BindError)>,
    /// Whether the port was one that a data folder keeps.
    kept: bool,
}

impl PortsTaken {
    /// Returns the doors that cannot be opened.
    pub fn doors(&self) -> impl Iterator<Item = Door> + '_ {
        self.failed.iter().map(|(door, _)| *door)
    }
}

impl fmt::Display for PortsTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, error) = &self.failed[0];
        write!(f, "{}: {error}", first.name())?;
        if self.failed.len() > 1 {
            let others: Vec<&str> = self.failed[1..].iter().map(|(door, _)| door.name()).collect();
            write!(f, " (so are those of {})", others.join(", "))?;
        }
        if self.kept {
            return write!(
                f,
                "; the chain in this data folder names that port, so free it or use another --data folder"
            );
        }
        if self.failed.len() == Door::ALL.len() {
            write!(f, "; another `pocket up` seems to run")?;
        }
        write!(f, "; run with `--ports auto`, or with `--port-offset 1000`")
    }
}

impl std::error::Error for PortsTaken {}

/// Ports that are held for the rooms that will listen there.
#[derive(Debug)]
pub(crate) struct Reserved {
    held: BTreeMap<Door, TcpListener>,
    pub(crate) addresses: Addresses,
}

impl Reserved {
    /// Listens on every port, so that all that are taken can be named at once. `relayer_port` is one that a data folder
    /// keeps.
    pub(crate) async fn all(ports: Ports, relayer_port: Option<u16>) -> Result<Self, PortsTaken> {
        let mut held = BTreeMap::new();
        let mut failed = Vec::new();
        let mut kept = false;
        for door in Door::ALL {
            let keeps = if door == Door::Relayer && ports == Ports::Auto { relayer_port } else { None };
            let Some(port) = keeps.or_else(|| ports.of(door)) else {
                let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "there is no port above 65535");
                failed.push((door, BindError::Failed { address: format!("{} and the offset", door.port()), source }));
                continue;
            };
            match TcpListener::bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()).await {
                Ok(listener) => {
                    held.insert(door, listener);
                }
                Err(error) => {
                    kept |= keeps.is_some();
                    failed.push((door, error));
                }
            }
        }
        if !failed.is_empty() {
            return Err(PortsTaken { failed, kept });
        }
        // A simulated listener is on all interfaces of its host; neighbours reach it by loopback all the same.
        let loopback = |listener: &TcpListener| SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr().port()));
        let addresses = Addresses(held.iter().map(|(door, listener)| (*door, loopback(listener))).collect());
        Ok(Self { held, addresses })
    }

    /// Gives a port up to the room that now listens there, and says where.
    pub(crate) fn release(&mut self, door: Door) -> String {
        self.held.remove(&door);
        self.addresses.of(door).to_string()
    }

    /// Gives the listener itself, for a room that takes one.
    pub(crate) fn take(&mut self, door: Door) -> Option<TcpListener> {
        self.held.remove(&door)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_doors_share_a_port_and_redis_is_none_of_them() {
        let ports: std::collections::BTreeSet<u16> = Door::ALL.into_iter().map(Door::port).collect();
        assert_eq!(ports.len(), Door::ALL.len());
        assert!(!ports.contains(&6379));
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_remedy() {
        let held = Reserved::all(Ports::Auto, None).await.expect("free ports");
        let port = held.addresses.of(Door::Relayer).port();
        let taken = Reserved::all(Ports::Auto, Some(port)).await.expect_err("refused");
        assert_eq!(taken.doors().collect::<Vec<_>>(), [Door::Relayer]);
        let text = taken.to_string();
        assert!(text.contains(&port.to_string()) && text.contains("another --data folder"), "{text}");
    }

    #[tokio::test]
    async fn an_offset_beyond_the_last_port_is_refused() {
        let refused = Reserved::all(Ports::Offset(60_000), None).await.expect_err("26657 has no such port");
        assert!(refused.doors().any(|door| door == Door::Rpc));
    }
}
