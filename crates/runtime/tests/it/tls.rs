//! TLS, against a server with a certificate of a private authority (`tests/data`, made with openssl for these tests).

use std::sync::Arc;

use bytes::Bytes;
use pocket_runtime::http::{Body, ClientError, Request, Response};
use pocket_runtime::net::{self, TcpListener};
use pocket_runtime::{grpc, task};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{DEADLINE, client};

const AUTHORITY: &str = include_str!("../data/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("../data/server.pem");
const KEY: &[u8] = include_bytes!("../data/server.key");

/// Answers every connection over TLS, with gRPC health on HTTP/2 and a greeting on HTTP/1.1.
async fn server() -> u16 {
    let certificates = CertificateDer::pem_slice_iter(CERTIFICATE).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().port();
    drop(task::spawn("test tls", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let io = hyper_util::rt::TokioIo::new(stream);
            drop(task::spawn("test tls", async move {
                if http2 {
                    let (_, health) = tonic_health::server::health_reporter();
                    let service = hyper_util::service::TowerToHyperService::new(health);
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await;
                } else {
                    let service = hyper::service::service_fn(|_| async {
                        Ok::<_, std::convert::Infallible>(Response::new(Body::from("in private")))
                    });
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                }
            }));
        }
    }));
    port
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn a_certificate_is_believed_only_under_a_trusted_authority_and_for_its_own_name() {
    let port = server().await;
    let url = format!("https://localhost:{port}/");
    let error = client().send(get(&url)).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    let line = pocket_runtime::process::chain(&error);
    assert!(line.contains("UnknownIssuer"), "{line}");

    assert_eq!(net::trust(AUTHORITY).unwrap(), 1);
    assert_eq!(client().send(get(&url)).await.unwrap().into_body(), "in private");
    let error = client().send(get(&format!("https://127.0.0.1:{port}/"))).await.unwrap_err();
    let line = pocket_runtime::process::chain(&error);
    assert!(line.contains("not valid for name"), "{line}");

    let channel = grpc::channel(&format!("https://localhost:{port}"), DEADLINE).unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
}

#[test]
fn what_is_not_a_certificate_is_not_trusted() {
    assert!(net::trust("hello").unwrap_err().to_string().contains("holds no certificate"));
    let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    assert!(net::trust(broken).unwrap_err().to_string().contains("a certificate is not valid"));
}
