//! The world at one moment: every shard, its nodes, and what is known of them. Immutable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::lag::{Lag, Rotation};
use super::mark::{Lsn, Mark, Samples, Standing, Switch, Timeline};
use crate::config;
use crate::config::NodeRole;
use crate::map::{NodeId, ShardId};

/// A node to watch.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSettings {
    /// Its number, unique over the process.
    pub id: NodeId,
    /// The shard it belongs to.
    pub shard: ShardId,
    /// Where it is, its zone, weight and, if it is fixed, its role.
    pub node: config::Node,
}

impl NodeSettings {
    /// `host:port`, or the path of a Unix socket.
    pub fn address(&self) -> String {
        if self.node.host.starts_with('/') {
            return format!("{}/.s.PGSQL.{}", self.node.host, self.node.port);
        }
        format!("{}:{}", self.node.host, self.node.port)
    }
}

/// Whether a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It failed, but nothing else could do its work: it is tried when it is needed.
    Suspect {
        /// What was seen.
        why: Arc<str>,
    },
    /// It is not used until it has answered several probes.
    Down {
        /// When it went.
        since: Instant,
        /// What was seen.
        why: Arc<str>,
    },
}

impl Health {
    /// One word for tables: `unknown`, `up`, `suspect`, `down`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Suspect { .. } => "suspect",
            Health::Down { .. } => "down",
        }
    }

    /// What was seen, of a node that is not up.
    pub fn why(&self) -> Option<&str> {
        match self {
            Health::Unknown | Health::Up => None,
            Health::Suspect { why } | Health::Down { why, .. } => Some(why),
        }
    }

    /// Whether statements may be sent to it.
    pub fn is_usable(&self) -> bool {
        matches!(self, Health::Up | Health::Suspect { .. })
    }
}

/// What a node said of itself when it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// Inserting on a primary; receiving on a replica, where it is a lower bound if the monitor's role may not see it.
    pub timeline: Timeline,
    /// `pg_control_system().system_identifier`: the same on all nodes of one cluster.
    pub system_id: u64,
    /// The insert position of a primary (as a replica can reach it), the replay position of a replica.
    pub position: Lsn,
    /// The receive position of a replica that streams.
    pub received: Option<Lsn>,
    /// The age of the last transaction a replica replayed, by the servers' clocks; zero if they disagree.
    pub xact_age: Option<Duration>,
    /// Whether replay is paused.
    pub replay_paused: bool,
}

impl Observation {
    /// Timeline and position.
    pub fn mark(&self) -> Mark {
        Mark { timeline: self.timeline, lsn: self.position }
    }
}

/// A node as it is known.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// What it is by configuration.
    pub settings: Arc<NodeSettings>,
    /// Its role: primary only while it is its shard's one accepted primary; `None` while it is unknown, or claims what
    /// it must not be.
    pub role: Option<NodeRole>,
    /// Whether it answers.
    pub health: Health,
    /// What it last said, however long ago.
    pub seen: Option<Observation>,
    /// When the probe of `seen` was begun.
    pub seen_at: Option<Instant>,
    /// How long that probe took.
    pub probe_time: Duration,
    /// How far a replica is behind.
    pub lag: Lag,
    /// Whether its lag lets it take reads.
    pub rotation: Rotation,
    /// Its own recent positions.
    pub samples: Samples,
    /// Servers of this node in use. Kept by those who use them.
    pub load: Arc<AtomicUsize>,
}

impl NodeState {
    /// Its number.
    pub fn id(&self) -> NodeId {
        self.settings.id
    }

    /// Servers of this node in use now.
    pub fn in_use(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Whether it is a replica that may take reads which need nothing but `max_lag`.
    pub fn is_fit_replica(&self) -> bool {
        self.role == Some(NodeRole::Replica) && self.health.is_usable() && self.rotation == Rotation::In
    }
}

/// A shard as it is known.
#[derive(Clone, Debug)]
pub struct ShardState {
    /// Its number.
    pub id: ShardId,
    /// The one node that takes its writes.
    pub primary: Option<NodeId>,
    /// Why there is no primary although there should be one, or what else an operator must look at.
    pub alarm: Option<Arc<str>>,
    /// The system identifier of its cluster, once known.
    pub system_id: Option<u64>,
    /// The highest timeline seen.
    pub timeline: Option<Timeline>,
    /// Samples of its primaries' insert positions.
    pub samples: Samples,
    /// Promotions seen.
    pub switches: Vec<Switch>,
    /// Its nodes by number.
    pub nodes: Vec<NodeState>,
}

impl ShardState {
    /// The node of this number.
    pub fn node(&self, id: NodeId) -> Option<&NodeState> {
        self.nodes.iter().find(|node| node.id() == id)
    }

    /// How `mark` stands to the last position seen of a node.
    pub fn standing(&self, node: &NodeState, mark: &Mark) -> Standing {
        match &node.seen {
            Some(seen) => mark.standing(seen.mark(), &self.switches),
            None => Standing::Ahead,
        }
    }
}

/// Everything known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows with every snapshot.
    pub version: u64,
    /// In shard order.
    pub shards: Vec<Arc<ShardState>>,
}

impl Snapshot {
    /// The shard of this number.
    pub fn shard(&self, id: ShardId) -> Option<&Arc<ShardState>> {
        let index = self.shards.binary_search_by_key(&id, |shard| shard.id).ok()?;
        Some(&self.shards[index])
    }

    /// The node of this number.
    pub fn node(&self, id: NodeId) -> Option<&NodeState> {
        self.nodes().find(|node| node.id() == id)
    }

    /// All nodes, in shard order.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeState> {
        self.shards.iter().flat_map(|shard| &shard.nodes)
    }

    /// The node that takes a shard's writes.
    pub fn primary(&self, shard: ShardId) -> Option<NodeId> {
        self.shard(shard)?.primary
    }

    /// An upper bound of everything a shard's primary had acknowledged at `instant`: the first sample begun after it.
    /// `None` until there is one.
    ///
    /// If the timeline is not the one the shard had when the write was acknowledged ([`ShardState::timeline`]), a
    /// failover came between, and the write may be lost.
    pub fn mark_after(&self, shard: ShardId, instant: Instant) -> Option<Mark> {
        self.shard(shard)?.samples.first_after(instant).map(|sample| sample.mark)
    }

    /// An upper bound of everything `node` had answered at `instant`: what a reader that leaves it for another replica
    /// must ask of that one. `None` until there is a sample.
    pub fn node_mark_after(&self, node: NodeId, instant: Instant) -> Option<Mark> {
        self.node(node)?.samples.first_after(instant).map(|sample| sample.mark)
    }

    /// How `mark` stands to the shard's newest known position: [`Standing::Lost`] when a failover came between.
    pub fn standing(&self, shard: ShardId, mark: &Mark) -> Option<Standing> {
        let shard = self.shard(shard)?;
        Some(mark.standing(shard.samples.last()?.mark, &shard.switches))
    }
}
