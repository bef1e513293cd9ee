//! The messages that a journal is made of. Field numbers are never reused; the format number in the identity file
//! changes when a message changes its meaning.

use std::sync::Arc;

use pocket_crypto::{address::Address, hash::sha256, keys::PublicKey};
use pocket_proto::{
    pocket::{
        application::{self, Application},
        gateway::{self, Gateway},
        proof::{self, Claim, Proof},
        service, session,
        shared::{self, Service, ServiceConfigUpdate, Supplier},
        supplier, tokenomics,
    },
    tendermint::abci::{Event, ExecTxResult},
};
use pocket_protocol::{
    mining::{ComputeUnitsEntry, Difficulty, DifficultyEntry},
    params::{self, History, SessionState, SharedState},
};
use prost::Message as _;

use crate::{
    block::Block,
    engine::{BLOCK_BYTES_MAX, BLOCK_GAS_MAX},
    header::{self, BlockId, Commit, Hash, Header},
    moment::Time,
    state::{Account, AuthParams, Choices, Map, Module, Params, ServiceDifficulty, State, key},
};

/// A block: what its execution needs, and what came of it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BlockRecord {
    /// Height.
    #[prost(int64, tag = "1")]
    pub height: i64,
    /// Block time, seconds since 1970.
    #[prost(int64, tag = "2")]
    pub seconds: i64,
    /// Block time, nanoseconds within the second.
    #[prost(uint32, tag = "3")]
    pub nanos: u32,
    /// Hash of the block.
    #[prost(bytes = "vec", tag = "4")]
    pub hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    last_hash: Vec<u8>,
    #[prost(uint32, tag = "6")]
    last_parts_total: u32,
    #[prost(bytes = "vec", tag = "7")]
    last_parts_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    app_hash_before: Vec<u8>,
    #[prost(bytes = "vec", tag = "9")]
    app_hash_after: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    last_results_hash: Vec<u8>,
    /// Transactions.
    #[prost(bytes = "vec", repeated, tag = "11")]
    pub txs: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "12")]
    results: Vec<ExecTxResult>,
    #[prost(message, repeated, tag = "13")]
    end_events: Vec<Event>,
    /// Empty when the beginning was like that of the record before.
    #[prost(message, repeated, tag = "14")]
    begin_events: Vec<Event>,
    #[prost(bytes = "vec", tag = "15")]
    last_commit_signature: Vec<u8>,
}

fn hash32(bytes: &[u8]) -> Result<Hash, String> {
    bytes.try_into().map_err(|_| format!("a hash has {} bytes instead of 32", bytes.len()))
}

impl BlockRecord {
    /// Makes the record of a block.
    pub fn of(block: &Block, with_begin_events: bool) -> Self {
        let last = block.header.last_block_id;
        Self {
            height: block.height(),
            seconds: block.header.time.seconds,
            nanos: block.header.time.nanos,
            hash: block.id.hash.to_vec(),
            last_hash: last.hash.to_vec(),
            last_parts_total: last.parts_total,
            last_parts_hash: last.parts_hash.to_vec(),
            app_hash_before: block.header.app_hash.to_vec(),
            app_hash_after: block.app_hash.to_vec(),
            last_results_hash: block.header.last_results_hash.to_vec(),
            txs: block.txs.clone(),
            results: block.results.clone(),
            end_events: block.end_events.clone(),
            begin_events: if with_begin_events { block.begin_events.to_vec() } else { Vec::new() },
            last_commit_signature: block
                .last_commit
                .as_ref()
                .map(|commit| commit.signature.clone())
                .unwrap_or_default(),
        }
    }

    /// Returns the block's time.
    pub fn time(&self) -> Time {
        Time { seconds: self.seconds, nanos: self.nanos }
    }

