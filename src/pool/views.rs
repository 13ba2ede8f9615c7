//! Pools and servers as the console shows them.

use std::time::{Duration, SystemTime};

use crate::map::NodeId;

/// One pool: the servers of one node for one database and user.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolView {
    /// The node.
    pub node: NodeId,
    /// The database as clients name it.
    pub database: String,
    /// The role.
    pub user: String,
    /// Clients waiting for a server.
    pub waiting: usize,
    /// Servers in use.
    pub active: usize,
    /// Servers at rest.
    pub idle: usize,
    /// Servers being connected.
    pub connecting: usize,
    /// Servers being reset before they may rest.
    pub resetting: usize,
    /// The hard cap on all of these together.
    pub size: usize,
    /// How long the first waiter has waited.
    pub max_wait: Duration,
}

/// What a server connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// At rest in its pool.
    Idle,
    /// A client has it.
    Active,
    /// It is being reset.
    Resetting,
}

/// One server connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerView {
    /// Unique over the life of the process.
    pub id: u64,
    /// The node.
    pub node: NodeId,
    /// The database as clients name it.
    pub database: String,
    /// The role.
    pub user: String,
    /// What it is doing.
    pub state: ServerState,
    /// The backend's process id at the node.
    pub process_id: u32,
    /// When it was connected.
    pub connected_at: SystemTime,
    /// How often it was taken from its pool.
    pub checkouts: u64,
    /// Whether it is encrypted.
    pub tls: bool,
}
