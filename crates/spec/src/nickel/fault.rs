//! What the language complains of, read out of its own error types.

use std::path::Path;

use nickel_lang_core::error::{Error, EvalErrorData, EvalErrorKind, IntoDiagnostics};
use nickel_lang_core::files::Files;
use nickel_lang_core::label::Label;
use nickel_lang_core::position::{PosIdx, RawSpan, TermPos};

use super::shown;
use crate::source::{Place, line_of};

/// A complaint of the language with its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of complaint.
    pub cause: Cause,
    /// In the language's or the contract's words.
    pub message: String,
    /// Further words of the contract.
    pub notes: Vec<String>,
    /// Where the value was written.
    pub value: Option<Place>,
    /// Where the contract that refused it stands.
    pub contract: Option<Place>,
    /// Name of the field that holds the value, where the language knows it.
    pub field: Option<String>,
}

/// Kinds of complaints that are told differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A contract of the spec, with its own message.
    Contract,
    /// A record has fields that its contract does not know.
    UnknownFields(Vec<String>),
    /// A required field has no value.
    Missing(String),
    /// Two values of equal priority.
    Merge,
    /// The text is no Nickel.
    Syntax,
    /// Anything else.
    Other,
}

impl Fault {
    pub(super) fn plain(message: String) -> Self {
        Self { cause: Cause::Other, message, notes: Vec::new(), value: None, contract: None, field: None }
    }
}

pub(super) fn read(root: &Path, mut files: Files, error: Error) -> Fault {
    if let Error::EvalError(data) = &error
        && let Some(fault) = evaluation(root, &files, data)
    {
        return fault;
    }
    let cause = if matches!(error, Error::ParseErrors(_)) { Cause::Syntax } else { Cause::Other };
    let diagnostics = error.into_diagnostics(&mut files);
    let Some(first) = diagnostics.into_iter().next() else {
        return Fault::plain("the spec cannot be evaluated".to_owned());
    };
    let value = first.labels.iter().find_map(|label| {
        let span = RawSpan::from_range(label.file_id, label.range.clone());
        place(root, &files, TermPos::Original(span))
    });
    let detail = first.labels.iter().map(|label| label.message.as_str()).find(|message| !message.is_empty());
    let message = detail.map_or(first.message.clone(), |detail| format!("{}: {detail}", first.message));
    Fault { cause, message, notes: first.notes, value, contract: None, field: None }
}

fn evaluation(root: &Path, files: &Files, data: &EvalErrorData) -> Option<Fault> {
    let at = |position: PosIdx| place(root, files, data.ctxt.pos_table.get(position));
    match &data.error {
        EvalErrorKind::BlameError { evaluated_arg, label } => {
            let value = evaluated_arg.as_ref().and_then(|value| at(value.pos_idx()));
            Some(blame(label, at(label.arg_pos).or(value), at(label.span)))
        }
        EvalErrorKind::MissingFieldDef { id, pos_record, .. } => Some(Fault {
            cause: Cause::Missing(id.label().to_owned()),
            message: format!("`{}` has no value", id.label()),
            notes: Vec::new(),
            value: at(*pos_record),
            contract: place(root, files, id.pos),
            field: Some(id.label().to_owned()),
        }),
        EvalErrorKind::MergeIncompatibleArgs { left_arg, right_arg, .. } => Some(Fault {
            cause: Cause::Merge,
            message: "two values are given for one field".to_owned(),
            notes: Vec::new(),
            value: at(right_arg.pos_idx()),
            contract: at(left_arg.pos_idx()),
            field: None,
        }),
        _ => None,
    }
}

fn blame(label: &Label, value: Option<Place>, contract: Option<Place>) -> Fault {
    let told = label.diagnostics.iter().rev().find(|diagnostic| diagnostic.message.is_some());
    let message = told.and_then(|diagnostic| diagnostic.message.clone());
    let notes = told.map(|diagnostic| diagnostic.notes.clone()).unwrap_or_default();
    let field = label.field_name.map(|name| name.label().to_owned());
    let unknown = message.as_deref().and_then(unknown_fields);
    let message = message.unwrap_or_else(|| format!("not {}", words(&label.typ.to_string())));
    Fault { cause: unknown.map_or(Cause::Contract, Cause::UnknownFields), message, notes, value, contract, field }
}

/// Types of the language in words.
fn words(kind: &str) -> String {
    match kind {
        "String" => "a text in quotes".to_owned(),
        "Number" => "a number".to_owned(),
        "Bool" => "`true` or `false`".to_owned(),
        kind if kind.starts_with("Array") => "a list in brackets".to_owned(),
        kind if kind.starts_with("{ _") => "a record in braces".to_owned(),
        kind if kind.starts_with("[|") => {
            format!("one of {}", kind.trim_start_matches("[|").trim_end_matches("|]").trim())
        }
        kind => format!("a {kind}"),
    }
}

/// Recognises the language's text for fields that a closed record does not have.
fn unknown_fields(message: &str) -> Option<Vec<String>> {
    let rest = message.strip_prefix("extra field")?;
    Some(rest.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

fn place(root: &Path, files: &Files, position: TermPos) -> Option<Place> {
    let span = position.into_opt()?;
    if files.is_stdlib(span.src_id) {
        return None;
    }
    let file = shown(root, files.name(span.src_id));
    if file.starts_with('<') {
        return None;
    }
    Some(Place { file, line: line_of(files.source(span.src_id), span.start.0 as usize) })
}
