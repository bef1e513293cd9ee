//! Why a spec is refused: the value and its place, the contract and its place, the reason, the remedy.

use std::fmt;

use crate::source::Place;

/// A spec that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// Where the value is written that a person would change; several where it is put together from several files.
    pub values: Vec<Written>,
    /// Where the contract stands that refuses it.
    pub contract: Option<Place>,
    /// What to do, best first.
    pub remedies: Vec<String>,
}

/// A value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its line.
    pub place: Place,
    /// Path of the field and what it is set to; empty where that is not known.
    pub text: String,
}

impl Refusal {
    /// A refusal without places.
    pub fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), values: Vec::new(), contract: None, remedies: Vec::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for written in &self.values {
            write!(f, "\n  value     {}", written.place)?;
            if !written.text.is_empty() {
                write!(f, "  {}", written.text)?;
            }
        }
        if let Some(place) = &self.contract {
            write!(f, "\n  contract  {place}")?;
        }
        for remedy in &self.remedies {
            write!(f, "\n  remedy    {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
