//! From what nodes answer to what is published: health, roles, lag. Pure; the monitor feeds it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::elect::{self, Candidate, Memory};
use super::lag::{self, Lag, LagLimits, Rotation};
use super::mark::{Mark, Sample, Samples, Switch, Timeline};
use super::state::{Health, NodeSettings, NodeState, Observation, ShardState, Snapshot};
use crate::config::NodeRole;
use crate::map::{NodeId, ShardId};

/// The rules of a [`Tracker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When a replica is too far behind.
    pub lag: LagLimits,
    /// Probes in a row that a node which was down must answer.
    pub recover_after: u32,
}

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The node refused, reset or does not exist: nothing can be sent to it.
    Gone(String),
    /// It did not answer in time: it may be busy, frozen or cut off.
    Slow(String),
    /// It answers, but does not let the monitor in: nothing is known of it any more, while it may well do its work.
    Denied(String),
}

/// A change worth telling an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node went out of use, or is used only because nothing else is left.
    Lost {
        /// The node.
        node: NodeId,
        /// What was seen.
        why: Arc<str>,
    },
    /// A node is back.
    Back {
        /// The node.
        node: NodeId,
    },
    /// A shard has another primary, or none.
    Primary {
        /// The shard.
        shard: ShardId,
        /// The primary.
        node: Option<NodeId>,
        /// The highest timeline seen.
        timeline: Option<Timeline>,
    },
    /// A shard needs an operator, or (`None`) does so no more.
    Alarm {
        /// The shard.
        shard: ShardId,
        /// What is wrong.
        alarm: Option<Arc<str>>,
    },
    /// A replica left the rotation or came back to it.
    Rotation {
        /// The replica.
        node: NodeId,
        /// Where it is now.
        rotation: Rotation,
        /// Its lag.
        lag: Lag,
    },
}

/// What is known of all nodes, and the rules by which it changes.
#[derive(Debug)]
pub struct Tracker {
    rules: Rules,
    version: u64,
    shards: BTreeMap<ShardId, Tracked>,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Tracked {
    state: Arc<ShardState>,
    /// What is kept per node beside what is published.
    notes: BTreeMap<NodeId, Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Probes answered in a row since the node went down.
    answers: u32,
    /// Whether it did not let the monitor in when it was last asked.
    denied: bool,
    /// When it last failed: an answer to a question asked before says nothing about after it.
    failed_at: Option<Instant>,
    /// When the newest primary sample was begun that the replica has reached.
    caught_up: Option<Instant>,
    /// The last position seen while it was in recovery.
    replayed: Option<Mark>,
}

impl Tracker {
    /// A tracker that knows nothing yet of `nodes`.
    pub fn new(rules: Rules, nodes: Vec<NodeSettings>) -> Tracker {
        let mut tracker = Tracker { rules, version: 0, shards: BTreeMap::new(), events: Vec::new() };
        tracker.replace(rules, nodes);
        tracker
    }

    /// Replaces the rules and the set of nodes. What is known of a node stays while its address does; what is known of
    /// a shard (its system identifier, its highest timeline) stays while the shard does.
    pub fn replace(&mut self, rules: Rules, nodes: Vec<NodeSettings>) {
        self.rules = rules;
        let mut before = std::mem::take(&mut self.shards);
        let mut wanted: BTreeMap<ShardId, Vec<NodeSettings>> = BTreeMap::new();
        for node in nodes {
            wanted.entry(node.shard).or_default().push(node);
        }
        for (shard, mut settings) in wanted {
            settings.sort_by_key(|node| node.id);
            let mut old = before.remove(&shard).unwrap_or_else(|| Tracked {
                state: Arc::new(ShardState {
                    id: shard,
                    primary: None,
                    alarm: None,
                    system_id: None,
                    timeline: None,
                    samples: Samples::default(),
                    switches: Vec::new(),
                    nodes: Vec::new(),
                }),
                notes: BTreeMap::new(),
            });
            let state = Arc::make_mut(&mut old.state);
            let known = std::mem::take(&mut state.nodes);
            let keep = |settings: NodeSettings| {
                let settings = Arc::new(settings);
                let same = known.iter().find(|n| n.id() == settings.id && n.settings.address() == settings.address());
                match same {
                    Some(node) => NodeState { settings, ..node.clone() },
                    None => unknown_node(settings),
                }
            };
            state.nodes = settings.into_iter().map(keep).collect();
            let notes = &mut old.notes;
            notes.retain(|id, _| state.nodes.iter().any(|n| n.id() == *id && n.health != Health::Unknown));
            self.shards.insert(shard, old);
            self.settle(shard);
        }
    }

