//! What one does with the spec, each a function from a folder to words.

mod explain;
mod images;
mod import;
mod new;
mod pin;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pocket_runtime::fs;

use crate::emit;
use crate::lock::Lock;
use crate::page::{CONFIG, Overlay, Page};
use crate::plan::Plan;
use crate::write::{self, Change};

pub use explain::explain;
pub use images::{Packing, Written, images, images_text};
pub use import::import;
pub use new::{Addition, new_service};
pub use pin::pin;
pub use tables::{plan_text, ports_text};

/// Finds the folder of `config.ncl`: the given one, or the nearest above the working folder.
///
/// # Errors
/// If there is none.
pub fn root(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(root) = given {
        if !fs::exists(root.join(CONFIG)) {
            bail!("there is no {CONFIG} in {}", root.display());
        }
        return Ok(root);
    }
    let here = std::env::current_dir().context("the working folder is gone")?;
    let found = here.ancestors().find(|folder| fs::exists(folder.join(CONFIG)));
    found
        .map(Path::to_path_buf)
        .with_context(|| format!("there is no {CONFIG} here or above; name its folder with --root"))
}

/// Reads the page and decides the plan.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal), or a file that cannot be read.
pub fn planned(root: &Path, overlay: &Overlay) -> anyhow::Result<(Page, Plan)> {
    let page = Page::read(root, overlay)?;
    let lock = Lock::read(&page)?;
    let plan = Plan::of(&page, &lock)?;
    Ok((page, plan))
}

/// Decides the plan of a page whose keys need not be locked: for networks that live as long as a process.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal), or a file that cannot be read.
pub fn imagined(root: &Path, overlay: &Overlay) -> anyhow::Result<Plan> {
    let page = Page::read(root, overlay)?;
    let lock = Lock::derive(&page.spec)?;
    Plan::of(&page, &lock)
}

/// Every file, from the page and its overlay.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal), or a file that cannot be read.
pub fn rendered(root: &Path, overlay: &Overlay) -> anyhow::Result<Vec<emit::File>> {
    let (_, plan) = planned(root, overlay)?;
    let overlaid = match overlay {
        Overlay::None => false,
        Overlay::Local => fs::exists(root.join(crate::page::LOCAL)),
        Overlay::Text(..) => true,
    };
    if !overlaid {
        return Ok(emit::all(&plan, &plan));
    }
    // What is compiled in stays as the committed page says, whatever an operator lays over it.
    let (_, base) = planned(root, &Overlay::None)?;
    Ok(emit::all(&base, &plan))
}

/// Writes what differs.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal), or a file that cannot be read or written.
pub fn render(root: &Path, overlay: &Overlay) -> anyhow::Result<Vec<Change>> {
    write::apply(root, &rendered(root, overlay)?)
}

/// Says what differs.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal), or a file that cannot be read.
pub fn check(root: &Path, overlay: &Overlay) -> anyhow::Result<Vec<Change>> {
    write::compare(root, &rendered(root, overlay)?)
}

/// Derives keys anew and writes the lock; says whether it changed. A page whose lock is old is still a page.
///
/// # Errors
/// A [`Refusal`](crate::refusal::Refusal), or a file that cannot be read or written.
pub fn lock(root: &Path, overlay: &Overlay) -> anyhow::Result<bool> {
    let page = Page::read(root, overlay)?;
    Lock::derive(&page.spec)?.write(root)
}
