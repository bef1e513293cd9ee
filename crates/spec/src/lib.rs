//! The declarative spec: from `config.ncl` to every file of the environments.
//!
//! ```text
//! config.ncl, local.ncl ─▶ page ─▶ plan ─▶ emit ─▶ write
//!            contracts ──────┘      └── lock: keys and addresses
//! ```
//!
//! [`page`] evaluates the facts under their contracts and tells refusals with their places; [`lock`] keeps what Nickel
//! cannot compute; [`plan`] decides every name, port, address and order once; [`emit`] turns the plan into files and
//! nothing else; [`write`](mod@write) writes or compares them; [`images`] packs the programs that cargo built;
//! [`verbs`] is what people do with it.
//!
//! Invariants: the same page gives the same bytes; emitters read the plan only; what is compiled into the programs depends
//! on the committed page alone; only [`nickel`] calls the language.
//!
//! Deliberately not here: starting anything, and reading what others rendered.

pub mod nickel;
pub mod refusal;
pub mod schema;
pub mod source;
pub mod spec;

pub mod page;

pub mod lock;

pub mod expressions;
pub mod plan;

pub mod emit;
pub mod images;
pub mod write;

pub mod verbs;
