//! What breaks: processes are killed, and connections between any two of them cut.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use pocket_testbed::proxy::http2::{INTERNAL_ERROR, NO_ERROR};
use pocket_testbed::proxy::{Call, Cut, Http2, Loss, Redis, Tcp};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// How long a connection that is stalled stands still.
const STALL: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(800);

/// Bytes of answers that pass before one is cut in the middle.
const HALF_ANSWER: std::ops::Range<u64> = 1..4_000;

/// A process that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Relayer,
    Miner,
    Redis,
    Devnet,
}

impl Victim {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Relayer, Self::Miner, Self::Redis, Self::Devnet];
}

/// Two processes that speak to each other, the one that asks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Link {
    GatewayRelayer,
    RelayerBackend,
    RelayerRedis,
    MinerRedis,
    RelayerGrpc,
    RelayerRpc,
    MinerGrpc,
    MinerRpc,
    GatewayGrpc,
    GatewayRpc,
}

impl Link {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::GatewayRelayer,
        Self::RelayerBackend,
        Self::RelayerRedis,
        Self::MinerRedis,
        Self::RelayerGrpc,
        Self::RelayerRpc,
        Self::MinerGrpc,
        Self::MinerRpc,
        Self::GatewayGrpc,
        Self::GatewayRpc,
    ];
}

/// How a link breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Break {
    /// RST on all its connections.
    Reset,
    /// FIN on all its connections.
    Close,
    /// An answer is cut in the middle.
    HalfAnswer,
    /// Nothing passes for a while.
    Stall,
    /// What was asked takes effect, and its answer does not come.
    LostAnswer,
    /// The server takes its leave.
    GoAway,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Kill(Victim),
    Cut(Link),
}

/// Returns so many kills of each victim and so many cuts, spread over all links, in an order that the dice decide.
pub(crate) fn plan(dice: &mut StdRng, victims: &[Victim], kills: usize, cuts: usize) -> Vec<Fault> {
    let killed = victims.iter().flat_map(|victim| std::iter::repeat_n(Fault::Kill(*victim), kills));
    let mut links = Link::ALL;
    links.shuffle(dice);
    let cut = links.iter().cycle().take(cuts).map(|link| Fault::Cut(*link));
    let mut plan: Vec<Fault> = killed.chain(cut).collect();
    plan.shuffle(dice);
    plan
}

/// Faults that have been done, counted by kind.
#[derive(Debug, Default)]
pub(crate) struct Done {
    counts: BTreeMap<String, usize>,
}

impl Done {
    pub(crate) fn count(&mut self, kind: String) {
        *self.counts.entry(kind).or_default() += 1;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        f.write_str(&kinds.join(", "))
    }
}

/// The proxy between two processes.
enum Proxy {
    Bytes(Tcp),
    Commands(Redis),
    Calls(Http2),
}

impl Proxy {
    fn tcp(&self) -> &Tcp {
        match self {
            Self::Bytes(tcp) => tcp,
            Self::Commands(redis) => redis,
            Self::Calls(http2) => http2,
        }
    }

    fn breaks(&self) -> &'static [Break] {
        const ANY: [Break; 6] =
            [Break::Reset, Break::Close, Break::HalfAnswer, Break::Stall, Break::LostAnswer, Break::GoAway];
        match self {
            Self::Bytes(_) => &ANY[..4],
            Self::Commands(_) => &ANY[..5],
            Self::Calls(_) => &ANY,
        }
    }
}

/// The proxies between all processes of a house.
pub(crate) struct Links {
    proxies: BTreeMap<Link, Proxy>,
}

/// Ports of the processes that are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Servers {
    pub(crate) relayer: u16,
    pub(crate) backend: u16,
    pub(crate) redis: u16,
    pub(crate) grpc: u16,
    pub(crate) rpc: u16,
}

impl Links {
    /// Starts a proxy for each link.
    pub(crate) async fn start(servers: Servers) -> anyhow::Result<Self> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut proxies = BTreeMap::new();
        for link in Link::ALL {
            let proxy = match link {
                Link::GatewayRelayer => Proxy::Bytes(Tcp::start(at(servers.relayer)).await?),
                Link::RelayerBackend => Proxy::Bytes(Tcp::start(at(servers.backend)).await?),
                Link::RelayerRedis | Link::MinerRedis => Proxy::Commands(Redis::start(&at(servers.redis)).await?),
                Link::RelayerGrpc | Link::MinerGrpc | Link::GatewayGrpc => {
                    Proxy::Calls(Http2::start(at(servers.grpc)).await?)
                }
                Link::RelayerRpc | Link::MinerRpc | Link::GatewayRpc => {
                    Proxy::Bytes(Tcp::start(at(servers.rpc)).await?)
                }
            };
            proxies.insert(link, proxy);
        }
        Ok(Self { proxies })
    }

    /// Returns where the asking side of a link finds the other.
    pub(crate) fn port(&self, link: Link) -> u16 {
        self.proxies[&link].tcp().port()
    }

    /// Breaks a link in a way that the dice choose, and says how.
    pub(crate) async fn cut(&self, link: Link, dice: &mut StdRng) -> Break {
        let proxy = &self.proxies[&link];
        let breaks = proxy.breaks();
        let how = breaks[dice.random_range(..breaks.len())];
        let tcp = proxy.tcp();
        match (how, proxy) {
            (Break::Reset, _) => tcp.cut(Cut::Reset),
            (Break::Close, _) => tcp.cut(Cut::Close),
            (Break::HalfAnswer, _) => tcp.cut_answers_after(dice.random_range(HALF_ANSWER), Cut::Reset),
            (Break::Stall, _) => {
                tcp.stall();
                tokio::time::sleep(dice.random_range(STALL)).await;
                tcp.resume();
            }
            (Break::GoAway, Proxy::Calls(http2)) => http2.go_away(NO_ERROR),
            (Break::LostAnswer, Proxy::Calls(http2)) => http2.break_call("", Call::ResetAfterEffect(INTERNAL_ERROR)),
            (Break::LostAnswer, Proxy::Commands(redis)) => redis.lose(Loss::Reply(Cut::Reset), |_| true),
            (Break::GoAway | Break::LostAnswer, _) => unreachable!("a proxy is asked for what it can do"),
        }
        how
    }
}
