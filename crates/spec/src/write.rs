//! From files in memory to files on disk, or to the differences between the two.

use std::fmt::Write as _;
use std::path::Path;

use pocket_runtime::fs;

use crate::emit::{File, NOTICE};

/// Folders whose rendered files are all ours: one that is rendered no more is removed.
const OWNED: [&str; 2] = ["tilt", "grafana"];

/// Lines of a difference that are shown.
const SHOWN_LINES_MAX: usize = 24;

/// What writing would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file is not there.
    Absent(String),
    /// It says something else.
    Differs(String, String),
    /// It was rendered once, and is no more.
    Stale(String),
}

impl Change {
    /// The file.
    pub fn path(&self) -> &str {
        match self {
            Self::Absent(path) | Self::Differs(path, _) | Self::Stale(path) => path,
        }
    }
}

/// Compares files with the disk.
///
/// # Errors
/// If a file or folder cannot be read.
pub fn compare(root: &Path, files: &[File]) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for file in files {
        let path = root.join(&file.path);
        if !fs::exists(&path) {
            changes.push(Change::Absent(file.path.clone()));
            continue;
        }
        let found = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        if found != file.content {
            changes.push(Change::Differs(file.path.clone(), difference(&found, &file.content)));
        }
    }
    for folder in OWNED {
        if fs::exists(root.join(folder)) {
            stale(root, folder, files, &mut changes)?;
        }
    }
    Ok(changes)
}

fn stale(root: &Path, folder: &str, files: &[File], changes: &mut Vec<Change>) -> anyhow::Result<()> {
    for path in fs::list(root.join(folder))? {
        let name = format!("{folder}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        // A link leads to what is looked at elsewhere.
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            stale(root, &name, files, changes)?;
        } else if files.iter().all(|file| file.path != name) {
            let text = fs::read(&path)?;
            let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            if String::from_utf8_lossy(first).contains(NOTICE) {
                changes.push(Change::Stale(name));
            }
        }
    }
    Ok(())
}

/// Writes what differs; returns what was changed.
///
/// # Errors
/// If a file cannot be read or written.
pub fn apply(root: &Path, files: &[File]) -> anyhow::Result<Vec<Change>> {
    let changes = compare(root, files)?;
    for change in &changes {
        let path = root.join(change.path());
        match files.iter().find(|file| file.path == change.path()) {
            Some(file) => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::write_atomic(&path, file.content.as_bytes())?;
            }
            None => fs::remove_file(&path)?,
        }
    }
    Ok(changes)
}

/// The lines that differ, between the first and the last that do.
fn difference(found: &str, rendered: &str) -> String {
    let old: Vec<&str> = found.lines().collect();
    let new: Vec<&str> = rendered.lines().collect();
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let same_end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(old, new)| old == new).count();
    let mut text = format!("@@ line {} @@\n", start + 1);
    let removed = old[start..old.len() - same_end].iter().map(|line| format!("-{line}"));
    let added = new[start..new.len() - same_end].iter().map(|line| format!("+{line}"));
    let lines: Vec<String> = removed.chain(added).collect();
    for line in lines.iter().take(SHOWN_LINES_MAX) {
        let _ = writeln!(text, "{line}");
    }
    if lines.len() > SHOWN_LINES_MAX {
        let _ = writeln!(text, "… {} more", lines.len() - SHOWN_LINES_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_the_lines_between_the_first_and_the_last() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "@@ line 2 @@\n-b\n+x\n");
    }

    #[test]
    fn what_is_rendered_no_more_is_removed_and_what_people_wrote_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("tilt")).expect("a folder");
        fs::write_atomic(at("tilt/old.yaml"), format!("# {NOTICE}\na: 1\n").as_bytes()).expect("written");
        fs::write_atomic(at("tilt/own.yaml"), b"a: 1\n").expect("written");
        let files = [File::new("tilt/new.yaml", "b: 1\n")];
        let changes = apply(root.path(), &files).expect("written");
        assert_eq!(changes, [Change::Absent("tilt/new.yaml".to_owned()), Change::Stale("tilt/old.yaml".to_owned())]);
        assert!(fs::exists(at("tilt/own.yaml")) && !fs::exists(at("tilt/old.yaml")));
        assert_eq!(compare(root.path(), &files).expect("read"), []);
    }
}
