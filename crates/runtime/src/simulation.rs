//! A world in one thread: hosts, a network, disks, time and lots, all from a seed.
//!
//! Inside a [`World`] the doors of this crate open into it: [`crate::net`] and all that stands on it speak over its
//! network, [`crate::fs`] writes to the host's own disk, [`crate::clock`] and [`crate::random`] follow its seed. The
//! same seed tells the same story, event by event, and another seed another one.
//!
//! What is kept over a crash is what a machine keeps: the files. What a loss of power takes is what was not synced.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::clock::UnixTime;

pub(crate) mod disk;

use disk::Disk;

/// What the clocks of a new world say: 2026-01-01T00:00:00Z.
pub const EPOCH: UnixTime = UnixTime::from_seconds(1_767_225_600);

/// What a host's software ends with.
pub type HostResult = Result<(), Box<dyn std::error::Error>>;

/// How a world behaves. Every field is given at the call site.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// All that is left to chance follows from it.
    pub seed: u64,
    /// The quickest a message travels.
    pub latency_min: Duration,
    /// The slowest a message travels.
    pub latency_max: Duration,
    /// Chance that a link breaks at a message, 0.0 to 1.0; it mends by itself after a while.
    pub link_failure_rate: f64,
    /// The smallest step of time: hosts run one after the other, each for one step.
    pub tick: Duration,
}

/// How a run of a world ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All clients have finished.
    Finished,
    /// The time to run until has come first.
    TimeUp,
}

/// A simulated world. It lives on the thread that made it.
pub struct World {
    // First, so that hosts are dropped while the rest of the world still stands.
    sim: turmoil::Sim<'static>,
    state: Rc<State>,
    seed: u64,
}

/// What the doors need of the world they stand in.
pub(crate) struct State {
    pub(crate) rng: RefCell<StdRng>,
    events: RefCell<Vec<String>>,
    // Each run of a host's software has a runtime of its own; its id tells the host. Looked up, never iterated.
    hosts: RefCell<HashMap<tokio::runtime::Id, Rc<str>>>,
    names: RefCell<BTreeSet<String>>,
    disks: RefCell<BTreeMap<Rc<str>, Disk>>,
}

