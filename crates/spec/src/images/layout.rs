//! The OCI image layout, in one tar with the older form that `docker load` reads everywhere.
//!
//! All text here is written from structs: their order is the order in the file, whatever features other crates ask of the
//! serializer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contents::USER;
use super::layer::{Layer, digest};
use super::tar::Archive;

/// When everything was made. Not now: the time is no part of an image.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// What an image says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Its name.
    pub title: &'a str,
    /// Address of the sources.
    pub source: Option<&'a str>,
    /// Revision of the sources.
    pub revision: Option<&'a str>,
}

/// A layout.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) id: String,
}

/// Puts layers together.
pub(super) fn of(
    reference: &str,
    binary: &str,
    architecture: &str,
    labels: &Labels,
    layers: &[&Layer],
) -> anyhow::Result<Layout> {
    let config = serde_json::to_vec(&configuration(binary, architecture, labels, layers))?;
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: "application/vnd.oci.image.manifest.v1+json",
        config: Descriptor::of("application/vnd.oci.image.config.v1+json", &config),
        layers: layers
            .iter()
            .map(|layer| Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", &layer.bytes))
            .collect(),
    })?;
    let (digest, id) = (digest(&manifest), digest(&config));
    let index = serde_json::to_vec(&index(reference, architecture, &manifest))?;
    let legacy = serde_json::to_vec(&[Legacy {
        config: blob(&id),
        repo_tags: [reference],
        layers: layers.iter().map(|layer| blob(&layer.digest)).collect(),
    }])?;
    let mut archive = Archive::default();
    archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    archive.file("index.json", 0o644, &index);
    archive.file("manifest.json", 0o644, &legacy);
    archive.file(&blob(&digest), 0o644, &manifest);
    archive.file(&blob(&id), 0o644, &config);
    for layer in layers {
        archive.file(&blob(&layer.digest), 0o644, &layer.bytes);
    }
    Ok(Layout { bytes: archive.bytes()?, digest, id })
}

fn configuration<'a>(
    binary: &str,
    architecture: &'a str,
    labels: &Labels<'a>,
    layers: &'a [&Layer],
) -> Configuration<'a> {
    let labels = [
        ("licenses", Some(env!("CARGO_PKG_LICENSE"))),
        ("revision", labels.revision),
        ("source", labels.source),
        ("title", Some(labels.title)),
    ];
    let named = |(name, value): (&str, Option<&'a str>)| Some((format!("org.opencontainers.image.{name}"), value?));
    Configuration {
        created: CREATED,
        architecture,
        os: "linux",
        config: Run {
            user: format!("{USER}:{USER}"),
            env: ["PATH=/bin"],
            entrypoint: [format!("/bin/{binary}")],
            labels: labels.into_iter().filter_map(named).collect(),
        },
        rootfs: RootFs { kind: "layers", diff_ids: layers.iter().map(|layer| layer.plain_digest.as_str()).collect() },
        history: layers.iter().map(|_| Step { created: CREATED, created_by: "pocket-spec images" }).collect(),
    }
}

fn index<'a>(reference: &'a str, architecture: &'a str, manifest: &[u8]) -> Index<'a> {
    let tag = reference.rsplit_once(':').map_or(reference, |(_, tag)| tag);
    // The first is what the layout's standard reads, the second what containerd does.
    let annotations = [
        ("org.opencontainers.image.ref.name".to_owned(), tag.to_owned()),
        ("io.containerd.image.name".to_owned(), format!("docker.io/library/{reference}")),
    ];
    Index {
        schema_version: 2,
        media_type: "application/vnd.oci.image.index.v1+json",
        manifests: [Listed {
            descriptor: Descriptor::of("application/vnd.oci.image.manifest.v1+json", manifest),
            platform: Platform { architecture, os: "linux" },
            annotations: annotations.into(),
        }],
    }
}

/// The path of a blob.
fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

#[derive(Serialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: &'static str,
    digest: String,
    size: usize,
}

impl Descriptor {
    fn of(media_type: &'static str, bytes: &[u8]) -> Self {
        Self { media_type, digest: digest(bytes), size: bytes.len() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: [Listed<'a>; 1],
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Platform<'a>,
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Platform<'a> {
    architecture: &'a str,
    os: &'static str,
}

#[derive(Serialize)]
struct Configuration<'a> {
    created: &'static str,
    architecture: &'a str,
    os: &'static str,
    config: Run<'a>,
    rootfs: RootFs<'a>,
    history: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Run<'a> {
    user: String,
    env: [&'static str; 1],
    entrypoint: [String; 1],
    labels: BTreeMap<String, &'a str>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<&'a str>,
}

#[derive(Serialize)]
struct Step {
    created: &'static str,
    created_by: &'static str,
}

/// What `docker load` reads.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Legacy<'a> {
    config: String,
    repo_tags: [&'a str; 1],
    layers: Vec<String>,
}
