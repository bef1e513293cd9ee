//! `new service`: one line in the page; everything else follows from it.

use std::path::Path;

use anyhow::{Context as _, bail};
use pocket_runtime::fs;

use crate::lock::Lock;
use crate::page::{CONFIG, Overlay, Page};

/// What a new service is.
#[derive(Debug, Clone)]
pub struct Addition {
    /// Its id.
    pub id: String,
    /// Tag of its protocol, such as `JsonRpc`.
    pub rpc_type: String,
    /// Workload behind it.
    pub workload: String,
    /// Port of that workload.
    pub port: String,
}

/// Adds a service to the page and a key for its application to the lock. The page is left as it was if it would be
/// refused with the new line.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal) of the page with the service, or a file that cannot be read or written.
pub fn new_service(root: &Path, addition: &Addition) -> anyhow::Result<String> {
    let page = Page::read(root, &Overlay::None)?;
    if page.spec.services.contains_key(&addition.id) {
        bail!("there is a service `{}` already", addition.id);
    }
    let Addition { id, rpc_type, workload, port } = addition;
    let line =
        format!("{id} = {{ rpc_type = '{rpc_type}, backend = {{ workload = \"{workload}\", port = \"{port}\" }} }}");
    // The line as an overlay is refused for the same reasons as in the page.
    let tried = Overlay::Text("the new service".to_owned(), format!("{{ services.{line} }}\n"));
    let with = Page::read(root, &tried)?;
    let path = root.join(CONFIG);
    let text = fs::read_to_string(&path)?;
    let before = text.find("\n  services = {\n").context("config.ncl has no block `services = {` at its top")?;
    let end = text[before..].find("\n  },\n").context("the block `services` of config.ncl has no end")? + before;
    let (head, tail) = text.split_at(end);
    fs::write_atomic(&path, format!("{head}\n    {line},{tail}").as_bytes())?;
    Lock::derive(&with.spec)?.write(root)?;
    Ok(line)
}
