//! `SHOW NODES`, `SHOW LAG`, `SHOW SHARDS`.

use super::Rows;
use crate::admin::sources::Sources;
use crate::admin::table::Type::{Bool, Float, Int, Text};
use crate::admin::table::{Column, Value};
use crate::config::NodeRole;
use crate::topology::lag::Rotation;
use crate::topology::{NodeState, ShardState};

pub const NODES: &[Column] = &[
    ("node", Int),
    ("shard", Text),
    ("address", Text),
    ("role", Text),
    ("health", Text),
    ("zone", Text),
    ("weight", Int),
    ("in_use", Int),
    ("timeline", Int),
    ("lsn", Text),
    ("probe_ms", Float),
    ("why", Text),
];

pub fn nodes(sources: &Sources) -> Rows {
    each_node(sources, |shard, _, node| {
        vec![
            Value::count(node.id().0),
            Value::text(shard),
            Value::text(node.settings.address()),
            Value::or_null(node.role, |role| Value::text(role_word(role))),
            Value::text(node.health.as_str()),
            Value::or_null(node.settings.node.zone.as_ref(), Value::text),
            Value::count(node.settings.node.weight),
            Value::count(node.in_use()),
            Value::or_null(node.seen, |seen| Value::count(seen.timeline.0)),
            Value::or_null(node.seen, |seen| Value::text(seen.position)),
            Value::or_null(node.seen, |_| milliseconds(node.probe_time)),
            Value::or_null(node.health.why(), Value::text),
        ]
    })
}

pub const LAG: &[Column] = &[
    ("shard", Text),
    ("address", Text),
    ("role", Text),
    ("health", Text),
    ("lag_bytes", Int),
    ("lag_ms", Float),
    ("in_rotation", Bool),
    ("replay_paused", Bool),
    ("replay_lsn", Text),
    ("receive_lsn", Text),
    ("primary_lsn", Text),
];

/// Every node but the primaries, so that one whose role is not known is seen, too.
pub fn lag(sources: &Sources) -> Rows {
    let rows = each_node(sources, |shard, state, node| {
        if node.role == Some(NodeRole::Primary) {
            return Vec::new();
        }
        vec![
            Value::text(shard),
            Value::text(node.settings.address()),
            Value::or_null(node.role, |role| Value::text(role_word(role))),
            Value::text(node.health.as_str()),
            Value::or_null(node.lag.bytes, Value::count),
            Value::or_null(node.lag.time, milliseconds),
            Value::Bool(node.rotation == Rotation::In && node.health.is_usable()),
            Value::or_null(node.seen, |seen| Value::Bool(seen.replay_paused)),
            Value::or_null(node.seen, |seen| Value::text(seen.position)),
            Value::or_null(node.seen.and_then(|seen| seen.received), Value::text),
            Value::or_null(state.samples.last(), |sample| Value::text(sample.mark.lsn)),
        ]
    });
    rows.into_iter().filter(|row| !row.is_empty()).collect()
}

pub const SHARDS: &[Column] = &[
    ("shard", Text),
    ("primary", Text),
    ("replicas", Int),
    ("replicas_fit", Int),
    ("timeline", Int),
    ("system_identifier", Text),
    ("databases", Text),
    ("alarm", Text),
];

pub fn shards(sources: &Sources) -> Rows {
    let maps = sources.maps();
    let snapshot = sources.topology.snapshot();
    let row = |shard: &std::sync::Arc<ShardState>| {
        let primary = shard.primary.and_then(|id| shard.node(id)).map(|node| node.settings.address());
        let replicas = shard.nodes.iter().filter(|node| node.role == Some(NodeRole::Replica)).count();
        let databases = maps.iter().filter(|(_, map)| map.shard(shard.id).is_some()).map(|(name, _)| name.as_str());
        vec![
            Value::text(sources.shard_name(shard.id)),
            Value::or_null(primary, Value::text),
            Value::count(replicas),
            Value::count(shard.nodes.iter().filter(|node| node.is_fit_replica()).count()),
            Value::or_null(shard.timeline, |timeline| Value::count(timeline.0)),
            Value::or_null(shard.system_id, Value::text),
            Value::text(databases.collect::<Vec<_>>().join(", ")),
            Value::or_null(shard.alarm.as_ref(), Value::text),
        ]
    };
    snapshot.shards.iter().map(row).collect()
}

fn each_node(sources: &Sources, row: impl Fn(&str, &ShardState, &NodeState) -> Vec<Value>) -> Rows {
    let snapshot = sources.topology.snapshot();
    let mut rows = Vec::new();
    for shard in &snapshot.shards {
        let name = sources.shard_name(shard.id);
        rows.extend(shard.nodes.iter().map(|node| row(&name, shard, node)));
    }
    rows
}

pub fn role_word(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Primary => "primary",
        NodeRole::Replica => "replica",
    }
}

fn milliseconds(time: std::time::Duration) -> Value {
    // Microseconds are enough digits for an eye.
    Value::Float(time.as_micros() as f64 / 1000.0)
}
