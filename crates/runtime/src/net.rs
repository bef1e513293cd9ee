//! Sockets: real ones, or those of the simulated world the caller stands in.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "tls")]
mod tls;

/// How many connections the kernel keeps waiting for `accept`.
pub const LISTEN_BACKLOG: u32 = 1024;

/// How long a connection we opened may be silent before the kernel asks whether the other end is there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is not one.
    #[error("cannot listen on `{address}`: not an address; write host:port, such as 127.0.0.1:3000 or 0.0.0.0:3000")]
    Address {
        /// As given.
        address: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// Somebody listens there already.
    #[error(
        "cannot listen on {address}: it is taken; stop the process that holds it (`ss -ltnp` names it) or choose another port"
    )]
    Taken {
        /// As given.
        address: String,
    },
    /// The port needs rights this process lacks.
    #[error("cannot listen on {address}: permission denied; choose a port above 1023 or grant CAP_NET_BIND_SERVICE")]
    Forbidden {
        /// As given.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Failed {
        /// As given.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn of(address: &str, source: io::Error) -> Self {
        let address = address.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { address },
            io::ErrorKind::PermissionDenied => Self::Forbidden { address },
            _ => Self::Failed { address, source },
        }
    }
}

/// Accepts TCP connections.
#[derive(Debug)]
pub struct TcpListener {
    inner: ListenerKind,
    address: SocketAddr,
}

enum ListenerKind {
    Real(tokio::net::TcpListener),
    #[cfg(feature = "simulation")]
    Simulated(turmoil::net::TcpListener),
}

impl std::fmt::Debug for ListenerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Real(_) => "real",
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => "simulated",
        })
    }
}

impl TcpListener {
    /// Listens on `address` (host:port; port 0 lets the system choose). The address may be reused at once after a restart.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        #[cfg(feature = "simulation")]
        if crate::simulation::current().is_some() {
            return Self::bind_simulated(address).await;
        }
        let resolved = tokio::net::lookup_host(address).await;
        let resolved = resolved.and_then(|mut all| {
            all.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
        });
        let resolved = resolved.map_err(|source| BindError::Address { address: address.to_owned(), source })?;
        Self::bind_real(resolved).map_err(|source| BindError::of(address, source))
    }

    fn bind_real(address: SocketAddr) -> io::Result<Self> {
        let socket =
            if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(LISTEN_BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { inner: ListenerKind::Real(listener), address })
    }

    // A simulated host is alone on its machine: whatever interface was asked for, it listens on all of them.
    #[cfg(feature = "simulation")]
    async fn bind_simulated(address: &str) -> Result<Self, BindError> {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).ok_or_else(|| {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "no port after the last colon");
            BindError::Address { address: address.to_owned(), source }
        })?;
        let listener = turmoil::net::TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await;
        let listener = listener.map_err(|source| BindError::of(address, source))?;
        let bound = listener.local_addr().map_err(|source| BindError::of(address, source))?;
        Ok(Self { inner: ListenerKind::Simulated(listener), address: bound })
    }

    /// Waits for the next connection. An error concerns one connection, or a limit of the system: go on accepting.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.inner {
            ListenerKind::Real(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole: waiting to fill a packet would only delay them.
                stream.set_nodelay(true)?;
                Ok((TcpStream { inner: StreamKind::Tcp(stream) }, peer))
            }
            #[cfg(feature = "simulation")]
            ListenerKind::Simulated(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((TcpStream { inner: StreamKind::Simulated(stream) }, peer))
            }
        }
    }

    /// Returns the address it listens on, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Accepts connections on a Unix socket; real machines only.
#[derive(Debug)]
pub struct UnixListener {
    inner: tokio::net::UnixListener,
    path: PathBuf,
}

impl UnixListener {
    /// Listens on the socket file `path`, readable by this user only. A file left by a dead process is replaced.
    #[expect(clippy::disallowed_methods, reason = "this is the door to sockets")]
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        use std::os::unix::fs::PermissionsExt;
        let name = path.display().to_string();
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(BindError::Taken { address: name });
        }
        if path.exists() {
            std::fs::remove_file(path).map_err(|source| BindError::of(&name, source))?;
        }
        let inner = tokio::net::UnixListener::bind(path).map_err(|source| BindError::of(&name, source))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(|source| BindError::of(&name, source))?;
        Ok(Self { inner, path: path.to_owned() })
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.inner.accept().await?;
        Ok(TcpStream { inner: StreamKind::Unix(stream) })
    }

    /// Returns the path it listens on.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixListener {
    #[expect(clippy::disallowed_methods, reason = "this is the door to sockets")]
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Either kind of listener, for servers that take both.
#[derive(Debug)]
pub enum Listener {
    /// On an address.
    Tcp(TcpListener),
    /// On a socket file.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Listener {
    /// Waits for the next connection and says who it is from; peers on a Unix socket are `127.0.0.1:0`.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await,
            Self::Unix(listener) => Ok((listener.accept().await?, SocketAddr::from(([127, 0, 0, 1], 0)))),
        }
    }

    /// Returns where it listens, for logs.
    pub fn describe(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().to_string(),
            Self::Unix(listener) => listener.path().display().to_string(),
        }
    }
}

