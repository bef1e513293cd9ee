//! gRPC over the sockets of [`crate::net`], so that it works in a simulated world too.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use hyper_util::rt::TokioIo;
use tonic::codegen::http::Uri;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Server};

use crate::net::{self, Alpn, TcpListener, TcpStream};
use crate::shutdown::Shutdown;

mod raw;

pub use raw::Raw;

/// Streams one connection may have open at a time.
pub const MAX_CONCURRENT_STREAMS: u32 = 1024;

/// How often a connection with calls in flight is asked whether it lives; servers written in Go cut those who ask oftener.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);

/// How long it may take to answer.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What may be sent ahead on a stream or a connection before the other side has read it.
pub const WINDOW_BYTES: u32 = 1 << 20;

/// An endpoint that cannot be dialled.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not a URI with a host.
    #[error("`{endpoint}` is not a gRPC endpoint: write http://host:port")]
    Invalid {
        /// As given.
        endpoint: String,
    },
    /// An `https://` endpoint, in a build without TLS.
    #[error("cannot dial `{endpoint}`: https needs TLS support, which this build lacks; use an http:// endpoint")]
    Tls {
        /// As given.
        endpoint: String,
    },
}

/// Returns a channel to `endpoint` (`http://host:port`, `https://host:port`, or `host:port`) that connects at first use and again after a loss.
///
/// `timeout` bounds both connecting and each call. Must be called inside a runtime.
pub fn channel(endpoint: &str, timeout: Duration) -> Result<Channel, EndpointError> {
    let invalid = || EndpointError::Invalid { endpoint: endpoint.to_owned() };
    let text = if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let secure = match uri.scheme_str() {
        Some("http" | "tcp" | "grpc") => false,
        Some("https" | "grpcs") => true,
        _ => return Err(invalid()),
    };
    if secure && !net::HAS_TLS {
        return Err(EndpointError::Tls { endpoint: endpoint.to_owned() });
    }
    let host = uri.host().ok_or_else(invalid)?;
    let authority = format!("{host}:{}", uri.port_u16().unwrap_or(if secure { 443 } else { 80 }));
    let origin = format!("{}://{authority}", if secure { "https" } else { "http" });
    // tonic would refuse to dial https without TLS of its own; ours is in the connection, so only the calls say https.
    let dialled = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|_| invalid())?
        .origin(origin.parse().map_err(|_| invalid())?)
        .timeout(timeout)
        .connect_timeout(timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    Ok(dialled.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let authority = authority.clone();
        async move {
            let stream = if secure {
                net::connect_tls(&authority, Alpn::Http2).await?
            } else {
                net::connect(&authority).await?
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    })))
}

/// Serves `routes` on `listener` until `shutdown`, then lets calls in flight end within its grace period.
pub async fn serve(listener: TcpListener, routes: Routes, shutdown: Shutdown) -> Result<(), tonic::transport::Error> {
    let server = Server::builder()
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .add_routes(routes);
    let leave = shutdown.clone();
    let serving = server.serve_with_incoming_shutdown(incoming(listener), async move { leave.triggered().await });
    tokio::select! {
        biased;
        result = serving => result,
        () = overdue(&shutdown) => {
            tracing::warn!("gRPC calls did not end within the grace period and were cut");
            Ok(())
        }
    }
}

async fn overdue(shutdown: &Shutdown) {
    shutdown.triggered().await;
    tokio::time::sleep(shutdown.remaining()).await;
}

fn incoming(listener: TcpListener) -> impl Stream<Item = Result<Accepted, io::Error>> {
    futures_util::stream::unfold(listener, |listener| async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((Ok(Accepted(stream)), listener)),
                Err(error) => net::pause_after(&error).await,
            }
        }
    })
}

// tonic wants to know its connections; ours have nothing to tell.
struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl tokio::io::AsyncRead for Accepted {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Accepted {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
