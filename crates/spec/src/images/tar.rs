//! Tar archives of the plainest form: ustar, in order of the names, all of the same age, nobody's name in them.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};

/// Archives and their parts come in blocks of this size.
const BLOCK: usize = 512;

/// An archive's entries by path. A folder's path ends with `/`, which sorts it before what is in it.
#[derive(Debug, Default)]
pub(super) struct Archive<'a> {
    entries: BTreeMap<String, Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    mode: u32,
    owner: u32,
    bytes: &'a [u8],
}

impl<'a> Archive<'a> {
    /// Adds a folder and those above it.
    pub(super) fn folder(&mut self, path: &str, mode: u32, owner: u32) {
        self.parents(path);
        self.entries.insert(format!("{path}/"), Entry { mode, owner, bytes: &[] });
    }

    /// Adds a file and the folders above it.
    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: &'a [u8]) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry { mode, owner: 0, bytes });
    }

    fn parents(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            let folder = path[..=end].to_owned();
            self.entries.entry(folder).or_insert(Entry { mode: 0o755, owner: 0, bytes: &[] });
        }
    }

    /// Writes the archive.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (path, entry) in &self.entries {
            archive.extend(header(path, entry).with_context(|| format!("`{path}` does not fit into an archive"))?);
            archive.extend(entry.bytes);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Ok(archive)
    }
}

fn header(path: &str, entry: &Entry) -> anyhow::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let (prefix, name) = halves(path)?;
    put(&mut header, 0, name.as_bytes());
    put(&mut header, 345, prefix.as_bytes());
    octal(&mut header, 100, 8, u64::from(entry.mode))?;
    octal(&mut header, 108, 8, u64::from(entry.owner))?;
    octal(&mut header, 116, 8, u64::from(entry.owner))?;
    octal(&mut header, 124, 12, entry.bytes.len() as u64)?;
    octal(&mut header, 136, 12, 0)?;
    put(&mut header, 156, if path.ends_with('/') { b"5" } else { b"0" });
    put(&mut header, 257, b"ustar\x0000");
    // The sum is taken with spaces in its own place.
    put(&mut header, 148, b"        ");
    let sum = header.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut header, 148, 7, sum)?;
    Ok(header)
}

/// Splits a path into the two fields that it is kept in.
fn halves(path: &str) -> anyhow::Result<(&str, &str)> {
    const NAME_BYTES_MAX: usize = 100;
    const PREFIX_BYTES_MAX: usize = 155;
    if path.len() <= NAME_BYTES_MAX {
        return Ok(("", path));
    }
    let fits = |end: &usize| *end <= PREFIX_BYTES_MAX && path.len() - end - 1 <= NAME_BYTES_MAX;
    let end = path.trim_end_matches('/').match_indices('/').map(|(end, _)| end).find(fits);
    let end = end.context("its name is too long")?;
    Ok((&path[..end], &path[end + 1..]))
}

/// Writes a number in `width` bytes, the last of which stays zero.
fn octal(header: &mut [u8; BLOCK], at: usize, width: usize, number: u64) -> anyhow::Result<()> {
    let text = format!("{number:0digits$o}", digits = width - 1);
    ensure!(text.len() < width, "{number} is too large");
    put(header, at, text.as_bytes());
    header[at + width - 1] = 0;
    Ok(())
}

fn put(header: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them_and_only_once() {
        let mut archive = Archive::default();
        archive.file("lib64/b", 0o755, b"b");
        archive.file("lib/a/x", 0o755, b"x");
        archive.file("lib/a/y", 0o755, b"y");
        let paths: Vec<&str> = archive.entries.keys().map(String::as_str).collect();
        assert_eq!(paths, ["lib/", "lib/a/", "lib/a/x", "lib/a/y", "lib64/", "lib64/b"]);
    }

    #[test]
    fn a_long_path_is_split_and_one_that_cannot_be_is_refused() {
        let long = format!("{}/{}", "a".repeat(120), "b".repeat(80));
        assert_eq!(halves(&long).expect("it fits"), ("a".repeat(120).as_str(), "b".repeat(80).as_str()));
        halves(&"a".repeat(101)).expect_err("nowhere to split");
        halves(&format!("{}/{}", "a".repeat(156), "b")).expect_err("the first half is too long");
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        let mut header = [0; BLOCK];
        octal(&mut header, 0, 8, 0o7_777_777).expect("seven digits");
        octal(&mut header, 0, 8, 0o10_000_000).expect_err("eight digits");
    }
}