    /// Raises what is remembered of a shard to what somebody else saw, so that a proxy which just started does not
    /// follow an old primary. A timeline only grows; a system identifier that is known already stays.
    pub fn remember(&mut self, shard: ShardId, system_id: Option<u64>, timeline: Option<Timeline>) {
        if let Some(tracked) = self.shards.get_mut(&shard) {
            let state = Arc::make_mut(&mut tracked.state);
            state.system_id = state.system_id.or(system_id);
            state.timeline = state.timeline.max(timeline);
            self.settle(shard);
        }
    }

    /// A probe that was begun at `begun` was answered at `now`.
    pub fn answered(&mut self, now: Instant, id: NodeId, begun: Instant, seen: Observation) {
        let (recover_after, Some((shard, node, notes))) = (self.rules.recover_after, self.node_mut(id)) else { return };
        node.seen = Some(seen);
        node.seen_at = Some(begun);
        node.probe_time = now.saturating_duration_since(begun);
        node.samples.push(Sample { begun, mark: seen.mark() });
        notes.denied = false;
        if seen.in_recovery {
            notes.replayed = Some(seen.mark());
        }
        let back = match &node.health {
            Health::Up => false,
            Health::Unknown => true,
            Health::Suspect { .. } => notes.failed_at.is_none_or(|failed| begun > failed),
            Health::Down { .. } if notes.failed_at.is_some_and(|failed| begun <= failed) => false,
            Health::Down { .. } => {
                notes.answers += 1;
                notes.answers >= recover_after.max(1)
            }
        };
        if back {
            node.health = Health::Up;
            self.events.push(Event::Back { node: id });
        }
        self.settle(shard);
        self.measure(shard, id);
    }

    /// A probe failed.
    pub fn failed(&mut self, now: Instant, node: NodeId, failure: Failure) {
        match failure {
            Failure::Gone(why) => self.lose(now, node, &why, false),
            Failure::Slow(why) => self.lose(now, node, &why, true),
            Failure::Denied(why) => {
                if let Some((_, _, notes)) = self.node_mut(node) {
                    notes.denied = true;
                }
                self.lose(now, node, &why, true);
            }
        }
    }

    /// Somebody who used the node had it fail. It is out at once, unless nothing else could do its work: then only the
    /// monitor's own probes may take it out, because one reset connection is no proof.
    pub fn reported(&mut self, now: Instant, node: NodeId, why: &str) {
        self.lose(now, node, why, true);
    }

    /// Takes a node out of use; `spare_last` leaves it suspect instead if it is its shard's primary or last usable node.
    fn lose(&mut self, now: Instant, id: NodeId, why: &str, spare_last: bool) {
        let Some((shard, _, _)) = self.node_mut(id) else { return };
        let state = &self.shards[&shard].state;
        let others = state.nodes.iter().any(|n| n.id() != id && n.health == Health::Up && n.role.is_some());
        let last = state.primary == Some(id) || !others;
        let Some((_, node, notes)) = self.node_mut(id) else { return };
        let was_usable = node.health.is_usable();
        let news = match &node.health {
            Health::Unknown | Health::Up => true,
            Health::Suspect { .. } => !(spare_last && last),
            Health::Down { .. } => false,
        };
        notes.answers = 0;
        notes.failed_at = Some(now);
        let why: Arc<str> = why.into();
        node.health = match &node.health {
            _ if spare_last && last && was_usable => Health::Suspect { why: why.clone() },
            Health::Down { since, .. } => Health::Down { since: *since, why: why.clone() },
            Health::Unknown | Health::Up | Health::Suspect { .. } => Health::Down { since: now, why: why.clone() },
        };
        if news {
            self.events.push(Event::Lost { node: id, why });
        }
        self.settle(shard);
    }

