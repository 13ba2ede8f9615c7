//! Counters that any room may bump: relaxed atomics, no locks, no names of metrics.
//!
//! The admin room gives them their names and reads them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn bump(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a database has done since the proxy started. One per database, shared by its sessions.
#[derive(Debug, Default)]
pub struct DatabaseStats {
    /// Units of commit finished (a Sync or Query outside a block, or the end of one).
    pub transactions: Counter,
    /// Statements planned, whatever their shape.
    pub statements: Counter,
    /// Statements answered without a server.
    pub here: Counter,
    /// Statements sent to one shard.
    pub direct: Counter,
    /// Statements sent to several shards.
    pub scatter: Counter,
    /// Statements refused with `0A000`.
    pub refused: Counter,
    /// Statements that went to a replica.
    pub replica_reads: Counter,
    /// Statements planned from the cache, without a parse.
    pub cache_hits: Counter,
    /// Statements that had to be parsed.
    pub cache_misses: Counter,
    /// Statements a replica refused as a write (25006) and the primary then ran.
    pub replica_retries: Counter,
    /// Units that were run again because their server was lost before a reply.
    pub server_lost_retries: Counter,
    /// Cancel requests that reached a server.
    pub cancels: Counter,
    /// Bytes read from clients.
    pub client_bytes_in: Counter,
    /// Bytes written to clients.
    pub client_bytes_out: Counter,
    /// Microseconds that clients waited for a server.
    pub wait_us: Counter,
    /// Times a session was pinned to its servers.
    pub pins: Counter,
}
