//! Texts of the spec and places in them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text with the name it is shown under, relative to the root of the repository.
#[derive(Debug, Clone)]
pub struct Source {
    /// Such as `config.ncl`.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Name of the source.
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Returns the line of a byte in `text`, from 1.
pub fn line_of(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).filter(|(_, letter)| *letter == '\n').count() + 1
}
