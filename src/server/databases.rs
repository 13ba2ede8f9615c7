//! The databases that clients may ask for, those behind a wildcard included.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;

use super::{Proxy, ServeError, cluster};
use crate::admin::sources::DatabaseSource;
use crate::config::{self, Config};
use crate::exec::database::Learned;
use crate::exec::{Database, DatabaseSettings};
use crate::map::{Epoch, ShardMap};
use crate::session::Greetings;
use crate::sql::fingerprint::FingerprintKey;
use crate::sql::{PlanCache, Schema};
use crate::stats::DatabaseStats;
use crate::topology::{SchemaSettings, schema_watch};

/// How long statements of an earlier map may run before the log says so.
const STALE: std::time::Duration = std::time::Duration::from_secs(10);

/// The most databases that wildcards may bring up.
const WILD: usize = 1000;

/// A database as it is served.
pub(crate) struct Served {
    /// What its sessions share.
    pub(crate) database: Arc<Database>,
    /// What its clients are told.
    pub(crate) greetings: Greetings,
    /// Brought up by a wildcard.
    wild: bool,
}

/// All databases that are served.
#[derive(Default)]
pub(crate) struct Databases {
    served: Mutex<HashMap<String, Arc<Served>>>,
    /// The same for those who show them.
    pub(crate) sources: Arc<ArcSwap<BTreeMap<String, DatabaseSource>>>,
}

impl Databases {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Served>>> {
        self.served.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Brings up every database that is configured by name.
    pub(crate) fn watch_all(&self, proxy: &Arc<Proxy>) {
        self.adopt(proxy);
    }

    /// The database of this name; a wildcard brings it up when it is first asked for.
    pub(crate) fn database(&self, proxy: &Arc<Proxy>, name: &str) -> Option<Arc<Served>> {
        if let Some(served) = self.lock().get(name) {
            return Some(served.clone());
        }
        let state = proxy.cluster.state.load_full();
        let wildcard = &state.databases.get("*")?.database;
        let mut all = self.lock();
        if all.values().filter(|served| served.wild).count() >= WILD {
            return None;
        }
        let own = config::Database { name: name.to_owned(), dbname: name.to_owned(), ..wildcard.clone() };
        let served = bring_up(proxy, &own, Epoch(state.epoch.0), true)?;
        all.insert(name.to_owned(), served.clone());
        drop(all);
        self.publish();
        Some(served)
    }

    /// Brings databases to what the file or the catalog says now.
    pub(crate) fn adopt(&self, proxy: &Arc<Proxy>) {
        let state = proxy.cluster.state.load_full();
        let config = proxy.config.load_full();
        {
            let mut all = self.lock();
            all.retain(|name, served| {
                state.databases.contains_key(name) || (served.wild && state.databases.contains_key("*"))
            });
            for (name, entry) in &state.databases {
                if name == "*" {
                    continue;
                }
                match all.get(name) {
                    Some(served) => refresh(&config, &state, served, entry),
                    None => {
                        if let Some(served) = bring_up(proxy, &entry.database, entry.epoch, false) {
                            all.insert(name.clone(), served);
                        }
                    }
                }
            }
        }
        self.publish();
    }

    /// Waits until no unit of commit is under way that was begun by an earlier map.
    pub(crate) async fn older_units_ended(&self) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        for served in all {
            let older = served.database.next_generation();
            let began = std::time::Instant::now();
            let mut warned = false;
            // Units end within milliseconds. That the last of them has ended is looked up, because telling would cost each
            // of them something.
            while Arc::strong_count(&older) > 1 {
                if began.elapsed() > STALE && !std::mem::replace(&mut warned, true) {
                    let database = &served.database.untyped.load().database;
                    tracing::warn!(%database, "statements of an earlier map still run; the new one is not acknowledged");
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }

    fn publish(&self) {
        let all = self.lock();
        let sources = all.iter().map(|(name, served)| {
            let source = DatabaseSource { map: served.database.map.clone(), stats: served.database.stats.clone() };
            (name.clone(), source)
        });
        self.sources.store(Arc::new(sources.collect()));
    }
}

fn refresh(
    config: &Config,
    state: &crate::catalog::CatalogState,
    served: &Served,
    entry: &crate::catalog::DatabaseEntry,
) {
    served.database.settings.store(Arc::new(settings(&entry.database, config)));
    match ShardMap::build(&entry.database, &state.shard_infos(), entry.epoch) {
        Ok(map) if map.epoch >= served.database.untyped.load().epoch => {
            served.greetings.clear();
            served.database.adopt(None, Some(Arc::new(map)));
        }
        Ok(_) => {}
        Err(errors) => tell(&entry.database.name, &errors),
    }
}

fn tell(database: &str, errors: &[crate::map::MapError]) {
    for error in errors {
        tracing::error!(database, %error, "the map cannot be used");
    }
}

fn settings(database: &config::Database, config: &Config) -> DatabaseSettings {
    DatabaseSettings {
        name: database.name.as_str().into(),
        dbname: database.dbname.clone(),
        consistency: database.consistency,
        pool_mode: database.pool_mode,
        pool_size: database.pool_size,
        balancing: database.balancing,
        read_from_primary: database.read_from_primary,
        functions: database.functions.clone(),
        safe_triggers: database.safe_triggers.clone(),
        limits: config.limits.clone(),
    }
}

fn bring_up(proxy: &Arc<Proxy>, database: &config::Database, epoch: Epoch, wild: bool) -> Option<Arc<Served>> {
    let config = proxy.config.load();
    let state = proxy.cluster.state.load();
    let map = match ShardMap::build(database, &state.shard_infos(), epoch) {
        Ok(map) => Arc::new(map),
        Err(errors) => {
            tell(&database.name, &errors);
            return None;
        }
    };
    let login = match cluster::monitor_login(&config, Some(&database.dbname)) {
        Ok(login) => login,
        Err(ServeError::NoMonitor) | Err(_) => return None,
    };
    let schema_settings = SchemaSettings {
        database: database.name.clone(),
        home: map.home,
        others: map.shards.iter().map(|shard| shard.id).filter(|id| *id != map.home).collect(),
        login,
        interval: config.monitor.schema_interval,
        timeout: config.limits.connect_timeout,
    };
    let reader = schema_watch::start(schema_settings, proxy.cluster.topology.clone());
    let limits = &config.limits;
    let shared = Arc::new(Database {
        settings: ArcSwap::from_pointee(settings(database, &config)),
        map: Arc::new(ArcSwap::new(map.clone())),
        untyped: ArcSwap::new(map),
        schema: ArcSwap::from_pointee(Schema::default()),
        schema_reader: reader.clone(),
        topology: proxy.cluster.topology.clone(),
        nodes: proxy.cluster.nodes.clone(),
        pools: proxy.pools.clone(),
        cache: PlanCache::new(FingerprintKey(rand::random()), limits.plan_cache_entries, limits.plan_cache_bytes),
        learned: Learned::default(),
        stats: Arc::new(DatabaseStats::default()),
        turn: AtomicU64::new(0),
        generation: ArcSwap::from_pointee(()),
        statement_key: rand::random(),
    });
    let weak = Arc::downgrade(&shared);
    tokio::spawn(async move {
        let mut reader = reader;
        while reader.next_reading().await {
            // The reader's task lives as long as a handle does: this one must not keep a database that is gone.
            let Some(database) = weak.upgrade() else { return };
            let schema = reader.current();
            if schema.version != database.schema.load().version {
                database.adopt(Some(schema), None);
            }
        }
    });
    Some(Arc::new(Served { database: shared, greetings: Greetings::default(), wild }))
}
