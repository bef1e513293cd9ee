//! Strangers who invent sessions and rings by the thousand: what they can make of the node, and of those served beside
//! them.

use std::time::Duration;

use futures_util::future::join_all;
use pocket_chain::Session;
use pocket_crypto::keys::SecretKey;
use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};
use pocket_proto::pocket::service::RelayRequest;
use pocket_protocol::relay;
use pocket_runtime::clock;
use pocket_runtime::net::TcpStream;

use crate::support::{Options, Shape, World, key, over_http1, stranger, unique, until, world};

const SESSION: &str = "/pocket.session.Query/GetSession";
const APPLICATION: &str = "/pocket.application.Query/Application";
const PARAMS: &str = "/pocket.shared.Query/ParamsAtHeight";

/// Longer than any test takes.
const NEVER: Duration = Duration::from_hours(1);

/// Lets the node answer questions of one kind so much later.
fn delay(world: &World, target: &str, by: Duration) -> String {
    let delay_ms = u64::try_from(by.as_millis()).expect("short");
    let fault = Fault { kind: FaultKind::Delay.into(), target: target.to_owned(), delay_ms, ..Fault::default() };
    world.devnet.running.chain.fault(fault).expect("a fault")
}

/// How often the node has been asked what a fault concerns.
fn asked(world: &World, fault: &str) -> u64 {
    world.devnet.running.chain.faults().iter().find(|one| one.id == fault).map_or(0, |one| one.struck)
}

/// A request of an application that does not exist, for a session of these heights that does not either, signed by
/// nobody.
fn forged(world: &World, session: &Session, application: &str, (start, end): (i64, i64)) -> RelayRequest {
    let mut shape = world.shape_in(session);
    application.clone_into(&mut shape.header.application_address);
    shape.header.session_id = hex::encode([7; 32]);
    (shape.header.session_start_block_height, shape.header.session_end_block_height) = (start, end);
    let mut request = shape.unsigned();
    request.meta.as_mut().expect("set").signature = vec![1; 199].into();
    request
}

fn nobody() -> String {
    SecretKey::from_secret(&unique().to_be_bytes()).address().to_string()
}

/// Callers who wait for answers that do not come.
async fn flood(world: &World, requests: &[RelayRequest]) -> Vec<TcpStream> {
    join_all(requests.iter().map(|request| over_http1(world, relay::request_bytes(request)))).await
}

async fn busy(world: &World) -> i64 {
    world.metric("pocket_relayer_rejections_total{fault=\"operator\",reason=\"busy\"}").await
}

