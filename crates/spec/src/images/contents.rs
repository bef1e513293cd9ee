//! What is in an image: the C library, certificates, one user, two folders that can be written, and two programs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use pocket_runtime::fs;

use super::tar::Archive;

/// The client of health checks, in every image.
pub const PROBE: &str = "pocket-probe";

/// Whom the programs run as.
pub const USER: u32 = 1000;

/// `/etc/passwd`.
pub const PASSWD: &str = "pocket:x:1000:1000::/data:/bin/false\n";

/// `/etc/group`.
pub const GROUP: &str = "pocket:x:1000:\n";

/// `/etc/nsswitch.conf`: where names of hosts are looked up.
pub const NAMES: &str = "hosts: files dns\n";

/// Where systems keep their certificates.
pub const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Certificates of authorities, to trust others by.
#[derive(Debug)]
pub(super) struct Certificates(Vec<u8>);

impl Certificates {
    /// Reads the first file that is there.
    pub(super) fn find(places: &[PathBuf]) -> anyhow::Result<Self> {
        if let Some(found) = places.iter().find(|place| fs::exists(place)) {
            return Ok(Self(fs::read(found)?));
        }
        let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        bail!(
            "no certificates for the images at {}: install your system's ca-certificates, or name a file with \
             --certificates",
            looked.join(", ")
        )
    }
}

/// The layer that all images share.
pub(super) fn shared<'a>(
    probe: &'a [u8],
    libraries: &'a BTreeMap<String, Vec<u8>>,
    certificates: &'a Certificates,
) -> Archive<'a> {
    let mut archive = Archive::default();
    archive.folder("data", 0o755, USER);
    archive.folder("tmp", 0o1777, 0);
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes());
    archive.file("etc/group", 0o644, GROUP.as_bytes());
    archive.file("etc/nsswitch.conf", 0o644, NAMES.as_bytes());
    archive.file("etc/ssl/certs/ca-certificates.crt", 0o644, &certificates.0);
    for (path, bytes) in libraries {
        archive.file(path.trim_start_matches('/'), 0o755, bytes);
    }
    archive.file(&format!("bin/{PROBE}"), 0o755, probe);
    archive
}

/// The layer with the program itself.
pub(super) fn own<'a>(binary: &str, program: &'a [u8]) -> Archive<'a> {
    let mut archive = Archive::default();
    archive.file(&format!("bin/{binary}"), 0o755, program);
    archive
}
