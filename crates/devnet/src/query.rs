//! The query language of `CometBFT` for transactions and events: conditions on `type.attribute`, joined by `AND`.

use std::{borrow::Cow, cmp::Ordering};

use pocket_proto::tendermint::abci::Event;

/// Longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 512;

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse query: {problem}")]
pub struct QueryError {
    problem: String,
}

fn unreadable<T>(problem: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError { problem: problem.into() })
}

/// Says what should have come instead of `found`; a query that just ends is told of as by the node.
fn expected<T>(what: &str, found: &str) -> Result<T, QueryError> {
    if found.is_empty() { unreadable(ENDED) } else { unreadable(format!("expected {what} instead of `{found}`")) }
}

/// Stands for the node's words about a query that ends too early, before its length is known.
const ENDED: &str = "EOF";

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Contains(String),
    Equals(String),
    Number(Comparison, i128),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering == Ordering::Equal,
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
        }
    }
}

impl Query {
    /// Reads a query such as `tm.event='Tx' AND tx.height>=5`.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Self::read(text).map_err(|error| match error.problem.as_str() {
            ENDED => QueryError { problem: format!("offset {}: EOF", text.len()) },
            _ => error,
        })
    }

    fn read(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return unreadable(format!("it has {} bytes, at most {QUERY_BYTES_MAX} are read", text.len()));
        }
        let mut rest = text.trim();
        let mut conditions = Vec::new();
        loop {
            let (condition, after) = condition(rest)?;
            conditions.push(condition);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Self { text: text.to_owned(), conditions });
            }
            match rest.get(..3) {
                Some(and) if and.eq_ignore_ascii_case("AND") => rest = rest[3..].trim_start(),
                _ => return unreadable(format!("expected AND before `{rest}`")),
            }
        }
    }

    /// Returns the text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether all conditions hold, given the values of a key.
    pub fn matches<'a>(&self, values: impl Fn(&str) -> Vec<Cow<'a, str>>) -> bool {
        self.conditions.iter().all(|condition| {
            values(&condition.key).iter().any(|value| match &condition.test {
                Test::Exists => true,
                Test::Contains(part) => value.contains(part),
                Test::Equals(text) => value == text,
                Test::Number(comparison, number) => {
                    leading_number(value).is_some_and(|value| comparison.holds(value.cmp(number)))
                }
            })
        })
    }

    /// Returns the bounds that the query sets to an integer key such as `tx.height`: inclusive, and all if none.
    pub fn bounds(&self, key: &str) -> (i128, i128) {
        let (mut low, mut high) = (i128::MIN, i128::MAX);
        for condition in self.conditions.iter().filter(|condition| condition.key == key) {
            if let Test::Number(comparison, number) = condition.test {
                match comparison {
                    Comparison::Equal => (low, high) = (low.max(number), high.min(number)),
                    Comparison::Less => high = high.min(number - 1),
                    Comparison::LessOrEqual => high = high.min(number),
                    Comparison::Greater => low = low.max(number + 1),
                    Comparison::GreaterOrEqual => low = low.max(number),
                }
            }
        }
        (low, high)
    }

    /// Returns the text that a key must equal, if the query asks for one.
    pub fn equals(&self, key: &str) -> Option<&str> {
        self.conditions.iter().find_map(|condition| match &condition.test {
            Test::Equals(text) if condition.key == key => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Returns the values of a key of the form `type.attribute` among events.
pub fn values_in<'a>(events: impl Iterator<Item = &'a Event>, key: &str) -> Vec<Cow<'a, str>> {
    let mut values = Vec::new();
    for event in events {
        let Some(attribute) = key.strip_prefix(event.r#type.as_str()).and_then(|rest| rest.strip_prefix('.')) else {
            continue;
        };
        let found = event.attributes.iter().filter(|one| one.index && one.key == attribute);
        values.extend(found.map(|one| Cow::Borrowed(one.value.as_str())));
    }
    values
}

/// The node compares numbers in texts such as `15upokt` too.
fn leading_number(text: &str) -> Option<i128> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

fn condition(text: &str) -> Result<(Condition, &str), QueryError> {
    let end = text.find(|character: char| " =<>".contains(character)).unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    if key.is_empty() {
        return expected("a key such as tx.height", text);
    }
    let rest = rest.trim_start();
    let word_end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (word, after_word) = rest.split_at(word_end);
    let done = |test, rest| Ok((Condition { key: key.to_owned(), test }, rest));
    if word.eq_ignore_ascii_case("EXISTS") {
        return done(Test::Exists, after_word);
    }
    if word.eq_ignore_ascii_case("CONTAINS") {
        let (part, rest) = quoted(after_word.trim_start())?;
        return done(Test::Contains(part.to_owned()), rest);
    }
    let operators = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    for (operator, comparison) in operators {
        let Some(operand) = rest.strip_prefix(operator) else { continue };
        let operand = operand.trim_start();
        if operand.starts_with('\'') {
            if comparison != Comparison::Equal {
                return unreadable(format!("{operator} compares numbers, not `{operand}`"));
            }
            let (value, rest) = quoted(operand)?;
            return done(Test::Equals(value.to_owned()), rest);
        }
        let end = operand.find(char::is_whitespace).unwrap_or(operand.len());
        let (number, rest) = operand.split_at(end);
        return match number.parse() {
            Ok(number) => done(Test::Number(comparison, number), rest),
            Err(_) => expected("a number or a text in single quotes", number),
        };
    }
    expected("=, <, <=, >, >=, CONTAINS or EXISTS", rest)
}

fn quoted(text: &str) -> Result<(&str, &str), QueryError> {
    let inside = text.strip_prefix('\'');
    match inside.and_then(|inside| inside.split_once('\'')) {
        Some(parts) => Ok(parts),
        None => expected("a text in single quotes", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: bool) {
        let query = Query::parse(query).expect(query);
        let values = |key: &str| -> Vec<Cow<'static, str>> {
            match key {
                "tm.event" => vec!["Tx".into()],
                "tx.height" => vec!["7".into()],
                "message.action" => vec!["/pocket.proof.MsgCreateClaim".into(), "/other".into()],
                "transfer.amount" => vec!["15upokt".into()],
                _ => Vec::new(),
            }
        };
        assert_eq!(query.matches(values), expected, "{}", query.text());
    }

    #[test]
    fn conditions_hold_when_any_value_of_the_key_does() {
        check("tm.event='Tx'", true);
        check("tm.event = 'Tx' AND tx.height >= 7 AND tx.height<8", true);
        check("tm.event='NewBlock'", false);
        check("message.action='/pocket.proof.MsgCreateClaim'", true);
        check("message.action CONTAINS 'proof' AND message.action EXISTS", true);
        check("nothing.here EXISTS", false);
        check("tx.height=7 AND tx.height>7", false);
        check("transfer.amount>14", true);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in ["", "tm.event", "tm.event='Tx", "a=b", "a='b' OR c='d'", "tx.height>'5'", "a='b' AND"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_narrow_a_search() {
        let query = Query::parse("tx.height>5 AND tx.height<=9").expect("a query");
        assert_eq!(query.bounds("tx.height"), (6, 9));
    }
}
