//! `explain`: what a field is, what it says now, and who says so.

use std::fmt::Write as _;

use pocket_config::document::nearest;
use serde_json::Value;

use crate::nickel::{Contract, Field};
use crate::page::Page;
use crate::refusal::Refusal;
use crate::schema::Node;

/// Explains the field at a dotted path.
///
/// # Errors
/// A [`Refusal`] with the nearest name, if there is no such field.
pub fn explain(page: &Page, path: &str) -> Result<String, Refusal> {
    let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    let field = page.schema.find(&parts).map_err(|unknown| {
        let within =
            if unknown.within.is_empty() { "the spec".to_owned() } else { format!("`{}`", unknown.within.join(".")) };
        let known = unknown.known.join(", ");
        let remedy = nearest(&unknown.name, unknown.known.iter().map(String::as_str))
            .map_or_else(|| format!("it has: {known}"), |near| format!("did you mean `{near}`?"));
        Refusal { remedies: vec![remedy], ..Refusal::of(format!("there is no `{}` in {within}", unknown.name)) }
    })?;
    let mut text = format!("{path}\n");
    if let Some(doc) = field.and_then(|field| field.doc.as_deref()) {
        let _ = writeln!(text, "  {doc}");
    }
    if let Some(field) = field {
        let _ = writeln!(text, "  kind     {}", kind(field));
        if field.default
            && let Some(value) = &field.value
        {
            let _ = writeln!(text, "  default  {value}");
        }
        let _ = writeln!(text, "  contract {}", field.place);
    }
    match value_at(&page.value, &parts) {
        Some(value) => {
            let _ = writeln!(text, "  value    {}", shown(value));
        }
        None => text.push_str("  value    none\n"),
    }
    let set: Vec<&Field> = page.definitions.iter().filter(|field| field.path == parts).collect();
    for field in &set {
        let value = field.value.as_deref().unwrap_or("a record");
        let _ = writeln!(text, "  set      {}  {value}", field.place);
    }
    if set.is_empty() {
        text.push_str("  set      nowhere: the default holds\n");
    }
    if let Some(known) = fields(page, &parts) {
        let _ = writeln!(text, "  fields   {known}");
    }
    Ok(text)
}

fn kind(field: &Field) -> String {
    let words: Vec<String> = field.contracts.iter().map(word).collect();
    let optional = if field.optional { ", optional" } else { "" };
    if words.is_empty() { format!("a record{optional}") } else { format!("{}{optional}", words.join(", ")) }
}

fn word(contract: &Contract) -> String {
    match contract {
        Contract::Name(name) => name.clone(),
        Contract::Each(inner) => format!("{} by name", word(inner)),
        Contract::List(inner) => format!("a list of {}", word(inner)),
        Contract::Tags(tags) => tags.iter().map(|tag| format!("'{tag}")).collect::<Vec<String>>().join(" or "),
        Contract::Plain(name) => (*name).to_owned(),
        Contract::Other => "see the contract".to_owned(),
    }
}

fn fields(page: &Page, path: &[String]) -> Option<String> {
    match page.schema.node_at(path)? {
        Node::Record(contract, within) => {
            let fields = page.schema.fields(&contract, &within);
            let names: Vec<&str> = fields.iter().filter_map(|field| field.path.last()).map(String::as_str).collect();
            Some(names.join(", "))
        }
        Node::Each(_) => {
            let names: Vec<&String> = value_at(&page.value, path)?.as_object()?.keys().collect();
            Some(names.iter().map(|name| name.as_str()).collect::<Vec<&str>>().join(", "))
        }
        Node::Leaf => None,
    }
}

fn value_at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(object) => format!("a record of {} fields", object.len()),
        Value::Array(list) if list.len() > 5 => format!("a list of {}", list.len()),
        other => other.to_string(),
    }
}
