//! The only door to the Nickel language.
//!
//! `nickel-lang-core` promises no stable interface, so that all calls are here: [`evaluate`] turns sources into a JSON
//! value or a [`Fault`] with its places, and [`outline`] lists what a source defines and where. Nothing of the
//! language's own types leaves this module.

mod fault;
mod outline;

use std::path::{Path, PathBuf};

use nickel_lang_core::error::NullReporter;
use nickel_lang_core::eval::cache::CacheImpl;
use nickel_lang_core::program::{Program, ProgramBuilder};
use nickel_lang_core::serialize::{self, ExportFormat};

pub use fault::{Cause, Fault};
pub use outline::{Contract, Field, outline};

use crate::source::Source;

/// Evaluates sources merged in order, with the contract in `contract` applied to the result. Names of files in imports
/// and in the fault are relative to `root`.
///
/// # Errors
/// The first [`Fault`] that the language finds.
pub fn evaluate(root: &Path, sources: &[Source], contract: Option<&Path>) -> Result<serde_json::Value, Box<Fault>> {
    let mut builder = ProgramBuilder::new().with_reporter(NullReporter {}).add_import_paths([root.to_path_buf()]);
    for source in sources {
        builder = builder.add_source_string(source.text.as_str(), source.name.as_str());
    }
    if let Some(contract) = contract {
        builder = builder.add_contract_paths([root.join(contract)]);
    }
    let mut program: Program<CacheImpl> =
        builder.build().map_err(|error| Box::new(Fault::plain(format!("cannot read the spec: {error}"))))?;
    let value = program.eval_full_for_export().map_err(|error| Box::new(fault::read(root, program.files(), error)))?;
    let text = serialize::to_string(ExportFormat::Json, &value)
        .map_err(|error| Box::new(Fault::plain(format!("the spec holds a value that is no data: {error:?}"))))?;
    serde_json::from_str(&text)
        .map_err(|error| Box::new(Fault::plain(format!("the spec's export is no JSON: {error}"))))
}

/// Returns `path` as people write it: relative to `root` where it is below.
fn shown(root: &Path, path: &std::ffi::OsStr) -> String {
    let path = PathBuf::from(path);
    let canonical = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    path.strip_prefix(&canonical).or_else(|_| path.strip_prefix(root)).unwrap_or(&path).display().to_string()
}
