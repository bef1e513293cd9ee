//! ABCI events (protocol §8.9): how they are made and marked.

use pocket_proto::tendermint::abci::{Event, EventAttribute};

/// Makes an event of plain attributes, all indexed.
pub fn event<const N: usize>(kind: &str, attributes: [(&str, &str); N]) -> Event {
    Event {
        r#type: kind.to_owned(),
        attributes: attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
    }
}

/// Makes an indexed attribute.
pub fn attribute(key: &str, value: &str) -> EventAttribute {
    EventAttribute { key: key.to_owned(), value: value.to_owned(), index: true }
}

/// Ends every event with the same attribute: `msg_index` of a message, `mode` of a block's beginning or end.
pub fn mark(events: &mut [Event], key: &str, value: &str) {
    for event in events {
        event.attributes.push(attribute(key, value));
    }
}
