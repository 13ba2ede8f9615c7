//! Counters that any room may bump: relaxed atomics, no locks, no names of metrics.
//!
//! The admin room gives them their names and reads them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

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

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Nothing is asked of us.
    Idle = 0,
    /// A statement runs, or a transaction is open.
    Active = 1,
    /// It waits for a server.
    Waiting = 2,
}

/// One client as others see it; its session writes, the console reads.
#[derive(Debug)]
pub struct ClientInfo {
    /// Unique over the life of the process.
    pub id: u64,
    /// The role it authenticated as.
    pub user: String,
    /// The database it asked for.
    pub database: String,
    /// Where it comes from.
    pub addr: String,
    /// Whether its connection is encrypted.
    pub tls: bool,
    /// `application_name` as given at start-up.
    pub application_name: String,
    /// When it was accepted.
    pub connected_at: SystemTime,
    state: AtomicU8,
    pinned: AtomicBool,
    servers: AtomicU32,
}

impl ClientInfo {
    /// What it is doing now.
    pub fn state(&self) -> ClientState {
        match self.state.load(Ordering::Relaxed) {
            1 => ClientState::Active,
            2 => ClientState::Waiting,
            _ => ClientState::Idle,
        }
    }

    /// Says what it is doing.
    pub fn set_state(&self, state: ClientState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Whether its session is pinned to its servers.
    pub fn pinned(&self) -> bool {
        self.pinned.load(Ordering::Relaxed)
    }

    /// Says whether it is pinned.
    pub fn set_pinned(&self, pinned: bool) {
        self.pinned.store(pinned, Ordering::Relaxed);
    }

    /// Servers it holds now.
    pub fn servers(&self) -> u32 {
        self.servers.load(Ordering::Relaxed)
    }

    /// Says how many servers it holds.
    pub fn set_servers(&self, count: u32) {
        self.servers.store(count, Ordering::Relaxed);
    }
}

/// All clients of the process, bounded by the limit on clients.
#[derive(Debug, Default)]
pub struct Clients {
    next: AtomicU64,
    all: Mutex<HashMap<u64, Arc<ClientInfo>>>,
}

impl Clients {
    /// Registers a client; it is listed until the registration is dropped.
    pub fn register(
        self: &Arc<Clients>,
        user: &str,
        database: &str,
        addr: String,
        tls: bool,
        application_name: &str,
    ) -> Registration {
        let info = Arc::new(ClientInfo {
            id: self.next.fetch_add(1, Ordering::Relaxed) + 1,
            user: user.to_owned(),
            database: database.to_owned(),
            addr,
            tls,
            application_name: application_name.to_owned(),
            connected_at: SystemTime::now(),
            state: AtomicU8::new(0),
            pinned: AtomicBool::new(false),
            servers: AtomicU32::new(0),
        });
        self.lock().insert(info.id, info.clone());
        Registration { clients: self.clone(), info }
    }

    /// All clients, in order of arrival.
    pub fn snapshot(&self) -> Vec<Arc<ClientInfo>> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by_key(|info| info.id);
        all
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<ClientInfo>>> {
        // Nothing panics while it is held; were it poisoned, the map would still be whole.
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A client's entry in [`Clients`], for as long as it lives.
#[derive(Debug)]
pub struct Registration {
    clients: Arc<Clients>,
    /// What the session writes.
    pub info: Arc<ClientInfo>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.clients.lock().remove(&self.info.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_listed_while_it_lives() {
        let clients = Arc::new(Clients::default());
        let first = clients.register("a", "d", "1.2.3.4:5".into(), false, "");
        first.info.set_state(ClientState::Waiting);
        let second = clients.register("b", "d", "1.2.3.4:6".into(), false, "psql");
        assert_eq!(clients.snapshot().iter().map(|c| c.user.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(clients.snapshot()[0].state(), ClientState::Waiting);
        drop(first);
        assert_eq!((clients.count(), clients.snapshot()[0].id), (1, second.info.id));
    }
}