    /// Finds out who is primary, and what every node's role is.
    fn settle(&mut self, shard: ShardId) {
        let tracked = self.shards.get_mut(&shard).expect("the caller found the shard");
        let state = Arc::make_mut(&mut tracked.state);
        let candidates: Vec<Candidate> = state.nodes.iter().filter_map(candidate).collect();
        let suspect = state
            .primary
            .filter(|id| state.node(*id).is_some_and(|node| matches!(node.health, Health::Suspect { .. })));
        let memory = Memory { system_id: state.system_id, timeline: state.timeline };
        let outcome = elect::elect(&memory, &candidates, suspect);
        let timeline_before = state.samples.last().map(|sample| sample.mark.timeline);
        // A shard's first election waits until every node was asked: the old primary of a failover may be the first
        // that answers.
        let asked = state.primary.is_some() || state.nodes.iter().all(|node| node.health != Health::Unknown);
        let (primary, alarm) = (outcome.primary.filter(|_| asked), outcome.alarm.map(Arc::<str>::from));
        (state.system_id, state.timeline) = (outcome.memory.system_id, outcome.memory.timeline);
        for node in &mut state.nodes {
            node.role = elect::role(node, primary, state.system_id);
        }
        if let Some(node) = primary.and_then(|id| state.nodes.iter().find(|node| node.id() == id)) {
            if let (Some(before), Some(seen)) = (timeline_before, &node.seen)
                && before < seen.timeline
            {
                // What the new primary had replayed of the old timeline is of the new one for certain.
                let replayed = tracked.notes.get(&node.id()).and_then(|notes| notes.replayed);
                let at = replayed.filter(|mark| mark.timeline == before).map(|mark| mark.lsn).unwrap_or_default();
                state.switches.push(Switch { from: before, to: seen.timeline, at });
            }
            if let Some(sample) = node.samples.last().filter(|_| node.health == Health::Up) {
                state.samples.push(*sample);
            }
        }
        if state.primary != primary {
            state.primary = primary;
            self.events.push(Event::Primary { shard, node: primary, timeline: state.timeline });
        }
        if state.alarm != alarm {
            state.alarm.clone_from(&alarm);
            self.events.push(Event::Alarm { shard, alarm });
        }
    }

    /// Measures the lag of one node that just answered.
    fn measure(&mut self, shard: ShardId, id: NodeId) {
        let limits = self.rules.lag;
        let Some(tracked) = self.shards.get_mut(&shard) else { return };
        let state = Arc::make_mut(&mut tracked.state);
        // A primary that takes writes and does not let us see how far it is could be anywhere.
        let blind = state.primary.and_then(|id| tracked.notes.get(&id)).is_some_and(|notes| notes.denied);
        let Some(node) = state.nodes.iter_mut().find(|node| node.id() == id) else { return };
        let Some(seen) = node.seen.filter(|_| node.role == Some(NodeRole::Replica)) else {
            node.lag = Lag::default();
            node.rotation = Rotation::Unmeasured;
            return;
        };
        let notes = tracked.notes.entry(id).or_default();
        if let Some(sample) = state.samples.last_reached(seen.mark()) {
            notes.caught_up = notes.caught_up.max(Some(sample.begun));
        }
        node.lag = lag::measure(seen.mark(), &state.samples, notes.caught_up, seen.xact_age);
        if blind {
            node.lag = Lag::default();
        }
        let rotation = match lag::rotate(node.rotation, &node.lag, &limits) {
            // Without a primary to compare with, an old last transaction may be an idle stretch: it proves neither way.
            Rotation::Out if state.samples.last().is_none() => Rotation::Unmeasured,
            rotation => rotation,
        };
        if rotation != node.rotation {
            if node.rotation != Rotation::Unmeasured || rotation == Rotation::Out {
                self.events.push(Event::Rotation { node: id, rotation, lag: node.lag });
            }
            node.rotation = rotation;
        }
    }

    /// A snapshot of everything as it is now.
    pub fn snapshot(&mut self) -> Snapshot {
        self.version += 1;
        Snapshot { version: self.version, shards: self.shards.values().map(|t| t.state.clone()).collect() }
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<(ShardId, &mut NodeState, &mut Notes)> {
        self.shards.iter_mut().find_map(|(shard, tracked)| {
            // Looked up before it is made mutable, which copies what is published.
            tracked.state.node(id)?;
            let state = Arc::make_mut(&mut tracked.state);
            let node = state.nodes.iter_mut().find(|node| node.id() == id)?;
            Some((*shard, node, tracked.notes.entry(id).or_default()))
        })
    }
}

fn unknown_node(settings: Arc<NodeSettings>) -> NodeState {
    NodeState {
        settings,
        role: None,
        health: Health::Unknown,
        seen: None,
        seen_at: None,
        probe_time: Duration::ZERO,
        lag: Lag::default(),
        rotation: Rotation::Unmeasured,
        samples: Samples::default(),
        load: Arc::new(AtomicUsize::new(0)),
    }
}

fn candidate(node: &NodeState) -> Option<Candidate> {
    let seen = node.seen.filter(|_| node.health == Health::Up)?;
    Some(Candidate {
        id: node.id(),
        address: node.settings.address(),
        in_recovery: seen.in_recovery,
        timeline: seen.timeline,
        system_id: seen.system_id,
        fixed: node.settings.node.role,
    })
}

#[cfg(test)]
mod tests;
