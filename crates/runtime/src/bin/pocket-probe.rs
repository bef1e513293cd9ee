//! `pocket-probe http://127.0.0.1:9190/readyz`: ends with 0 when the answer is 200, and with 1 otherwise.
//!
//! Health checks run inside an image, and ours hold no shell and no other client.

use std::process::ExitCode;
use std::time::Duration;

use pocket_runtime::net;
use pocket_runtime::process::{self, Exit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const NAME: &str = "pocket-probe";

/// Longest wait for the whole answer. Whoever calls has a limit of its own, which is shorter.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read of an answer: its first line.
const STATUS_LINE_BYTES: usize = "HTTP/1.1 200".len();

fn main() -> ExitCode {
    process::run(NAME, async {
        let mut arguments = std::env::args().skip(1);
        let (Some(url), None) = (arguments.next(), arguments.next()) else { return Exit::Usage };
        let Some((host_port, path)) = parts(&url) else { return Exit::Usage };
        match tokio::time::timeout(PATIENCE, ask(host_port, path)).await {
            Ok(Ok(true)) => Exit::Success,
            Ok(Ok(false) | Err(_)) | Err(_) => Exit::Failure,
        }
    })
}

/// Splits `http://host:port/path`.
fn parts(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let at = rest.find('/')?;
    let (host_port, path) = rest.split_at(at);
    host_port.contains(':').then_some((host_port, path))
}

/// Whether the answer is 200.
async fn ask(host_port: &str, path: &str) -> std::io::Result<bool> {
    let mut stream = net::connect(host_port).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host_port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; STATUS_LINE_BYTES];
    stream.read_exact(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.") && answer.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_addresses_are_asked() {
        assert_eq!(parts("http://127.0.0.1:9190/readyz"), Some(("127.0.0.1:9190", "/readyz")));
        for wrong in ["https://127.0.0.1:1/x", "http://127.0.0.1/x", "http://127.0.0.1:1", "127.0.0.1:1/x"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
