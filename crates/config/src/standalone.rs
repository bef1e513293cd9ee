//! Settings of `pocket standalone`: relayer and miner in one process on the embedded store.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{self, LoadError, Loaded};
use crate::{miner::Miner, relayer::Relayer};

/// A relayer and a miner that share one store.
#[derive(Debug, Clone)]
pub struct Standalone {
    /// The relayer's half.
    pub relayer: Relayer,
    /// The miner's half.
    pub miner: Miner,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What both halves share: `store`, `pocket_node`, `keys`, `logging`.
    #[serde(default)]
    common: Value,
    #[serde(default)]
    relayer: Value,
    #[serde(default)]
    miner: Value,
}

/// Loads a standalone file: `common`, `relayer` and `miner`, each optional where the defaults suffice.
///
/// # Errors
/// [`LoadError`], naming the key and the remedy. A store of kind `redis` is refused: run the two processes instead.
pub fn load(text: &str) -> Result<Loaded<Standalone>, LoadError> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| LoadError::Syntax(error.to_string()))?;
    let file: File =
        document::deserialize(if value.is_null() { Value::Object(serde_json::Map::new()) } else { value })?;

    let half = |own: Value| {
        let mut whole = serde_json::json!({"store": {"kind": "embedded"}});
        document::merge(&mut whole, file.common.clone());
        document::merge(&mut whole, own);
        whole.to_string()
    };
    let relayer: Loaded<Relayer> = document::load(&half(file.relayer))?;
    let miner: Loaded<Miner> = document::load(&half(file.miner))?;
    if relayer.settings.store.kind != crate::common::StoreKind::Embedded {
        return Err(LoadError::rule(
            "common.store.kind",
            "standalone uses the embedded store; on Redis, run pocket-relayer and pocket-miner",
        ));
    }
    let (theirs, ours) = (&relayer.settings.store, &miner.settings.store);
    if (theirs.kind, &theirs.data_dir) != (ours.kind, &ours.data_dir) {
        return Err(LoadError::rule(
            "common.store",
            "relayer and miner share one store: write it under `common`, not differently in each half",
        ));
    }
    let notes = [("relayer", relayer.notes), ("miner", miner.notes)]
        .into_iter()
        .flat_map(|(name, notes)| notes.into_iter().map(move |note| format!("{name}: {note}")))
        .collect();
    Ok(Loaded { settings: Standalone { relayer: relayer.settings, miner: miner.settings }, notes })
}
