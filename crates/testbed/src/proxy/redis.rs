//! The proxy that knows commands and their replies.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::carry::{Act, Wire};
use super::{Cut, Tcp, resp};

/// A command on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name and arguments.
    pub words: Vec<Bytes>,
    /// Text of the script that it runs, as far as it was sent through this proxy, by `EVAL` or by `SCRIPT LOAD` before.
    pub script: Option<Bytes>,
}

impl Command {
    /// Whether this is its name, in either case.
    pub fn is(&self, name: &str) -> bool {
        self.words.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Whether an argument contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        self.words.iter().skip(1).any(|word| contains(word, text))
    }

    /// Whether it runs a script that contains this text.
    pub fn runs(&self, text: &str) -> bool {
        self.script.as_ref().is_some_and(|script| contains(script, text))
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What is lost of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The command takes effect; its reply is swallowed and the connection cut. Replies to commands before it on the same
    /// connection arrive; those after it share its fate.
    Reply(Cut),
    /// The command takes effect; its reply, and all that come after it on the same connection, are this late.
    Late(Duration),
    /// The command does not reach the server, and the connection is cut. Those before it on the same connection do reach
    /// it, but their replies may be lost.
    Command(Cut),
}

type Predicate = Box<dyn FnMut(&Command) -> bool + Send>;

struct Rule {
    chosen: Predicate,
    loss: Loss,
}

/// What all connections of a proxy share.
struct Rules {
    // Each is used once, by the first command that it chooses. Never held over an await.
    waiting: Mutex<Vec<Rule>>,
    // How many have been used.
    used: watch::Sender<u64>,
    // Texts of scripts by digest, as `SCRIPT LOAD` was answered.
    scripts: Mutex<HashMap<Bytes, Bytes>>,
}

/// A proxy between clients and a Redis server. All controls of [`Tcp`] work too.
///
/// It follows RESP 2 and 3, pipelines, and commands of all tasks on one connection. Where a client of RESP 2 subscribes or
/// monitors, its connection passes as bytes from then on; `CLIENT REPLY` is not understood.
pub struct Redis {
    tcp: Tcp,
    rules: Arc<Rules>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Deref for Redis {
    type Target = Tcp;

    fn deref(&self) -> &Tcp {
        &self.tcp
    }
}

impl Redis {
    /// Starts a proxy to the server at `upstream`, as `host:port` or as a URL such as [`crate::RedisServer::tcp_url`].
    ///
    /// # Errors
    /// A machine without a free port.
    pub async fn start(upstream: &str) -> anyhow::Result<Self> {
        let upstream = upstream.strip_prefix("redis://").unwrap_or(upstream).trim_end_matches('/').to_owned();
        let rules = Arc::new(Rules {
            waiting: Mutex::new(Vec::new()),
            used: watch::Sender::new(0),
            scripts: Mutex::new(HashMap::new()),
        });
        let shared = rules.clone();
        let make = move |_| -> Box<dyn Wire> { Box::new(Conversation::new(shared.clone())) };
        Ok(Self { tcp: Tcp::with(upstream, Arc::new(make)).await?, rules })
    }

    /// Returns `redis://127.0.0.1:PORT` of the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.tcp.address())
    }

    /// Loses the next command that `chosen` says yes to, once. Asked about each command of each connection until then, so
    /// `chosen` may also count.
    pub fn lose(&self, loss: Loss, chosen: impl FnMut(&Command) -> bool + Send + 'static) {
        let rule = Rule { chosen: Box::new(chosen), loss };
        self.rules.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Returns how many commands or replies have been lost.
    pub fn lost(&self) -> u64 {
        *self.rules.used.borrow()
    }

    /// Waits until so many have been lost. A reply is lost when the server has given it, so its command has taken effect.
    pub async fn has_lost(&self, count: u64) {
        // An error would say that the rules are gone, which live as long as this handle.
        let _ = self.rules.used.subscribe().wait_for(|used| *used >= count).await;
    }
}

impl Rules {
    fn loss_of(&self, command: &Command) -> Option<Loss> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.iter_mut().position(|rule| (rule.chosen)(command))?;
        Some(waiting.remove(index).loss)
    }

