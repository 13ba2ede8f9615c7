//! What all sessions of one database share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::config::{Balancing, Consistency, FunctionDeclaration, Limits, PoolMode, ReadFromPrimary};
use crate::map::{KeyColumn, KeyType, NodeId, ShardMap, TableName};
use crate::net::Endpoint;
use crate::pool::{Login, Pool, PoolKey, PoolSettings, Pools};
use crate::sql::Schema;
use crate::sql::cache::PlanCache;
use crate::stats::DatabaseStats;
use crate::topology::{SchemaHandle, TopologyHandle};

/// How a node is reached.
#[derive(Clone, Debug)]
pub struct NodeAccess {
    /// Where and by which TLS.
    pub endpoint: Arc<Endpoint>,
    /// As people know it, `host:port`.
    pub address: Arc<str>,
}

/// The settings of a database that its sessions need.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// As clients name it.
    pub name: Arc<str>,
    /// As the servers name it.
    pub dbname: String,
    /// How old a read may be unless the client says otherwise.
    pub consistency: Consistency,
    /// When servers go back.
    pub pool_mode: PoolMode,
    /// Servers per node and role.
    pub pool_size: usize,
    /// How a replica is chosen.
    pub balancing: Balancing,
    /// Whether the primary shares reads.
    pub read_from_primary: ReadFromPrimary,
    /// Declared functions.
    pub functions: BTreeMap<String, FunctionDeclaration>,
    /// Declared triggers.
    pub safe_triggers: Vec<String>,
    /// Limits.
    pub limits: Limits,
}

/// Texts a replica refused as writes, by hash: they go to the primary from then on. Bounded; emptied when full.
#[derive(Debug, Default)]
pub struct Learned {
    /// Whether there is any, so that nobody takes the lock where there is none.
    any: AtomicBool,
    texts: Mutex<std::collections::HashSet<u64>>,
}

/// The most texts that [`Learned`] holds.
const LEARNED: usize = 4096;

impl Learned {
    /// Remembers a text.
    pub fn insert(&self, text: u64) {
        let mut texts = self.texts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if texts.len() >= LEARNED {
            texts.clear();
        }
        texts.insert(text);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether a text was remembered. (Usually there is none at all.)
    pub fn contains(&self, text: u64) -> bool {
        self.any.load(Ordering::Relaxed)
            && self.texts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(&text)
    }
}

/// The pools that one session has used: looked up once, not for each statement.
#[derive(Default)]
pub struct KnownPools {
    known: Vec<(NodeId, Arc<Pool>)>,
}

impl KnownPools {
    /// The pool of a node for the session's role. `None` when the node is gone from the configuration.
    pub fn pool(&mut self, database: &Database, node: NodeId, login: &Login) -> Option<Arc<Pool>> {
        if let Some(at) = self.known.iter().position(|(known, _)| *known == node) {
            if !self.known[at].1.is_retired() {
                return Some(self.known[at].1.clone());
            }
            self.known.swap_remove(at);
        }
        let pool = database.pool(node, login)?;
        self.known.push((node, pool.clone()));
        Some(pool)
    }
}

/// What all sessions of one database share.
pub struct Database {
    /// The settings; replaced on reload.
    pub settings: ArcSwap<DatabaseSettings>,
    /// Who owns what.
    pub map: Arc<ArcSwap<ShardMap>>,
    /// The map as the file or the catalog says it, before the types of its keys are known.
    pub untyped: ArcSwap<ShardMap>,
    /// What the servers' catalogs say.
    pub schema: ArcSwap<Schema>,
    /// Reads the schema again.
    pub schema_reader: SchemaHandle,
    /// The nodes and their state.
    pub topology: TopologyHandle,
    /// How nodes are reached.
    pub nodes: Arc<ArcSwap<HashMap<NodeId, NodeAccess>>>,
    /// All pools of the process.
    pub pools: Arc<Pools>,
    /// Analyses by text.
    pub cache: PlanCache,
    /// Texts that replicas refused.
    pub learned: Learned,
    /// Counters.
    pub stats: Arc<DatabaseStats>,
    /// Gives each choice of a node its turn.
    pub turn: AtomicU64,
    /// Held by every unit of commit from its first frame to its end, and replaced when the map changes: when nobody holds
    /// the one before any more, nothing that was planned by the map before is under way.
    pub generation: ArcSwap<()>,
    /// Keys the names that servers know statements by.
    pub statement_key: (u64, u64),
}

impl Database {
    /// The next turn for balancing.
    pub fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes in a schema, or a map: the types of the keys are found in the schema, and both are published.
    ///
    /// A key column of a type that cannot be one leaves its distribution without types: statements over it are refused
    /// until it is mended.
    pub fn adopt(&self, schema: Option<Arc<Schema>>, untyped: Option<Arc<ShardMap>>) {
        if let Some(schema) = schema {
            self.schema.store(schema);
        }
        if let Some(untyped) = untyped {
            self.untyped.store(untyped);
        }
        let (schema, untyped) = (self.schema.load(), self.untyped.load_full());
        let (map, errors) = untyped.with_known_key_types(|table, column| key_type(&schema, table, column));
        for error in errors {
            tracing::error!(database = %untyped.database, %error, "a distribution cannot be routed");
        }
        if **self.map.load() != map {
            self.map.store(Arc::new(map));
        }
    }

    /// Begins a new generation and returns the one before: every unit of commit that is under way holds it (or one still
    /// older, which was returned before).
    pub fn next_generation(&self) -> Arc<()> {
        self.generation.swap(Arc::new(()))
    }

    /// The pool of a node for a role, made if it is the first time. `None` when the node is gone from the configuration.
    pub fn pool(&self, node: NodeId, login: &Login) -> Option<Arc<Pool>> {
        let access = self.nodes.load().get(&node)?.clone();
        let settings = self.settings.load();
        let key = PoolKey {
            node,
            database: settings.name.clone(),
            user: login.user.as_str().into(),
            address: access.address.clone(),
        };
        let load = self.topology.load(node)?;
        Some(self.pools.pool(&key, || {
            let limits = &settings.limits;
            let bounds = PoolSettings {
                size: settings.pool_size,
                waiters: limits.waiters,
                checkout_timeout: limits.checkout_timeout,
                connect_timeout: limits.connect_timeout,
                prepared: limits.prepared_per_server,
                idle_timeout: limits.server_idle_timeout,
                lifetime: limits.server_lifetime,
            };
            Pool::new(key.clone(), access.endpoint.clone(), login.clone(), bounds, load)
        }))
    }
}

fn key_type(schema: &Schema, table: &TableName, column: &str) -> Option<KeyType> {
    let relation = schema.relations.get(&(table.schema.clone(), table.name.clone()))?;
    let column = relation.columns.iter().find(|known| known.name == column)?;
    let found = KeyType::from_pg(KeyColumn {
        type_oid: column.type_oid,
        typmod: column.typmod,
        not_null: column.not_null,
        generated: column.generated,
        deterministic: column.deterministic,
    });
    match found {
        Ok(key_type) => Some(key_type),
        Err(reason) => {
            tracing::error!(table = %table, column = column.name, %reason, "a column cannot be a sharding key");
            None
        }
    }
}
