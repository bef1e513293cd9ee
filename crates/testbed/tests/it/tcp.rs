//! The proxy that knows bytes, before a server that says back what it hears.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::ensure;
use pocket_runtime::net::{self, TcpListener, TcpStream};
use pocket_runtime::task::{self, AbortOnDrop, Group};
use pocket_testbed::proxy::{Cut, Flow, Tcp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);

struct Echo {
    address: String,
    _task: AbortOnDrop<()>,
}

async fn echo() -> anyhow::Result<Echo> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr().to_string();
    let task = task::spawn("echo", async move {
        let connections = Group::new("echo connections", 64);
        while let Ok((mut stream, _)) = listener.accept().await {
            let echoed = async move {
                let mut bytes = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                    if stream.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            };
            connections.try_spawn(echoed).expect("few connections");
        }
    });
    Ok(Echo { address, _task: task.abort_on_drop() })
}

/// Returns an echo, a proxy before it, and a connection over which a word has gone there and back.
async fn connected() -> anyhow::Result<(Echo, Tcp, TcpStream)> {
    let echo = echo().await?;
    let proxy = Tcp::start(&echo.address).await?;
    let mut stream = net::connect(&proxy.address().to_string()).await?;
    stream.write_all(b"hello").await?;
    ensure!(heard(&mut stream, 5).await? == b"hello");
    Ok((echo, proxy, stream))
}

async fn heard(stream: &mut TcpStream, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    timeout(LIMIT, stream.read_exact(&mut bytes)).await??;
    Ok(bytes)
}

/// Returns what comes until the connection ends, and how it ends.
async fn last_words(stream: &mut TcpStream) -> anyhow::Result<(Vec<u8>, Option<ErrorKind>)> {
    let mut bytes = Vec::new();
    let ended = timeout(LIMIT, stream.read_to_end(&mut bytes)).await?;
    Ok((bytes, ended.err().map(|error| error.kind())))
}

async fn silent(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(50), stream.read_u8()).await.is_err()
}

pub(crate) async fn cuts() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    proxy.cut(Cut::Reset);
    ensure!(last_words(&mut stream).await? == (vec![], Some(ErrorKind::ConnectionReset)));

    let mut stream = net::connect(&proxy.address().to_string()).await?;
    stream.write_all(b"again").await?;
    ensure!(heard(&mut stream, 5).await? == b"again", "a connection after the cut passes");
    proxy.cut(Cut::Close);
    ensure!(last_words(&mut stream).await? == (vec![], None));
    drop(stream);
    until(|| proxy.counts().open == 0).await?;
    let counts = proxy.counts();
    ensure!((counts.accepted, counts.cut) == (2, 2), "{counts:?}");
    Ok(())
}

async fn until(condition: impl Fn() -> bool) -> anyhow::Result<()> {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    Ok(timeout(LIMIT, wait).await?)
}

pub(crate) async fn refuses() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    let address = proxy.address().to_string();
    for _ in 0..3 {
        proxy.refuse().await;
        let refused = net::connect(&address).await;
        ensure!(refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
        stream.write_all(b"still").await?;
        ensure!(heard(&mut stream, 5).await? == b"still", "an open connection stays");
        proxy.accept().await;
        let mut other = net::connect(&address).await?;
        other.write_all(b"other").await?;
        ensure!(heard(&mut other, 5).await? == b"other");
    }
    Ok(())
}

pub(crate) async fn stalls() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    proxy.stall();
    stream.write_all(b"wait").await?;
    let mut fresh = net::connect(&proxy.address().to_string()).await?;
    fresh.write_all(b"wait too").await?;
    ensure!(silent(&mut stream).await && silent(&mut fresh).await);
    proxy.resume();
    ensure!(heard(&mut stream, 4).await? == b"wait");
    ensure!(heard(&mut fresh, 8).await? == b"wait too");
    Ok(())
}

pub(crate) async fn swallows() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    proxy.answers(Flow::Swallow);
    stream.write_all(b"lost").await?;
    ensure!(silent(&mut stream).await);
    proxy.answers(Flow::Pass);
    stream.write_all(b"lost as well, after a gap").await?;
    ensure!(silent(&mut stream).await);
    let mut fresh = net::connect(&proxy.address().to_string()).await?;
    fresh.write_all(b"fresh").await?;
    ensure!(heard(&mut fresh, 5).await? == b"fresh");
    Ok(())
}

pub(crate) async fn breaks_off() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    proxy.cut_answers_after(7, Cut::Close);
    stream.write_all(b"five.").await?;
    ensure!(heard(&mut stream, 5).await? == b"five.");
    stream.write_all(b"and two more").await?;
    ensure!(last_words(&mut stream).await? == (b"an".to_vec(), None));
    let mut fresh = net::connect(&proxy.address().to_string()).await?;
    fresh.write_all(b"longer than seven").await?;
    ensure!(heard(&mut fresh, 17).await? == b"longer than seven", "it is cut once");
    Ok(())
}

pub(crate) async fn delays() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    proxy.delay(Duration::from_millis(40));
    let before = Instant::now();
    stream.write_all(b"slow").await?;
    ensure!(heard(&mut stream, 4).await? == b"slow");
    ensure!(before.elapsed() >= Duration::from_millis(80));
    Ok(())
}

pub(crate) async fn half_closes() -> anyhow::Result<()> {
    let (_echo, proxy, mut stream) = connected().await?;
    stream.write_all(b"last words").await?;
    stream.shutdown().await?;
    ensure!(last_words(&mut stream).await? == (b"last words".to_vec(), None));
    until(|| proxy.counts().open == 0).await?;
    ensure!(proxy.counts().cut == 0);
    Ok(())
}

pub(crate) async fn goes() -> anyhow::Result<()> {
    let (echo, proxy, mut stream) = connected().await?;
    let address = proxy.address().to_string();
    drop(proxy);
    ensure!(last_words(&mut stream).await?.0.is_empty());
    let refused = async { while net::connect(&address).await.is_ok() {} };
    timeout(LIMIT, refused).await?;
    drop(echo);
    Ok(())
}

pub(crate) async fn upstream_returns() -> anyhow::Result<()> {
    let (echo, proxy, stream) = connected().await?;
    let upstream = echo.address.clone();
    drop((echo, stream));
    let mut lost = net::connect(&proxy.address().to_string()).await?;
    ensure!(last_words(&mut lost).await?.0.is_empty(), "nobody is behind it");
    ensure!(proxy.counts().unreachable == 1);
    let listener = TcpListener::bind(&upstream).await?;
    let mut fresh = net::connect(&proxy.address().to_string()).await?;
    fresh.write_all(b"back").await?;
    let (mut taken, _) = timeout(LIMIT, listener.accept()).await??;
    ensure!(heard(&mut taken, 4).await? == b"back");
    Ok(())
}
