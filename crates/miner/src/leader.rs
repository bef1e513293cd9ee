//! What one miner of the fleet does for all relayers: blocks, supplier states, service factors.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pocket_chain::Block;
use pocket_proto::pocket::shared::{RpcType, Supplier};
use pocket_runtime::clock;
use pocket_runtime::shutdown::Shutdown;
use pocket_store::boundary::StakedEndpoint;
use pocket_store::{
    BlockEvent, Lease, LeaseError, LeaseName, RegistryAction, RegistryEvent, SupplierState, SupplierStatus,
};

use crate::keep;
use crate::miner::Miner;

/// Suppliers read from the chain at once.
const READS_MAX: usize = 16;

/// How long a service factor lives without being written again, as in the reference.
const FACTOR_TTL: Duration = Duration::from_hours(2);

/// Pause after a failure.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// Leads whenever the lease can be had, until `shutdown`.
pub(crate) async fn run(miner: Arc<Miner>, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        let Some(lease) = keep::acquire(&miner, &LeaseName::Leader, &shutdown).await else { return };
        tracing::info!(name = %miner.name, epoch = lease.epoch, "leading: relayers hear of blocks and suppliers from here");
        miner.metrics.leader.set(1);
        lead(&miner, &lease, &shutdown).await;
        miner.metrics.leader.set(0);
        if shutdown.is_triggered()
            && let Err(error) = miner.store.lease_release(&lease).await
        {
            tracing::debug!(%error, "the leader's lease was not given back; it runs out");
        }
    }
}

/// Leads until the lease is lost or the process leaves.
async fn lead(miner: &Miner, lease: &Lease, shutdown: &Shutdown) {
    let blocks = miner.chain.blocks().clone();
    let renew_every = Duration::from_secs(miner.settings.supplier_claiming.renew_rate_seconds.max(1));
    let refresh_every = Duration::from_secs(miner.settings.supplier_reconcile_interval_seconds.max(1));
    let mut renew_at = clock::now() + renew_every;
    let mut refresh_at = clock::now();
    let mut published = None;
    loop {
        tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            () = tokio::time::sleep_until(renew_at) => {
                renew_at = clock::now() + renew_every;
                match miner.store.lease_renew(lease, miner.lease_ttl()).await {
                    Ok(()) => {}
                    Err(LeaseError::Store(error)) => tracing::warn!(%error, "the leader's lease could not be renewed; trying again"),
                    Err(error) => {
                        tracing::warn!(%error, "another miner leads now");
                        return;
                    }
                }
            }
            () = tokio::time::sleep_until(refresh_at) => {
                let done = publish_facts(miner).await;
                refresh_at = clock::now() + if done { refresh_every } else { FAILURE_PAUSE };
            }
            block = blocks.next(published) => {
                // Relayers want the newest; those between say nothing more.
                if let Err(error) = publish_block(miner, &block).await {
                    tracing::warn!(%error, height = block.height, "a block was not made known to relayers");
                    tokio::time::sleep(FAILURE_PAUSE).await;
                    continue;
                }
                published = Some(block);
            }
        }
    }
}

async fn publish_block(miner: &Miner, block: &Block) -> Result<(), pocket_store::StoreError> {
    let event = BlockEvent { height: block.height, hash: block.hash.to_vec(), timestamp: block.time.to_string() };
    miner.store.block_publish(&event).await
}

/// Writes supplier states and service factors; false if some could not be.
async fn publish_facts(miner: &Miner) -> bool {
    let mut done = true;
    let addresses: Vec<_> = miner.keys.iter().map(|(address, _)| address.clone()).collect();
    let states = addresses.into_iter().map(|address| async move { publish_supplier(miner, &address).await });
    let mut states = futures_util::stream::iter(states).buffer_unordered(READS_MAX);
    while let Some(published) = states.next().await {
        done &= published;
    }
    let default = (None, miner.settings.default_service_factor);
    let own = miner.settings.service_factors.iter().map(|(service, factor)| (Some(service.as_str()), *factor));
    for (service, factor) in std::iter::once(default).chain(own) {
        // Zero, or less, means the chain's own limit.
        if factor > 0.0
            && let Err(error) = miner.store.service_factor_put(service, factor, FACTOR_TTL).await
        {
            tracing::warn!(%error, service, "a service factor was not published");
            done = false;
        }
    }
    done
}

