//! `SHOW DATABASES`, `SHOW STATS`, `SHOW CONFIG`.

use super::Rows;
use super::clients::mode_word;
use crate::admin::sources::Sources;
use crate::admin::table::Type::{Int, Text};
use crate::admin::table::{Column, Value};
use crate::config::{self, Balancing, Consistency};

pub const DATABASES: &[Column] = &[
    ("name", Text),
    ("database", Text),
    ("shards", Text),
    ("home", Text),
    ("pool_size", Int),
    ("pool_mode", Text),
    ("consistency", Text),
    ("balancing", Text),
    ("epoch", Int),
    ("current_connections", Int),
    ("clients", Int),
];

pub fn databases(sources: &Sources) -> Rows {
    let config = sources.config.load();
    let (servers, clients) = (sources.pools.servers(), sources.clients.snapshot());
    let row = |(name, map): (String, std::sync::Arc<crate::map::ShardMap>)| {
        let settings = config.databases.get(&name).or_else(|| config.databases.get("*"));
        let setting = |value: fn(&config::Database) -> Value| Value::or_null(settings, value);
        let shards: Vec<&str> = map.shards.iter().map(|shard| shard.name.as_str()).collect();
        vec![
            Value::text(&name),
            setting(|database| Value::text(&database.dbname)),
            Value::text(shards.join(", ")),
            Value::or_null(map.shard(map.home), |home| Value::text(&home.name)),
            setting(|database| Value::count(database.pool_size)),
            setting(|database| Value::text(mode_word(database.pool_mode))),
            setting(|database| Value::text(consistency_word(database.consistency))),
            setting(|database| Value::text(balancing_word(database.balancing))),
            Value::count(map.epoch.0),
            Value::count(servers.iter().filter(|server| server.database == name).count()),
            Value::count(clients.iter().filter(|client| client.database == name).count()),
        ]
    };
    sources.maps().into_iter().map(row).collect()
}

pub const STATS: &[Column] = &[
    ("database", Text),
    ("total_xact_count", Int),
    ("total_query_count", Int),
    ("total_received", Int),
    ("total_sent", Int),
    ("total_wait_time", Int),
    ("here", Int),
    ("direct", Int),
    ("scatter", Int),
    ("refused", Int),
    ("replica_reads", Int),
    ("replica_retries", Int),
    ("server_lost_retries", Int),
    ("cache_hits", Int),
    ("cache_misses", Int),
    ("cancels", Int),
    ("pins", Int),
];

pub fn stats(sources: &Sources) -> Rows {
    let databases = sources.databases.load();
    let row = |(name, database): (&String, &crate::admin::DatabaseSource)| {
        let stats = &database.stats;
        let counters = [
            &stats.transactions,
            &stats.statements,
            &stats.client_bytes_in,
            &stats.client_bytes_out,
            &stats.wait_us,
            &stats.here,
            &stats.direct,
            &stats.scatter,
            &stats.refused,
            &stats.replica_reads,
            &stats.replica_retries,
            &stats.server_lost_retries,
            &stats.cache_hits,
            &stats.cache_misses,
            &stats.cancels,
            &stats.pins,
        ];
        let counts = counters.into_iter().map(|counter| Value::count(counter.value()));
        std::iter::once(Value::text(name)).chain(counts).collect()
    };
    databases.iter().map(row).collect()
}

pub const CONFIG: &[Column] = &[("key", Text), ("value", Text)];

pub fn config(sources: &Sources) -> Rows {
    let settings = config::settings(&sources.config.load());
    settings.into_iter().map(|(key, value)| vec![Value::text(key), Value::text(value)]).collect()
}

fn consistency_word(level: Consistency) -> &'static str {
    match level {
        Consistency::Eventual => "eventual",
        Consistency::Session => "session",
        Consistency::Primary => "primary",
    }
}

fn balancing_word(balancing: Balancing) -> &'static str {
    match balancing {
        Balancing::LeastConnections => "least_connections",
        Balancing::RoundRobin => "round_robin",
        Balancing::Weighted => "weighted",
    }
}
