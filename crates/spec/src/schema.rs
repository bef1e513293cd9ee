//! What may be said: the contracts as data, read from their text.
//!
//! The language checks values; this knows names, documents and places, for messages, for `explain`, and for the test that
//! holds the contracts against the Rust types.

use std::collections::BTreeMap;
use std::path::Path;

use pocket_runtime::fs;

use crate::nickel::{Contract, Field, outline};
use crate::source::Source;

/// Folder of the contracts, from the root of the repository.
pub const CONTRACTS: &str = "crates/config/contracts";

/// The contract that everything begins with.
pub const TOP: &str = "Spec";

/// All record contracts by name. A name is used once.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    records: BTreeMap<String, Vec<Field>>,
}

/// A place in the tree of contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A record of known fields: a contract's name and the path of the record within it.
    Record(String, Vec<String>),
    /// Any names, each with this behind it.
    Each(Box<Node>),
    /// A value: a number, a text, a list.
    Leaf,
}

/// A name that no contract has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// Path of the record that lacks it.
    pub within: Vec<String>,
    /// The names it has.
    pub known: Vec<String>,
    /// The record's contract.
    pub contract: String,
}

impl Schema {
    /// Reads every contract below `root`.
    ///
    /// # Errors
    /// A text that names the file that cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut schema = Self::default();
        for folder in [CONTRACTS.to_owned(), format!("{CONTRACTS}/settings")] {
            for path in fs::list(root.join(&folder))? {
                if path.extension().is_some_and(|extension| extension == "ncl") {
                    let name = format!("{folder}/{}", path.file_name().unwrap_or_default().to_string_lossy());
                    let source = Source { text: fs::read_to_string(&path)?, name };
                    schema.add(&source);
                }
            }
        }
        Ok(schema)
    }

    fn add(&mut self, source: &Source) {
        for field in outline(source).unwrap_or_default() {
            let Some(contract) = field.path.first().cloned() else { continue };
            self.records.entry(contract).or_default().push(field);
        }
    }

    /// Every field of every contract.
    pub fn all(&self) -> impl Iterator<Item = &Field> {
        self.records.values().flatten()
    }

    /// Returns the fields of a record, with their names.
    pub fn fields(&self, contract: &str, within: &[String]) -> Vec<&Field> {
        let depth = within.len() + 2;
        let fields = self.records.get(contract).map(Vec::as_slice).unwrap_or_default();
        fields.iter().filter(|field| field.path.len() == depth && field.path[1..depth - 1] == *within).collect()
    }

    /// Returns the words of a contract that is an enumeration by name.
    pub fn words(&self, contract: &str) -> Option<Vec<String>> {
        let field = self.records.get(contract)?.first()?;
        let inner = field.value.as_deref()?.strip_prefix("[|")?.strip_suffix("|]")?;
        Some(inner.split(',').map(|word| word.trim().trim_start_matches('\'').to_owned()).collect())
    }

    /// Returns whether `name` is a contract of a record.
    pub fn is_record(&self, name: &str) -> bool {
        !self.fields(name, &[]).is_empty()
    }

    /// Returns what stands behind a field.
    pub fn behind(&self, field: &Field) -> Node {
        let contract = field.contracts.iter().map(|contract| self.node(contract)).find(|node| *node != Node::Leaf);
        match contract {
            Some(node) => node,
            None if field.record && field.contracts.is_empty() => {
                Node::Record(field.path[0].clone(), field.path[1..].to_vec())
            }
            None => Node::Leaf,
        }
    }

    fn node(&self, contract: &Contract) -> Node {
        match contract {
            Contract::Name(name) if self.is_record(name) => Node::Record(name.clone(), Vec::new()),
            Contract::Each(inner) => Node::Each(Box::new(self.node(inner))),
            _ => Node::Leaf,
        }
    }

    /// Follows a path from the top. `Ok(None)` is a path below a value or a name that people choose.
    ///
    /// # Errors
    /// [`Unknown`], for the first name that its record's contract does not have.
    pub fn find(&self, path: &[String]) -> Result<Option<&Field>, Unknown> {
        let mut node = Node::Record(TOP.to_owned(), Vec::new());
        let mut found = None;
        for (depth, name) in path.iter().enumerate() {
            (node, found) = match node {
                Node::Record(contract, within) => {
                    let fields = self.fields(&contract, &within);
                    let Some(field) = fields.iter().find(|field| field.path.last() == Some(name)) else {
                        let known = fields.iter().filter_map(|field| field.path.last().cloned()).collect();
                        return Err(Unknown { name: name.clone(), within: path[..depth].to_vec(), known, contract });
                    };
                    (self.behind(field), Some(*field))
                }
                Node::Each(inner) => (*inner, None),
                Node::Leaf => return Ok(None),
            };
        }
        Ok(found)
    }

    /// Returns what stands behind a path, where the path exists.
    pub fn node_at(&self, path: &[String]) -> Option<Node> {
        let mut node = Node::Record(TOP.to_owned(), Vec::new());
        for name in path {
            node = match node {
                Node::Record(contract, within) => {
                    let fields = self.fields(&contract, &within);
                    self.behind(fields.iter().find(|field| field.path.last() == Some(name))?)
                }
                Node::Each(inner) => *inner,
                Node::Leaf => return None,
            };
        }
        Some(node)
    }

    /// Returns the place of a contract's own definition.
    pub fn place_of(&self, contract: &str) -> Option<crate::source::Place> {
        self.records.get(contract)?.first().map(|field| field.place.clone())
    }
}
