//! HTTP/1.1 and HTTP/2 without TLS: a server with limits, a client with a pool, bodies.
//!
//! Both carry every relay, so the usual request allocates nothing here beyond what hyper itself needs: no boxed futures,
//! no timer per request on the server unless its client makes it wait, one on the client.

mod body;
mod budget;
mod client;
mod connection;
mod hops;
mod progress;
mod server;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
pub use hyper::body::Incoming;

pub use body::{Body, BodyError, BoxError, read_body};
pub use budget::{Budget, Budgeted, Held, NoRoom};
pub use client::{Client, ClientError, ClientOptions, Phase, ResponseBody};
pub use hops::drop_hop_by_hop;
pub use server::{ServeOptions, Served, serve, serve_with_peer};
