//! From the language's fault to a refusal: places in the sources, the nearest name, the remedy.

use std::path::Path;

use pocket_config::document::nearest;
use pocket_runtime::fs;

use super::{overlaid, written};
use crate::nickel::{Cause, Contract, Fault, Field};
use crate::refusal::{Refusal, Written};
use crate::schema::{CONTRACTS, Node, Schema, Unknown};
use crate::source::{Place, Source, line_of};

/// Places that are shown.
const VALUES_MAX: usize = 4;

/// Longest text of a value that is shown.
const SHOWN_CHARS_MAX: usize = 60;

pub(super) fn told(root: &Path, fault: Fault, schema: &Schema, definitions: &[Field], sources: &[Source]) -> Refusal {
    match &fault.cause {
        Cause::Contract => broken(root, fault, schema, definitions),
        Cause::UnknownFields(names) => unknown_in_list(names, fault.contract),
        Cause::Missing(name) => missing(name, &fault, schema, definitions),
        Cause::Merge => merged(fault, definitions),
        Cause::Syntax | Cause::Other => other(fault, sources),
    }
}

/// The places of paths with what they say: what is laid over the page first, and of one field what holds first.
pub(super) fn values(definitions: &[Field], paths: &[Vec<String>]) -> Vec<Written> {
    let found = paths.iter().flat_map(|path| written(definitions, path).into_iter().rev());
    let (mut over, page): (Vec<&Field>, Vec<&Field>) = found.partition(|field| overlaid(&field.place.file));
    over.extend(page);
    let mut values: Vec<Written> = Vec::new();
    for value in over.into_iter().map(shown) {
        if !values.contains(&value) && values.len() < VALUES_MAX {
            values.push(value);
        }
    }
    values
}

fn shown(field: &Field) -> Written {
    let path = field.path.join(".");
    let text = match &field.value {
        Some(value) if value.chars().count() <= SHOWN_CHARS_MAX && !value.contains('\n') => format!("{path} = {value}"),
        _ => path,
    };
    Written { place: field.place.clone(), text }
}

/// A contract said no in its own words. A rule over several fields names the one to change, and itself.
fn broken(root: &Path, fault: Fault, schema: &Schema, definitions: &[Field]) -> Refusal {
    let mut remedies = Vec::new();
    let mut at = Vec::new();
    let mut rule = None;
    for note in &fault.notes {
        if let Some(path) = note.strip_prefix("at ") {
            at.push(split(path));
        } else if let Some(name) = note.strip_prefix("rule ") {
            rule = rule_place(root, name);
        } else if let Some(known) = note.strip_prefix("known: ") {
            remedies.extend(near(&fault.message, known));
        } else {
            remedies.push(note.clone());
        }
    }
    if !at.is_empty() {
        return Refusal { message: fault.message, values: values(definitions, &at), contract: rule, remedies };
    }
    let field = fault.value.as_ref().and_then(|place| field_at(definitions, place, fault.field.as_deref()));
    let expected = field.and_then(|field| schema.find(&field.path).ok().flatten());
    if remedies.is_empty() {
        let known = expected.and_then(|field| remedy_of(schema, field));
        remedies.extend(known.or_else(|| field.and_then(|field| record_remedy(schema, &field.path))));
    }
    let message = field.map_or_else(|| fault.message.clone(), |field| plainly(&fault.message, field));
    let values = match (field, &fault.value) {
        (Some(field), _) => vec![shown(field)],
        (None, Some(place)) => vec![Written { place: place.clone(), text: String::new() }],
        (None, None) => Vec::new(),
    };
    // A word deep within a list of records: only the language knows which contract refused it.
    let deep = field.is_some_and(|field| field.value.as_deref().is_some_and(|value| value.contains('{')));
    let (contract, remedies) = if deep {
        (fault.contract, vec!["look up in the contract what may stand there".to_owned()])
    } else {
        (expected.map(|field| field.place.clone()).or(fault.contract), remedies)
    };
    Refusal { message, values, contract, remedies }
}

/// The fields of a record whose contract has no field of its own: one of many by name.
fn record_remedy(schema: &Schema, path: &[String]) -> Option<String> {
    match schema.node_at(path)? {
        Node::Record(contract, _) => wanted(schema, &Contract::Name(contract)),
        _ => None,
    }
}

