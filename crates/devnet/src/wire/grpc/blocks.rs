//! Blocks and the node itself: `cosmos.base.tendermint` and `cosmos.base.node`.

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::{
    any,
    cosmos::crypto::ed25519::PubKey,
    cosmos::{base::node::v1beta1 as node, base::query::v1beta1::PageResponse, base::tendermint::v1beta1 as comet},
    tendermint::{p2p, types, version::Consensus},
};
use tonic::Status;

use super::{At, Method, methods};
use crate::{
    block::Block,
    chain::BlockError,
    decimal,
    header::{BLOCK_PROTOCOL, BlockId, Commit},
    wire::node::{COMET_VERSION, LISTEN_ADDRESS, P2P_CHANNELS, P2P_PROTOCOL, SDK_VERSION},
};

pub(super) const NODE: &[Method] = methods!("cosmos.base.node.v1beta1.Service", {
    "Config", config;
    "Status", status;
});

fn config(at: &At<'_>, _: node::ConfigRequest) -> Result<node::ConfigResponse, Status> {
    let price = at.chain.minimum_gas_price();
    Ok(node::ConfigResponse {
        minimum_gas_price: if price == 0 { String::new() } else { format!("{}upokt", decimal::text(price)) },
        pruning_keep_recent: "0".to_owned(),
        pruning_interval: "0".to_owned(),
        halt_height: 0,
    })
}

fn status(at: &At<'_>, _: node::StatusRequest) -> Result<node::StatusResponse, Status> {
    let block = at.chain.block(Some(at.state.height)).map_err(|error| Status::unknown(error.to_string()))?;
    Ok(node::StatusResponse {
        earliest_store_height: 0,
        height: at.state.height.unsigned_abs(),
        timestamp: Some(block.header.time.to_proto()),
        app_hash: block.header.app_hash.to_vec(),
        validator_hash: block.header.next_validators_hash.to_vec(),
    })
}

pub(super) const COMET: &[Method] = methods!("cosmos.base.tendermint.v1beta1.Service", {
    "GetNodeInfo", node_info;
    "GetSyncing", syncing;
    "GetLatestBlock", latest_block;
    "GetBlockByHeight", block_by_height;
    "GetLatestValidatorSet", latest_validators;
    "GetValidatorSetByHeight", validators_by_height;
});

fn syncing(_: &At<'_>, _: comet::GetSyncingRequest) -> Result<comet::GetSyncingResponse, Status> {
    Ok(comet::GetSyncingResponse { syncing: false })
}

fn latest_validators(
    at: &At<'_>,
    _: comet::GetLatestValidatorSetRequest,
) -> Result<comet::GetLatestValidatorSetResponse, Status> {
    Ok(comet::GetLatestValidatorSetResponse {
        block_height: at.state.height,
        validators: vec![validator(at)],
        pagination: Some(PageResponse { next_key: Vec::new(), total: 1 }),
    })
}

fn validators_by_height(
    at: &At<'_>,
    asked: comet::GetValidatorSetByHeightRequest,
) -> Result<comet::GetValidatorSetByHeightResponse, Status> {
    let block = block_at(at, asked.height)?;
    Ok(comet::GetValidatorSetByHeightResponse {
        block_height: block.height(),
        validators: vec![validator(at)],
        pagination: Some(PageResponse { next_key: Vec::new(), total: 1 }),
    })
}

fn node_info(at: &At<'_>, _: comet::GetNodeInfoRequest) -> Result<comet::GetNodeInfoResponse, Status> {
    let validator = &at.state.validator;
    let name = p2p::DefaultNodeInfo {
        protocol_version: Some(p2p::ProtocolVersion { p2p: P2P_PROTOCOL, block: BLOCK_PROTOCOL, app: 0 }),
        default_node_id: validator.node_id.clone(),
        listen_addr: LISTEN_ADDRESS.to_owned(),
        network: at.state.chain_id.to_string(),
        version: COMET_VERSION.to_owned(),
        channels: P2P_CHANNELS.to_vec(),
        moniker: validator.moniker.clone(),
        other: Some(p2p::DefaultNodeInfoOther {
            tx_index: "on".to_owned(),
            rpc_address: format!("tcp://{}", at.rpc_address),
        }),
    };
    let version = comet::VersionInfo {
        name: "pocket-devnet".to_owned(),
        app_name: "pocket-devnet".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cosmos_sdk_version: SDK_VERSION.to_owned(),
        ..comet::VersionInfo::default()
    };
    Ok(comet::GetNodeInfoResponse { default_node_info: Some(name), application_version: Some(version) })
}

