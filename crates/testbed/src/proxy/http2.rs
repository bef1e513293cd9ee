//! The proxy that knows frames of HTTP/2, with which a node's connection breaks as a node breaks it.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::carry::{Act, Outlet, Wire};
use super::{Cut, Tcp};
use frame::{Frame, Kind};

mod frame;
mod path;

/// `NO_ERROR` (0): a server that leaves in order.
pub const NO_ERROR: u32 = 0x0;
/// `INTERNAL_ERROR` (2).
pub const INTERNAL_ERROR: u32 = 0x2;
/// `REFUSED_STREAM` (7): the call was not worked on.
pub const REFUSED_STREAM: u32 = 0x7;
/// `CANCEL` (8).
pub const CANCEL: u32 = 0x8;
/// `ENHANCE_YOUR_CALM` (11): what servers written in Go say to those who ping too often.
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// What becomes of a call. In every case its request reaches the server, so it may take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `GOAWAY` with this code as the request passes, naming the call as one that was not worked on; no answer follows.
    GoAway(u32),
    /// `RST_STREAM` with this code as the request passes; no answer follows.
    Reset(u32),
    /// `RST_STREAM` with this code instead of the answer, so the call has taken effect.
    ResetAfterEffect(u32),
    /// This status of gRPC instead of the answer, so the call has taken effect.
    Status {
        /// As in `grpc-status`.
        code: u32,
        /// As in `grpc-message`; of plain text without `%`.
        message: String,
    },
    /// The connection is cut instead of the answer, so the call has taken effect.
    CutBeforeAnswer(Cut),
    /// The connection is cut after the first half of the answer's first `DATA` frame.
    CutInBody(Cut),
}

struct Rule {
    // The bytes of the path, both ways they may be written; none for any call.
    needles: Vec<Bytes>,
    skip: usize,
    times: usize,
    call: Call,
}

struct Rules {
    // Never held over an await.
    waiting: Mutex<Vec<Rule>>,
    // How many calls have been broken.
    used: watch::Sender<u64>,
    connections: Mutex<Vec<Weak<Connection>>>,
}

/// A connection, as the proxy's handle sees it.
struct Connection {
    outlet: Outlet,
    // The newest stream of the client; 0 before the first.
    newest: AtomicU32,
}

/// A proxy between clients that speak HTTP/2 with prior knowledge, such as those of gRPC, and their server. All controls of
/// [`Tcp`] work too.
///
/// Headers stay compressed: both sides are asked to compress each call by itself, so that answers can be left out without
/// harm to later ones, and a path is found as the bytes that it is written in.
pub struct Http2 {
    tcp: Tcp,
    rules: Arc<Rules>,
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Deref for Http2 {
    type Target = Tcp;

    fn deref(&self) -> &Tcp {
        &self.tcp
    }
}

impl Http2 {
    /// Starts a proxy to the server at `upstream` (`host:port`).
    ///
    /// # Errors
    /// A machine without a free port.
    pub async fn start(upstream: impl Into<String>) -> anyhow::Result<Self> {
        let rules = Arc::new(Rules {
            waiting: Mutex::new(Vec::new()),
            used: watch::Sender::new(0),
            connections: Mutex::new(Vec::new()),
        });
        let shared = rules.clone();
        let make = move |outlet| -> Box<dyn Wire> { Box::new(Conversation::new(shared.clone(), outlet)) };
        Ok(Self { tcp: Tcp::with(upstream.into(), Arc::new(make)).await?, rules })
    }

    /// Breaks the next call of `path`, such as `/cosmos.tx.v1beta1.Service/BroadcastTx`; empty is any call.
    pub fn break_call(&self, path: &str, call: Call) {
        self.break_calls(path, 0, 1, call);
    }

    /// Breaks so many calls of `path`, after letting the next `skip` of them pass.
    pub fn break_calls(&self, path: &str, skip: usize, times: usize, call: Call) {
        let needles = if path.is_empty() { Vec::new() } else { path::needles(path) };
        self.rules.lock().push(Rule { needles, skip, times, call });
    }

    /// Lets every call pass again.
    pub fn break_nothing(&self) {
        self.rules.lock().clear();
    }

    /// Returns how many calls have been broken.
    pub fn broken(&self) -> u64 {
        *self.rules.used.borrow()
    }

    /// Waits until so many calls have been broken.
    pub async fn has_broken(&self, count: u64) {
        // An error would say that the rules are gone, which live as long as this handle.
        let _ = self.rules.used.subscribe().wait_for(|used| *used >= count).await;
    }

    /// Sends `GOAWAY` to every client now, as a server that leaves in order: calls under way are answered, no new ones are
    /// taken on these connections.
    pub fn go_away(&self, code: u32) {
        let connections = self.rules.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.outlet.say(frame::go_away(connection.newest.load(Ordering::SeqCst), code));
        }
    }
}

