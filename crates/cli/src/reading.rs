//! Which store is read: a Redis server, a data folder, or that of a running `pocket up`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pocket_config::common::{self, StoreKind};
use pocket_config::document::{self, LoadError};
use pocket_config::facts::Facts;
use pocket_config::miner::Miner;
use pocket_config::relayer::Relayer;
use pocket_config::standalone;
use pocket_localnet::Door;
use pocket_runtime::fs::exists;
use pocket_store::{Durability, Namespace, Reading, Remote, Store, StoreOptions, lock};

/// Where the store is.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// Redis server, such as `redis://localhost:6379`.
    #[arg(long, alias = "redis", global = true, conflicts_with_all = ["data", "admin"], value_name = "URL")]
    redis_url: Option<String>,
    /// Data folder of `pocket up --data DIR`, running or not.
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "admin")]
    data: Option<PathBuf>,
    /// Settings file of a miner, a relayer or `pocket standalone`: the store it names, under its namespace.
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["redis_url", "data", "admin"])]
    config: Option<PathBuf>,
    /// Where a running `pocket up` answers read verbs; its banner says so.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    admin: Option<String>,
}

impl Source {
    /// Opens the store for reading.
    pub(crate) async fn open(&self) -> anyhow::Result<Reading> {
        if let Some(file) = &self.config {
            return configured(file).await;
        }
        let options = || StoreOptions::new(Namespace::default(), Durability::Process);
        if let Some(url) = &self.redis_url {
            return Ok(Reading::Store(Store::redis(url, options()).await?));
        }
        if let Some(folder) = &self.data {
            // Of a folder of `pocket up` the store is one part; a folder of `pocket standalone` is the store itself.
            let found = [folder.clone(), folder.join("store")].into_iter().find(|one| exists(lock::path(one)));
            let Some(folder) = found else {
                bail!("there is no store in {}: name the folder that was given to --data", folder.display())
            };
            return Ok(Reading::folder(&folder, options()).await?);
        }
        let address = self.admin.clone().unwrap_or_else(|| format!("127.0.0.1:{}", Door::StoreAdmin.port()));
        pocket_runtime::net::connect(&address).await.with_context(|| {
            format!(
                "no store answers at {address}: start `pocket up`, or name one with --admin HOST:PORT (see the banner), \
                 --data DIR or --redis-url URL"
            )
        })?;
        Ok(Reading::Remote(Remote::new(&address)))
    }
}

/// Opens the store that a settings file names.
async fn configured(file: &Path) -> anyhow::Result<Reading> {
    let text = pocket_runtime::fs::read_to_string(file)?;
    let (store, redis, meter_key) = settings(&text).with_context(|| file.display().to_string())?;
    let names = Namespace::from_settings(&redis.namespace, &meter_key);
    let options = StoreOptions::from_settings(&store, names);
    match store.kind {
        StoreKind::Redis => Ok(Reading::Store(Store::redis(&redis.url, options).await?)),
        StoreKind::Embedded if store.data_dir.is_empty() => {
            bail!("{} keeps its store in memory: name the running process with --admin", file.display())
        }
        StoreKind::Embedded => Ok(Reading::folder(Path::new(&store.data_dir), options).await?),
    }
}

/// What a file says of the store and its names: a miner's, else a relayer's, else both halves' of a standalone file.
fn settings(text: &str) -> Result<(common::Store, common::Redis, String), LoadError> {
    let miner = match document::load::<Miner>(text) {
        // A miner knows nothing of the meter's prefix; this is the default of those who do.
        Ok(miner) => return Ok((miner.settings.store, miner.settings.redis, "ha".to_owned())),
        Err(error) => error,
    };
    let relayer = document::load::<Relayer>(text).map(|loaded| loaded.settings);
    let relayer = relayer.or_else(|_| standalone::load(text).map(|loaded| loaded.settings.relayer));
    let relayer = relayer.map_err(|_| miner)?;
    Ok((relayer.store, relayer.redis, relayer.relay_meter.redis_key_prefix))
}

/// Reads a supplier: its address, or its account's name in the development network.
pub(crate) fn supplier(text: &str) -> anyhow::Result<String> {
    if text.starts_with("pokt1") {
        return Ok(text.to_owned());
    }
    let facts = Facts::localnet("seed")?;
    let account = facts.account(text).with_context(|| {
        format!("`{text}` is neither an address (pokt1…) nor an account; `pocket keys` lists the accounts")
    })?;
    Ok(account.address.clone())
}
