//! Sockets of the real machine.

use pocket_runtime::net::{self, BindError, TcpListener, UnixListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn bytes_go_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut client, accepted) =
        tokio::join!(async { net::connect(&listener.local_addr().to_string()).await.unwrap() }, listener.accept());
    let (mut server, peer) = accepted.unwrap();
    assert!(peer.ip().is_loopback());
    client.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).await.unwrap();
    server.write_all(&bytes).await.unwrap();
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

#[tokio::test]
async fn a_taken_address_is_named_with_the_remedy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let error = TcpListener::bind(&address).await.unwrap_err();
    assert!(matches!(error, BindError::Taken { .. }));
    let text = error.to_string();
    assert!(text.contains(&address) && text.contains("taken") && text.contains("choose another port"), "{text}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_an_example() {
    let error = TcpListener::bind("no port here").await.unwrap_err();
    assert!(error.to_string().contains("`no port here`: not an address; write host:port"), "{error}");
}

#[tokio::test]
async fn a_unix_socket_is_private_taken_once_and_gone_with_its_listener() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (client, server) = tokio::join!(net::connect_unix(&path), listener.accept());
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.write_all(b"x").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    assert!(matches!(UnixListener::bind(&path), Err(BindError::Taken { .. })));
    drop(listener);
    assert!(!path.exists());
    UnixListener::bind(&path).unwrap();
}
