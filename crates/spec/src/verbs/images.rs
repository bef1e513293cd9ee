//! `images`: packs the programs that cargo built.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pocket_runtime::fs;
use serde::Serialize;

use super::tables::table;
use crate::images::{self, CERTIFICATES, Source, Summary};
use crate::plan::Plan;

/// Where images are put, from the root.
const OUT: &str = "target/images";

/// What one may say about packing.
#[derive(Debug, Clone)]
pub struct Packing {
    /// Folder with the programs; that of the running program when absent.
    pub from: Option<PathBuf>,
    /// Folder for the images; `target/images` when absent.
    pub out: Option<PathBuf>,
    /// Certificates; the system's when absent.
    pub certificates: Option<PathBuf>,
    /// Address of the sources, for a label.
    pub address: Option<String>,
    /// Revision of the sources, for a label.
    pub revision: Option<String>,
}

/// An image that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Written {
    /// The tar.
    pub file: PathBuf,
    /// What is in it.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Packs every image that is built from this repository, and writes them all or none.
///
/// # Errors
/// What [`images::pack`] refuses, or a file that cannot be written.
pub fn images(root: &Path, plan: &Plan, packing: Packing) -> anyhow::Result<Vec<Written>> {
    let programs = match packing.from {
        Some(folder) => folder,
        None => beside()?,
    };
    let certificates = packing.certificates.map_or_else(|| CERTIFICATES.map(PathBuf::from).into(), |file| vec![file]);
    let source = Source { programs, certificates, address: packing.address, revision: packing.revision };
    let packed = images::pack(plan, &source)?;
    let out = packing.out.unwrap_or_else(|| root.join(OUT));
    fs::create_dir_all(&out)?;
    let write = |image: images::Image| {
        let file = out.join(format!("{}.tar", image.summary.name));
        fs::write_atomic(&file, &image.bytes)?;
        Ok(Written { file, summary: image.summary })
    };
    packed.into_iter().map(write).collect()
}

/// The folder of the running program: cargo puts them all into one.
fn beside() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("nobody knows where this program is; name a folder with --from")?;
    Ok(program.parent().unwrap_or(Path::new("/")).to_owned())
}

/// The images that were written, for people.
pub fn images_text(written: &[Written]) -> String {
    let row = |image: &Written| {
        let summary = &image.summary;
        // Numbers this small are exact.
        #[allow(clippy::cast_precision_loss)]
        let size = format!("{:.1} MB", summary.size as f64 / 1e6);
        [summary.reference.clone(), size, summary.digest.clone(), image.file.display().to_string()]
    };
    let mut text = String::new();
    table(&mut text, &["IMAGE", "SIZE", "DIGEST", "FILE"], &written.iter().map(row).collect::<Vec<_>>());
    text.trim_end().to_owned()
}
