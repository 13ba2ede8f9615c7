//! Shards and nodes: from the file or the catalog to the monitor and to how nodes are reached.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Proxy, ServeError};
use crate::catalog::CatalogState;
use crate::config::{Config, Secret};
use crate::exec::NodeAccess;
use crate::map::{Epoch, NodeId};
use crate::net::{Endpoint, tls};
use crate::topology::lag::LagLimits;
use crate::topology::tracker::Rules;
use crate::topology::{MonitorLogin, MonitorSettings, NodeSettings, TopologyHandle, monitor};

/// The nodes of all shards.
pub(crate) struct Cluster {
    /// What the file or the catalog says now.
    pub(crate) state: ArcSwap<CatalogState>,
    /// How nodes are reached.
    pub(crate) nodes: Arc<ArcSwap<HashMap<NodeId, NodeAccess>>>,
    /// How they are.
    pub(crate) topology: TopologyHandle,
}

impl Cluster {
    /// Starts watching the nodes of `state`.
    pub(crate) fn start(config: &Config, state: Arc<CatalogState>) -> Result<Cluster, ServeError> {
        let nodes = Arc::new(ArcSwap::from_pointee(accesses(&state)?));
        let topology = monitor::start(monitor_settings(config)?, node_settings(&state));
        Ok(Cluster { state: ArcSwap::new(state), nodes, topology })
    }

    /// Takes in another state: nodes that are gone are forgotten.
    pub(crate) fn adopt(&self, config: &Config, state: Arc<CatalogState>) -> Result<HashSet<NodeId>, ServeError> {
        let accesses = accesses(&state)?;
        let before = self.nodes.load_full();
        let changed = before
            .iter()
            .filter(|(id, access)| accesses.get(id).is_none_or(|now| !same_access(now, access)))
            .map(|(id, _)| *id)
            .collect();
        self.topology.update_nodes(monitor_settings(config)?, node_settings(&state));
        self.nodes.store(Arc::new(accesses));
        self.state.store(state);
        Ok(changed)
    }
}

fn same_access(a: &NodeAccess, b: &NodeAccess) -> bool {
    a.address == b.address && a.endpoint.sslmode == b.endpoint.sslmode
}

fn accesses(state: &CatalogState) -> Result<HashMap<NodeId, NodeAccess>, ServeError> {
    let mut accesses = HashMap::new();
    for entry in state.shards.iter().flat_map(|shard| &shard.nodes) {
        let node = &entry.node;
        let endpoint = Endpoint {
            host: node.host.clone(),
            port: node.port,
            sslmode: node.sslmode,
            tls: tls::connector(node.sslmode, node.root_cert.as_deref())?,
        };
        let address = format!("{}:{}", node.host, node.port).into();
        accesses.insert(entry.id, NodeAccess { endpoint: Arc::new(endpoint), address });
    }
    Ok(accesses)
}

fn node_settings(state: &CatalogState) -> Vec<NodeSettings> {
    let of_shard = |shard: &crate::catalog::ShardEntry| {
        let id = shard.id;
        shard.nodes.clone().into_iter().map(move |entry| NodeSettings { id: entry.id, shard: id, node: entry.node })
    };
    state.shards.iter().flat_map(of_shard).collect()
}

/// Who asks nodes and reads schemas: the monitor's own user, or the first user with a password (or, where servers trust,
/// the first user).
pub(crate) fn monitor_login(config: &Config, dbname: Option<&str>) -> Result<MonitorLogin, ServeError> {
    let named = config.monitor.user.as_ref();
    let user = match named {
        Some(name) => config.users.iter().find(|user| user.name == *name),
        None => config.users.iter().find(|user| user.password.is_some()).or(config.users.first()),
    };
    let name = named.cloned().or_else(|| user.map(|user| user.name.clone())).ok_or(ServeError::NoMonitor)?;
    let password: Option<Secret> =
        config.monitor.password.clone().or_else(|| user.and_then(|user| user.password.clone()));
    let first = config.databases.values().find(|database| database.name != "*").map(|database| database.dbname.clone());
    let dbname = dbname.map(str::to_owned).or_else(|| config.monitor.dbname.clone()).or(first);
    Ok(MonitorLogin { user: name, password, dbname: dbname.unwrap_or_else(|| "postgres".to_owned()) })
}

fn monitor_settings(config: &Config) -> Result<MonitorSettings, ServeError> {
    let monitor = &config.monitor;
    Ok(MonitorSettings {
        interval: monitor.interval,
        timeout: monitor.timeout,
        rules: Rules {
            lag: LagLimits { time: monitor.max_lag, bytes: monitor.max_lag_bytes },
            recover_after: monitor.recover_after,
        },
        login: monitor_login(config, None)?,
    })
}

/// Takes in every state that the catalog publishes, and says so by its lease.
pub(crate) async fn follow(
    proxy: Arc<Proxy>,
    mut states: watch::Receiver<Arc<CatalogState>>,
    acked: watch::Sender<Epoch>,
) {
    while states.changed().await.is_ok() {
        let state = states.borrow_and_update().clone();
        let epoch = state.epoch;
        adopt(&proxy, state);
        // An acknowledgement says that nothing planned by an earlier map is under way any more.
        proxy.databases.older_units_ended().await;
        acked.send_replace(epoch);
    }
}

/// Brings nodes, maps and pools to `state`.
pub(crate) fn adopt(proxy: &Arc<Proxy>, state: Arc<CatalogState>) {
    let config = proxy.config.load();
    match proxy.cluster.adopt(&config, state) {
        Ok(changed) => {
            proxy.pools.retire(|key| changed.contains(&key.node));
            proxy.databases.adopt(proxy);
        }
        Err(error) => tracing::error!(%error, "a change of nodes cannot be used; the old ones stay"),
    }
}
