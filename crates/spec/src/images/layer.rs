//! A layer: an archive, compressed, known by the digests of both forms.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

use super::tar::Archive;

/// Level of compression. It is part of what an image's digest says.
const LEVEL: u32 = 6;

/// What gzip calls an unknown system.
const NO_SYSTEM: u8 = 255;

/// A part of an image's files.
#[derive(Debug)]
pub(super) struct Layer {
    /// The compressed archive.
    pub(super) bytes: Vec<u8>,
    /// Digest of the compressed archive.
    pub(super) digest: String,
    /// Digest of the archive.
    pub(super) plain_digest: String,
}

impl Layer {
    /// Writes and compresses an archive.
    pub(super) fn of(archive: &Archive) -> anyhow::Result<Self> {
        let plain = archive.bytes()?;
        let mut writer =
            GzBuilder::new().mtime(0).operating_system(NO_SYSTEM).write(Vec::new(), Compression::new(LEVEL));
        writer.write_all(&plain)?;
        let bytes = writer.finish()?;
        Ok(Self { digest: digest(&bytes), plain_digest: digest(&plain), bytes })
    }
}

/// The digest of bytes, as registries write it.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
