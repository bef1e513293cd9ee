//! What bodies of strangers cost in memory: as much as came of them, and not what a decoder would make of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pocket_chain::Chain;
use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};
use pocket_protocol::relay;
use pocket_runtime::http::{Method, Request};
use pocket_runtime::net::{self, TcpStream};
use pocket_runtime::{fs, shutdown, task};
use tokio::io::AsyncWriteExt;

use crate::support::{PATIENCE, SERVICE, Shape, address, client, key, stranger, until};

/// Callers at once, and what each of them sends.
const CALLERS: usize = 1_000;
const BODY_BYTES: usize = 10 << 20;

/// What the relayer may hold of bodies.
const HELD_BYTES_MAX: usize = 128 << 20;

/// What a connection takes for itself: its buffer for reading, 64 KiB, and its tasks.
const CONNECTION_BYTES: usize = 128 << 10;

/// A relayer in a process of its own, ended with this handle.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts one and waits until it says where it serves.
    async fn start(settings: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pocket-relayer"))
            .args(["--config", &settings.display().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (tell, told) = tokio::sync::oneshot::channel();
        // Reads on to the end, so that the process never waits for its reader.
        drop(task::blocking("test relayer log", move || {
            let mut tell = Some(tell);
            for line in lines.map_while(Result::ok) {
                if let Some(tell) = tell.take_if(|_| line.contains("relayer serves")) {
                    let _ = tell.send(line);
                }
            }
        }));
        let text = tokio::time::timeout(PATIENCE, told).await.expect("in time").expect("it serves");
        let (_, rest) = text.split_once("\"addr\":\"").expect("an address");
        let addr = rest.split('"').next().expect("the rest of a text").parse().expect("an address");
        Self { child, addr }
    }

    /// The most memory it has had so far.
    fn peak_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }
}

/// A payload of headers without values, as many as there is room for, each with a name of its own.
fn tiny_entries(bytes: usize) -> Vec<u8> {
    (0..bytes / 7)
        .flat_map(|number: usize| {
            let digit = |place: usize| u8::try_from(number >> (7 * place) & 0x7f).expect("7 bits");
            [0x12, 5, 0x0a, 3, digit(0), digit(1), digit(2)]
        })
        .collect()
}

/// Sends a body as far as it is taken; returns how many bytes that were, and the connection.
async fn send(addr: SocketAddr, body: Arc<Vec<u8>>) -> (usize, TcpStream) {
    let mut stream = net::connect(&addr.to_string()).await.expect("connects");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut sent = 0;
    if stream.write_all(head.as_bytes()).await.is_ok() {
        while sent < body.len() {
            match stream.write(&body[sent..]).await {
                Ok(count) if count > 0 => sent += count,
                _ => break,
            }
        }
    }
    (sent, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_strangers_take_at_most_twice_their_bytes() {
    let devnet = pocket_testbed::devnet("blocks: manual").await.expect("a chain");
    devnet.running.chain.advance(3).expect("blocks");
    let (_trigger, leaving) = shutdown::channel(Duration::ZERO);
    let chain = Chain::connect(&devnet.node(), PATIENCE, &leaving).await.expect("the chain answers");
    let session = chain.session(&address("app1"), SERVICE, 3).await.expect("a session");
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.yaml");
    fs::write_private(&keys, format!("keys: [{}]\n", *key("supplier1").to_hex_secret()).as_bytes()).expect("a file");
    let (rpc, grpc) = (devnet.running.rpc_addr, devnet.running.grpc_addr);
    let settings = format!(
        "listen_addr: 127.0.0.1:0\n\
         keys: {{keys_file: \"{}\"}}\n\
         pocket_node: {{query_node_rpc_url: \"http://{rpc}\", query_node_grpc_url: \"http://{grpc}\", query_timeout_seconds: 600}}\n\
         store: {{kind: embedded}}\n\
         metrics: {{enabled: false}}\n\
         health_check: {{enabled: false}}\n\
         services: {{{SERVICE}: {{backends: {{jsonrpc: {{url: \"http://127.0.0.1:1\"}}}}}}}}\n\
         limits: {{body_bytes_held_max: {HELD_BYTES_MAX}, tx_bytes_max: {}, client_timeout_ms: 300000}}\n",
        keys.display(),
        2 * BODY_BYTES,
    );
    let file = folder.path().join("relayer.yaml");
    fs::write_atomic(&file, settings.as_bytes()).expect("a file");
    let relayer = Process::start(&file).await;

    // What is sent is a whole request with a known supplier, so that it is looked at as far as the application.
    let shape = |payload: Vec<u8>| Shape {
        header: session.header.clone(),
        supplier: address("supplier1"),
        payload,
        ring: vec![key("app1").public_key(), key("gateway1").public_key()],
        signer: key("gateway1"),
    };
    let signed = shape(tiny_entries(BODY_BYTES - 1_000)).signed();
    let mut forged = signed.clone();
    let header = forged.meta.as_mut().expect("set").session_header.as_mut().expect("set");
    header.application_address = stranger().address().to_string();
    header.session_id = hex::encode([7; 32]);
    let forged = Arc::new(relay::request_bytes(&forged));
    let before = relayer.peak_bytes();

    // Nothing is known of the application until all have come: what is taken of them is held at the same time.
    let stall = |target: &str| {
        let delay_ms = 3_600_000;
        let fault = Fault { kind: FaultKind::Delay.into(), target: target.to_owned(), delay_ms, ..Fault::default() };
        devnet.running.chain.fault(fault).expect("a fault");
    };
    stall("/pocket.session.Query/GetSession");
    stall("/pocket.application.Query/Application");
    let callers = join_all((0..CALLERS).map(|_| task::spawn("test caller", send(relayer.addr, forged.clone())))).await;
    let callers: Vec<_> = callers.into_iter().map(|caller| caller.expect("no panic")).collect();
    let sent: usize = callers.iter().map(|(sent, _)| sent).sum();
    let whole = callers.iter().filter(|(sent, _)| *sent == forged.len()).count();
    let grown = relayer.peak_bytes() - before;
    println!("{CALLERS} callers sent {} MiB, {whole} of them all; memory grew by {} MiB", sent >> 20, grown >> 20);
    assert!(whole > 0, "some were held");
    // Of all that came, no more is held at a time than the budget allows.
    let most = 2 * sent.min(HELD_BYTES_MAX) + CALLERS * CONNECTION_BYTES;
    assert!(grown <= most, "{grown} bytes more, where {most} are the most");
    drop(callers);
    devnet.running.chain.clear_faults(&[]);

    // The same from somebody who may sign: it is counted before it is decoded.
    let signed = relay::request_bytes(&signed);
    let (client, uri) = (client(), format!("http://{}/", relayer.addr));
    until("there is room again", || async {
        let mut request = Request::new(signed.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.parse().expect("a URI");
        client.send(request).await.is_ok_and(|response| response.status() == 400)
    })
    .await;
    let grown = relayer.peak_bytes() - before;
    assert!(grown <= most, "{grown} bytes more, where {most} are the most");
}
