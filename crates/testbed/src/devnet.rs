//! A development chain in the test's own process, on ports of its own.

use std::time::Duration;

use pocket_config::common::PocketNode;
use pocket_config::{devnet::Devnet as Settings, document};
use pocket_devnet::running::{Devnet, Running};
use pocket_runtime::shutdown::{self, ShutdownTrigger};

/// Time left to its listeners when the handle drops.
const GRACE: Duration = Duration::from_millis(200);

/// A running chain; it ends with this handle.
pub struct PrivateDevnet {
    /// The chain and its addresses.
    pub running: Running,
    trigger: ShutdownTrigger,
}

/// Starts a chain whose settings are the defaults, these lines of YAML, and port 0 everywhere.
///
/// # Errors
/// Settings that are wrong, or a chain that does not start.
pub async fn devnet(settings: &str) -> anyhow::Result<PrivateDevnet> {
    let mut settings = document::load::<Settings>(settings)?.settings;
    for address in
        [&mut settings.grpc_addr, &mut settings.rpc_addr, &mut settings.rest_addr, &mut settings.control_addr]
    {
        "127.0.0.1:0".clone_into(address);
    }
    let (trigger, shutdown) = shutdown::channel(GRACE);
    let running = Devnet::start(&settings, &shutdown).await?;
    Ok(PrivateDevnet { running, trigger })
}

impl PrivateDevnet {
    /// Settings under which a client reaches this chain.
    ///
    /// # Panics
    /// If the defaults of this workspace are broken.
    pub fn node(&self) -> PocketNode {
        let mut node: PocketNode = document::deserialize(document::defaults("relayer")["pocket_node"].clone())
            .expect("the defaults of a node are complete");
        node.query_node_rpc_url = format!("http://{}", self.running.rpc_addr);
        node.query_node_grpc_url = format!("http://{}", self.running.grpc_addr);
        node.grpc_insecure = true;
        node
    }
}

impl Drop for PrivateDevnet {
    fn drop(&mut self) {
        self.trigger.trigger();
    }
}
