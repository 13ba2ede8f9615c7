//! `/metrics`: OpenMetrics, gathered when it is asked for.
//!
//! Labels are names from the configuration or the map (database, shard, node, role), so that the number of series is
//! bounded; users and clients are no labels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::sources::Sources;
use crate::config::NodeRole;
use crate::stats::{ClientState, Counter, DatabaseStats};
use crate::topology::NodeState;

/// The content type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics now, as text.
///
/// # Errors
/// Never for a `String`; the encoder's signature has it.
pub fn render(sources: &Arc<Sources>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("pgweave");
    registry.register_collector(Box::new(Gathered { sources: sources.clone() }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Gathered {
    sources: Arc<Sources>,
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

/// Names and values of a series' labels.
type Labels = Vec<(&'static str, String)>;

/// A counter of each database: its name, its help, where it is.
type DatabaseCounter = (&'static str, &'static str, fn(&DatabaseStats) -> &Counter);

const DATABASE_COUNTERS: [DatabaseCounter; 16] = [
    ("transactions", "Units of commit finished", |s| &s.transactions),
    ("statements", "Statements planned", |s| &s.statements),
    ("statements_here", "Statements answered without a server", |s| &s.here),
    ("statements_direct", "Statements sent to one shard", |s| &s.direct),
    ("statements_scatter", "Statements sent to several shards", |s| &s.scatter),
    ("statements_refused", "Statements refused with 0A000", |s| &s.refused),
    ("replica_reads", "Statements that went to a replica", |s| &s.replica_reads),
    ("plan_cache_hits", "Statements planned from the cache", |s| &s.cache_hits),
    ("plan_cache_misses", "Statements that had to be parsed", |s| &s.cache_misses),
    ("replica_retries", "Statements a replica refused as a write and the primary then ran", |s| &s.replica_retries),
    ("server_lost_retries", "Units run again because their server was lost before a reply", |s| &s.server_lost_retries),
    ("cancels", "Cancel requests that reached a server", |s| &s.cancels),
    ("client_received_bytes", "Bytes read from clients", |s| &s.client_bytes_in),
    ("client_sent_bytes", "Bytes written to clients", |s| &s.client_bytes_out),
    ("wait_microseconds", "Time that clients waited for a server", |s| &s.wait_us),
    ("pins", "Times a session was pinned to its servers", |s| &s.pins),
];

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let out = &mut encoder;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.encode_descriptor("build", "What runs", None, MetricType::Info)?.encode_info(&version)?;
        gauge(
            out,
            "ready",
            "Whether /readyz says yes",
            vec![(Labels::new(), i64::from(self.sources.unready().is_empty()))],
        )?;
        self.databases(out)?;
        self.clients(out)?;
        self.pools(out)?;
        self.shards(out)?;
        self.nodes(out)
    }
}

impl Gathered {
    fn databases(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let databases = self.sources.databases.load();
        for (name, help, counter) in DATABASE_COUNTERS {
            let series = databases.iter().map(|(database, d)| (label(database), counter(&d.stats).value()));
            counters(out, name, help, series.collect())?;
        }
        let epochs = databases.iter().map(|(name, d)| (label(name), number(d.map.load().epoch.0)));
        gauge(out, "map_epoch", "The version of the map", epochs.collect())
    }

    fn clients(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let databases = self.sources.databases.load();
        // A client may name any database; those that are not served are refused soon, and make no series.
        let mut all: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for database in databases.keys() {
            for state in ["idle", "active", "waiting"] {
                all.insert((database, state), 0);
            }
        }
        let clients = self.sources.clients.snapshot();
        for client in &clients {
            let state = match client.state() {
                ClientState::Idle => "idle",
                ClientState::Active => "active",
                ClientState::Waiting => "waiting",
            };
            if let Some(count) = all.get_mut(&(client.database.as_str(), state)) {
                *count += 1;
            }
        }
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        all.iter().for_each(|((database, _), count)| *totals.entry(*database).or_default() += count);
        gauge(out, "clients", "Clients", totals.iter().map(|(name, count)| (label(name), *count)).collect())?;
        let series = all.iter().map(|((database, state), count)| {
            (vec![("database", (*database).to_owned()), ("state", (*state).to_owned())], *count)
        });
        gauge(out, "clients_by_state", "Clients by what they are doing", series.collect())
    }

    fn pools(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        // Over all users: who they are is not bounded by the configuration.
        let mut servers: BTreeMap<(String, String, &str), i64> = BTreeMap::new();
        let mut waiting: BTreeMap<(String, String), i64> = BTreeMap::new();
        let snapshot = self.sources.topology.snapshot();
        for pool in self.sources.pools.views() {
            let Some(node) = snapshot.node(pool.node) else { continue };
            let at = (pool.database, node.settings.address());
            let states = [
                ("active", pool.active),
                ("idle", pool.idle),
                ("connecting", pool.connecting),
                ("resetting", pool.resetting),
            ];
            for (state, count) in states {
                *servers.entry((at.0.clone(), at.1.clone(), state)).or_default() += number(count);
            }
            *waiting.entry(at).or_default() += number(pool.waiting);
        }
        let place = |database: String, node: String| vec![("database", database), ("node", node)];
        let series = servers.into_iter().map(|((database, node, state), count)| {
            let mut labels = place(database, node);
            labels.push(("state", state.to_owned()));
            (labels, count)
        });
        gauge(out, "servers", "Server connections by what they are doing", series.collect())?;
        let series = waiting.into_iter().map(|((database, node), count)| (place(database, node), count));
        gauge(out, "pool_waiting", "Clients waiting for a server", series.collect())
    }

    fn shards(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        let snapshot = self.sources.topology.snapshot();
        let each = |value: fn(&crate::topology::ShardState) -> i64| {
            let series = snapshot.shards.iter();
            series.map(|s| (vec![("shard", self.sources.shard_name(s.id))], value(s))).collect()
        };
        gauge(out, "shard_has_primary", "Whether the shard takes writes", each(|s| i64::from(s.primary.is_some())))?;
        gauge(
            out,
            "shard_alarm",
            "Whether an operator must look at the shard",
            each(|s| i64::from(s.alarm.is_some())),
        )?;
        let timeline = each(|s| s.timeline.map_or(0, |timeline| timeline.0.into()));
        gauge(out, "shard_timeline", "The highest timeline seen", timeline)
    }

    fn nodes(&self, out: &mut DescriptorEncoder) -> fmt::Result {
        gauge(out, "node_up", "Whether the node answers", self.each_node(|n| Some(i64::from(n.health.is_usable()))))?;
        let role = |wanted| move |n: &NodeState| Some(i64::from(n.role == Some(wanted)));
        gauge(out, "node_primary", "Whether it is its shard's primary", self.each_node(role(NodeRole::Primary)))?;
        gauge(out, "node_in_use", "Its servers in use", self.each_node(|n| Some(number(n.in_use()))))?;
        let replica = |n: &NodeState| n.role == Some(NodeRole::Replica);
        let fit = self.each_node(|n| replica(n).then(|| i64::from(n.is_fit_replica())));
        gauge(out, "replica_in_rotation", "Whether the replica takes reads", fit)?;
        let bytes = self.each_node(|n| n.lag.bytes.filter(|_| replica(n)).map(number));
        gauge(out, "replica_lag_bytes", "Log the replica has not replayed", bytes)?;
        let time = self.each_node(|n| n.lag.time.filter(|_| replica(n)).map(|time| time.as_secs_f64()));
        gauge(out, "replica_lag_seconds", "How long the replica has lacked what it lacks", time)
    }

    fn each_node<T>(&self, value: impl Fn(&NodeState) -> Option<T>) -> Vec<(Labels, T)> {
        let snapshot = self.sources.topology.snapshot();
        let series = snapshot.nodes().filter_map(|node| {
            let labels =
                vec![("shard", self.sources.shard_name(node.settings.shard)), ("node", node.settings.address())];
            Some((labels, value(node)?))
        });
        series.collect()
    }
}

fn label(database: &str) -> Labels {
    vec![("database", database.to_owned())]
}

/// A number as a gauge takes it; one that does not fit stays at the largest.
fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn gauge<T: EncodeGaugeValue>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    series: Vec<(Labels, T)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in &series {
        if labels.is_empty() {
            metric.encode_gauge(value)?;
        } else {
            metric.encode_family(labels)?.encode_gauge(value)?;
        }
    }
    Ok(())
}

fn counters<T: EncodeCounterValue>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    series: Vec<(Labels, T)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in &series {
        metric.encode_family(labels)?.encode_counter::<Labels, T, f64>(value, None)?;
    }
    Ok(())
}
