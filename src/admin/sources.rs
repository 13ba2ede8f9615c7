//! Where everything that is shown comes from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::map::{ShardId, ShardMap};
use crate::pool::Pools;
use crate::stats::{Clients, DatabaseStats};
use crate::topology::{Snapshot, TopologyHandle};

/// A database as it is served.
#[derive(Clone, Debug)]
pub struct DatabaseSource {
    /// Its map, replaced as a whole when it changes.
    pub map: Arc<ArcSwap<ShardMap>>,
    /// What it has done.
    pub stats: Arc<DatabaseStats>,
}

/// Asks the composition root to read the configuration again; the answer is what changed, or why nothing did.
pub type Reload = oneshot::Sender<Result<Vec<String>, String>>;

/// Everything the console and HTTP show.
pub struct Sources {
    /// The nodes and their state.
    pub topology: TopologyHandle,
    /// The databases by the name clients use.
    pub databases: Arc<ArcSwap<BTreeMap<String, DatabaseSource>>>,
    /// The configuration.
    pub config: Arc<ArcSwap<Config>>,
    /// All pools.
    pub pools: Arc<Pools>,
    /// All clients.
    pub clients: Arc<Clients>,
    /// Whether clients are taken.
    pub readiness: Arc<Readiness>,
    /// Where `RELOAD` goes.
    pub reload: mpsc::Sender<Reload>,
}

/// Whether the proxy takes clients.
#[derive(Debug, Default)]
pub struct Readiness {
    listening: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// All listeners are up.
    pub fn set_listening(&self) {
        self.listening.store(true, Ordering::Relaxed);
    }

    /// The proxy is on its way out.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether listeners are up and the proxy is not on its way out.
    pub fn takes_clients(&self) -> bool {
        self.listening.load(Ordering::Relaxed) && !self.draining.load(Ordering::Relaxed)
    }
}

impl Sources {
    /// The databases in order of their names, with their maps as they are now.
    pub fn maps(&self) -> Vec<(String, Arc<ShardMap>)> {
        self.databases.load().iter().map(|(name, database)| (name.clone(), database.map.load_full())).collect()
    }

    /// The name of a shard; its number if no database lies on it.
    pub fn shard_name(&self, id: ShardId) -> String {
        let databases = self.databases.load();
        let named = databases.values().find_map(|d| d.map.load().shard(id).map(|shard| shard.name.clone()));
        named.unwrap_or_else(|| id.to_string())
    }

    /// Why clients should not be sent here, each reason a line; empty when the proxy is ready: it listens and is not
    /// draining, and every shard of every database has a primary.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.readiness.takes_clients() {
            reasons.push("not taking clients".to_owned());
        }
        let snapshot: Arc<Snapshot> = Arc::clone(&self.topology.snapshot());
        for (database, map) in self.maps() {
            let without = map.shards.iter().filter(|shard| snapshot.primary(shard.id).is_none());
            reasons.extend(without.map(|s| format!("shard \"{}\" of database \"{database}\" has no primary", s.name)));
        }
        reasons
    }
}