async fn publish_supplier(miner: &Miner, address: &str) -> bool {
    let state = match miner.chain.supplier(address).await {
        Ok(supplier) => state(&supplier, &miner.name),
        Err(error) if error.is_not_found() => not_staked(address, &miner.name),
        Err(error) => {
            // Never written on an answer that is none: relayers would refuse everything.
            tracing::warn!(supplier = %address, %error, "the supplier could not be read; its state is left as it was");
            return false;
        }
    };
    if state.is_contaminated() {
        tracing::warn!(supplier = %address, "the supplier is staked for no service; its state is not published");
        return true;
    }
    let known = match miner.store.supplier(address).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(supplier = %address, %error, "the supplier's state could not be read");
            return false;
        }
    };
    let same = known
        .as_ref()
        .is_some_and(|known| *known == SupplierState { last_updated: known.last_updated, ..state.clone() });
    if let Err(error) = miner.store.supplier_put(&state).await {
        tracing::warn!(supplier = %address, %error, "the supplier's state was not published");
        return false;
    }
    if same {
        return true;
    }
    let services = state.services.as_deref().unwrap_or_default().join(", ");
    tracing::info!(supplier = %address, status = state.status.word(), services, "supplier published");
    let action = match (state.status, known) {
        (SupplierStatus::NotStaked, None) => return true,
        (SupplierStatus::NotStaked, Some(_)) => RegistryAction::Remove,
        (_, None) => RegistryAction::Add,
        (_, Some(_)) => RegistryAction::Update,
    };
    let event = RegistryEvent {
        action,
        operator_addr: address.to_owned(),
        services: state.services.unwrap_or_default(),
        reason: String::new(),
    };
    if let Err(error) = miner.store.registry_publish(&event).await {
        tracing::warn!(supplier = %address, %error, "the supplier's registry entry was not published");
        return false;
    }
    true
}

fn state(supplier: &Supplier, name: &str) -> SupplierState {
    let mut services: Vec<_> = supplier.services.iter().map(|service| service.service_id.clone()).collect();
    services.sort();
    services.dedup();
    let mut staked_endpoints = Vec::new();
    for service in &supplier.services {
        for endpoint in &service.endpoints {
            let Some(rpc_type) = RpcType::try_from(endpoint.rpc_type).ok().and_then(backend_key) else { continue };
            let staked = StakedEndpoint { service_id: service.service_id.clone(), rpc_type: rpc_type.to_owned() };
            if !staked_endpoints.contains(&staked) {
                staked_endpoints.push(staked);
            }
        }
    }
    let leaving = supplier.unstake_session_end_height > 0;
    SupplierState {
        status: if leaving { SupplierStatus::Unstaking } else { SupplierStatus::Active },
        staked: true,
        services: Some(services),
        staked_endpoints,
        unstake_session_end_height: supplier.unstake_session_end_height,
        operator_address: supplier.operator_address.clone(),
        owner_address: supplier.owner_address.clone(),
        last_updated: 0,
        last_refresh_session_start: 0,
        updated_by: name.to_owned(),
    }
}

fn not_staked(address: &str, name: &str) -> SupplierState {
    SupplierState {
        status: SupplierStatus::NotStaked,
        staked: false,
        services: None,
        staked_endpoints: Vec::new(),
        unstake_session_end_height: 0,
        operator_address: address.to_owned(),
        owner_address: String::new(),
        last_updated: 0,
        last_refresh_session_start: 0,
        updated_by: name.to_owned(),
    }
}

/// Returns the word under which relayers configure a backend of this type.
fn backend_key(rpc_type: RpcType) -> Option<&'static str> {
    match rpc_type {
        RpcType::Grpc => Some("grpc"),
        RpcType::Websocket => Some("websocket"),
        RpcType::JsonRpc => Some("jsonrpc"),
        RpcType::Rest => Some("rest"),
        RpcType::CometBft => Some("cometbft"),
        RpcType::UnknownRpc => None,
    }
}