    fn count(&self) {
        self.used.send_modify(|used| *used += 1);
    }

    fn script(&self, words: &[Bytes]) -> Option<Bytes> {
        let (name, argument) = (words.first()?.to_ascii_uppercase(), words.get(1)?);
        match &*name {
            b"EVAL" | b"EVAL_RO" => Some(argument.clone()),
            b"EVALSHA" | b"EVALSHA_RO" => {
                let digest = argument.to_ascii_lowercase();
                self.scripts.lock().unwrap_or_else(PoisonError::into_inner).get(&*digest).cloned()
            }
            _ => None,
        }
    }
}

/// What a reply that comes is the answer to.
enum Pending {
    Passes,
    // `SCRIPT LOAD` of this text.
    Digest(Bytes),
    Lost(Loss),
}

/// One client's connection.
struct Conversation {
    rules: Arc<Rules>,
    // One for each command that was passed on and has no reply yet, in order.
    pending: VecDeque<Pending>,
    // Whether the client has asked for RESP 3, where what the server says unasked is marked.
    marked: bool,
    // Whether messages come that answer no command: then they cannot be told from replies.
    unasked: bool,
    // Whether the connection is about to be cut.
    over: bool,
}

impl Conversation {
    fn new(rules: Arc<Rules>) -> Self {
        Self { rules, pending: VecDeque::new(), marked: false, unasked: false, over: false }
    }

    fn command(&mut self, message: Bytes, acts: &mut Vec<Act>) {
        let words = resp::words(&message);
        let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        let argument = words.get(1).cloned().unwrap_or_default();
        match &*name {
            // An empty line is no command.
            b"" => return acts.push(Act::ToServer(message)),
            b"HELLO" => self.marked = &*argument == b"3",
            b"MONITOR" => self.unasked = true,
            b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => {
                // Answered by marked messages alone, or from now on by messages that look like replies.
                self.unasked |= !self.marked;
                return acts.push(Act::ToServer(message));
            }
            _ => {}
        }
        let loads = &*name == b"SCRIPT" && argument.eq_ignore_ascii_case(b"LOAD");
        let loaded = words.get(2).filter(|_| loads).cloned();
        let script = self.rules.script(&words);
        let loss = self.rules.loss_of(&Command { words, script });
        if let Some(Loss::Command(cut)) = loss {
            self.rules.count();
            self.over = true;
            return acts.push(Act::CutAfterRequests(cut));
        }
        self.pending.push_back(match (loss, loaded) {
            (Some(loss), _) => Pending::Lost(loss),
            (None, Some(text)) => Pending::Digest(text),
            (None, None) => Pending::Passes,
        });
        acts.push(Act::ToServer(message));
    }

    fn reply(&mut self, message: Bytes, acts: &mut Vec<Act>) {
        if message.starts_with(b">") {
            return acts.push(Act::ToClient(message));
        }
        match self.pending.pop_front().unwrap_or(Pending::Passes) {
            Pending::Lost(Loss::Reply(cut)) => {
                self.rules.count();
                self.over = true;
                return acts.push(Act::CutAfterAnswers(cut));
            }
            Pending::Lost(Loss::Late(time)) => {
                self.rules.count();
                acts.push(Act::ClientWaits(time));
            }
            Pending::Digest(text) => {
                if let Some(digest) = resp::text(&message) {
                    self.rules.scripts.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, text);
                }
            }
            Pending::Passes | Pending::Lost(Loss::Command(_)) => {}
        }
        acts.push(Act::ToClient(message));
    }
}

impl Wire for Conversation {
    fn requests(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>) {
        while !self.over && !self.unasked {
            let Some(message) = resp::message(bytes) else { return };
            self.command(message, acts);
        }
        // Nothing more passes before the cut; without one, everything does.
        let rest = bytes.split().freeze();
        if !self.over && !rest.is_empty() {
            acts.push(Act::ToServer(rest));
        }
    }

    fn answers(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>) {
        while !self.over && !self.unasked {
            let Some(message) = resp::message(bytes) else { return };
            self.reply(message, acts);
        }
        let rest = bytes.split().freeze();
        if !self.over && !rest.is_empty() {
            acts.push(Act::ToClient(rest));
        }
    }
}
