//! The proxies that know frames and calls, before a development chain and under tonic's client.

use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use pocket_runtime::grpc::{self, Raw};
use pocket_testbed::proxy::http2::{ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM};
use pocket_testbed::proxy::{Call, Cut, Http2, Node};
use pocket_testbed::{PrivateDevnet, devnet};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

const PARAMS: &str = "/pocket.shared.Query/Params";
const SUPPLIERS: &str = "/pocket.supplier.Query/AllSuppliers";
const HEIGHT: &str = "x-cosmos-block-height";

async fn call(channel: &Channel, path: &'static str, height: Option<i64>) -> Result<Response<Bytes>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(Bytes::new());
    if let Some(height) = height {
        request.metadata_mut().insert(HEIGHT, height.into());
    }
    client.unary(request, tonic::codegen::http::uri::PathAndQuery::from_static(path), Raw).await
}

async fn ask(channel: &Channel, path: &'static str) -> Result<Bytes, Status> {
    call(channel, path, None).await.map(Response::into_inner)
}

async fn http2() -> anyhow::Result<(PrivateDevnet, Http2, Channel)> {
    let devnet = devnet("{}").await?;
    let proxy = Http2::start(devnet.running.grpc_addr.to_string()).await?;
    let channel = grpc::channel(&proxy.address().to_string(), Duration::from_secs(10))?;
    ensure!(!ask(&channel, SUPPLIERS).await?.is_empty());
    Ok((devnet, proxy, channel))
}

pub(crate) async fn calls_break_as_told() -> anyhow::Result<()> {
    let cases = [
        (Call::GoAway(NO_ERROR), Code::Internal, "h2 protocol error"),
        (Call::GoAway(ENHANCE_YOUR_CALM), Code::ResourceExhausted, "h2 protocol error"),
        (Call::Reset(REFUSED_STREAM), Code::Unavailable, "h2 protocol error"),
        (Call::Reset(ENHANCE_YOUR_CALM), Code::ResourceExhausted, "h2 protocol error"),
        (Call::ResetAfterEffect(INTERNAL_ERROR), Code::Internal, "h2 protocol error"),
        (Call::Status { code: 8, message: "busy".repeat(50) }, Code::ResourceExhausted, "busybusy"),
        (Call::CutBeforeAnswer(Cut::Reset), Code::Unknown, "transport error"),
        (Call::CutBeforeAnswer(Cut::Close), Code::Unknown, "transport error"),
        (Call::CutInBody(Cut::Reset), Code::Unknown, "error reading a body"),
        (Call::CutInBody(Cut::Close), Code::Unknown, "error reading a body"),
    ];
    for (fault, code, message) in cases {
        let (_devnet, proxy, channel) = http2().await?;
        let usual = ask(&channel, SUPPLIERS).await?;
        proxy.break_call(SUPPLIERS, fault.clone());
        ensure!(ask(&channel, PARAMS).await.is_ok(), "another call passes before {fault:?}");
        let Err(status) = ask(&channel, SUPPLIERS).await else { anyhow::bail!("{fault:?} was not seen") };
        ensure!(status.code() == code && status.message().contains(message), "{fault:?} is seen as {status:?}");
        ensure!(proxy.broken() == 1, "{fault:?}");
        for _ in 0..3 {
            ensure!(ask(&channel, SUPPLIERS).await? == usual, "calls pass after {fault:?}");
        }
    }
    Ok(())
}

pub(crate) async fn one_call_of_many_breaks() -> anyhow::Result<()> {
    let (_devnet, proxy, channel) = http2().await?;
    for fault in [Call::ResetAfterEffect(INTERNAL_ERROR), Call::Status { code: 8, message: "busy".to_owned() }] {
        let before = proxy.broken();
        proxy.break_calls(SUPPLIERS, 3, 2, fault);
        let all = (0..20).map(|_| ask(&channel, SUPPLIERS));
        let answers = futures_util::future::join_all(all).await;
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        ensure!(failed == 2 && proxy.broken() == before + 2, "{failed} failed");
    }
    ensure!(proxy.counts().accepted == 1, "the connection stays");
    Ok(())
}