    /// Rebuilds the block; `begin` carries the events of a beginning from record to record. The error says what is
    /// wrong.
    pub fn to_block(self, genesis: &State, begin: &mut Option<Arc<[Event]>>) -> Result<Block, String> {
        let validator = &genesis.validator;
        let time = self.time();
        let last_block_id = BlockId {
            hash: hash32(&self.last_hash)?,
            parts_total: self.last_parts_total,
            parts_hash: hash32(&self.last_parts_hash)?,
        };
        let last_commit = (!last_block_id.is_nil()).then(|| Commit {
            height: self.height - 1,
            block_id: last_block_id,
            timestamp: time,
            validator_address: validator.consensus_address,
            signature: self.last_commit_signature.clone(),
        });
        let validators_hash = header::validators_hash(&validator.consensus_key, validator.voting_power());
        let tx_hashes: Vec<Hash> = self.txs.iter().map(|tx| sha256(tx)).collect();
        let header = Header {
            chain_id: genesis.chain_id.to_string(),
            height: self.height,
            time,
            last_block_id,
            last_commit_hash: last_commit.as_ref().map_or_else(|| sha256(&[]), Commit::hash),
            data_hash: header::merkle_root(&tx_hashes),
            validators_hash,
            next_validators_hash: validators_hash,
            consensus_hash: header::consensus_hash(BLOCK_BYTES_MAX, BLOCK_GAS_MAX),
            app_hash: hash32(&self.app_hash_before)?,
            last_results_hash: hash32(&self.last_results_hash)?,
            evidence_hash: sha256(&[]),
            proposer_address: validator.consensus_address,
        };
        let id = header::block_id(&header, &self.txs, last_commit.as_ref());
        if id.hash[..] != self.hash[..] {
            return Err(format!("block {} does not have the hash it was written with", self.height));
        }
        if !self.begin_events.is_empty() {
            *begin = Some(Arc::from(self.begin_events));
        }
        let begin_events = begin.clone().ok_or_else(|| format!("block {} has no beginning", self.height))?;
        let size = header::block_bytes(&header, &self.txs, last_commit.as_ref());
        Ok(Block {
            header,
            id,
            txs: self.txs,
            tx_hashes,
            last_commit,
            results: self.results,
            begin_events,
            end_events: self.end_events,
            app_hash: hash32(&self.app_hash_after)?,
            size,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct StateRecord {
    #[prost(int64, tag = "1")]
    height: i64,
    #[prost(int64, tag = "2")]
    seconds: i64,
    #[prost(uint32, tag = "3")]
    nanos: u32,
    #[prost(bytes = "vec", tag = "4")]
    app_hash: Vec<u8>,
    #[prost(message, repeated, tag = "5")]
    accounts: Vec<AccountRecord>,
    #[prost(uint64, tag = "6")]
    accounts_next: u64,
    #[prost(message, repeated, tag = "7")]
    balances: Vec<AmountRecord>,
    #[prost(string, tag = "8")]
    supply: String,
    #[prost(message, optional, tag = "9")]
    params: Option<ParamsRecord>,
    #[prost(message, repeated, tag = "10")]
    shared: Vec<shared::ParamsUpdate>,
    #[prost(message, repeated, tag = "11")]
    session: Vec<session::ParamsUpdate>,
    #[prost(message, repeated, tag = "12")]
    block_hashes: Vec<HashRecord>,
    #[prost(message, repeated, tag = "13")]
    services: Vec<Service>,
    #[prost(message, repeated, tag = "14")]
    compute_units: Vec<service::ServiceComputeUnitsPerRelayUpdate>,
    #[prost(message, repeated, tag = "15")]
    difficulties: Vec<DifficultyRecord>,
    #[prost(message, repeated, tag = "16")]
    applications: Vec<Application>,
    #[prost(message, repeated, tag = "17")]
    gateways: Vec<Gateway>,
    #[prost(message, repeated, tag = "18")]
    suppliers: Vec<Supplier>,
    #[prost(message, repeated, tag = "19")]
    service_configs: Vec<ServiceConfigUpdate>,
    #[prost(string, repeated, tag = "20")]
    unbonding_suppliers: Vec<String>,
    #[prost(message, repeated, tag = "21")]
    claims: Vec<Claim>,
    #[prost(message, repeated, tag = "22")]
    proofs: Vec<Proof>,
    #[prost(message, repeated, tag = "23")]
    nonces: Vec<NonceRecord>,
    #[prost(uint64, tag = "24")]
    suppliers_revision: u64,
    // Empty where nothing was undone.
    #[prost(bytes = "vec", tag = "25")]
    undone: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AccountRecord {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(uint64, tag = "3")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "4")]
    public_key: Vec<u8>,
    #[prost(string, tag = "5")]
    module: String,
    #[prost(string, repeated, tag = "6")]
    permissions: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AmountRecord {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(string, tag = "2")]
    amount: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HashRecord {
    #[prost(int64, tag = "1")]
    height: i64,
    #[prost(bytes = "vec", tag = "2")]
    hash: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NonceRecord {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(uint32, tag = "2")]
    nanos: u32,
    #[prost(string, tag = "3")]
    signer: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DifficultyRecord {
    #[prost(string, tag = "1")]
    service_id: String,
    /// The first is the live one, the rest the history.
    #[prost(message, repeated, tag = "2")]
    entries: Vec<DifficultyEntryRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DifficultyEntryRecord {
    #[prost(int64, tag = "1")]
    effective_height: i64,
    #[prost(int64, tag = "2")]
    block_height: i64,
    #[prost(uint64, tag = "3")]
    num_relays_ema: u64,
    #[prost(bytes = "vec", tag = "4")]
    target: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ParamsRecord {
    #[prost(message, optional, tag = "1")]
    proof: Option<proof::Params>,
    #[prost(message, optional, tag = "2")]
    tokenomics: Option<tokenomics::Params>,
    #[prost(message, optional, tag = "3")]
    service: Option<service::Params>,
    #[prost(message, optional, tag = "4")]
    application: Option<application::Params>,
    #[prost(message, optional, tag = "5")]
    supplier: Option<supplier::Params>,
    #[prost(message, optional, tag = "6")]
    gateway: Option<gateway::Params>,
    #[prost(uint64, repeated, tag = "7")]
    auth: Vec<u64>,
}

fn difficulty_record(effective_height: i64, difficulty: &Difficulty) -> DifficultyEntryRecord {
    DifficultyEntryRecord {
        effective_height,
        block_height: difficulty.block_height,
        num_relays_ema: difficulty.num_relays_ema,
        target: difficulty.target.to_vec(),
    }
}

/// Writes a state.
pub(super) fn encode_state(state: &State) -> Vec<u8> {
    let auth = &state.params.auth;
    let params = ParamsRecord {
        proof: Some((&state.params.proof).into()),
        tokenomics: Some((&state.params.tokenomics).into()),
        service: Some((&state.params.service).into()),
        application: Some((&state.params.application).into()),
        supplier: Some((&state.params.supplier).into()),
        gateway: Some((&state.params.gateway).into()),
        auth: vec![
            auth.max_memo_characters,
            auth.tx_sig_limit,
            auth.tx_size_cost_per_byte,
            auth.sig_verify_cost_ed25519,
            auth.sig_verify_cost_secp256k1,
        ],
    };
    let shared_entry = |effective_height, params| shared::ParamsUpdate { effective_height, params: Some(params) };
    let session_entry = |effective_height, params| session::ParamsUpdate { effective_height, params: Some(params) };
    let accounts = state.accounts.values().map(|account| AccountRecord {
        address: account.address.to_string(),
        number: account.number,
        sequence: account.sequence,
        public_key: account.public_key.map(|key| key.to_bytes().to_vec()).unwrap_or_default(),
        module: account.module.as_ref().map(|module| module.name.clone()).unwrap_or_default(),
        permissions: account.module.as_ref().map(|module| module.permissions.clone()).unwrap_or_default(),
    });
    let compute_units = state.compute_units.iter().flat_map(|(id, history)| {
        history.iter().map(|entry| service::ServiceComputeUnitsPerRelayUpdate {
            effective_height: entry.effective_height,
            service_id: id.to_string(),
            compute_units_per_relay: entry.compute_units_per_relay,
        })
    });
    let difficulties = state.difficulties.iter().map(|(id, service)| {
        let history = service.history.iter().map(|entry| difficulty_record(entry.effective_height, &entry.difficulty));
        let entries = std::iter::once(difficulty_record(0, &service.live)).chain(history).collect();
        DifficultyRecord { service_id: id.to_string(), entries }
    });
    let nonces = state.nonces.keys().map(|(nanos, signer)| {
        let time = Time::from_nanos(*nanos);
        NonceRecord { seconds: time.seconds, nanos: time.nanos, signer: signer.to_string() }
    });
    let record = StateRecord {
        height: state.height,
        seconds: state.time.seconds,
        nanos: state.time.nanos,
        app_hash: state.app_hash.to_vec(),
        undone: state.undone.map_or_else(Vec::new, Vec::from),
        accounts: accounts.collect(),
        accounts_next: state.accounts_next,
        balances: state
            .balances
            .iter()
            .map(|(address, amount)| AmountRecord { address: address.to_string(), amount: amount.to_string() })
            .collect(),
        supply: state.supply.to_string(),
        params: Some(params),
        // The first entry is the live one.
        shared: std::iter::once(shared_entry(0, (&state.shared.live).into()))
            .chain(state.shared.history.iter().map(|(height, params)| shared_entry(height, params.into())))
            .collect(),
        session: std::iter::once(session_entry(0, (&state.session.live).into()))
            .chain(state.session.history.iter().map(|(height, params)| session_entry(height, params.into())))
            .collect(),
        block_hashes: state
            .block_hashes
            .iter()
            .map(|(height, hash)| HashRecord { height: *height, hash: hash.to_vec() })
            .collect(),
        services: state.services.values().map(|service| Service::clone(service)).collect(),
        compute_units: compute_units.collect(),
        difficulties: difficulties.collect(),
        applications: state.applications.values().map(|one| Application::clone(one)).collect(),
        gateways: state.gateways.values().map(|one| Gateway::clone(one)).collect(),
        suppliers: state.suppliers.values().map(|one| Supplier::clone(one)).collect(),
        service_configs: state.service_configs.values().map(|one| ServiceConfigUpdate::clone(one)).collect(),
        unbonding_suppliers: state.unbonding_suppliers.keys().map(ToString::to_string).collect(),
        claims: state.claims.values().map(|one| Claim::clone(one)).collect(),
        proofs: state.proofs.values().map(|one| Proof::clone(one)).collect(),
        nonces: nonces.collect(),
        suppliers_revision: state.suppliers_revision,
    };
    record.encode_to_vec()
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn number(text: &str) -> Result<u128, String> {
    text.parse().map_err(|_| format!("`{text}` is no amount"))
}

fn missing(what: &str) -> String {
    format!("{what} is missing")
}

fn read_params(record: Option<ParamsRecord>) -> Result<Params, String> {
    let record = record.ok_or_else(|| missing("params"))?;
    let &[max_memo_characters, tx_sig_limit, tx_size_cost_per_byte, sig_verify_cost_ed25519, sig_verify_cost_secp256k1] =
        record.auth.as_slice()
    else {
        return Err(missing("params.auth"));
    };
    let text = |error: params::ParamsError| error.to_string();
    Ok(Params {
        proof: (&record.proof.unwrap_or_default()).try_into().map_err(text)?,
        tokenomics: (&record.tokenomics.unwrap_or_default()).into(),
        service: (&record.service.unwrap_or_default()).try_into().map_err(text)?,
        application: (&record.application.unwrap_or_default()).try_into().map_err(text)?,
        supplier: (&record.supplier.unwrap_or_default()).try_into().map_err(text)?,
        gateway: (&record.gateway.unwrap_or_default()).try_into().map_err(text)?,
        auth: AuthParams {
            max_memo_characters,
            tx_sig_limit,
            tx_size_cost_per_byte,
            sig_verify_cost_ed25519,
            sig_verify_cost_secp256k1,
        },
    })
}

fn read_shared(entries: &[shared::ParamsUpdate]) -> Result<SharedState, String> {
    let mut all = entries.iter().map(|entry| (entry.effective_height, entry.params.unwrap_or_default()));
    let (_, live) = all.next().ok_or_else(|| missing("shared params"))?;
    let history: History<params::Shared> = all.map(|(height, params)| (height, (&params).into())).collect();
    Ok(SharedState { live: (&live).into(), history })
}

fn read_session(entries: &[session::ParamsUpdate]) -> Result<SessionState, String> {
    let mut all = entries.iter().map(|entry| (entry.effective_height, entry.params.unwrap_or_default()));
    let (_, live) = all.next().ok_or_else(|| missing("session params"))?;
    let history: History<params::Session> = all.map(|(height, params)| (height, (&params).into())).collect();
    Ok(SessionState { live: (&live).into(), history })
}

fn read_difficulty(record: &DifficultyEntryRecord) -> Result<DifficultyEntry, String> {
    let difficulty = Difficulty {
        block_height: record.block_height,
        num_relays_ema: record.num_relays_ema,
        target: hash32(&record.target)?,
    };
    Ok(DifficultyEntry { effective_height: record.effective_height, difficulty })
}

fn read_account(record: AccountRecord) -> Result<Account, String> {
    let public_key = match record.public_key.as_slice() {
        [] => None,
        bytes => Some(PublicKey::from_bytes(bytes).map_err(|error| error.to_string())?),
    };
    let module = (!record.module.is_empty()).then_some(Module { name: record.module, permissions: record.permissions });
    let address = address(&record.address)?;
    Ok(Account { address, number: record.number, sequence: record.sequence, public_key, module })
}

/// Reads a state; what never changes is taken from the genesis state. The error says what is wrong.
pub(super) fn decode_state(bytes: &[u8], genesis: &State) -> Result<State, String> {
    let record = StateRecord::decode(bytes).map_err(|error| error.to_string())?;
    let mut state = State {
        chain_id: Arc::clone(&genesis.chain_id),
        height: record.height,
        time: Time { seconds: record.seconds, nanos: record.nanos },
        app_hash: hash32(&record.app_hash)?,
        undone: if record.undone.is_empty() { None } else { Some(hash32(&record.undone)?) },
        validator: Arc::clone(&genesis.validator),
        accounts: Map::new_sync(),
        accounts_next: record.accounts_next,
        balances: Map::new_sync(),
        supply: number(&record.supply)?,
        params: Arc::new(read_params(record.params)?),
        shared: Arc::new(read_shared(&record.shared)?),
        session: Arc::new(read_session(&record.session)?),
        block_hashes: Map::new_sync(),
        services: Map::new_sync(),
        compute_units: Map::new_sync(),
        difficulties: Map::new_sync(),
        applications: Map::new_sync(),
        gateways: Map::new_sync(),
        suppliers: Map::new_sync(),
        service_configs: Map::new_sync(),
        configs_by_supplier: Map::new_sync(),
        suppliers_revision: 0,
        choices: Choices::default(),
        unbonding_suppliers: Map::new_sync(),
        claims: Map::new_sync(),
        claims_by_end: Map::new_sync(),
        claims_by_supplier: Map::new_sync(),
        proofs: Map::new_sync(),
        nonces: Map::new_sync(),
    };
    for one in record.accounts {
        let account = read_account(one)?;
        state.accounts.insert_mut(account.address.clone(), Arc::new(account));
    }
    for one in record.balances {
        state.balances.insert_mut(address(&one.address)?, number(&one.amount)?);
    }
    for one in record.block_hashes {
        state.block_hashes.insert_mut(one.height, hash32(&one.hash)?);
    }
    for one in record.services {
        state.services.insert_mut(Arc::from(one.id.as_str()), Arc::new(one));
    }
    for one in record.compute_units {
        let id: Arc<str> = Arc::from(one.service_id.as_str());
        let mut history = state.compute_units.get(&id).map(|history| Vec::clone(history)).unwrap_or_default();
        history.push(ComputeUnitsEntry {
            effective_height: one.effective_height,
            compute_units_per_relay: one.compute_units_per_relay,
        });
        state.compute_units.insert_mut(id, Arc::new(history));
    }
    for one in record.difficulties {
        let mut entries = one.entries.iter().map(read_difficulty);
        let live = entries.next().ok_or_else(|| missing("a difficulty"))??.difficulty;
        let service = ServiceDifficulty { live, history: entries.collect::<Result<_, _>>()? };
        state.difficulties.insert_mut(Arc::from(one.service_id.as_str()), Arc::new(service));
    }
    for one in record.applications {
        state.applications.insert_mut(address(&one.address)?, Arc::new(one));
    }
    for one in record.gateways {
        state.gateways.insert_mut(address(&one.address)?, Arc::new(one));
    }
    for one in record.suppliers {
        state.put_supplier(address(&one.operator_address)?, one);
    }
    for one in record.service_configs {
        let operator = one.operator_address.clone();
        state.put_service_config(&operator, one);
    }
    state.suppliers_revision = record.suppliers_revision;
    for one in record.unbonding_suppliers {
        state.unbonding_suppliers.insert_mut(address(&one)?, ());
    }
    for one in record.claims {
        let session_id = one.session_header.as_ref().map(|header| header.session_id.clone()).unwrap_or_default();
        let supplier = one.supplier_operator_address.clone();
        state.put_claim(&session_id, &supplier, one);
    }
    for one in record.proofs {
        let session_id = one.session_header.as_ref().map(|header| header.session_id.clone()).unwrap_or_default();
        let supplier = one.supplier_operator_address.clone();
        state.proofs.insert_mut(key(&session_id, &supplier), Arc::new(one));
    }
    for one in record.nonces {
        let time = Time { seconds: one.seconds, nanos: one.nanos };
        state.nonces.insert_mut((time.as_nanos(), Arc::from(one.signer.as_str())), ());
    }
    Ok(state)
}
