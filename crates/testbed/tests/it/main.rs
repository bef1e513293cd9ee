//! Private servers do as they are told.

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use pocket_testbed::redis::Need;
use pocket_testbed::{Config, RedisServer, Version, needs};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for version in Version::ALL {
        let mut add = |name: &str, test: fn(Version) -> anyhow::Result<()>| {
            let need = needs(version);
            let ignored = matches!(need, Need::Skip { .. });
            let name = format!("{version}::{name}");
            let run = move || match need {
                Need::Fail { reason } => Err(Failed::from(reason)),
                _ => test(version).map_err(|error| Failed::from(format!("{error:#}"))),
            };
            trials.push(Trial::test(name, run).with_ignored_flag(ignored));
        };
        add("a_durable_server_keeps_its_data_over_kill", |version| run(keeps(version)));
        add("a_paused_server_is_silent_until_resumed", |version| run(pauses(version)));
        add("a_dropped_server_is_gone", |version| run(goes(version)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test)
}

async fn keeps(version: Version) -> anyhow::Result<()> {
    let mut server = RedisServer::start(version, Config::durable()).await?;
    anyhow::ensure!(server.command(&["SET", "key", "value"])?.contains("OK"));
    server.restart().await?;
    anyhow::ensure!(server.command(&["GET", "key"])?.contains("value"), "the server forgot");
    Ok(())
}

async fn pauses(version: Version) -> anyhow::Result<()> {
    let server = RedisServer::start(version, Config::forgetful()).await?;
    server.pause()?;
    let silent = std::os::unix::net::UnixStream::connect(server.folder().join("redis.sock")).and_then(|mut stream| {
        use std::io::{Read as _, Write as _};
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        stream.write_all(b"PING\r\n")?;
        stream.read(&mut [0; 16])
    });
    anyhow::ensure!(silent.is_err(), "a paused server answered");
    server.resume()?;
    anyhow::ensure!(server.command(&["PING"])?.contains("PONG"));
    Ok(())
}

async fn goes(version: Version) -> anyhow::Result<()> {
    let server = RedisServer::start(version, Config::forgetful()).await?;
    let folder = server.folder().to_owned();
    drop(server);
    anyhow::ensure!(!folder.exists(), "its folder is still there");
    Ok(())
}
