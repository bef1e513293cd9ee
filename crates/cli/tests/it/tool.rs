//! Calls of the binary, and a network that ends with its handle.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for anything at all.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn pocket(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pocket")).args(args).output().expect("the binary runs")
}

#[track_caller]
pub(crate) fn good(args: &[&str]) -> String {
    let output = pocket(args);
    let (out, err) = words(&output);
    assert!(output.status.success(), "{args:?}: {}\n{out}\n{err}", output.status);
    out
}

#[track_caller]
pub(crate) fn good_json(args: &[&str]) -> Value {
    let out = good(args);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
}

/// The exit code and what was said on stderr.
#[track_caller]
pub(crate) fn refused(args: &[&str]) -> (i32, String) {
    let output = pocket(args);
    let (out, err) = words(&output);
    assert!(!output.status.success(), "{args:?} was not refused: {out}");
    (output.status.code().expect("not killed"), err)
}

fn words(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// `pocket up --json` on free ports.
pub(crate) struct Network {
    child: Child,
    lines: Receiver<Value>,
    pub(crate) started: Value,
}

impl Network {
    pub(crate) fn up(more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pocket"))
            .args(["up", "--json", "--ports", "auto"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = follow(child.stdout.take().expect("piped"));
        let started = lines.recv_timeout(DEADLINE).expect("a first line");
        Self { child, lines, started }
    }

    pub(crate) fn at(&self, door: &str) -> &str {
        self.started["addresses"][door].as_str().unwrap_or_else(|| panic!("no {door} in {}", self.started))
    }

    pub(crate) fn url(&self) -> &str {
        self.started["gateway_url"].as_str().expect("a URL")
    }

    /// Waits for a line.
    pub(crate) fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let line = self.lines.recv_timeout(left).expect("the line comes in time");
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Asks it to leave, as Ctrl-C does, and returns its last line.
    pub(crate) fn interrupt(mut self) -> Value {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
        let last = self.line(|line| line["event"] == "stopped");
        assert!(self.child.wait().expect("it ends").success());
        last
    }

    /// Ends it without a word of warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(out: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if sender.send(value).is_err() {
                return;
            }
        }
    });
    receiver
}