fn latest_block(at: &At<'_>, _: comet::GetLatestBlockRequest) -> Result<comet::GetLatestBlockResponse, Status> {
    // The newest block, whatever height the state is asked at, as on the node.
    let block = at.chain.block(None).map_err(|error| Status::unknown(error.to_string()))?;
    Ok(comet::GetLatestBlockResponse {
        block_id: Some(block_id(&block.id)),
        block: Some(plain_block(&block)),
        sdk_block: Some(sdk_block(&block)),
    })
}

fn block_by_height(
    at: &At<'_>,
    request: comet::GetBlockByHeightRequest,
) -> Result<comet::GetBlockByHeightResponse, Status> {
    let block = block_at(at, request.height)?;
    Ok(comet::GetBlockByHeightResponse {
        block_id: Some(block_id(&block.id)),
        block: Some(plain_block(&block)),
        sdk_block: Some(sdk_block(&block)),
    })
}

fn block_at(at: &At<'_>, height: i64) -> Result<Arc<Block>, Status> {
    at.chain.block(Some(height)).map_err(|error| match error {
        BlockError::Future { .. } => Status::invalid_argument("requested block height is bigger then the chain length"),
        other => Status::unknown(other.to_string()),
    })
}

fn validator(at: &At<'_>) -> comet::Validator {
    let validator = &at.state.validator;
    comet::Validator {
        address: Address::from_bytes(validator.consensus_address).to_valcons(),
        pub_key: Some(any(&PubKey { key: validator.consensus_key.to_vec() })),
        voting_power: validator.voting_power(),
        proposer_priority: 0,
    }
}

fn block_id(id: &BlockId) -> types::BlockId {
    if id.is_nil() {
        return types::BlockId { hash: Vec::new(), part_set_header: Some(types::PartSetHeader::default()) };
    }
    let part_set_header = types::PartSetHeader { total: id.parts_total, hash: id.parts_hash.to_vec() };
    types::BlockId { hash: id.hash.to_vec(), part_set_header: Some(part_set_header) }
}

fn commit(commit: Option<&Commit>) -> types::Commit {
    let Some(commit) = commit else {
        return types::Commit { block_id: Some(block_id(&BlockId::default())), ..types::Commit::default() };
    };
    types::Commit {
        height: commit.height,
        round: 0,
        block_id: Some(block_id(&commit.block_id)),
        signatures: vec![types::CommitSig {
            block_id_flag: types::BlockIdFlag::Commit.into(),
            validator_address: commit.validator_address.to_vec(),
            timestamp: Some(commit.timestamp.to_proto()),
            signature: commit.signature.clone(),
        }],
    }
}

fn plain_block(block: &Block) -> types::Block {
    let header = &block.header;
    types::Block {
        header: Some(types::Header {
            version: Some(Consensus { block: BLOCK_PROTOCOL, app: 0 }),
            chain_id: header.chain_id.clone(),
            height: header.height,
            time: Some(header.time.to_proto()),
            last_block_id: Some(block_id(&header.last_block_id)),
            last_commit_hash: header.last_commit_hash.to_vec(),
            data_hash: header.data_hash.to_vec(),
            validators_hash: header.validators_hash.to_vec(),
            next_validators_hash: header.next_validators_hash.to_vec(),
            consensus_hash: header.consensus_hash.to_vec(),
            app_hash: header.app_hash.to_vec(),
            last_results_hash: header.last_results_hash.to_vec(),
            evidence_hash: header.evidence_hash.to_vec(),
            proposer_address: header.proposer_address.to_vec(),
        }),
        data: Some(types::Data { txs: block.txs.clone() }),
        evidence: Some(types::EvidenceList::default()),
        last_commit: Some(commit(block.last_commit.as_ref())),
    }
}

fn sdk_block(block: &Block) -> comet::Block {
    let plain = plain_block(block);
    let header = plain.header.unwrap_or_default();
    comet::Block {
        header: Some(comet::Header {
            version: header.version,
            chain_id: header.chain_id,
            height: header.height,
            time: header.time,
            last_block_id: header.last_block_id,
            last_commit_hash: header.last_commit_hash,
            data_hash: header.data_hash,
            validators_hash: header.validators_hash,
            next_validators_hash: header.next_validators_hash,
            consensus_hash: header.consensus_hash,
            app_hash: header.app_hash,
            last_results_hash: header.last_results_hash,
            evidence_hash: header.evidence_hash,
            proposer_address: Address::from_bytes(block.header.proposer_address).to_valcons(),
        }),
        data: plain.data,
        evidence: plain.evidence,
        last_commit: plain.last_commit,
    }
}
