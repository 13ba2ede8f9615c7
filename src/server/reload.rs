//! Reading the configuration again while the proxy runs: a wrong file is refused whole, and only what changed is touched.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Proxy, cluster, startup_settings};
use crate::admin::sources::Reload;
use crate::catalog::CatalogState;
use crate::config;

/// Answers the console's `RELOAD`.
pub(crate) async fn serve(proxy: Arc<Proxy>, mut requests: mpsc::Receiver<Reload>) {
    while let Some(answer) = requests.recv().await {
        // Whoever asked may be gone.
        let _ = answer.send(reload(&proxy).await);
    }
}

/// Reads the file again. Returns what changed, a line each.
///
/// # Errors
/// Why the file is refused; everything goes on as before.
pub(crate) async fn reload(proxy: &Arc<Proxy>) -> Result<Vec<String>, String> {
    let outcome = try_reload(proxy);
    match &outcome {
        Ok(changes) => tracing::info!(changes = changes.len(), "configuration read again"),
        Err(error) => tracing::error!(%error, "configuration refused; the old one stays"),
    }
    outcome
}

fn try_reload(proxy: &Arc<Proxy>) -> Result<Vec<String>, String> {
    let new = config::load(&proxy.path).map_err(|errors| errors.to_string())?;
    let old = proxy.config.load_full();
    let diff = config::changes(&old, &new).iter().map(ToString::to_string).collect();
    let startup = startup_settings(&new, proxy.seed, &proxy.throttle).map_err(|error| error.to_string())?;
    let passwords_changed = old.users != new.users;
    proxy.config.store(Arc::new(new.clone()));
    proxy.startup.store(Arc::new(startup));
    let state = match &new.catalog {
        // The catalog owns shards and databases; of the file only the proxy's own settings count.
        Some(_) => proxy.cluster.state.load_full(),
        None => Arc::new(CatalogState::from_config(&new)),
    };
    if passwords_changed {
        // Servers that were logged in with an old secret go when they come back.
        let changed: Vec<String> = new
            .users
            .iter()
            .filter(|user| old.users.iter().all(|known| known.name != user.name || known.password != user.password))
            .chain(old.users.iter().filter(|user| new.users.iter().all(|now| now.name != user.name)))
            .map(|user| user.name.clone())
            .collect();
        proxy.pools.retire(|key| changed.iter().any(|name| **name == *key.user));
    }
    cluster::adopt(proxy, state);
    Ok(diff)
}
