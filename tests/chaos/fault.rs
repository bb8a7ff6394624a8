//! What can go wrong, how it is made to go wrong, and what should come of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use splitrail::util::Random;

use super::clock;
use super::stage::Stage;
use crate::fixture::Flavour;
use crate::fixture::link::{Door, Origin, Way};

/// Something that goes wrong with the primary, unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// kill -9; started again when all is over.
    Kill,
    /// kill -9, and started again at once, as by a supervisor: it comes back writable.
    KillAndReturn,
    /// SIGSTOP: it accepts connections and answers nothing, until it wakes up as if nothing had happened.
    Pause,
    /// Its host has no power: it is silent to everybody.
    PowerOff,
    /// Its host has lost the network, but not those who are on it.
    Isolated,
    /// The network accepts for it and loses everything, in both directions.
    Hang,
    /// Connections are reset and refused, though it runs.
    Refused,
    CutFromProxy,
    CutFromReplicas,
    CutFromOneReplica,
    /// What the proxy sends does not arrive.
    MutedProxy,
    /// What the primary sends to the proxy does not arrive.
    MutedPrimary,
    /// Connections that nobody expected to be reset.
    Reset,
    /// Everybody else has taken its connections.
    Full,
    /// A replica does not apply any more.
    StoppedApplier,
    /// A replica does not fetch any more.
    StoppedReceiver,
    /// A replica is killed.
    KilledReplica,
    /// Its packets take longer.
    Slow,
    /// The proxy reaches nobody.
    Alone,
    /// The primary is killed, and the proxy a moment later; the proxy comes back with what it has written down.
    KillBoth {
        after: Duration,
    },
    Switchover,
    /// A switchover during which the proxy is killed.
    BrokenSwitchover {
        after: Duration,
    },
    /// Its disk takes no more.
    DiskFull,
    /// The time of day jumps there, or in the proxy, and back.
    Clock {
        of_proxy: bool,
        seconds: i64,
    },
}

/// What should come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Another primary.
    Promoted,
    /// The same primary.
    Stays,
    /// It depends on the moment.
    Either,
}

