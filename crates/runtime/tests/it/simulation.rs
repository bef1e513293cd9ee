//! The same seed tells the same story; crashes keep what a machine keeps.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use pocket_runtime::http::{Body, Client, Incoming, Request, Response};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::simulation::{Ended, World, event};
use pocket_runtime::{clock, fs, grpc, http, random, task};

use crate::support::{client_options, get, post, serve_options};

const UNTIL: Duration = Duration::from_mins(2);

async fn echo(request: Request<Incoming>) -> Response<Body> {
    event(format!("serves {}", request.uri().path()));
    tokio::time::sleep(Duration::from_millis(random::range(0..20))).await;
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::new(Body::full(body))
}

async fn web() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    http::serve(listener, serve_options(), echo, Shutdown::never()).await;
    Ok(())
}

async fn node() -> Result<(), Box<dyn std::error::Error>> {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("0.0.0.0:9090").await?;
    grpc::serve(listener, tonic::service::Routes::new(health), Shutdown::never()).await?;
    Ok(())
}

async fn visitor(name: usize) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(client_options());
    let channel = grpc::channel("http://node:9090", Duration::from_secs(10))?;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    for turn in 0..10 {
        let sent = Bytes::from(random::u64().to_string());
        let answer = client.send(post("web:8080", &format!("/{name}/{turn}"), sent.clone())).await?;
        assert_eq!(answer.into_body(), sent);
        event(format!("was echoed {sent:?} at {}", clock::unix()));
        let status = health.check(tonic_health::pb::HealthCheckRequest { service: String::new() }).await?;
        event(format!("asked the node: {:?}", status.into_inner().status));
        let counted = task::blocking("count", || 7).await?;
        assert_eq!(counted, 7);
    }
    Ok(())
}

fn story(seed: u64) -> Vec<String> {
    let mut world = World::new(seed);
    world.host("web", web);
    world.host("node", node);
    for name in 0..3 {
        world.client(&format!("visitor-{name}"), visitor(name));
    }
    let ended = world.run(UNTIL).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(ended, Ended::Finished, "seed {seed}");
    world.events()
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_seed_another() {
    let first = story(7);
    assert_eq!(first.len(), 3 * 10 * 3);
    assert_eq!(first, story(7), "seed 7");
    assert_ne!(first, story(8), "seeds 7 and 8");
}

#[test]
fn worlds_on_other_threads_do_not_disturb_each_other() {
    let threads: Vec<_> = [7, 8, 7].map(|seed| std::thread::spawn(move || story(seed))).into_iter().collect();
    let stories: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    assert_eq!(stories[0], stories[2]);
    assert_ne!(stories[0], stories[1]);
    assert_eq!(stories[0], story(7));
}

async fn writer() -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all("/data")?;
    let _lock = fs::Lock::exclusive("/data/lock", "writer")?;
    assert!(
        matches!(fs::Lock::exclusive("/data/lock", "me"), Err(fs::LockError::Held { contents, .. }) if contents == "writer")
    );
    let mut file = fs::append("/data/log")?;
    event(format!("found {} bytes", file.len()));
    file.write_all(b"synced,")?;
    file.sync_data()?;
    file.write_all(b"written,")?;
    fs::write_atomic("/data/whole", b"all of it")?;
    std::future::pending().await
}

#[test]
fn a_crash_keeps_what_was_written_and_a_loss_of_power_what_was_synced() {
    let mut world = World::new(1);
    world.host("writer", writer);
    world.run_until(Duration::from_millis(100)).unwrap();
    world.crash("writer");
    assert!(!world.is_running("writer"));
    assert_eq!(world.read_file("writer", "/data/log").unwrap(), b"synced,written,");
    world.bounce("writer");
    world.run_until(Duration::from_millis(200)).unwrap();
    world.lose_power("writer");
    assert_eq!(world.read_file("writer", "/data/log").unwrap(), b"synced,written,synced,");
    assert_eq!(world.read_file("writer", "/data/whole").unwrap(), b"all of it");
    assert!(world.read_file("writer", "/data/other").is_err());
    let found: Vec<_> = world.events().iter().map(|line| line.split_once("found").unwrap().1.to_owned()).collect();
    assert_eq!(found, [" 0 bytes", " 15 bytes"]);
}

#[test]
fn a_partition_is_felt_and_ends() {
    let mut world = World::new(3);
    world.host("web", web);
    world.client("visitor", async {
        let mut options = client_options();
        options.connect_timeout = Duration::from_secs(1);
        options.request_timeout = Duration::from_secs(2);
        let client = Client::new(options);
        let mut failures = 0;
        while client.send(get("web:8080", "/")).await.is_err() {
            failures += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        event(format!("got through after failing: {}", failures > 0));
        Ok(())
    });
    world.partition("web", "visitor");
    assert_eq!(world.run(Duration::from_secs(10)).unwrap(), Ended::TimeUp);
    world.repair("web", "visitor");
    assert_eq!(world.run(UNTIL).unwrap(), Ended::Finished);
    assert!(world.events().last().unwrap().ends_with("got through after failing: true"));
}

#[test]
fn an_unknown_name_is_refused_and_an_error_names_the_seed() {
    let mut world = World::new(42);
    world.client("visitor", async {
        let error = pocket_runtime::net::connect("nobody:80").await.unwrap_err();
        Err(error.into())
    });
    let error = world.run(UNTIL).unwrap_err().to_string();
    assert!(error.contains("seed 42") && error.contains("no simulated host is called `nobody`"), "{error}");
}