/// A connection: bytes both ways.
#[derive(Debug)]
pub struct TcpStream {
    inner: StreamKind,
}

#[derive(Debug)]
enum StreamKind {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
    // Boxed: it is much larger than the others, and rarer.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    #[cfg(feature = "simulation")]
    Simulated(turmoil::net::TcpStream),
}

/// Connects to `host_port`, such as `node:9090` or `[::1]:80`, trying each address of the name; no delay of small writes.
pub async fn connect(host_port: &str) -> io::Result<TcpStream> {
    #[cfg(feature = "simulation")]
    if crate::simulation::current().is_some() {
        return connect_simulated(host_port).await;
    }
    connect_real(host_port).await
}

#[expect(clippy::disallowed_methods, reason = "this is the door to sockets")]
async fn connect_real(host_port: &str) -> io::Result<TcpStream> {
    let stream = tokio::net::TcpStream::connect(host_port).await?;
    stream.set_nodelay(true)?;
    // Finds peers that vanished without a word, also on connections that wait in a pool.
    let keepalive = socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE / 3);
    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(TcpStream { inner: StreamKind::Tcp(stream) })
}

#[cfg(feature = "simulation")]
async fn connect_simulated(host_port: &str) -> io::Result<TcpStream> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{host_port}` is not host:port"));
    let (host, port) = host_port.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    // A simulated name resolves to a new, silent host when nobody has it; a real resolver would refuse.
    if !crate::simulation::knows(host) {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("no simulated host is called `{host}`")));
    }
    let stream = match host {
        "localhost" => turmoil::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await,
        host => match host.parse::<std::net::IpAddr>() {
            Ok(address) => turmoil::net::TcpStream::connect((address, port)).await,
            Err(_) => turmoil::net::TcpStream::connect((host, port)).await,
        },
    }?;
    Ok(TcpStream { inner: StreamKind::Simulated(stream) })
}

/// Connects within `limit`, or fails with [`io::ErrorKind::TimedOut`].
pub async fn connect_within(host_port: &str, limit: Duration) -> io::Result<TcpStream> {
    match tokio::time::timeout(limit, connect(host_port)).await {
        Ok(result) => result,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection to {host_port} within {limit:?}")))
        }
    }
}

/// Connects to the socket file `path`; real machines only.
#[expect(clippy::disallowed_methods, reason = "this is the door to sockets")]
pub async fn connect_unix(path: &Path) -> io::Result<TcpStream> {
    Ok(TcpStream { inner: StreamKind::Unix(tokio::net::UnixStream::connect(path).await?) })
}

/// What TLS agrees to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/1.1, also where a connection becomes a web socket.
    Http1,
    /// HTTP/2, for gRPC.
    Http2,
}

/// Why TLS is not to be had in a build without it.
#[cfg_attr(feature = "tls", expect(dead_code, reason = "this build has TLS"))]
pub(crate) const NO_TLS: &str = "https needs TLS support, which this build lacks";

/// Returns whether this build can speak TLS.
pub(crate) const HAS_TLS: bool = cfg!(feature = "tls");

/// Connects to `host_port` over TLS; the certificate must be good for the host, under the public roots or those of
/// [`trust`].
#[cfg(feature = "tls")]
pub async fn connect_tls(host_port: &str, alpn: Alpn) -> io::Result<TcpStream> {
    let stream = connect(host_port).await?;
    let stream = tls::handshake(host_port, stream, alpn).await?;
    Ok(TcpStream { inner: StreamKind::Tls(Box::new(stream)) })
}

/// Refuses: this build lacks TLS.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the same call in builds with and without TLS")]
pub async fn connect_tls(_host_port: &str, _alpn: Alpn) -> io::Result<TcpStream> {
    Err(io::Error::new(io::ErrorKind::Unsupported, NO_TLS))
}

/// Trusts the certificates of a PEM text beside the public roots, from the next TLS connection on; returns how many.
///
/// For operators whose nodes or backends have certificates of a private authority. Call it at start.
#[cfg(feature = "tls")]
pub fn trust(pem: &str) -> io::Result<usize> {
    tls::trust(pem)
}

impl TcpStream {
    /// Returns the address of the other end; an error for a Unix socket.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.inner {
            StreamKind::Tcp(stream) => stream.peer_addr(),
            StreamKind::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "a unix socket has no address")),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => stream.get_ref().0.peer_addr(),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(stream) => stream.peer_addr(),
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            StreamKind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            StreamKind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            StreamKind::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            StreamKind::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            StreamKind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            StreamKind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            StreamKind::Tcp(stream) => stream.is_write_vectored(),
            StreamKind::Unix(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => stream.is_write_vectored(),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(_) => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            StreamKind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            StreamKind::Unix(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            StreamKind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            StreamKind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            StreamKind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "simulation")]
            StreamKind::Simulated(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// How long an accept loop waits after an error that is not of one connection, such as no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Waits a little after a failed `accept` when going on at once would only spin, and says so.
pub async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(error = %error, "cannot accept connections for a moment; is the limit of open files too low?");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
