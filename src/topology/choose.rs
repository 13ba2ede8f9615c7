//! Which node of a shard gets a statement. Pure: the snapshot, the wish and the turn come in as arguments.

use std::sync::Arc;

use super::mark::{Mark, Standing};
use super::state::{Health, NodeState, ShardState, Snapshot};
use crate::config::{Balancing, NodeRole, ReadFromPrimary};
use crate::map::{NodeId, ShardId};
use crate::wire::{Diagnostic, Fault, Report, Retry, SqlState};

/// What a statement asks of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It writes, or must not be older than the newest commit.
    Primary,
    /// A replica will do.
    Replica {
        /// The read must not be older than this.
        at_least: Option<Mark>,
    },
}

/// How one of several nodes is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    /// The rule.
    pub balancing: Balancing,
    /// Whether the primary is one of the nodes that share reads.
    pub read_from_primary: ReadFromPrimary,
    /// The node this session read from last: kept while it is fit, because a replica never goes backwards.
    pub sticky: Option<NodeId>,
    /// The turn of `round_robin` and `weighted` (a counter), and what breaks ties.
    pub seed: u64,
}

/// No node of the shard can take the statement now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNode {
    /// The topology does not know the shard.
    #[error("shard {0} is not known")]
    UnknownShard(ShardId),
    /// The shard has no primary, and no replica is fit (or may be asked).
    #[error("shard {shard} has no primary")]
    NoPrimary {
        /// The shard.
        shard: ShardId,
        /// Why, if it is known.
        alarm: Option<Arc<str>>,
    },
}

impl Report for NoNode {
    fn diagnostic(&self) -> Diagnostic {
        let report = Diagnostic::error(SqlState::CANNOT_CONNECT_NOW, self.to_string());
        match self {
            NoNode::NoPrimary { alarm: Some(alarm), .. } => report.detail(alarm.to_string()),
            NoNode::NoPrimary { alarm: None, .. } => {
                report.hint("The statement can be tried again when the shard has a primary.")
            }
            NoNode::UnknownShard(_) => report,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            NoNode::UnknownShard(_) => Fault::Proxy,
            NoNode::NoPrimary { .. } => Fault::Server,
        }
    }

    fn retry(&self) -> Retry {
        Retry::BeforeSend
    }
}

impl Snapshot {
    /// The node for a statement. `in_use` says how many servers of a node are in use.
    ///
    /// # Errors
    /// [`NoNode`] when the shard has no primary and the statement needs it, or no replica is fit.
    pub fn choose(
        &self,
        shard: ShardId,
        need: Need,
        preference: &Preference,
        in_use: impl Fn(&NodeState) -> usize,
    ) -> Result<NodeId, NoNode> {
        let state = self.shard(shard).ok_or(NoNode::UnknownShard(shard))?;
        let no_primary = || NoNode::NoPrimary { shard, alarm: state.alarm.clone() };
        match need {
            Need::Primary => state.primary.ok_or_else(no_primary),
            Need::Replica { at_least } => {
                let fit = |node: &NodeState| is_fit(state, node, at_least.as_ref(), preference.read_from_primary);
                let answers = |node: &NodeState| node.health == Health::Up && fit(node);
                pick(state, answers, preference, &in_use)
                    .or(state.primary)
                    .or_else(|| pick(state, fit, preference, &in_use))
                    .ok_or_else(no_primary)
            }
        }
    }
}

fn is_fit(shard: &ShardState, node: &NodeState, at_least: Option<&Mark>, primary: ReadFromPrimary) -> bool {
    if node.role == Some(NodeRole::Primary) {
        // The primary has everything there is, whatever the mark.
        return primary == ReadFromPrimary::Always && shard.primary == Some(node.id());
    }
    node.is_fit_replica() && at_least.is_none_or(|mark| shard.standing(node, mark) == Standing::Reached)
}

fn pick(
    shard: &ShardState,
    fit: impl Fn(&NodeState) -> bool,
    preference: &Preference,
    in_use: impl Fn(&NodeState) -> usize,
) -> Option<NodeId> {
    if let Some(node) = preference.sticky.and_then(|id| shard.node(id)).filter(|node| fit(node)) {
        return Some(node.id());
    }
    let candidates = || shard.nodes.iter().filter(|node| fit(node));
    let weighted = |weight: fn(&NodeState) -> u64| {
        let total: u64 = candidates().map(weight).sum();
        let mut turn = preference.seed.checked_rem(total)?;
        let mine = |node: &&NodeState| {
            let weight = weight(node);
            let found = turn < weight;
            turn = turn.saturating_sub(weight);
            found
        };
        candidates().find(mine).map(NodeState::id)
    };
    match preference.balancing {
        Balancing::RoundRobin => weighted(|_| 1),
        Balancing::Weighted => weighted(|node| u64::from(node.settings.node.weight)).or_else(|| weighted(|_| 1)),
        Balancing::LeastConnections => {
            let least = candidates().map(&in_use).min()?;
            // Loads move while they are read, so that none may be the least any more: then any will do.
            let idle = || candidates().filter(|node| in_use(node) <= least);
            let (count, all) = (idle().count(), candidates().count());
            if count > 0
                && let Some(node) = idle().nth((preference.seed % count as u64) as usize)
            {
                return Some(node.id());
            }
            candidates().nth(preference.seed.checked_rem(all as u64)? as usize).map(NodeState::id)
        }
    }
}