/// What must be undone by hand.
#[derive(Default)]
pub struct Aftermath {
    connections: Vec<Conn>,
    replica: Option<usize>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::KillBoth { after } => write!(f, "KillBoth after {} ms", after.as_millis()),
            Fault::BrokenSwitchover { after } => write!(f, "BrokenSwitchover after {} ms", after.as_millis()),
            Fault::Clock { of_proxy, seconds } => {
                let whose = if *of_proxy { "the proxy's" } else { "the primary's" };
                write!(f, "Clock: {whose} by {seconds:+} s")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// One of those that need nothing but the processes and the links.
    pub fn any(random: &mut Random) -> Fault {
        let after = Duration::from_millis(random.below(1_800));
        match random.below(32) {
            0..5 => Fault::Kill,
            5..7 => Fault::KillAndReturn,
            7..10 => Fault::Pause,
            10 | 11 => Fault::PowerOff,
            12 | 13 => Fault::Isolated,
            14 => Fault::Hang,
            15 => Fault::Refused,
            16 => Fault::CutFromProxy,
            17 => Fault::CutFromReplicas,
            18 => Fault::CutFromOneReplica,
            19 => Fault::MutedProxy,
            20 => Fault::MutedPrimary,
            21 => Fault::Reset,
            22 => Fault::Full,
            23 => Fault::StoppedApplier,
            24 => Fault::StoppedReceiver,
            25 => Fault::KilledReplica,
            26 => Fault::Slow,
            27 => Fault::Alone,
            28 | 29 => Fault::KillBoth { after },
            30 => Fault::Switchover,
            _ => Fault::BrokenSwitchover {
                after: Duration::from_millis(random.below(150)),
            },
        }
    }

    /// How long it lasts.
    pub fn lasts(self, random: &mut Random) -> Duration {
        let at_most = match self {
            // One that ends before the proxy can be sure proves nothing of a promotion.
            _ if self.is_silent() => 16_000,
            Fault::Switchover => 1_000,
            Fault::Reset => 300,
            _ => 6_000,
        };
        Duration::from_millis(at_most / 2 + random.below(at_most / 2))
    }

    pub fn expected(self) -> Outcome {
        use Fault::*;
        match self {
            Kill | Pause | PowerOff | Isolated | Hang | Refused | Switchover => Outcome::Promoted,
            // The primary is there for the replicas, or the proxy for nobody.
            CutFromProxy
            | MutedProxy
            | MutedPrimary
            | CutFromReplicas
            | CutFromOneReplica
            | Full
            | DiskFull
            | Clock { .. }
            | StoppedApplier
            | StoppedReceiver
            | KilledReplica
            | Slow
            | Alone => Outcome::Stays,
            _ => Outcome::Either,
        }
    }

    /// Whether the primary's process is gone and its port is refused: all that a proxy needs to be sure at once.
    pub fn is_loud(self) -> bool {
        matches!(self, Fault::Kill)
    }

    /// Whether the primary is gone without a word.
    pub fn is_silent(self) -> bool {
        matches!(
            self,
            Fault::Pause | Fault::PowerOff | Fault::Isolated | Fault::Hang
        )
    }

    /// Makes it happen. Returns at once, but for those that take time themselves.
    pub async fn begin(self, stage: &mut Stage<'_>, random: &mut Random) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let primary = stage.primary;
        let host = Origin::Server(primary);
        let others = stage.others();
        let replica = others[usize::try_from(random.below(others.len() as u64)).unwrap()];
        let (server, network) = (&stage.cluster.servers()[primary], stage.network);
        match self {
            Fault::Kill => stage.kill(primary),
            Fault::KillAndReturn => {
                stage.kill(primary);
                server.start().await.unwrap();
                network.know(stage.cluster);
                network.links[primary].door(Door::Open);
            }
            Fault::Pause => server.pause(),
            Fault::PowerOff => {
                network.isolate(primary);
                server.pause();
            }
            Fault::Isolated => network.isolate(primary),
            Fault::Hang => network.links[primary].set(Way::HANG),
            Fault::Refused => network.links[primary].door(Door::Closed),
            Fault::CutFromProxy => network.part(host, Origin::Proxy),
            Fault::CutFromReplicas => {
                for other in others {
                    network.part(host, Origin::Server(other));
                }
            }
            Fault::CutFromOneReplica => network.part(host, Origin::Server(replica)),
            Fault::MutedProxy => network.mute(Origin::Proxy, host),
            Fault::MutedPrimary => network.mute(host, Origin::Proxy),
            Fault::Reset => network.links[primary].set(Way::Reset),
            Fault::Full => aftermath.connections = fill(stage).await,
            Fault::StoppedApplier | Fault::StoppedReceiver => {
                aftermath.replica = Some(replica);
                let thread = match self {
                    Fault::StoppedApplier => "SQL_THREAD",
                    _ => "IO_THREAD",
                };
                let words = words(stage.flavour());
                let sql = format!("STOP {words} {thread}");
                stage.cluster.servers()[replica].execute(sql).await.unwrap();
            }
            Fault::KilledReplica => stage.kill(replica),
            Fault::Slow => {
                network.links[primary].set(Way::Delay(Duration::from_millis(20 + random.below(80))))
            }
            Fault::Alone => {
                for link in &network.links {
                    link.set_for(Origin::Proxy, Way::HANG);
                }
            }
            Fault::KillBoth { after } => {
                stage.kill(primary);
                stage.break_proxy(after).await;
            }
            Fault::Switchover => stage.switchover(replica).await,
            Fault::BrokenSwitchover { after } => {
                let switching = tokio::spawn(stage.command(&format!(
                    "SWITCHOVER TO {}",
                    stage.cluster.servers()[replica].name
                )));
                stage.break_proxy(after).await;
                let _ = switching.await;
            }
            Fault::DiskFull => super::disk::fill(&stage.cluster.servers()[primary]),
            Fault::Clock { of_proxy, seconds } => clock::jump(&clock_file(stage, of_proxy), seconds),
        }
        aftermath
    }

    /// Everything works again, as far as machines and networks go.
    pub async fn end(self, stage: &mut Stage<'_>, mut aftermath: Aftermath) {
        // Nobody else gets a connection.
        if let Some(connection) = aftermath.connections.first_mut() {
            let _ = connection.query_drop("SET GLOBAL max_connections = 500").await;
        }
        drop(aftermath.connections);
        if let Fault::Clock { of_proxy, .. } = self {
            clock::jump(&clock_file(stage, of_proxy), 0);
        }
        if self == Fault::DiskFull {
            for server in stage.cluster.servers() {
                super::disk::empty(server);
            }
        }
        for server in stage.cluster.servers() {
            server.resume();
        }
        for server in stage.cluster.servers() {
            if server.exited().is_some() {
                server.start().await.unwrap();
            }
        }
        stage.network.know(stage.cluster);
        stage.network.heal();
        // Nobody but who stopped it starts it again.
        if let Some(replica) = aftermath.replica {
            let sql = format!("START {}", words(stage.flavour()));
            let _ = stage.cluster.servers()[replica].execute(sql).await;
        }
    }
}

fn clock_file(stage: &Stage<'_>, of_proxy: bool) -> PathBuf {
    let of_server = stage.cluster.servers()[stage.primary]
        .datadir
        .join(clock::OF_A_SERVER);
    let of_the_proxy = stage.clock.clone().filter(|_| of_proxy);
    of_the_proxy.unwrap_or(of_server)
}

fn words(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "REPLICA",
        Flavour::MariaDb => "SLAVE",
    }
}

/// Takes all connections that the primary gives.
async fn fill(stage: &Stage<'_>) -> Vec<Conn> {
    let server = &stage.cluster.servers()[stage.primary];
    let mut taken = vec![server.connect().await.unwrap()];
    server.execute("SET GLOBAL max_connections = 10").await.unwrap();
    while let Ok(connection) = server.connect().await {
        taken.push(connection);
    }
    taken
}
