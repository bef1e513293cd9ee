//! TLS to servers: rustls with the ring provider, the public roots, and whatever roots the operator adds.

use std::io;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{Alpn, TcpStream};

// Written by `trust` at start, read by each new connection; never locked over an await.
static TRUST: LazyLock<RwLock<Trust>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    RwLock::new(Trust::of(roots))
});

struct Trust {
    roots: RootCertStore,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Trust {
    fn of(roots: RootCertStore) -> Self {
        let config = |protocol: &[u8]| {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the ring provider supports the default versions of TLS");
            let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Self { http1: config(b"http/1.1"), http2: config(b"h2"), roots }
    }
}

pub(super) fn trust(pem: &str) -> io::Result<usize> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(format!("not certificates in PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(invalid("the text holds no certificate: expected -----BEGIN CERTIFICATE-----".to_owned()));
    }
    let count = certificates.len();
    let mut trust = TRUST.write().unwrap_or_else(PoisonError::into_inner);
    let mut roots = trust.roots.clone();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| invalid(format!("a certificate is not valid: {error}")))?;
    }
    *trust = Trust::of(roots);
    Ok(count)
}

pub(super) async fn handshake(host_port: &str, stream: TcpStream, alpn: Alpn) -> io::Result<TlsStream<TcpStream>> {
    let host = host_port.rsplit_once(':').map_or(host_port, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let config = {
        let trust = TRUST.read().unwrap_or_else(PoisonError::into_inner);
        match alpn {
            Alpn::Http1 => trust.http1.clone(),
            Alpn::Http2 => trust.http2.clone(),
        }
    };
    TlsConnector::from(config).connect(name, stream).await
}
