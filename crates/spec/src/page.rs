//! The page: `config.ncl` with an operator's `local.ncl` over it, read, checked and evaluated.

mod complaint;
mod overlay;

use std::path::{Path, PathBuf};

use pocket_runtime::fs;
use serde_json::Value;

use crate::nickel::{self, Field, outline};
use crate::refusal::Refusal;
use crate::schema::{CONTRACTS, Schema};
use crate::source::Source;
use crate::spec::Spec;

/// The page that everybody shares.
pub const CONFIG: &str = "config.ncl";

/// What an operator lays over it.
pub const LOCAL: &str = "local.ncl";

/// A spec that holds.
#[derive(Debug)]
pub struct Page {
    /// Folder of `config.ncl`.
    pub root: PathBuf,
    /// All that it says, defaults included.
    pub value: Value,
    /// The same, typed.
    pub spec: Spec,
    /// Where each field is set, later files last.
    pub definitions: Vec<Field>,
    /// What may be said.
    pub schema: Schema,
}

/// Which overlay is laid over the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// `local.ncl`, where it exists.
    Local,
    /// None: what is committed depends on nobody's overlay.
    None,
    /// This text, under this name.
    Text(String, String),
}

impl Page {
    /// Reads, checks and evaluates the page in `root`.
    ///
    /// # Errors
    /// A [`Refusal`], or the file that cannot be read.
    pub fn read(root: &Path, overlay: &Overlay) -> anyhow::Result<Self> {
        let mut sources = vec![read_source(root, CONFIG)?];
        match overlay {
            Overlay::Local if fs::exists(root.join(LOCAL)) => sources.push(read_source(root, LOCAL)?),
            Overlay::Text(name, text) => sources.push(Source { name: name.clone(), text: text.clone() }),
            _ => {}
        }
        let schema = Schema::read(root)?;
        let definitions = definitions(root, &sources);
        check_names(&schema, &definitions)?;
        let forced: Vec<Source> = sources
            .iter()
            .enumerate()
            .map(|(index, source)| if index == 0 { source.clone() } else { overlay::forced(source) })
            .collect();
        let contract = PathBuf::from(format!("{CONTRACTS}/spec.ncl"));
        let value = nickel::evaluate(root, &forced, Some(&contract))
            .map_err(|fault| complaint::told(root, *fault, &schema, &definitions, &sources))?;
        let spec = serde_path_to_error::deserialize(&value).map_err(|error| {
            let path = error.path().to_string();
            Refusal {
                message: format!("the contracts and the plan disagree about `{path}`: {}", error.inner()),
                ..Refusal::of("")
            }
        })?;
        Ok(Self { root: root.to_path_buf(), value, spec, definitions, schema })
    }

    /// Returns where a field is set: the places of the longest part of its path that anybody wrote.
    pub fn written(&self, path: &[String]) -> Vec<&Field> {
        written(&self.definitions, path)
    }

    /// A refusal of the value at `path`, with its places.
    pub fn refuse(&self, path: &str, message: impl Into<String>, remedies: Vec<String>) -> Refusal {
        let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        let contract = self.schema.find(&parts).ok().flatten().map(|field| field.place.clone());
        Refusal { message: message.into(), values: complaint::values(&self.definitions, &[parts]), contract, remedies }
    }
}

fn read_source(root: &Path, name: &str) -> anyhow::Result<Source> {
    Ok(Source { name: name.to_owned(), text: fs::read_to_string(root.join(name))? })
}

/// Everything that the sources and the parts that they import set.
fn definitions(root: &Path, sources: &[Source]) -> Vec<Field> {
    let mut fields = Vec::new();
    for source in sources {
        for field in outline(source).unwrap_or_default() {
            let part = field.value.as_deref().and_then(imported).map(|name| (name.to_owned(), field.path.clone()));
            fields.push(field);
            let Some((name, prefix)) = part else { continue };
            let Ok(text) = fs::read_to_string(root.join(&name)) else { continue };
            for mut inner in outline(&Source { name, text }).unwrap_or_default() {
                inner.path = prefix.iter().chain(&inner.path).cloned().collect();
                fields.push(inner);
            }
        }
    }
    fields
}

/// The file of a value that is an import and nothing else.
fn imported(value: &str) -> Option<&str> {
    value.strip_prefix("import \"")?.strip_suffix('"')
}

/// Where a field is set. Of one that nobody set, what is set below it; else of the nearest above it.
fn written<'a>(definitions: &'a [Field], path: &[String]) -> Vec<&'a Field> {
    for length in (1..=path.len()).rev() {
        let above = &path[..length];
        let exact = definitions.iter().any(|field| field.path == above);
        let found: Vec<&Field> = definitions
            .iter()
            .filter(|field| {
                field.path == above
                    || (field.path.starts_with(above) && !field.record && (!exact || overlaid(&field.place.file)))
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Whether a file is laid over the page, and no part of it.
fn overlaid(file: &str) -> bool {
    file != CONFIG && !file.starts_with(CONTRACTS)
}

/// Refuses the first name that no contract has. The language would as well, but it does not say where.
fn check_names(schema: &Schema, definitions: &[Field]) -> Result<(), Refusal> {
    for field in definitions {
        if let Err(unknown) = schema.find(&field.path) {
            return Err(complaint::unknown(schema, field, &unknown));
        }
    }
    Ok(())
}
