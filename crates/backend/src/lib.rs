//! pocket-backend
