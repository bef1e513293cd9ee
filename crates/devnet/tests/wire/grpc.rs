//! gRPC beyond the recordings: past heights, faults, reflection, health.

use pocket_proto::{
    cosmos::base::tendermint::v1beta1::{GetLatestBlockRequest, service_client::ServiceClient},
    pocket::{
        devnet::v1::{Fault, FaultKind},
        shared::{QueryParamsRequest, query_client::QueryClient},
    },
};
use prost::Message;
use tonic::{Code, Request};

use crate::world::{Raw, World, unary};

fn at(height: &str) -> Request<QueryParamsRequest> {
    let mut request = Request::new(QueryParamsRequest {});
    request.metadata_mut().insert("x-cosmos-block-height", height.parse().expect("text"));
    request
}

#[tokio::test]
async fn past_heights_are_answered_while_they_are_remembered() {
    let world = World::open().await;
    world.make_until(1_100);
    let mut shared = QueryClient::new(world.grpc());
    let past = shared.params(at("900")).await.expect("it is remembered");
    assert_eq!(past.metadata().get("x-cosmos-block-height").expect("told"), "900");
    let forgotten = shared.params(at("5")).await.expect_err("it is forgotten");
    assert!(forgotten.message().contains("version does not exist"), "{forgotten}");
    let future = shared.params(at("5000")).await.expect_err("it has not come");
    assert_eq!(future.code(), Code::Unknown);
    let words = shared.params(at("five")).await.expect_err("it is no height");
    assert!(words.message().contains("invalid height header \"five\""), "{words}");
}

#[tokio::test]
async fn faults_strike_the_methods_they_name() {
    let world = World::open().await;
    world.make_until(1);
    let fault = Fault {
        kind: FaultKind::Reject.into(),
        target: "/pocket.shared.Query/Params".to_owned(),
        code: 14,
        message: "the node rests".to_owned(),
        count: 1,
        ..Fault::default()
    };
    world.chain.fault(fault).expect("a fault");
    let block = Fault {
        kind: FaultKind::Reject.into(),
        target: "block".to_owned(),
        code: 13,
        message: "no blocks today".to_owned(),
        ..Fault::default()
    };
    world.chain.fault(block).expect("a fault");
    let mut shared = QueryClient::new(world.grpc());
    let struck = shared.params(QueryParamsRequest {}).await.expect_err("it is struck once");
    assert_eq!((struck.code(), struck.message()), (Code::Unavailable, "the node rests"));
    shared.params(QueryParamsRequest {}).await.expect("once was enough");
    ServiceClient::new(world.grpc()).get_latest_block(GetLatestBlockRequest {}).await.expect("another method");
    let answer = world.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"block"}"#).await;
    assert!(answer.body.contains("no blocks today"), "{}", answer.body);
}

#[tokio::test]
async fn services_are_listed_by_reflection_and_the_chain_says_that_it_is_well() {
    let world = World::open().await;
    let (answer, _) = unary(world.grpc(), "/grpc.health.v1.Health/Check", &[], Vec::new()).await.expect("an answer");
    assert_eq!(answer, [8, 1], "serving");
    for version in ["v1", "v1alpha"] {
        // ServerReflectionRequest { list_services: "" }
        let request = tokio_stream::once(vec![0x3a, 0x00]);
        let mut client = tonic::client::Grpc::new(world.grpc());
        client.ready().await.expect("it listens");
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let response = client.streaming(Request::new(request), path.parse().expect("a path"), Raw);
        let mut stream = response.await.expect("an answer").into_inner();
        let listed = stream.message().await.expect("a message").expect("one answer");
        let text = String::from_utf8_lossy(&listed);
        for service in ["pocket.session.Query", "cosmos.tx.v1beta1.Service", "pocket.proof.Query"] {
            assert!(text.contains(service), "{version}: {service}");
        }
    }
    let empty = QueryParamsRequest {}.encode_to_vec();
    let unknown = unary(world.grpc(), "/pocket.shared.Query/Nope", &[], empty).await.expect_err("no such method");
    assert_eq!(unknown.code(), Code::Unimplemented);
    assert_eq!(unknown.message(), "unknown method Nope for service pocket.shared.Query");
}
