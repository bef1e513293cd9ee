//! Programs that cargo built, and the libraries they load.
//!
//! Which libraries those are is asked of the machine's own loader, by way of `ldd`: it follows the same rules that apply
//! when the program starts (names, search paths, libraries of libraries), which a reader of the file's tables would have
//! to imitate. It sees nothing of our environment. The file's first bytes are read here: they tell whether there is a
//! program for this machine at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use pocket_runtime::fs;

/// How programs are built, for people who have not.
const REMEDY: &str = "build the programs with `cargo build --release --workspace --bins`, or all in one with \
                      `make images`; --from names another folder";

/// A program.
#[derive(Debug)]
pub(super) struct Program {
    /// Where it is.
    path: PathBuf,
    /// The whole file.
    pub(super) bytes: Vec<u8>,
    /// The machine that it is for, as images name it.
    pub(super) architecture: &'static str,
}

/// Reads programs from a folder, all or none.
pub(super) fn read(folder: &Path, names: &[&str]) -> anyhow::Result<BTreeMap<String, Program>> {
    let missing: Vec<&str> = names.iter().filter(|name| !fs::exists(folder.join(name))).copied().collect();
    ensure!(missing.is_empty(), "no {} in {}: {REMEDY}", missing.join(", no "), folder.display());
    let mut programs = BTreeMap::new();
    for name in names {
        let path = folder.join(name);
        let bytes = fs::read(&path)?;
        let architecture = machine(&bytes).with_context(|| format!("{} cannot be packed", path.display()))?;
        programs.insert((*name).to_owned(), Program { path, bytes, architecture });
    }
    Ok(programs)
}

/// The machine that a program is for, if it is this one.
fn machine(bytes: &[u8]) -> anyhow::Result<&'static str> {
    let elf = bytes.len() >= 20 && bytes.starts_with(b"\x7fELF");
    ensure!(
        elf,
        "it is no Linux program (no ELF file): images are packed on Linux; elsewhere Compose builds them with \
         tilt/docker/Dockerfile"
    );
    // 64 bits, little end first, and then the number of the machine.
    let (rust, name) = match (&bytes[4..6], &bytes[18..20]) {
        ([2, 1], [62, 0]) => ("x86_64", "amd64"),
        ([2, 1], [183, 0]) => ("aarch64", "arm64"),
        (_, number) => bail!("it is for a machine that has no images (ELF machine {}); {REMEDY}", number[0]),
    };
    let here = std::env::consts::ARCH;
    ensure!(rust == here, "it is for {rust} and this machine is {here}; {REMEDY}");
    Ok(name)
}

/// Reads the libraries that programs load, and the loader, by their paths.
pub(super) fn libraries(programs: &BTreeMap<String, Program>) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut paths = BTreeSet::new();
    for program in programs.values() {
        paths.extend(loaded(&program.path)?);
    }
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect()
}

fn loaded(program: &Path) -> anyhow::Result<Vec<String>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = Command::new("ldd").arg(program).env_clear().env("PATH", path).env("LC_ALL", "C").output();
    let output = output.context("ldd cannot be run; it is part of your system's C library")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let talk = String::from_utf8_lossy(&output.stderr);
    if [&text, &talk].iter().any(|text| text.contains("statically linked") || text.contains("not a dynamic executable"))
    {
        return Ok(Vec::new());
    }
    ensure!(output.status.success(), "ldd does not understand {}: {}", program.display(), talk.trim());
    paths(&text).with_context(|| format!("{} cannot be started here", program.display()))
}

/// The paths in what `ldd` says. A line is `name => path (address)`, or `path (address)` for the loader, or the name alone
/// for what the kernel gives.
fn paths(text: &str) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for line in text.lines() {
        if let Some((name, _)) = line.split_once("=> not found") {
            bail!("it needs {}, which is not on this machine", name.trim());
        }
        for path in line.split_whitespace().filter(|word| word.starts_with('/')) {
            ensure!(!path.contains("/../"), "its library {path} has no plain path");
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(paths(text).unwrap_or_else(|error| panic!("{error:#}")), expected);
    }

    #[test]
    fn libraries_and_the_loader_are_paths_and_the_kernels_own_is_none() {
        check(
            "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
             \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n",
            &["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"],
        );
    }

    #[test]
    fn a_loader_that_stands_for_another_brings_both() {
        check("\t/lib64/ld.so.2 => /nix/store/a/lib/ld.so.2 (0x1)\n", &["/lib64/ld.so.2", "/nix/store/a/lib/ld.so.2"]);
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = paths("\tlibodd.so.1 => not found\n").expect_err("it is missing");
        assert!(error.to_string().contains("it needs libodd.so.1"), "{error:#}");
    }

    #[test]
    fn a_program_for_another_machine_is_refused() {
        let mut header = [0; 64];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        let error = machine(&header).expect_err("not this machine").to_string();
        assert!(error.contains("and this machine is"), "{error}");
        header[18] = 8;
        let error = machine(&header).expect_err("no such images").to_string();
        assert!(error.contains("ELF machine 8"), "{error}");
    }
}
