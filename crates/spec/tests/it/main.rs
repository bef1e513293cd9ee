//! The spec as people use it: the committed page, pages that are wrong, and what is rendered of them.

mod accepted;
mod contracts;
mod keys;
mod refused;
mod rendering;
mod verbs;
mod compose;
mod kubernetes;
mod tiltfiles;
mod world;
