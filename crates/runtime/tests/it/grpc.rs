//! gRPC over real sockets.

use std::time::Duration;

use pocket_runtime::net::TcpListener;
use pocket_runtime::{grpc, shutdown, task};
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::DEADLINE;

#[tokio::test]
async fn a_channel_waits_for_its_server_and_finds_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    drop(listener);
    // Made while nobody listens: it connects when used.
    let channel = grpc::channel(&address, DEADLINE).unwrap();
    let mut client = HealthClient::new(channel);
    let request = || HealthCheckRequest { service: String::new() };
    assert_eq!(client.check(request()).await.unwrap_err().code(), tonic::Code::Unavailable);
    for _ in 0..2 {
        let (trigger, shutdown) = shutdown::channel(DEADLINE);
        let listener = TcpListener::bind(&address).await.unwrap();
        let (_, health) = tonic_health::server::health_reporter();
        let serving = task::spawn("test grpc", grpc::serve(listener, Routes::new(health), shutdown));
        assert_eq!(client.check(request()).await.unwrap().into_inner().status, 1);
        trigger.trigger();
        serving.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn endpoints_that_cannot_be_dialled_are_refused_with_the_remedy() {
    for (endpoint, says) in [
        ("", "is not a gRPC endpoint: write http://host:port"),
        ("http://", "is not a gRPC endpoint"),
        ("ftp://node:9090", "is not a gRPC endpoint"),
    ] {
        let error = grpc::channel(endpoint, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains(says), "{endpoint}: {error}");
    }
}
