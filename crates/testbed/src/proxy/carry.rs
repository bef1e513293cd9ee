//! One connection: bytes are read, looked at, queued, and written under the faults of the moment.
//!
//! Each direction has a pump, which reads and lets the [`Wire`] decide, and a writer with a queue. Faults of the network act
//! in the writer, so that they hold for whatever has not been written yet.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Cut, Flow};

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// Pieces that wait to be written, for each direction of a connection; then its sender is not read any more.
const QUEUE_PIECES: usize = 256;

/// How long a connection that is closed in order is read on, so that the kernel does not turn the FIN into an RST.
const LINGER: Duration = Duration::from_secs(1);

/// What a protocol does with the bytes of one connection.
pub(super) trait Wire: Send {
    /// Takes what it understands from the front of `bytes`, which came from the client.
    fn requests(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>);

    /// Takes what it understands from the front of `bytes`, which came from the server.
    fn answers(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>);
}

/// Bytes of any protocol.
pub(super) struct Plain;

impl Wire for Plain {
    fn requests(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>) {
        acts.push(Act::ToServer(bytes.split().freeze()));
    }

    fn answers(&mut self, bytes: &mut BytesMut, acts: &mut Vec<Act>) {
        acts.push(Act::ToClient(bytes.split().freeze()));
    }
}

/// What is done, in order.
#[derive(Debug)]
pub(super) enum Act {
    /// These bytes go to the server.
    ToServer(Bytes),
    /// These bytes go to the client.
    ToClient(Bytes),
    /// Whatever else goes to the client goes later by this much.
    ClientWaits(Duration),
    /// The connection ends when what was queued for the server before is written.
    CutAfterRequests(Cut),
    /// The connection ends when what was queued for the client before is written.
    CutAfterAnswers(Cut),
}

/// A piece of one direction's queue.
#[derive(Debug)]
enum Piece {
    Bytes { bytes: Bytes, due: Instant },
    Wait(Duration),
    Cut(Cut),
    // The sender has closed its half.
    End,
}

/// A way to say something to the client from outside, between two pieces of the server's.
#[derive(Debug, Clone)]
pub(super) struct Outlet(mpsc::WeakSender<Piece>);

impl Outlet {
    /// Queues bytes for the client; nothing happens if the connection is gone, or its queue full.
    pub(super) fn say(&self, bytes: Bytes) {
        if let Some(queue) = self.0.upgrade() {
            let _ = queue.try_send(Piece::Bytes { bytes, due: Instant::now() });
        }
    }
}

/// The faults of the network, as they are set now. The proxy's handle holds the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) requests: Flow,
    pub(super) answers: Flow,
    /// Added to each way.
    pub(super) delay: Duration,
    /// Counts the cuts of all connections, and says how the last one was done.
    pub(super) cuts: (u64, Cut),
}

/// How many more bytes of answers may pass, and what ends the connection that would pass more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) bytes: u64,
    pub(super) cut: Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Answers,
}

/// What a connection shares with its proxy.
#[derive(Debug)]
pub(super) struct Skies {
    pub(super) weather: watch::Sender<Weather>,
    /// `None` while answers are not counted. Never held over an await.
    pub(super) allowance: Mutex<Option<Allowance>>,
}

