//! The proxy that knows commands, before a real server and under a real client.

use std::time::Duration;

use anyhow::ensure;
use pocket_testbed::proxy::{Command, Cut, Loss, Redis};
use pocket_testbed::{Config, RedisServer, Version};
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

struct House {
    server: RedisServer,
    proxy: Redis,
}

/// The protocols that a client may speak, as a URL asks for them.
const PROTOCOLS: [&str; 2] = ["resp2", "resp3"];

impl House {
    async fn start(version: Version) -> anyhow::Result<Self> {
        let server = RedisServer::start(version, Config::forgetful()).await?;
        let proxy = Redis::start(&server.tcp_url()).await?;
        Ok(Self { server, proxy })
    }

    async fn connect(&self, protocol: &str) -> anyhow::Result<MultiplexedConnection> {
        let client = redis::Client::open(format!("{}?protocol={protocol}", self.proxy.url()))?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    fn value(&self, key: &str) -> anyhow::Result<String> {
        let answer = self.server.command(&["GET", key])?;
        Ok(answer.lines().nth(1).unwrap_or("nothing").to_owned())
    }
}

async fn incr(mut connection: MultiplexedConnection, key: &str) -> redis::RedisResult<i64> {
    redis::cmd("INCR").arg(key).query_async(&mut connection).await
}

pub(crate) async fn loses_a_reply(version: Version) -> anyhow::Result<()> {
    for protocol in PROTOCOLS {
        let house = House::start(version).await?;
        let connection = house.connect(protocol).await?;
        let mut seen = 0;
        house.proxy.lose(Loss::Reply(Cut::Reset), move |command| {
            seen += i32::from(command.is("incr") && command.mentions("counter"));
            seen == 3
        });
        // All on one connection, most of them in one segment.
        let all = ["first", "counter", "counter", "other", "counter", "after"];
        let answers = futures_util::future::join_all(all.map(|key| incr(connection.clone(), key))).await;
        let arrived: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        ensure!(arrived == [true, true, true, true, false, false], "{protocol}: {answers:?}");
        ensure!(house.value("counter")? == "3", "the command has taken effect");
        ensure!(house.proxy.lost() == 1);
        let again = incr(house.connect(protocol).await?, "counter").await?;
        ensure!(again == 4, "it is lost once");
    }
    Ok(())
}

pub(crate) async fn loses_a_command(version: Version) -> anyhow::Result<()> {
    let house = House::start(version).await?;
    let connection = house.connect("resp3").await?;
    house.proxy.lose(Loss::Command(Cut::Reset), |command| command.is("INCR"));
    ensure!(incr(connection, "counter").await.is_err());
    ensure!(house.value("counter")? == "nothing", "the command has no effect");
    ensure!(incr(house.connect("resp3").await?, "counter").await? == 1);
    Ok(())
}

pub(crate) async fn withholds_a_reply(version: Version) -> anyhow::Result<()> {
    let house = House::start(version).await?;
    let connection = house.connect("resp3").await?;
    let late = Duration::from_millis(100);
    house.proxy.lose(Loss::Late(late), |command| command.is("INCR"));
    let before = Instant::now();
    ensure!(incr(connection.clone(), "counter").await? == 1);
    ensure!(before.elapsed() >= late);
    ensure!(incr(connection, "counter").await? == 2, "the connection goes on");
    Ok(())
}

pub(crate) async fn knows_scripts(version: Version) -> anyhow::Result<()> {
    let house = House::start(version).await?;
    let mut connection = house.connect("resp3").await?;
    let text = "-- counts\nreturn redis.call('INCR', KEYS[1])";
    let digest: String = redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await?;
    house.proxy.lose(Loss::Reply(Cut::Close), |command: &Command| command.runs("-- counts"));
    ensure!(incr(connection.clone(), "counter").await? == 1, "another command passes");
    let mut run = redis::cmd("EVALSHA");
    run.arg(&digest).arg(1).arg("counter");
    let answer: redis::RedisResult<i64> = run.query_async(&mut connection).await;
    ensure!(answer.is_err());
    ensure!(house.value("counter")? == "2");
    Ok(())
}

pub(crate) async fn passes_what_comes_unasked(version: Version) -> anyhow::Result<()> {
    for protocol in PROTOCOLS {
        let house = House::start(version).await?;
        let client = redis::Client::open(format!("{}?protocol={protocol}", house.proxy.url()))?;
        let mut subscriber = client.get_async_pubsub().await?;
        subscriber.subscribe("news").await?;
        let mut publisher = house.connect(protocol).await?;
        for word in ["one", "two"] {
            let heard: i64 = redis::cmd("PUBLISH").arg("news").arg(word).query_async(&mut publisher).await?;
            ensure!(heard == 1);
        }
        let heard: Vec<String> = {
            use futures_util::StreamExt as _;
            subscriber.on_message().take(2).map(|message| message.get_payload().unwrap_or_default()).collect().await
        };
        ensure!(heard == ["one", "two"], "{protocol}: {heard:?}");
    }
    Ok(())
}
