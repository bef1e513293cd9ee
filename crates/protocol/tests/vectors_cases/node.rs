//! `node.json`