/// The language's own words for a value of the wrong kind, in ours.
fn plainly(message: &str, field: &Field) -> String {
    let path = field.path.join(".");
    let within = field.value.as_deref().is_some_and(|value| value.starts_with(['[', '{']));
    match message {
        "tag not in the enum type" if within => format!("a word in `{path}` is none that may stand there"),
        "tag not in the enum type" => {
            format!("{} is none of the words for `{path}`", field.value.as_deref().unwrap_or("this"))
        }
        "expected an enum" if within => format!("a value in `{path}` is none of the words that may stand there"),
        "expected an enum" => format!("`{path}` is none of its words, which begin with a `'`"),
        "expected a Record" | "not a record" | "not a record in braces" => format!("`{path}` is no record"),
        "expected an array" => format!("`{path}` is no list"),
        other => match other.strip_prefix("not ") {
            Some(kind) => format!("`{path}` is not {kind}"),
            None => other.to_owned(),
        },
    }
}

/// What a field wants, from its contract.
fn remedy_of(schema: &Schema, field: &Field) -> Option<String> {
    field.contracts.iter().find_map(|contract| wanted(schema, contract))
}

fn wanted(schema: &Schema, contract: &Contract) -> Option<String> {
    Some(match contract {
        Contract::Tags(tags) => {
            let tags: Vec<String> = tags.iter().map(|tag| format!("'{tag}")).collect();
            format!("write one of {}", tags.join(", "))
        }
        Contract::Plain("String") => "write a text in quotes".to_owned(),
        Contract::Plain("Number") => "write a number".to_owned(),
        Contract::Plain("Bool") => "write true or false".to_owned(),
        Contract::List(inner) => {
            match wanted(schema, inner).and_then(|inner| Some(inner.strip_prefix("write one of ")?.to_owned())) {
                Some(words) => format!("write a list of {words}"),
                None => "write a list: [ … ]".to_owned(),
            }
        }
        Contract::Each(_) => "write a record of such, by name: { name = { … } }".to_owned(),
        Contract::Name(name) if schema.is_record(name) => {
            let known: Vec<&str> =
                schema.fields(name, &[]).iter().filter_map(|field| field.path.last()).map(String::as_str).collect();
            format!("write a record with: {}", known.join(", "))
        }
        Contract::Name(name) => return wanted(schema, &Contract::Tags(schema.words(name)?)),
        Contract::Plain(_) | Contract::Other => return None,
    })
}

/// `did you mean …`, for the name in backquotes of a message; else what is known.
fn near(message: &str, known: &str) -> Option<String> {
    let name = message.split('`').nth(1)?;
    let names: Vec<&str> = known.split(", ").filter(|name| !name.is_empty()).collect();
    Some(match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "there is none yet: add it".to_owned(),
        None => format!("add it, or name one of: {known}"),
    })
}

pub(super) fn unknown(schema: &Schema, field: &Field, unknown: &Unknown) -> Refusal {
    let within = unknown.within.join(".");
    let place = if within.is_empty() { "the spec".to_owned() } else { format!("`{within}`") };
    let remedy = match nearest(&unknown.name, unknown.known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it may have: {}", unknown.known.join(", ")),
    };
    Refusal {
        message: format!("there is no `{}` in {place}", unknown.name),
        values: vec![shown(field)],
        contract: schema.place_of(&unknown.contract),
        remedies: vec![remedy],
    }
}

fn unknown_in_list(names: &[String], contract: Option<Place>) -> Refusal {
    Refusal {
        message: format!("there is no `{}` here", names.join("`, `")),
        values: Vec::new(),
        contract,
        remedies: vec!["take it out, or look its name up in the contract".to_owned()],
    }
}

