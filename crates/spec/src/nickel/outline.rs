//! What a source defines and where, read from its text without evaluating it.

use nickel_lang_core::ast::primop::PrimOp;
use nickel_lang_core::ast::record::{FieldDef, FieldPathElem, Record};
use nickel_lang_core::ast::typ::Type;
use nickel_lang_core::ast::{Ast, AstAlloc, MergePriority, Node};
use nickel_lang_core::files::Files;
use nickel_lang_core::parser::ErrorTolerantParser;
use nickel_lang_core::parser::grammar::TermParser;
use nickel_lang_core::parser::lexer::Lexer;
use nickel_lang_core::position::TermPos;
use nickel_lang_core::typ::TypeF;

use crate::source::{Place, Source, line_of};

/// A field as written.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "marks that a field has or has not, each by itself")]
pub struct Field {
    /// From the top of the source's record.
    pub path: Vec<String>,
    /// Where its name stands.
    pub place: Place,
    /// What it says about itself.
    pub doc: Option<String>,
    /// Contracts that its value must meet.
    pub contracts: Vec<Contract>,
    /// May be absent.
    pub optional: bool,
    /// Gives way to any other value.
    pub default: bool,
    /// Yields to nothing.
    pub force: bool,
    /// Whether it is a record, whose fields stand for it.
    pub record: bool,
    /// The text of its value; none for a record and for a field without a value.
    pub value: Option<String>,
    /// Byte of the `=` before its value, where a priority can be written; none for a record.
    pub equals: Option<usize>,
}

/// A contract as written in an annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contract {
    /// By its name: the last part of what is written.
    Name(String),
    /// Any number of fields, each under the inner contract.
    Each(Box<Contract>),
    /// A list of such.
    List(Box<Contract>),
    /// One of these tags.
    Tags(Vec<String>),
    /// A plain kind: `String`, `Number`, `Bool`.
    Plain(&'static str),
    /// An expression.
    Other,
}

/// Parses a source and lists its fields, nested ones included, in the order of the text. `None` if the text is no
/// Nickel: evaluating it says why.
pub fn outline(source: &Source) -> Option<Vec<Field>> {
    let allocation = AstAlloc::new();
    let mut files = Files::empty();
    let id = files.add(source.name.as_str(), source.text.as_str());
    let ast = TermParser::new().parse_strict(&allocation, id, Lexer::new(&source.text)).ok()?;
    let mut reader = Reader { source, fields: Vec::new() };
    reader.term(&ast, &[]);
    Some(reader.fields)
}

struct Reader<'a> {
    source: &'a Source,
    fields: Vec<Field>,
}

impl Reader<'_> {
    fn term(&mut self, ast: &Ast<'_>, path: &[String]) {
        match &ast.node {
            Node::Record(record) => record.field_defs.iter().for_each(|field| self.field(field, path)),
            // A source is what stands behind its `let`s.
            Node::Let { body, .. } if path.is_empty() => self.term(body, path),
            Node::Annotated { inner, .. } => self.term(inner, path),
            _ => {}
        }
    }

    fn field(&mut self, field: &FieldDef<'_>, parent: &[String]) {
        let mut path = parent.to_vec();
        for part in field.path {
            match part {
                FieldPathElem::Ident(name) => path.push(name.label().to_owned()),
                FieldPathElem::Expr(_) => return,
            }
        }
        let metadata = &field.metadata;
        let record = field.value.as_ref().and_then(record_of);
        let value = field.value.as_ref().filter(|_| record.is_none());
        let annotations = metadata.annotation.typ.iter().chain(metadata.annotation.contracts);
        self.fields.push(Field {
            path: path.clone(),
            place: self.place(field.path.last().map_or(field.pos, FieldPathElem::pos)),
            doc: metadata.doc.map(str::to_owned),
            contracts: annotations.map(contract).collect(),
            optional: metadata.opt,
            default: matches!(metadata.priority, MergePriority::Bottom),
            force: matches!(metadata.priority, MergePriority::Top),
            record: record.is_some(),
            value: value.map(|value| self.text(value.pos)),
            equals: value.and_then(|value| self.equals(field, value)),
        });
        if let Some(value) = &field.value {
            self.term(value, &path);
        }
    }

    /// The last `=` between a field's name and its value.
    fn equals(&self, field: &FieldDef<'_>, value: &Ast<'_>) -> Option<usize> {
        let start = field.path.last()?.pos().into_opt()?.end.0 as usize;
        let end = value.pos.into_opt()?.start.0 as usize;
        self.source.text.get(start..end)?.rfind('=').map(|offset| start + offset)
    }

    fn place(&self, position: TermPos) -> Place {
        let byte = position.into_opt().map_or(0, |span| span.start.0 as usize);
        Place { file: self.source.name.clone(), line: line_of(&self.source.text, byte) }
    }

    fn text(&self, position: TermPos) -> String {
        let Some(span) = position.into_opt() else { return String::new() };
        self.source.text.get(span.start.0 as usize..span.end.0 as usize).unwrap_or_default().to_owned()
    }
}

fn record_of<'ast>(ast: &Ast<'ast>) -> Option<&'ast Record<'ast>> {
    match &ast.node {
        Node::Record(record) => Some(record),
        Node::Annotated { inner, .. } => record_of(inner),
        _ => None,
    }
}

fn contract(kind: &Type<'_>) -> Contract {
    match &kind.typ {
        TypeF::Contract(term) => named(term),
        TypeF::Dict { type_fields, .. } => Contract::Each(Box::new(contract(type_fields))),
        TypeF::Array(inner) => Contract::List(Box::new(contract(inner))),
        TypeF::Number => Contract::Plain("Number"),
        TypeF::String => Contract::Plain("String"),
        TypeF::Bool => Contract::Plain("Bool"),
        TypeF::Enum(rows) => Contract::Tags(
            rows.iter()
                .filter_map(|row| match row {
                    nickel_lang_core::ast::typ::iter::EnumRowsItem::Row(row) => Some(row.id.label().to_owned()),
                    nickel_lang_core::ast::typ::iter::EnumRowsItem::TailVar(_) => None,
                })
                .collect(),
        ),
        _ => Contract::Other,
    }
}

fn named(term: &Ast<'_>) -> Contract {
    match &term.node {
        Node::Var(name) | Node::PrimOpApp { op: PrimOp::RecordStatAccess(name), .. } => {
            Contract::Name(name.label().to_owned())
        }
        Node::Type(kind) => contract(kind),
        _ => Contract::Other,
    }
}