thread_local! {
    // Set while a world of this thread runs, and only then.
    static CURRENT: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// Returns the world that is running on this thread.
pub(crate) fn current() -> Option<Rc<State>> {
    // While the thread itself is being torn down there is no world either.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Returns whether the caller stands in a simulated world.
pub fn is_simulated() -> bool {
    current().is_some()
}

/// Returns the world's wall clock, if the caller stands in one.
pub(crate) fn unix() -> Option<UnixTime> {
    current().map(|_| EPOCH + elapsed())
}

/// Returns how long the world has been running; zero outside of one.
pub fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// Returns the name of the simulated host the caller runs on.
pub fn host() -> Option<Rc<str>> {
    let world = current()?;
    let id = tokio::runtime::Handle::try_current().ok()?.id();
    let hosts = world.hosts.borrow();
    hosts.get(&id).cloned()
}

/// Returns whether a name or address can be dialled.
pub(crate) fn knows(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok()
        || current().is_some_and(|world| world.names.borrow().contains(host))
}

/// Appends to the world's log of events: the time, the host and `text`. Outside a world it does nothing.
pub fn event(text: impl std::fmt::Display) {
    let Some(world) = current() else { return };
    let host = host().unwrap_or_else(|| Rc::from("-"));
    let line = format!("{:>12.6} {host} {text}", elapsed().as_secs_f64());
    tracing::debug!(event = %line);
    world.events.borrow_mut().push(line);
}

struct Entered(Option<Rc<State>>);

fn enter(state: &Rc<State>) -> Entered {
    Entered(CURRENT.with(|current| current.borrow_mut().replace(state.clone())))
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.0.take();
        CURRENT.with(|current| *current.borrow_mut() = before);
    }
}

impl World {
    /// Makes an empty world with a network of 1 to 40 ms that loses nothing.
    pub fn new(seed: u64) -> Self {
        Self::with(&WorldOptions {
            seed,
            latency_min: Duration::from_millis(1),
            latency_max: Duration::from_millis(40),
            link_failure_rate: 0.0,
            tick: Duration::from_millis(1),
        })
    }

    /// Makes an empty world.
    pub fn with(options: &WorldOptions) -> Self {
        let epoch = std::time::UNIX_EPOCH + EPOCH.since(UnixTime::EPOCH);
        let sim = turmoil::Builder::new()
            .rng_seed(options.seed)
            .epoch(epoch)
            // The time to run until is given to `run`.
            .simulation_duration(Duration::MAX)
            .tick_duration(options.tick)
            .min_message_latency(options.latency_min)
            .max_message_latency(options.latency_max)
            .fail_rate(options.link_failure_rate)
            .repair_rate(if options.link_failure_rate > 0.0 { REPAIR_RATE } else { 1.0 })
            .tcp_capacity(TCP_CAPACITY)
            .enable_random_order()
            .build();
        let state = State {
            rng: RefCell::new(StdRng::seed_from_u64(options.seed)),
            events: RefCell::default(),
            hosts: RefCell::default(),
            names: RefCell::default(),
            disks: RefCell::default(),
        };
        Self { sim, state: Rc::new(state), seed: options.seed }
    }

    /// Returns the seed, to print when something went wrong.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a host: `software` is started now, and anew by [`World::bounce`]. An error of it ends the run.
    pub fn host<F, Fut>(&mut self, name: &str, software: F)
    where
        F: Fn() -> Fut + 'static,
        Fut: Future<Output = HostResult> + 'static,
    {
        let entered = self.add(name);
        let (state, owner) = (self.state.clone(), Rc::<str>::from(name));
        self.sim.host(name, move || {
            let (state, owner, software) = (state.clone(), owner.clone(), software());
            async move {
                state.hosts.borrow_mut().insert(tokio::runtime::Handle::current().id(), owner);
                software.await
            }
        });
        drop(entered);
    }

    /// Adds a client: a host that runs once. A run ends when all clients have.
    pub fn client<Fut>(&mut self, name: &str, work: Fut)
    where
        Fut: Future<Output = HostResult> + 'static,
    {
        let entered = self.add(name);
        let (state, owner) = (self.state.clone(), Rc::<str>::from(name));
        self.sim.client(name, async move {
            state.hosts.borrow_mut().insert(tokio::runtime::Handle::current().id(), owner);
            work.await
        });
        drop(entered);
    }

    fn add(&self, name: &str) -> Entered {
        self.state.names.borrow_mut().insert(name.to_owned());
        self.state.disks.borrow_mut().entry(Rc::from(name)).or_default();
        enter(&self.state)
    }

    /// Runs until all clients have finished, or until the world is `until` old; call it again to go on.
    ///
    /// An error or panic of a host's or client's main ends it, with the seed in the text.
    pub fn run(&mut self, until: Duration) -> Result<Ended, Box<dyn std::error::Error>> {
        let _entered = enter(&self.state);
        while self.sim.elapsed() < until {
            match self.sim.step() {
                Ok(true) => return Ok(Ended::Finished),
                Ok(false) => {}
                Err(error) => {
                    return Err(format!("seed {}: at {:?}: {error}", self.seed, self.sim.elapsed()).into());
                }
            }
        }
        Ok(Ended::TimeUp)
    }

    /// Runs until the world is `until` old, whether or not its clients have finished.
    pub fn run_until(&mut self, until: Duration) -> Result<(), Box<dyn std::error::Error>> {
        while self.sim.elapsed() < until {
            let next = (self.sim.elapsed() + Duration::from_nanos(1)).min(until);
            self.run(next)?;
        }
        Ok(())
    }

    /// Returns how old the world is.
    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Returns what has happened, in order.
    pub fn events(&self) -> Vec<String> {
        self.state.events.borrow().clone()
    }

    /// Ends a host's software as `kill -9` would. Its disk keeps every byte that was written.
    pub fn crash(&mut self, name: &str) {
        let _entered = enter(&self.state);
        self.sim.crash(name);
        self.disk(name).forget_locks();
    }

    /// Ends a host's software and takes from its disk all that was not synced.
    pub fn lose_power(&mut self, name: &str) {
        self.crash(name);
        self.disk(name).lose_unsynced();
    }

    /// Starts a host's software anew, ending it first where it still runs.
    pub fn bounce(&mut self, name: &str) {
        let _entered = enter(&self.state);
        self.sim.bounce(name);
    }

    /// Returns whether a host's software runs.
    pub fn is_running(&mut self, name: &str) -> bool {
        self.sim.is_host_running(name)
    }

    /// Drops all messages between two hosts until [`World::repair`].
    pub fn partition(&self, one: &str, other: &str) {
        self.sim.partition(one, other);
    }

    /// Drops all messages from one host to another until [`World::repair`].
    pub fn partition_one_way(&self, from: &str, to: &str) {
        self.sim.partition_oneway(from, to);
    }

    /// Ends a partition.
    pub fn repair(&self, one: &str, other: &str) {
        self.sim.repair(one, other);
    }

    /// Holds all messages between two hosts back until [`World::release`].
    pub fn hold(&self, one: &str, other: &str) {
        self.sim.hold(one, other);
    }

    /// Delivers what was held back.
    pub fn release(&self, one: &str, other: &str) {
        self.sim.release(one, other);
    }

    /// Sets how long every message takes at most from now on.
    pub fn set_latency_max(&self, latency: Duration) {
        self.sim.set_max_message_latency(latency);
    }

    /// Reads a file of a host's disk from outside, as a test does.
    pub fn read_file(&self, host: &str, path: impl AsRef<std::path::Path>) -> std::io::Result<Vec<u8>> {
        self.disk(host).read(path.as_ref())
    }

    fn disk(&self, name: &str) -> Disk {
        let disks = self.state.disks.borrow();
        disks.get(name).cloned().unwrap_or_else(|| panic!("no simulated host is called `{name}`"))
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

impl State {
    fn disk_of(&self, host: &str) -> Option<Disk> {
        self.disks.borrow().get(host).cloned()
    }
}

/// Chance at each message that a broken link mends.
const REPAIR_RATE: f64 = 0.5;
/// Segments a simulated connection may have in flight.
const TCP_CAPACITY: usize = 1024;
