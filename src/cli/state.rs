//! What a command works on: the configuration, and in place of its shards and databases the catalog's, if there is one.

use std::time::Duration;

use super::client::{Client, ClientError, Target};
use super::error::CliError;
use crate::catalog::{CatalogState, Store};
use crate::config::{Config, Database, Node, Shard};

/// How long the catalog may take for an answer.
pub(super) const CATALOG_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the catalog that the configuration names, if it names one.
pub(super) async fn store(config: &Config) -> Result<Option<Store>, CliError> {
    match &config.catalog {
        Some(catalog) => Ok(Some(Store::connect(&catalog.dsn, CATALOG_TIMEOUT).await?)),
        None => Ok(None),
    }
}

/// What counts: the catalog's state, or what the file says where there is no catalog.
pub(super) async fn state(config: &Config) -> Result<CatalogState, CliError> {
    match store(config).await? {
        Some(store) => Ok(store.load().await?),
        None => Ok(CatalogState::from_config(config)),
    }
}

/// The configuration with the shards and databases of `state`.
pub(super) fn with_state(config: &Config, state: &CatalogState) -> Config {
    let shard = |shard: &crate::catalog::ShardEntry| Shard {
        name: shard.name.clone(),
        nodes: shard.nodes.iter().map(|entry| entry.node.clone()).collect(),
    };
    let databases = state.databases.iter().map(|(name, entry)| (name.clone(), entry.database.clone()));
    Config { shards: state.shards.iter().map(shard).collect(), databases: databases.collect(), ..config.clone() }
}

/// The database of this name, or the only one.
pub(super) fn database<'s>(state: &'s CatalogState, name: Option<&str>) -> Result<&'s Database, CliError> {
    let mut sharded = state.databases.values().map(|entry| &entry.database).filter(|database| !database.is_wildcard());
    let names = || state.databases.keys().cloned().collect::<Vec<_>>().join(", ");
    match (name, sharded.next(), sharded.next()) {
        (Some(name), _, _) => match state.databases.get(name) {
            Some(entry) => Ok(&entry.database),
            None => Err(CliError::Usage(format!("there is no database {name:?}; there are: {}", names()))),
        },
        (None, Some(only), None) => Ok(only),
        (None, None, _) => Err(CliError::Usage("there is no database".to_owned())),
        (None, Some(_), Some(_)) => Err(CliError::Usage(format!("say which --database: {}", names()))),
    }
}

/// Connects to the primary among `nodes` as the monitor does, and tells which node it is.
pub(super) async fn primary<'n>(
    config: &Config,
    nodes: &'n [Node],
    dbname: &str,
) -> Result<(Client, &'n Node), CliError> {
    let user = config.monitor.user.as_deref().unwrap_or_default();
    let mut failures = Vec::new();
    for node in nodes {
        let place = format!("{}:{}", node.host, node.port);
        let attempt = async {
            let target = Target::new(node, user, config.monitor.password.clone(), dbname)?;
            let mut client = Client::connect(&target).await?;
            let recovering = client.query("SELECT pg_catalog.pg_is_in_recovery()").await?;
            Ok::<_, ClientError>((client, recovering.rows == [[Some("f".to_owned())]]))
        };
        match attempt.await {
            Ok((client, true)) => return Ok((client, node)),
            Ok((_, false)) => failures.push(format!("{place} is a replica")),
            Err(error) => failures.push(format!("{place}: {error}")),
        }
    }
    Err(CliError::Failed(format!("no primary can be reached: {}", failures.join("; "))))
}
