//! a world
