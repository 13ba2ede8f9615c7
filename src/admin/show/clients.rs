//! `SHOW POOLS`, `SHOW CLIENTS`, `SHOW SERVERS`.

use super::Rows;
use crate::admin::sources::Sources;
use crate::admin::table::Type::{Bool, Int, Text};
use crate::admin::table::{Column, Value};
use crate::config::{Config, NodeRole, PoolMode};
use crate::map::NodeId;
use crate::pool::ServerState;
use crate::stats::ClientState;

pub const POOLS: &[Column] = &[
    ("database", Text),
    ("user", Text),
    ("shard", Text),
    ("node", Text),
    ("cl_active", Int),
    ("cl_waiting", Int),
    ("sv_active", Int),
    ("sv_idle", Int),
    ("sv_tested", Int),
    ("sv_login", Int),
    ("maxwait", Int),
    ("maxwait_us", Int),
    ("pool_size", Int),
    ("pool_mode", Text),
];

pub fn pools(sources: &Sources) -> Rows {
    let config = sources.config.load();
    let row = |pool: crate::pool::PoolView| {
        let place = Place::of(sources, pool.node);
        vec![
            Value::text(&pool.database),
            Value::text(&pool.user),
            Value::text(place.shard),
            Value::text(place.address),
            // One client has each server in use.
            Value::count(pool.active),
            Value::count(pool.waiting),
            Value::count(pool.active),
            Value::count(pool.idle),
            Value::count(pool.resetting),
            Value::count(pool.connecting),
            Value::count(pool.max_wait.as_secs()),
            Value::count(pool.max_wait.subsec_micros()),
            Value::count(pool.size),
            Value::text(mode_word(pool_mode(&config, &pool.database, &pool.user))),
        ]
    };
    sources.pools.views().into_iter().map(row).collect()
}

pub const CLIENTS: &[Column] = &[
    ("type", Text),
    ("user", Text),
    ("database", Text),
    ("state", Text),
    ("addr", Text),
    ("port", Int),
    ("connect_time", Text),
    ("ptr", Text),
    ("tls", Bool),
    ("application_name", Text),
    ("servers", Int),
    ("pinned", Bool),
];

pub fn clients(sources: &Sources) -> Rows {
    let row = |client: std::sync::Arc<crate::stats::ClientInfo>| {
        let state = match client.state() {
            ClientState::Idle => "idle",
            ClientState::Active => "active",
            ClientState::Waiting => "waiting",
        };
        let (addr, port) = split_address(&client.addr);
        vec![
            Value::text("C"),
            Value::text(&client.user),
            Value::text(&client.database),
            Value::text(state),
            Value::text(addr),
            Value::or_null(port, |port| Value::Int(port.into())),
            Value::moment(client.connected_at),
            Value::text(client.id),
            Value::Bool(client.tls),
            Value::text(&client.application_name),
            Value::count(client.servers()),
            Value::Bool(client.pinned()),
        ]
    };
    sources.clients.snapshot().into_iter().map(row).collect()
}

pub const SERVERS: &[Column] = &[
    ("type", Text),
    ("user", Text),
    ("database", Text),
    ("state", Text),
    ("addr", Text),
    ("port", Int),
    ("connect_time", Text),
    ("ptr", Text),
    ("remote_pid", Int),
    ("tls", Bool),
    ("shard", Text),
    ("role", Text),
    ("checkouts", Int),
];

pub fn servers(sources: &Sources) -> Rows {
    let row = |server: crate::pool::ServerView| {
        let state = match server.state {
            ServerState::Idle => "idle",
            ServerState::Active => "active",
            ServerState::Resetting => "tested",
        };
        let place = Place::of(sources, server.node);
        let (addr, port) = split_address(&place.address);
        vec![
            Value::text("S"),
            Value::text(&server.user),
            Value::text(&server.database),
            Value::text(state),
            Value::text(addr),
            Value::or_null(port, |port| Value::Int(port.into())),
            Value::moment(server.connected_at),
            Value::text(server.id),
            Value::count(server.process_id),
            Value::Bool(server.tls),
            Value::text(&place.shard),
            Value::or_null(place.role, |role| Value::text(super::nodes::role_word(role))),
            Value::count(server.checkouts),
        ]
    };
    sources.pools.servers().into_iter().map(row).collect()
}

/// Where a node is.
struct Place {
    shard: String,
    address: String,
    role: Option<NodeRole>,
}

impl Place {
    /// Of a node that is gone from the configuration only its number is known.
    fn of(sources: &Sources, node: NodeId) -> Place {
        let snapshot = sources.topology.snapshot();
        match snapshot.node(node) {
            Some(node) => Place {
                shard: sources.shard_name(node.settings.shard),
                address: node.settings.address(),
                role: node.role,
            },
            None => Place { shard: String::new(), address: format!("node {node}"), role: None },
        }
    }
}

/// Host and port; a Unix socket has no port.
fn split_address(address: &str) -> (&str, Option<u16>) {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) => (host.trim_start_matches('[').trim_end_matches(']'), Some(port)),
        None => (address, None),
    }
}

/// A user's own mode goes before the database's.
fn pool_mode(config: &Config, database: &str, user: &str) -> PoolMode {
    let own = config.users.iter().find(|known| known.name == user).and_then(|user| user.pool_mode);
    let named = config.databases.get(database).or_else(|| config.databases.get("*"));
    own.or(named.map(|database| database.pool_mode)).unwrap_or(PoolMode::Transaction)
}

pub fn mode_word(mode: PoolMode) -> &'static str {
    match mode {
        PoolMode::Transaction => "transaction",
        PoolMode::Session => "session",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(split_address("10.0.0.1:5432"), ("10.0.0.1", Some(5432)));
        assert_eq!(split_address("[::1]:70"), ("::1", Some(70)));
        assert_eq!(split_address("/run/pg/.s.PGSQL.5432"), ("/run/pg/.s.PGSQL.5432", None));
        assert_eq!(split_address(""), ("", None));
    }
}
