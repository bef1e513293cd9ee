//! The node that a verb asks: the one named, or else the development network's.

use pocket_config::common::PocketNode;
use pocket_config::document;
use pocket_localnet::Door;

/// Settings of a node with these endpoints; of the development network's where none is given. Plain text unless `https`.
pub(crate) fn node(rpc: Option<&str>, grpc: Option<&str>) -> anyhow::Result<PocketNode> {
    let of = |door: Door| format!("http://127.0.0.1:{}", door.port());
    let mut node: PocketNode = document::deserialize(document::defaults("gateway")["pocket_node"].clone())?;
    node.query_node_rpc_url = rpc.map_or_else(|| of(Door::Rpc), str::to_owned);
    node.query_node_grpc_url = grpc.map_or_else(|| of(Door::Grpc), str::to_owned);
    node.grpc_insecure = !node.query_node_grpc_url.starts_with("https://");
    Ok(node)
}