/// Sends good relays of a session that is warm, some at a time, and checks every answer; returns how many a second.
async fn honest_rate(world: &World, relays: usize) -> f64 {
    let session = world.session().await;
    let requests: Vec<RelayRequest> = (0..relays).map(|_| world.shape_in(&session).signed()).collect();
    let begun = clock::now();
    for some in requests.chunks(8) {
        for reply in join_all(some.iter().map(|request| world.send(request))).await {
            reply.verified("supplier1");
        }
    }
    f64::from(u32::try_from(relays).expect("few")) / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn heights_of_no_session_never_reach_the_node() {
    let world = world(Options::default()).await;
    world.advance(20).await;
    let session = world.session().await;
    let (start, end) = (session.start(), session.end());
    let faults = [SESSION, APPLICATION, PARAMS].map(|target| delay(&world, target, Duration::from_millis(1)));
    for shift in 1..=500 {
        // None of these is a session near height 23; all of them are near enough to be plausible.
        for (start, end) in [(start, end + shift), (start - shift, end), (start - 2 * shift, start - shift)] {
            if start <= 0 || (end - start, start % 10) == (9, 1) {
                continue;
            }
            let reply = world.send(&forged(&world, &session, &nobody(), (start, end))).await;
            assert_eq!(reply.status, 403, "{start} to {end}: {}", reply.text());
        }
    }
    let [sessions, applications, params] = faults.map(|fault| asked(&world, &fault));
    assert_eq!((sessions, applications), (0, 0));
    assert!(params <= 3, "parameters were read {params} times, for the current session and the two before");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_application_is_asked_for_once_a_block_whatever_session_it_names() {
    let world = world(Options::default()).await;
    world.advance(8).await;
    // Height 11: the session before may still be asked for, at its end, and the current one at its start. The test's own
    // questions have been answered.
    let session = world.session().await;
    let fault = [SESSION, APPLICATION].map(|target| delay(&world, target, Duration::from_millis(1)));
    let application = nobody();
    let ask = async |start, end| {
        let reply = world.send(&forged(&world, &session, &application, (start, end))).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(reply.text().contains("not found"), "{}", reply.text());
    };
    for _ in 0..20 {
        ask(1, 10).await;
        ask(11, 20).await;
    }
    assert_eq!(fault.each_ref().map(|fault| asked(&world, fault)), [0, 1]);
    world.advance(1).await;
    ask(11, 20).await;
    assert_eq!(fault.each_ref().map(|fault| asked(&world, fault)), [0, 2], "a new block, a new question");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_relays_go_on_while_forged_sessions_wait_for_the_node() {
    const FORGED: usize = 400;
    const WAITING: usize = 300;
    let settings = format!("limits: {{relays_in_flight_max: 32, session_lookups_waiting_max: {WAITING}}}");
    let world = world(Options { settings, ..Options::default() }).await;
    let session = world.session().await;
    let before = honest_rate(&world, 200).await;

    for target in [SESSION, APPLICATION] {
        delay(&world, target, NEVER);
    }
    let mut requests = Vec::new();
    for _ in 0..FORGED {
        requests.push(forged(&world, &session, &nobody(), (session.start(), session.end())));
    }
    let callers = flood(&world, &requests).await;
    // As many as may wait do, the others are told at once to come later.
    let too_many = i64::try_from(FORGED - WAITING).expect("few");
    until("the queue is full", || async { busy(&world).await == too_many }).await;
    let waiting = i64::try_from(WAITING).expect("few");
    until("the others wait", || async { world.metric("ha_relayer_active_connections").await == waiting }).await;

    let during = honest_rate(&world, 200).await;
    println!("{before:.0} honest relays a second before the flood, {during:.0} during it: {:.2}", during / before);
    assert_eq!(busy(&world).await, too_many, "no honest relay was refused");
    assert_eq!(world.metric("ha_relayer_active_connections").await, waiting, "the forged ones still wait");
    drop(callers);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_was_served_does_not_wait_behind_strangers() {
    let settings = "limits: {session_lookups_waiting_max: 100}".to_owned();
    let world = world(Options { settings, ..Options::default() }).await;
    world.relay("/").await.verified("supplier1");
    // In the next session, strangers fill their queue before our application is seen.
    let session = world.session().await;
    world.advance(10).await;
    let stall = delay(&world, APPLICATION, NEVER);
    let mut requests = Vec::new();
    for _ in 0..101 {
        requests.push(forged(&world, &session, &nobody(), (11, 20)));
    }
    let callers = flood(&world, &requests).await;
    until("the strangers' queue is full", || async { busy(&world).await == 1 }).await;
    // Those that ask already go on waiting; whoever asks from now on is answered.
    world.devnet.running.chain.clear_faults(&[stall]);
    world.relay("/").await.verified("supplier1");
    drop(callers);
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_relays_go_on_while_forged_rings_wait_for_the_node() {
    let settings = "limits: {relays_in_flight_max: 8, session_lookups_waiting_max: 100}".to_owned();
    let world = world(Options { settings, ..Options::default() }).await;
    world.relay("/").await.verified("supplier1");
    // A new block, in which a ring may be read again.
    world.advance(1).await;
    delay(&world, APPLICATION, NEVER);
    let mut requests = Vec::new();
    for _ in 0..50 {
        let ring = vec![stranger().public_key(), key("gateway1").public_key()];
        requests.push(Shape { ring, signer: stranger(), ..world.shape().await }.signed());
    }
    let callers = flood(&world, &requests).await;
    until("they wait", || async { world.metric("ha_relayer_active_connections").await == 50 }).await;
    honest_rate(&world, 40).await;
    assert_eq!(busy(&world).await, 0);
    assert_eq!(world.metric("ha_relayer_active_connections").await, 50, "the forged ones still wait");
    drop(callers);
}