/// Carries one connection to its end, and says whether the proxy cut it. `cuts_before` were done when it was accepted.
pub(super) async fn carry(
    client: TcpStream,
    server: TcpStream,
    make: &(dyn Fn(Outlet) -> Box<dyn Wire> + Send + Sync),
    skies: &Skies,
    cuts_before: u64,
) -> bool {
    let (from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let (client_queue, for_client) = mpsc::channel(QUEUE_PIECES);
    let (server_queue, for_server) = mpsc::channel(QUEUE_PIECES);
    let wire = Mutex::new(make(Outlet(client_queue.downgrade())));
    let queues = Queues { client: client_queue, server: server_queue };
    // Each future owns its half and lends it back at the end, so that a cut reaches both ends of both connections.
    let (mut from_client, mut from_server) = (from_client, from_server);
    let ended = {
        let carried = async {
            tokio::try_join!(
                pump(Way::Requests, &mut from_client, &wire, queues.clone(), skies),
                pump(Way::Answers, &mut from_server, &wire, queues, skies),
                write(Way::Requests, for_server, &mut to_server, skies),
                write(Way::Answers, for_client, &mut to_client, skies),
            )
        };
        tokio::select! {
            biased;
            cut = cut_by_hand(skies, cuts_before) => Err(End::ByUs(cut)),
            ended = carried => ended.map(drop),
        }
    };
    match ended {
        Ok(()) => false,
        Err(End::Broken) => {
            reset([(from_client, to_client), (from_server, to_server)]);
            false
        }
        Err(End::ByUs(Cut::Reset)) => {
            reset([(from_client, to_client), (from_server, to_server)]);
            true
        }
        Err(End::ByUs(Cut::Close)) => {
            tokio::join!(close(from_client, to_client), close(from_server, to_server));
            true
        }
    }
}

/// Why a connection ended before both sides had closed it.
#[derive(Debug, Clone, Copy)]
enum End {
    /// One side broke it; the other is told so.
    Broken,
    /// The proxy did.
    ByUs(Cut),
}

#[derive(Clone)]
struct Queues {
    client: mpsc::Sender<Piece>,
    server: mpsc::Sender<Piece>,
}

async fn cut_by_hand(skies: &Skies, before: u64) -> Cut {
    let mut weather = skies.weather.subscribe();
    weather.wait_for(|now| now.cuts.0 != before).await.expect("the sender is borrowed here").cuts.1
}

async fn pump(
    way: Way,
    from: &mut OwnedReadHalf,
    wire: &Mutex<Box<dyn Wire>>,
    queues: Queues,
    skies: &Skies,
) -> Result<(), End> {
    let mut bytes = BytesMut::new();
    let mut acts = Vec::new();
    loop {
        bytes.reserve(READ_BYTES);
        if from.read_buf(&mut bytes).await.map_err(|_| End::Broken)? == 0 {
            break;
        }
        {
            let mut wire = wire.lock().unwrap_or_else(PoisonError::into_inner);
            match way {
                Way::Requests => wire.requests(&mut bytes, &mut acts),
                Way::Answers => wire.answers(&mut bytes, &mut acts),
            }
        }
        let due = Instant::now() + skies.weather.borrow().delay;
        for act in acts.drain(..) {
            let (queue, piece) = match act {
                Act::ToServer(bytes) => (&queues.server, Piece::Bytes { bytes, due }),
                Act::ToClient(bytes) => (&queues.client, Piece::Bytes { bytes, due }),
                Act::ClientWaits(time) => (&queues.client, Piece::Wait(time)),
                Act::CutAfterRequests(cut) => (&queues.server, Piece::Cut(cut)),
                Act::CutAfterAnswers(cut) => (&queues.client, Piece::Cut(cut)),
            };
            queue.send(piece).await.map_err(|_| End::Broken)?;
        }
    }
    let queue = if way == Way::Requests { &queues.server } else { &queues.client };
    queue.send(Piece::End).await.map_err(|_| End::Broken)
}

async fn write(way: Way, mut queue: mpsc::Receiver<Piece>, to: &mut OwnedWriteHalf, skies: &Skies) -> Result<(), End> {
    let mut weather = skies.weather.subscribe();
    let mut dark = false;
    while let Some(piece) = queue.recv().await {
        if let Piece::Bytes { due, .. } = &piece {
            tokio::time::sleep_until(*due).await;
        }
        let held = |now: &Weather| flow(way, now) == Flow::Hold;
        weather.wait_for(|now| !held(now)).await.expect("the sender is borrowed here");
        dark |= flow(way, &weather.borrow()) == Flow::Swallow;
        match piece {
            Piece::Bytes { .. } | Piece::End if dark => {}
            Piece::Bytes { bytes, .. } => pass(way, to, &bytes, skies).await?,
            Piece::Wait(time) => tokio::time::sleep(time).await,
            Piece::Cut(cut) => return Err(End::ByUs(cut)),
            Piece::End => to.shutdown().await.map_err(|_| End::Broken)?,
        }
    }
    Ok(())
}

fn flow(way: Way, weather: &Weather) -> Flow {
    match way {
        Way::Requests => weather.requests,
        Way::Answers => weather.answers,
    }
}

async fn pass(way: Way, to: &mut OwnedWriteHalf, bytes: &[u8], skies: &Skies) -> Result<(), End> {
    let cut = if way == Way::Answers { take(&skies.allowance, bytes.len()) } else { None };
    let passed = cut.map_or(bytes.len(), |(passed, _)| passed);
    to.write_all(&bytes[..passed]).await.map_err(|_| End::Broken)?;
    match cut {
        Some((_, cut)) => Err(End::ByUs(cut)),
        None => Ok(()),
    }
}

/// Takes `length` bytes from the allowance. When that is more than there is left, returns what is left and how to cut, and
/// the allowance has done its work.
fn take(allowance: &Mutex<Option<Allowance>>, length: usize) -> Option<(usize, Cut)> {
    let mut allowance = allowance.lock().unwrap_or_else(PoisonError::into_inner);
    let now = allowance.as_mut()?;
    let wanted = length as u64;
    if wanted <= now.bytes {
        now.bytes -= wanted;
        return None;
    }
    let left = usize::try_from(now.bytes).expect("less than a length that is a usize");
    let cut = now.cut;
    *allowance = None;
    Some((left, cut))
}

type Halves = (OwnedReadHalf, OwnedWriteHalf);

fn reset(ends: [Halves; 2]) {
    for (read, write) in ends {
        // An error says that the connection is gone already.
        let _ = read.as_ref().set_zero_linger();
        // Dropped alone, the half would send a FIN before the RST.
        write.forget();
    }
}

async fn close(mut read: OwnedReadHalf, mut write: OwnedWriteHalf) {
    let _ = write.shutdown().await;
    let mut rest = [0; 1024];
    let drained = async { while read.read(&mut rest).await.is_ok_and(|length| length > 0) {} };
    let _ = tokio::time::timeout(LINGER, drained).await;
}