/// A field without a value: told of the record that lacks it.
fn missing(name: &str, fault: &Fault, schema: &Schema, definitions: &[Field]) -> Refusal {
    let owner = fault.value.as_ref().and_then(|place| {
        let here = definitions.iter().filter(|field| field.place.file == place.file && field.place.line <= place.line);
        // The nearest record before the place that would have such a field.
        here.rev().find(|field| {
            field.record
                && !definitions.iter().any(|inner| inner.path == [field.path.as_slice(), &[name.to_owned()]].concat())
                && schema.find(&[field.path.as_slice(), &[name.to_owned()]].concat()).is_ok_and(|found| found.is_some())
        })
    });
    let Some(owner) = owner else {
        let values = fault.value.iter().map(|place| Written { place: place.clone(), text: String::new() }).collect();
        return Refusal {
            message: format!("`{name}` is missing"),
            values,
            contract: fault.contract.clone(),
            remedies: vec![format!("add `{name} = …`")],
        };
    };
    let wanted_field = schema.find(&[owner.path.as_slice(), &[name.to_owned()]].concat()).ok().flatten();
    let about =
        wanted_field.and_then(|field| field.doc.as_deref()).map(|doc| format!(": {}", doc.trim_end_matches('.')));
    Refusal {
        message: format!("`{}` lacks `{name}`{}", owner.path.join("."), about.unwrap_or_default()),
        values: vec![shown(owner)],
        contract: wanted_field.map(|field| field.place.clone()).or_else(|| fault.contract.clone()),
        remedies: vec![
            wanted_field
                .and_then(|field| remedy_of(schema, field))
                .map_or_else(|| format!("add `{name} = …`"), |remedy| format!("add `{name} = …`: {remedy}")),
        ],
    }
}

fn merged(fault: Fault, definitions: &[Field]) -> Refusal {
    if let Some(place) =
        fault.value.clone().filter(|place| definitions.iter().all(|field| field.place.file != place.file))
    {
        let values = vec![Written { place, text: String::new() }];
        let remedies = vec!["write a record: { … }".to_owned()];
        return Refusal { values, remedies, ..Refusal::of("a page is a record, and this is none") };
    }
    let values: Vec<Written> = [fault.contract, fault.value]
        .into_iter()
        .flatten()
        .map(|place| field_at(definitions, &place, None).map_or(Written { place, text: String::new() }, shown))
        .collect();
    Refusal {
        message: fault.message,
        values,
        contract: None,
        remedies: vec!["keep one of them; a value that nobody may change is marked `force`".to_owned()],
    }
}

fn other(fault: Fault, sources: &[Source]) -> Refusal {
    let message = fault.message.strip_suffix(": imported here").unwrap_or(&fault.message);
    let message = message.split(": this identifier").next().unwrap_or(message);
    let message =
        if message.starts_with("unexpected") { format!("this is no Nickel: {message}") } else { message.to_owned() };
    let values = fault.value.into_iter().map(|place| Written { text: line(sources, &place), place }).collect();
    let mut remedies: Vec<String> = fault.notes.into_iter().take(1).collect();
    if remedies.is_empty() {
        remedies.push("see the line above; config.ncl shows how it is written".to_owned());
    }
    Refusal { message, values, contract: fault.contract, remedies }
}

fn line(sources: &[Source], place: &Place) -> String {
    let source = sources.iter().find(|source| source.name == place.file);
    let text = source.and_then(|source| source.text.lines().nth(place.line - 1)).unwrap_or_default().trim();
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// The field that is set on a line; of several the one of that name.
fn field_at<'a>(definitions: &'a [Field], place: &Place, name: Option<&str>) -> Option<&'a Field> {
    let here: Vec<&Field> = definitions.iter().filter(|field| field.place == *place).collect();
    let named =
        name.and_then(|name| here.iter().rev().find(|field| field.path.last().is_some_and(|last| last == name)));
    named.or_else(|| here.last()).copied().or_else(|| {
        // A value that begins on a later line than its name.
        let mut before =
            definitions.iter().filter(|field| field.place.file == place.file && field.place.line <= place.line);
        before.next_back().filter(|field| name.is_none_or(|name| field.path.last().is_some_and(|last| last == name)))
    })
}

fn rule_place(root: &Path, name: &str) -> Option<Place> {
    let wanted = format!("unless \"{name}\"");
    for path in fs::list(root.join(format!("{CONTRACTS}/rules"))).ok()? {
        let text = fs::read_to_string(&path).ok()?;
        if let Some(byte) = text.find(&wanted) {
            let file = path.file_name()?.to_string_lossy();
            return Some(Place { file: format!("{CONTRACTS}/rules/{file}"), line: line_of(&text, byte) });
        }
    }
    None
}

fn split(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}
