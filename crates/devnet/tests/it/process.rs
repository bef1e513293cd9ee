//! The process itself: killed without warning, again and again.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(20);
const KILLS: usize = 12;

struct Process {
    child: Child,
    rpc: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts the process and waits until it says where it listens.
    fn start(config: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_pocket-devnet"))
            .arg("--config")
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // From here on the process ends when this does.
        let mut process = Self { child, rpc: String::new() };
        let (sender, lines) = std::sync::mpsc::channel();
        for stream in [
            Box::new(process.child.stdout.take().unwrap()) as Box<dyn std::io::Read + Send>,
            Box::new(process.child.stderr.take().unwrap()),
        ] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let mut heard = Vec::new();
        loop {
            let Ok(line) = lines.recv_timeout(DEADLINE) else { panic!("the process did not start: {heard:#?}") };
            if let Ok(event) = serde_json::from_str::<Value>(&line)
                && let Some(rpc) = event["rpc"].as_str()
            {
                rpc.clone_into(&mut process.rpc);
                return process;
            }
            heard.push(line);
        }
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.rpc).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: devnet\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        // The body may come in chunks; what is between the outermost braces is the answer.
        let (from, to) = (body.find('{').unwrap(), body.rfind('}').unwrap());
        let body: String =
            body[from..=to].lines().filter(|line| !line.chars().all(|one| one.is_ascii_hexdigit())).collect();
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// Returns height and hash of the newest block.
    fn newest(&self) -> (i64, String) {
        let sync = self.get("/status")["result"]["sync_info"].clone();
        let height = sync["latest_block_height"].as_str().unwrap().parse().unwrap();
        (height, sync["latest_block_hash"].as_str().unwrap().to_owned())
    }

    fn hash_at(&self, height: i64) -> String {
        let block = self.get(&format!("/block?height={height}"));
        block["result"]["block_id"]["hash"].as_str().unwrap_or_else(|| panic!("{block}")).to_owned()
    }

    fn wait_for(&self, height: i64) -> (i64, String) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let newest = self.newest();
            if newest.0 >= height {
                return newest;
            }
            assert!(Instant::now() < deadline, "height {height} did not come");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_killed_process_goes_on_from_the_height_and_hash_it_had_announced() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("devnet.json");
    let settings = serde_json::json!({
        "data_dir": folder.path().join("data"),
        "block_time_ms": 5,
        "grpc_addr": "127.0.0.1:0",
        "rpc_addr": "127.0.0.1:0",
        "rest_addr": "127.0.0.1:0",
        "control_addr": "127.0.0.1:0",
        "metrics": { "enabled": false },
        "limits": { "checkpoint_blocks": 7 },
    });
    std::fs::write(&config, settings.to_string()).unwrap();
    let seed = pocket_runtime::random::u64();
    println!("seed {seed}");
    let mut random = seed;
    let mut announced = (0, String::new());
    for kill in 0..KILLS {
        let mut process = Process::start(&config);
        if announced.0 > 0 {
            assert_eq!(process.hash_at(announced.0), announced.1, "kill {kill}, seed {seed}");
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let blocks = i64::try_from(random >> 60).unwrap() + 1;
        announced = process.wait_for(announced.0 + blocks);
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }
    println!("height {} after {KILLS} kills", announced.0);
}
