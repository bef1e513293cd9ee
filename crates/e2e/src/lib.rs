//! The whole house under test: behaviours, borders, conformance, chaos. The tests are in `tests/`; there is no library
//! code, so that nothing can come to depend on it.
