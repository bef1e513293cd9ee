//! The hands on the chain, over their own listener.

use pocket_proto::pocket::devnet::v1::{
    AdvanceRequest, HaltRequest, RestoreRequest, ResumeRequest, SetTimeRequest, SnapshotRequest, StatusRequest,
    TimeMode, WarpToRequest, control_client::ControlClient, warp_to_request::Target,
};
use pocket_runtime::shutdown;
use tonic::Code;

use crate::world::{World, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_in_the_callers_hands() {
    let world = World::open().await;
    let mut control = ControlClient::new(world.control());
    assert_eq!(control.advance(AdvanceRequest { blocks: 0 }).await.unwrap().into_inner().height, 1);
    assert_eq!(control.advance(AdvanceRequest { blocks: 4 }).await.unwrap().into_inner().height, 5);
    let status = control.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.chain_id.as_str(), status.height, status.session_start_height), ("pocket", 5, 1));
    assert_eq!(status.mode, i32::from(TimeMode::Manual));
    let to = |target| WarpToRequest { target: Some(target) };
    assert_eq!(control.warp_to(to(Target::Height(20))).await.unwrap().into_inner().height, 20);
    let claim = control.warp_to(to(Target::Window("claim-window".to_owned()))).await.unwrap().into_inner().height;
    assert!(claim > 20, "{claim}");
    let wrong = control.warp_to(to(Target::Window("tomorrow".to_owned()))).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let behind = control.warp_to(to(Target::Height(1))).await.unwrap_err();
    assert_eq!(behind.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_bring_back_what_was_and_a_halted_chain_makes_no_blocks() {
    let world = World::open().await;
    let mut control = ControlClient::new(world.control());
    control.advance(AdvanceRequest { blocks: 7 }).await.unwrap();
    let snapshot = control.snapshot(SnapshotRequest {}).await.unwrap().into_inner();
    let hash = world.chain.block(Some(7)).unwrap().id.hash;
    control.advance(AdvanceRequest { blocks: 5 }).await.unwrap();
    let restored = control.restore(RestoreRequest { id: snapshot.id }).await.unwrap().into_inner();
    assert_eq!((restored.height, world.chain.block(None).unwrap().id.hash), (7, hash));
    let unknown = control.restore(RestoreRequest { id: "nope".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(control.halt(HaltRequest {}).await.unwrap().into_inner().height, 7);
    let halted = control.advance(AdvanceRequest { blocks: 1 }).await.unwrap_err();
    assert_eq!(halted.code(), Code::FailedPrecondition);
    control.resume(ResumeRequest {}).await.unwrap();
    assert_eq!(control.advance(AdvanceRequest { blocks: 1 }).await.unwrap().into_inner().height, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_chain_starts_in_one_call_and_leaves_when_told() {
    let (trigger, shutdown) = shutdown::channel(std::time::Duration::from_secs(1));
    let mut settings = settings();
    settings.block_time_ms = 10;
    let running = pocket_devnet::Devnet::start(&settings, &shutdown).await.expect("free ports");
    let mut blocks = running.chain.subscribe();
    for _ in 0..3 {
        tokio::time::timeout(crate::world::DEADLINE, blocks.recv()).await.expect("blocks are made").expect("a block");
    }
    let channel = pocket_runtime::grpc::channel(&running.control_addr.to_string(), crate::world::DEADLINE).unwrap();
    let mut control = ControlClient::new(channel);
    let manual = SetTimeRequest { mode: TimeMode::Manual.into(), interval_ms: 0 };
    assert_eq!(control.set_time(manual).await.unwrap().into_inner().interval_ms, 10);
    trigger.trigger();
    tokio::time::timeout(crate::world::DEADLINE, running.stopped()).await.expect("it leaves within its grace");
}

#[tokio::test]
async fn control_on_an_open_address_is_refused_unless_it_is_said() {
    let (_trigger, shutdown) = shutdown::channel(std::time::Duration::ZERO);
    let mut settings = settings();
    "0.0.0.0:0".clone_into(&mut settings.control_addr);
    let error = pocket_devnet::Devnet::start(&settings, &shutdown).await.expect_err("it would be open to others");
    assert!(pocket_runtime::process::chain(&error).contains("loopback"), "{error}");
    settings.control_open = true;
    pocket_devnet::Devnet::start(&settings, &shutdown).await.expect("it was said");
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting() {
    let world = World::open().await;
    let (_trigger, shutdown) = shutdown::channel(std::time::Duration::ZERO);
    let mut settings = settings();
    settings.rpc_addr = world.bound.rpc_addr.to_string();
    let error = pocket_devnet::Devnet::start(&settings, &shutdown).await.expect_err("the port is taken");
    let text = pocket_runtime::process::chain(&error);
    assert!(text.contains("rpc_addr") && text.contains("taken"), "{text}");
}
