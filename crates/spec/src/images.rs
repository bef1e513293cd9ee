//! The images of our own programs, packed from what cargo built: no base image, no Docker, no network.
//!
//! ```text
//! plan ─▶ programs, read and looked at ─▶ shared layer + a layer each ─▶ layout ─▶ <name>.tar
//! ```
//!
//! One tar is an OCI layout and has the `manifest.json` that older Docker daemons load. What an image holds is in
//! `contents`, how a program is understood in `program`, and the two formats in `layer` and `layout`.
//!
//! Invariants: the same programs give the same bytes, wherever, whenever and by whomever they are packed; the shared layer
//! is one blob with one digest in all images; nothing is written unless everything could be packed.
//!
//! Deliberately not here: building the programs, and loading or pushing what was packed.

mod contents;
mod layer;
mod layout;
mod program;
mod tar;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::plan::Plan;
use contents::Certificates;
use layer::Layer;
use program::Program;

pub use contents::{CERTIFICATES, GROUP, NAMES, PASSWD, PROBE, USER};
pub use layout::Labels;

/// What to pack from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Folder with the programs.
    pub programs: PathBuf,
    /// Files of which the first that is there becomes the certificates inside.
    pub certificates: Vec<PathBuf>,
    /// Address of the sources, for a label.
    pub address: Option<String>,
    /// Revision of the sources, for a label.
    pub revision: Option<String>,
}

/// An image, ready to be written.
#[derive(Debug, Clone)]
pub struct Image {
    /// What people see of it.
    pub summary: Summary,
    /// The tar.
    pub bytes: Vec<u8>,
}

/// What people see of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name without tag.
    pub name: String,
    /// Its name with tag, as Compose and Kubernetes call it.
    pub reference: String,
    /// Bytes of the tar.
    pub size: u64,
    /// Digest of its manifest.
    pub digest: String,
    /// Digest of its configuration, which Docker calls the image's id.
    pub id: String,
    /// Digests of its layers; the first is shared by all.
    pub layers: Vec<String>,
}

/// Packs the images that the plan calls ours, in order of their names.
///
/// # Errors
/// A program that is missing or is none for this machine, a library that is missing, or no certificates.
pub fn pack(plan: &Plan, source: &Source) -> anyhow::Result<Vec<Image>> {
    let wanted: BTreeMap<&str, &crate::plan::Image> =
        plan.images.values().filter_map(|image| Some((image.binary.as_deref()?, image))).collect();
    let names: Vec<&str> = wanted.keys().copied().chain([PROBE]).collect();
    let programs = program::read(&source.programs, &names)?;
    let certificates = Certificates::find(&source.certificates)?;
    let libraries = program::libraries(&programs)?;
    let probe = &programs[PROBE];
    let shared = Layer::of(&contents::shared(&probe.bytes, &libraries, &certificates))?;
    wanted.iter().map(|(binary, image)| packed(image, binary, &programs[*binary], &shared, source)).collect()
}

fn packed(
    image: &crate::plan::Image,
    binary: &str,
    program: &Program,
    shared: &Layer,
    source: &Source,
) -> anyhow::Result<Image> {
    let own = Layer::of(&contents::own(binary, &program.bytes))?;
    let labels = Labels { title: &image.repo, source: source.address.as_deref(), revision: source.revision.as_deref() };
    let layout = layout::of(&image.reference, binary, program.architecture, &labels, &[shared, &own])?;
    let summary = Summary {
        name: image.repo.clone(),
        reference: image.reference.clone(),
        size: layout.bytes.len() as u64,
        digest: layout.digest,
        id: layout.id,
        layers: vec![shared.digest.clone(), own.digest],
    };
    Ok(Image { summary, bytes: layout.bytes })
}