impl Rules {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what becomes of the call with these headers.
    fn broken(&self, headers: &[u8]) -> Option<Call> {
        let mut waiting = self.lock();
        for index in 0..waiting.len() {
            let rule = &mut waiting[index];
            if !rule.needles.is_empty() && !rule.needles.iter().any(|needle| contains(headers, needle)) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times = rule.times.saturating_sub(1);
            let call = rule.call.clone();
            if rule.times == 0 {
                waiting.remove(index);
            }
            return Some(call);
        }
        None
    }

    fn count(&self) {
        self.used.send_modify(|used| *used += 1);
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// One client's connection.
struct Conversation {
    rules: Arc<Rules>,
    connection: Arc<Connection>,
    // Whether the client's opening words have passed.
    opened: bool,
    // Streams whose answer does not pass as it is.
    broken: HashMap<u32, Stream>,
    // Streams above this one have been told that nobody works on them.
    last: u32,
    over: bool,
}

/// What becomes of the answer on a stream.
enum Stream {
    // It has begun to be, or will be, left out.
    Dropped,
    Waits(Call),
}

impl Conversation {
    fn new(rules: Arc<Rules>, outlet: Outlet) -> Self {
        let connection = Arc::new(Connection { outlet, newest: AtomicU32::new(0) });
        let mut connections = rules.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(&connection));
        drop(connections);
        Self { rules, connection, opened: false, broken: HashMap::new(), last: u32::MAX, over: false }
    }

    fn request(&mut self, frame: &Frame, acts: &mut Vec<Act>) {
        acts.push(Act::ToServer(frame.bytes.clone()));
        let stream = frame.stream;
        let begins = frame.kind == Kind::Headers && stream > self.connection.newest.load(Ordering::SeqCst);
        if !begins {
            return;
        }
        self.connection.newest.store(stream, Ordering::SeqCst);
        match self.rules.broken(frame.payload()) {
            None => {}
            Some(Call::GoAway(code)) => {
                self.last = self.last.min(stream - 1);
                acts.push(Act::ToClient(frame::go_away(stream - 1, code)));
                self.rules.count();
            }
            Some(Call::Reset(code)) => {
                self.broken.insert(stream, Stream::Dropped);
                acts.push(Act::ToClient(frame::reset(stream, code)));
                self.rules.count();
            }
            Some(call) => {
                self.broken.insert(stream, Stream::Waits(call));
            }
        }
    }

    fn answer(&mut self, frame: Frame, acts: &mut Vec<Act>) {
        let stream = frame.stream;
        let of_a_call =
            stream != 0 && matches!(frame.kind, Kind::Data | Kind::Headers | Kind::Reset | Kind::Continuation);
        if !of_a_call {
            return acts.push(Act::ToClient(frame.bytes));
        }
        if stream > self.last {
            return Self::leave_out(&frame, acts);
        }
        let call = match self.broken.get(&stream) {
            None => return acts.push(Act::ToClient(frame.bytes)),
            Some(Stream::Dropped) => return Self::leave_out(&frame, acts),
            Some(Stream::Waits(call)) => call.clone(),
        };
        match call {
            Call::CutInBody(_) if frame.kind != Kind::Data => acts.push(Act::ToClient(frame.bytes)),
            Call::CutInBody(cut) => {
                let half = frame::HEADER_BYTES + frame.payload().len() / 2;
                acts.push(Act::ToClient(frame.bytes.slice(..half)));
                self.cut(cut, acts);
            }
            Call::CutBeforeAnswer(cut) => self.cut(cut, acts),
            Call::ResetAfterEffect(code) => self.instead(&frame, frame::reset(stream, code), acts),
            Call::Status { code, message } => self.instead(&frame, frame::status(stream, code, &message), acts),
            Call::GoAway(_) | Call::Reset(_) => unreachable!("these are done as the request passes"),
        }
    }

    fn cut(&mut self, cut: Cut, acts: &mut Vec<Act>) {
        self.rules.count();
        self.over = true;
        acts.push(Act::CutAfterAnswers(cut));
    }

    /// Leaves out a frame and everything after it on its stream, and says something instead.
    fn instead(&mut self, frame: &Frame, said: Bytes, acts: &mut Vec<Act>) {
        self.rules.count();
        self.broken.insert(frame.stream, Stream::Dropped);
        Self::leave_out(frame, acts);
        acts.push(Act::ToClient(said));
    }

    /// Gives the server back the window that the frame took: the client, which never sees the frame, cannot.
    fn leave_out(frame: &Frame, acts: &mut Vec<Act>) {
        if frame.kind == Kind::Data && !frame.payload().is_empty() {
            acts.push(Act::ToServer(frame::window_update(frame.payload().len())));
        }
    }
}

impl Wire for Conversation {
    fn requests(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>) {
        if !self.opened {
            if bytes.len() < frame::PREFACE_BYTES {
                return;
            }
            self.opened = true;
            acts.push(Act::ToServer(bytes.split_to(frame::PREFACE_BYTES).freeze()));
        }
        while let Some(frame) = Frame::take(bytes) {
            if !self.over {
                self.request(&frame.without_compression_state(), acts);
            }
        }
    }

    fn answers(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>) {
        while let Some(frame) = Frame::take(bytes) {
            if !self.over {
                self.answer(frame.without_compression_state(), acts);
            }
        }
    }
}
