//! All pools of the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Pool, PoolView, ServerView};
use crate::map::NodeId;

/// What a pool is the pool of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The node.
    pub node: NodeId,
    /// The database as clients name it.
    pub database: Arc<str>,
    /// The role.
    pub user: Arc<str>,
    /// The node as people know it, `host:port`.
    pub address: Arc<str>,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.database, self.user, self.address)
    }
}

/// All pools, made when first asked for.
#[derive(Default)]
pub struct Pools {
    all: Mutex<HashMap<PoolKey, Arc<Pool>>>,
}

impl Pools {
    fn lock(&self) -> MutexGuard<'_, HashMap<PoolKey, Arc<Pool>>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The pool of `key`, made by `make` if there is none.
    pub fn pool(&self, key: &PoolKey, make: impl FnOnce() -> Arc<Pool>) -> Arc<Pool> {
        self.lock().entry(key.clone()).or_insert_with(make).clone()
    }

    /// Takes pools out of service whose key `gone` names.
    pub fn retire(&self, gone: impl Fn(&PoolKey) -> bool) {
        let retired: Vec<_> = self.lock().extract_if(|key, _| gone(key)).collect();
        retired.iter().for_each(|(_, pool)| pool.retire());
    }

    /// Closes what rested too long, in every pool.
    pub fn tidy(&self) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        all.iter().for_each(|pool| pool.tidy());
    }

    /// Every pool, ordered by database, user and node.
    pub fn views(&self) -> Vec<PoolView> {
        let mut views: Vec<_> = self.lock().values().map(|pool| pool.view()).collect();
        views.sort_by(|a, b| (&a.database, &a.user, a.node).cmp(&(&b.database, &b.user, b.node)));
        views
    }

    /// Every server, in order of connection.
    pub fn servers(&self) -> Vec<ServerView> {
        let mut servers: Vec<_> = self.lock().values().flat_map(|pool| pool.servers()).collect();
        servers.sort_by_key(|server| server.id);
        servers
    }
}