pub(crate) async fn a_window_is_not_lost_with_answers() -> anyhow::Result<()> {
    let (_devnet, proxy, channel) = http2().await?;
    let bytes = ask(&channel, SUPPLIERS).await?.len();
    let calls = 3 * usize::try_from(grpc::WINDOW_BYTES)? / bytes;
    proxy.break_calls(SUPPLIERS, 0, calls, Call::ResetAfterEffect(INTERNAL_ERROR));
    for _ in 0..calls {
        ensure!(ask(&channel, SUPPLIERS).await.is_err());
    }
    ensure!(ask(&channel, SUPPLIERS).await?.len() == bytes);
    ensure!(proxy.counts().accepted == 1);
    Ok(())
}

pub(crate) async fn goes_away_in_order() -> anyhow::Result<()> {
    let (_devnet, proxy, channel) = http2().await?;
    proxy.go_away(NO_ERROR);
    let reconnected = async {
        // A call that is sent before the client has heard of it fails.
        while proxy.counts().accepted < 2 {
            let _ = ask(&channel, PARAMS).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reconnected).await?;
    ensure!(ask(&channel, PARAMS).await.is_ok());
    Ok(())
}

async fn node() -> anyhow::Result<(PrivateDevnet, Node, Channel)> {
    let devnet = devnet("block_time_ms: 100").await?;
    let node = Node::start(devnet.running.grpc_addr.to_string()).await?;
    let channel = grpc::channel(&node.address().to_string(), Duration::from_secs(10))?;
    Ok((devnet, node, channel))
}

pub(crate) async fn a_node_refuses_chosen_calls() -> anyhow::Result<()> {
    let (_devnet, node, channel) = node().await?;
    let usual = ask(&channel, PARAMS).await?;
    node.refuse_times(PARAMS, 2, 8, "mempool is full");
    for _ in 0..2 {
        let status = ask(&channel, PARAMS).await.expect_err("refused");
        ensure!(status.code() == Code::ResourceExhausted && status.message() == "mempool is full", "{status:?}");
        ensure!(ask(&channel, SUPPLIERS).await.is_ok());
    }
    ensure!(ask(&channel, PARAMS).await? == usual);
    node.refuse(PARAMS, 14, "away");
    ensure!(ask(&channel, PARAMS).await.expect_err("refused").code() == Code::Unavailable);
    node.refuse_nothing();
    ensure!(ask(&channel, PARAMS).await? == usual);
    ensure!(node.calls(PARAMS) == 6);
    // What the node behind refuses arrives as it said it.
    let unknown = ask(&channel, "/pocket.shared.Query/Nothing").await.expect_err("no such method");
    ensure!(unknown.code() == Code::Unimplemented && unknown.message().contains("unknown method"), "{unknown:?}");
    Ok(())
}

pub(crate) async fn a_node_lags() -> anyhow::Result<()> {
    let (devnet, node, channel) = node().await?;
    let height_of =
        |answer: &Response<Bytes>| -> Option<i64> { answer.metadata().get(HEIGHT)?.to_str().ok()?.parse().ok() };
    node.lag_at(2);
    let newer = async {
        while devnet.running.chain.height() < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), newer).await?;
    ensure!(height_of(&call(&channel, PARAMS, None).await?) == Some(2));
    ensure!(height_of(&call(&channel, PARAMS, Some(1)).await?) == Some(1));
    let ahead = call(&channel, PARAMS, Some(3)).await.expect_err("it has not come that far");
    ensure!(ahead.message().contains("height in the future"), "{ahead:?}");
    node.catch_up();
    ensure!(height_of(&call(&channel, PARAMS, None).await?) >= Some(4));
    Ok(())
}
