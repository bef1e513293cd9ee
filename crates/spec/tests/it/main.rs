//! The spec as people use it: the committed page, pages that are wrong, and what is rendered of them.

mod accepted;
mod compose;
mod contracts;
mod images;
mod keys;
mod kubernetes;
mod refused;
mod rendering;
mod tiltfiles;
mod verbs;
mod world;
