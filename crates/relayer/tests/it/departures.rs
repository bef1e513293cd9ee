//! Callers that leave: what the backend was put to is charged and logged, whoever still listens.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pocket_protocol::relay;
use pocket_relayer::{Deps, start};
use pocket_runtime::http::{Method, Request};
use pocket_runtime::net;
use pocket_runtime::{shutdown, task};
use tokio::io::AsyncWriteExt;

use crate::support::{Gate, Options, PATIENCE, SERVICE, Shape, World, call, over_http1, settings, until, world};

/// Callers that leave, in all and at a time.
const CALLERS: usize = 1_000;
const AT_ONCE: usize = 100;

/// A share of the stake of 10^10 that covers as many relays of 100,000 upokt as there are callers, and not one more.
const SHARE: f64 = 0.010_005;

/// Bodies of relays that the backend keeps until the gate is opened.
async fn bodies(world: &World, gate: &Gate, count: usize) -> Vec<Vec<u8>> {
    let session = world.session().await;
    let shape = || Shape { payload: call(&gate.path()), ..world.shape_in(&session) };
    (0..count).map(|_| relay::request_bytes(&shape().signed())).collect()
}

/// Waits until the relayer has noticed that nobody listens any more.
async fn nobody_listens(world: &World) {
    until("the relayer has noticed", || async { world.metric("ha_relayer_active_connections").await == 0 }).await;
}

/// What every caller left behind is in the log, and nothing of the allowance is left.
async fn all_are_charged_and_logged(world: &World) {
    let callers = i64::try_from(CALLERS).expect("small");
    until("every relay is in the log", || async {
        let ledger = world.store.ledger(None).await.expect("a ledger");
        assert!(ledger.balances() && ledger.logged <= callers, "{ledger:?}");
        ledger.logged == callers
    })
    .await;
    assert_eq!(world.relay("/").await.status, 429, "their charges took the whole allowance");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_over_http1_is_charged_for_what_the_backend_did() {
    let world = world(Options::default()).await;
    world.store.service_factor_put(Some(SERVICE), SHARE, Duration::from_mins(10)).await.expect("written");
    for round in 1..=CALLERS / AT_ONCE {
        let gate = Gate::shut();
        let mut callers = Vec::new();
        for body in bodies(&world, &gate, AT_ONCE).await {
            callers.push(over_http1(&world, body).await);
        }
        until("the backend has them", || async { world.seen_count() == round * AT_ONCE }).await;
        drop(callers);
        nobody_listens(&world).await;
        gate.open();
    }
    all_are_charged_and_logged(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_resets_its_stream_is_charged_for_what_the_backend_did() {
    let world = world(Options::default()).await;
    world.store.service_factor_put(Some(SERVICE), SHARE, Duration::from_mins(10)).await.expect("written");
    let stream = net::connect(&world.relayer.addr.to_string()).await.expect("connects");
    let (mut sender, connection) =
        http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let _connection = task::spawn("test connection", connection).abort_on_drop();
    for round in 1..=CALLERS / AT_ONCE {
        let gate = Gate::shut();
        let mut callers = FuturesUnordered::new();
        for body in bodies(&world, &gate, AT_ONCE).await {
            let mut request = Request::new(Full::new(Bytes::from(body)));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = format!("http://{}/", world.relayer.addr).parse().expect("a URI");
            sender.ready().await.expect("open");
            callers.push(sender.send_request(request));
        }
        tokio::select! {
            answer = callers.next() => panic!("an answer before the gate was opened: {answer:?}"),
            () = until("the backend has them", || async { world.seen_count() == round * AT_ONCE }) => {}
        }
        // Dropped, each of them resets its stream.
        drop(callers);
        nobody_listens(&world).await;
        gate.open();
    }
    all_are_charged_and_logged(&world).await;
}

#[tokio::test]
async fn shutdown_waits_for_relays_that_nobody_waits_for() {
    let world = world(Options::default()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (trigger, leaving) = shutdown::channel(PATIENCE);
    let deps = Deps { chain: world.chain.clone(), store: world.store.clone() };
    let settings = settings(&Options::default(), world.backend, folder.path());
    let relayer = start(&settings, deps, &leaving).await.expect("the relayer starts");
    let gate = Gate::shut();
    let [body] = &bodies(&world, &gate, 1).await[..] else { panic!("one") };
    let mut caller = net::connect(&relayer.addr.to_string()).await.expect("connects");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    caller.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
    until("the backend has it", || async { world.seen_count() == 1 }).await;
    drop(caller);
    trigger.trigger();
    let mut ended: Pin<Box<dyn Future<Output = ()>>> = Box::pin(relayer.ended());
    let early = tokio::time::timeout(Duration::from_millis(200), &mut ended).await;
    assert!(early.is_err(), "it left before the backend had answered");
    gate.open();
    tokio::time::timeout(PATIENCE, ended).await.expect("it leaves once the relay is done");
    assert_eq!(world.store.ledger(None).await.expect("a ledger").logged, 1);
}
