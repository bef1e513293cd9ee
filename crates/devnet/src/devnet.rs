//! Wiring: from settings to a running chain.

use std::{collections::VecDeque, path::PathBuf};

use pocket_config::{LoadError, devnet::Blocks, facts::Facts};
use pocket_runtime::{
    fs::{self, FsError, Lock, LockError},
    shutdown::Shutdown,
    task::{self, Task},
};

pub use pocket_config::devnet::Devnet as Settings;

use crate::{
    chain::Chain,
    clock::{Clock, Pace},
    driver,
    engine::{Engine, Options},
    genesis::{self, GenesisError},
    journal::{self, Journal, JournalError, Recovered},
    mempool,
    state::State,
};

/// File in the data folder that the process holding it has locked.
const LOCK_FILE: &str = "lock";

/// Why the chain did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The facts file could not be read.
    #[error("failed to read the facts of the network")]
    ReadFacts(#[source] FsError),
    /// The facts file is not what it should be.
    #[error("failed to understand the facts in {file}: {reason}")]
    ParseFacts {
        /// The file.
        file: String,
        /// Where and why.
        reason: String,
    },
    /// There is no such profile.
    #[error(transparent)]
    Profile(#[from] LoadError),
    /// The facts make no network.
    #[error("the facts make no network")]
    Genesis(#[from] GenesisError),
    /// The price of gas is no number.
    #[error("minimum_gas_price_upokt: `{0}` is no decimal with up to 18 places")]
    GasPrice(String),
    /// Another process uses the data folder.
    #[error("the data folder is in use")]
    Locked(#[from] LockError),
    /// The data folder could not be made.
    #[error("the data folder cannot be used")]
    Folder(#[from] FsError),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A replayed block could not be committed.
    #[error("failed to replay the data folder")]
    Replay(#[source] JournalError),
}

/// Reads the facts that the settings name.
pub fn facts(settings: &Settings) -> Result<Facts, StartError> {
    let mut facts = if settings.facts_file.is_empty() {
        Facts::localnet(&settings.profile)?
    } else {
        let text = fs::read_to_string(&settings.facts_file).map_err(StartError::ReadFacts)?;
        let facts: Facts = serde_json::from_str(&text)
            .map_err(|error| StartError::ParseFacts { file: settings.facts_file.clone(), reason: error.to_string() })?;
        facts.under(&settings.profile)?
    };
    if !settings.relayer_endpoint.is_empty() {
        facts.relayer_endpoint.clone_from(&settings.relayer_endpoint);
    }
    Ok(facts)
}

/// Checks that the settings and the facts they name make a network, without touching the data folder.
pub fn check(settings: &Settings) -> Result<(), StartError> {
    let facts = facts(settings)?;
    genesis::state(&facts, settings.seed)?;
    options(settings, &facts)?;
    Ok(())
}

fn options(settings: &Settings, facts: &Facts) -> Result<Options, StartError> {
    let price = &facts.params.minimum_gas_price_upokt;
    Ok(Options {
        seed: settings.seed,
        minimum_gas_price: crate::decimal::parse(price).ok_or_else(|| StartError::GasPrice(price.clone()))?,
        mempool: mempool::Limits { txs: settings.limits.mempool_max, tx_bytes: settings.limits.tx_bytes_max },
        states_kept: usize::try_from(settings.limits.history_blocks).unwrap_or(usize::MAX),
        blocks_kept: usize::try_from(settings.limits.blocks_kept).unwrap_or(usize::MAX),
        snapshots_max: settings.limits.snapshots_max,
    })
}

/// A chain that is open, and the lock on its data folder.
#[derive(Debug)]
pub struct Opened {
    /// The chain; no blocks are made by themselves yet.
    pub chain: Chain,
    /// Held as long as the chain may write.
    pub lock: Option<Lock>,
}

/// Opens the chain: at genesis, or where the data folder left it.
pub fn open(settings: &Settings) -> Result<Opened, StartError> {
    let facts = facts(settings)?;
    let genesis = genesis::state(&facts, settings.seed)?;
    let options = options(settings, &facts)?;
    let pace = match settings.blocks {
        Blocks::Interval => Pace::Interval,
        Blocks::Instant => Pace::Instant,
        Blocks::Manual => Pace::Manual,
    };
    let clock = Clock::new(pace, settings.block_time_ms, genesis.time);
    if settings.data_dir.is_empty() {
        let engine = Engine::new(options, clock, genesis, VecDeque::new());
        return Ok(Opened { chain: Chain::new(engine), lock: None });
    }
    let folder = PathBuf::from(&settings.data_dir);
    fs::create_dir_all(&folder)?;
    let lock = Lock::exclusive(folder.join(LOCK_FILE), "pocket-devnet")?;
    let settings = journal::Settings {
        folder,
        checkpoint_blocks: settings.limits.checkpoint_blocks,
        blocks_kept: settings.limits.blocks_kept,
    };
    let (journal, recovered) = Journal::open(settings, &genesis)?;
    let engine = replay(options, clock, genesis, recovered, journal)?;
    Ok(Opened { chain: Chain::new(engine), lock: Some(lock) })
}

fn replay(
    options: Options,
    clock: Clock,
    genesis: State,
    recovered: Recovered,
    journal: Journal,
) -> Result<Engine, StartError> {
    let Recovered { checkpoint, blocks, replay, torn_bytes } = recovered;
    if torn_bytes > 0 {
        tracing::warn!(bytes = torn_bytes, "cut a torn block off the journal");
    }
    let state = checkpoint.unwrap_or(genesis);
    let mut engine = Engine::new(options, clock, state, blocks);
    for record in replay {
        let done = engine.plan_replay(record.time(), record.txs).execute();
        let found = done.block().id.hash;
        if found[..] != record.hash[..] {
            return Err(StartError::Journal(JournalError::Diverged {
                height: record.height,
                expected: hex::encode_upper(&record.hash),
                found: hex::encode_upper(found),
            }));
        }
        engine.commit(done).map_err(StartError::Replay)?;
    }
    engine.resume_clock();
    engine.attach(journal)?;
    if engine.state().height > 0 {
        tracing::info!(height = engine.state().height, "the data folder is read");
    }
    Ok(engine)
}

/// Starts making blocks, until `shutdown`.
pub fn spawn_driver(
    chain: &Chain,
    heartbeat: Option<pocket_runtime::admin::Heartbeat>,
    shutdown: &Shutdown,
) -> Task<()> {
    task::spawn("blocks", driver::drive(chain.clone(), heartbeat, shutdown.clone()))
}
