//! `pgweave table`: which table lives where.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::{TableAddArgs, TableListArgs};
use super::client::{Client, ClientError};
use super::console::write;
use super::error::CliError;
use super::rows::{Kind, Rows};
use super::state;
use crate::catalog::{CatalogState, Store, TablePlace};
use crate::config::{self, Config, Database};
use crate::map::{Epoch, Placement, ShardId, ShardMap, TableName};

/// How long a change waits for a table that others are using.
const LOCK_TIMEOUT: &str = "5s";
/// How often proxies are asked whether they follow.
const TICK: Duration = Duration::from_millis(100);

/// `pgweave table list`.
///
/// # Errors
/// The catalog cannot be read.
pub(super) async fn list(args: &TableListArgs) -> Result<(), CliError> {
    let config = config::load(&args.config.config)?;
    let state = state::state(&config).await?;
    let database = state::database(&state, args.database.as_deref())?;
    write(&rows(&map(&state, database)?).written(args.output.form))
}

fn map(state: &CatalogState, database: &Database) -> Result<ShardMap, CliError> {
    let unknown = || CliError::Usage(format!("there is no database {:?}", database.name));
    let map = state.shard_map(&database.name).ok_or_else(unknown)?;
    map.map_err(|errors| CliError::Catalog(crate::catalog::CatalogError::Map(errors)))
}

fn rows(map: &ShardMap) -> Rows {
    let columns = ["table", "placement", "distribution", "key", "shard"].map(|name| (name, Kind::Text));
    let mut rows = Rows::new(&columns);
    let mut tables: Vec<_> = map.tables.iter().collect();
    tables.sort_by_key(|(name, _)| *name);
    for (name, placement) in tables {
        let (placement, distribution, key, shard) = match placement {
            Placement::Distributed { distribution, key } => {
                ("distributed", Some(map.distribution(*distribution).name.clone()), Some(key.join(", ")), None)
            }
            Placement::Reference => ("reference", None, None, None),
            Placement::Local(id) => ("local", None, None, map.shard(*id).map(|shard| shard.name.clone())),
        };
        rows.rows.push(vec![Some(name.to_string()), Some(placement.to_owned()), distribution, key, shard]);
    }
    rows
}

/// `pgweave table add`: places a table that has no rows yet, or none that would have to move.
///
/// # Errors
/// The table has rows, is on some shards only, or is placed already; the catalog cannot be written.
pub(super) async fn add(args: &TableAddArgs) -> Result<(), CliError> {
    let config = config::load(&args.config.config)?;
    let Some(store) = state::store(&config).await? else {
        let file = args.config.config.display();
        return Err(CliError::Usage(format!("{file} has no [catalog]: write the table into the file and reload")));
    };
    let catalog = store.load().await?;
    let database = state::database(&catalog, args.database.as_deref())?;
    let map = map(&catalog, database)?;
    let name = TableName::parse(&args.table)
        .ok_or_else(|| CliError::Usage(format!("{:?} is no table name such as orders or sales.orders", args.table)))?;
    let place = args.place();
    let shards = shards_of(&map, &place)?;
    if map.placement(&name.schema, &name.name).is_some() {
        return Err(CliError::Catalog(crate::catalog::CatalogError::TableExists(name.to_string())));
    }
    let mut held = hold_empty(&state::with_state(&config, &catalog), database, &map, &name, &shards).await?;
    let state = store.table_add(&database.name, &name, &place).await?;
    let followed = wait_for_proxies(&store, &mut held, &name, state.epoch).await;
    // The lock has done its work, whether all proxies follow or not; a connection that is lost has given it up already.
    let released = match &mut held {
        Some(home) => home.query("COMMIT").await.map(drop),
        None => Ok(()),
    };
    followed?;
    released.map_err(|source| CliError::Client { place: format!("shard {:?}", database.home), source })?;
    eprintln!("table {name} is placed (epoch {})", state.epoch);
    Ok(())
}

/// Where the rows of a table of this place will be.
fn shards_of(map: &ShardMap, place: &TablePlace) -> Result<Vec<ShardId>, CliError> {
    match place {
        TablePlace::Reference => Ok(map.shards.iter().map(|shard| shard.id).collect()),
        TablePlace::Local(shard) => match map.shard_named(shard) {
            Some(shard) => Ok(vec![shard.id]),
            None => Err(CliError::Usage(format!("database {:?} has no shard {shard:?}", map.database))),
        },
        TablePlace::Distributed { distribution, key } => {
            let Some(known) = map.distribution_named(distribution) else {
                let names: Vec<&str> = map.distributions.iter().map(|known| known.name.as_str()).collect();
                let names = names.join(", ");
                return Err(CliError::Usage(format!("there is no distribution {distribution:?}; there are: {names}")));
            };
            let other = map.tables.values().find_map(|placement| match placement {
                Placement::Distributed { distribution, key } if *distribution == known.id => Some(key.len()),
                _ => None,
            });
            match other {
                Some(columns) if columns != key.len() => Err(CliError::Usage(format!(
                    "the sharding key of {distribution:?} has {columns} columns, not {}",
                    key.len()
                ))),
                _ => Ok(known.ranges.all_owners()),
            }
        }
    }
}

/// A table without a place lives on the home shard. If it is to live elsewhere, it must be empty, and stay so until every
/// proxy knows its place: this keeps it from being written, by a lock that the returned connection to the home shard holds.
/// `None` if there is no such table yet, or if its rows are where they belong.
async fn hold_empty(
    config: &Config,
    database: &Database,
    map: &ShardMap,
    name: &TableName,
    shards: &[ShardId],
) -> Result<Option<Client>, CliError> {
    if shards == [map.home] {
        return Ok(None);
    }
    let (mut held, mut with, mut without) = (None, Vec::new(), Vec::new());
    let others = shards.iter().filter(|id| **id != map.home);
    for id in std::iter::once(&map.home).chain(others) {
        let Some(shard) = map.shard(*id) else { continue };
        let Some(known) = config.shards.iter().find(|known| known.name == shard.name) else { continue };
        let failed = |source| CliError::Client { place: format!("shard {:?}", shard.name), source };
        let (mut client, _) = state::primary(config, &known.nodes, &database.dbname).await?;
        let exists = format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(&name.to_string()));
        if client.query(&exists).await.map_err(failed)?.rows != [[Some("t".to_owned())]] {
            without.push(shard.name.as_str());
            continue;
        }
        with.push(shard.name.as_str());
        let lock = format!("BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; LOCK TABLE {name} IN SHARE MODE");
        client.query(&lock).await.map_err(failed)?;
        let filled = client.query(&format!("SELECT EXISTS (SELECT FROM {name})")).await.map_err(failed)?;
        if filled.rows != [[Some("f".to_owned())]] {
            return Err(CliError::Failed(format!(
                "table {name} has rows on shard {:?}, and moving rows is not supported yet: empty the table first",
                shard.name
            )));
        }
        if *id == map.home {
            held = Some(client);
        }
    }
    // A local table need not be on the home shard; it has to be where it is to live.
    let needed = |shard: &&str| shards.iter().filter_map(|id| map.shard(*id)).any(|known| known.name == **shard);
    if !with.is_empty() && without.iter().any(needed) {
        let (with, without) = (with.join(", "), without.join(", "));
        return Err(CliError::Failed(format!(
            "table {name} is on {with}, but not on {without}: create it there first"
        )));
    }
    Ok(held)
}

/// Waits until no proxy has a statement under way that does not know the place. A statement that waits for our lock would
/// keep its proxy from following, and would then write rows where nobody looks for them: it is cancelled.
async fn wait_for_proxies(
    store: &Store,
    held: &mut Option<Client>,
    name: &TableName,
    epoch: Epoch,
) -> Result<(), CliError> {
    let began = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let behind: Vec<_> =
            store.proxies().await?.into_iter().filter(|proxy| proxy.live && proxy.acked < epoch).collect();
        // A proxy that does not renew its lease stops by itself when that has run out.
        let Some(longest) = behind.iter().map(|proxy| proxy.remaining).max() else {
            return no_straggler(held, name).await;
        };
        if let Some(home) = held {
            // Without the right to cancel, the statement ends by its own limits, or its proxy is named below.
            let _ = cancel_waiting(home, name).await;
        }
        if began.elapsed() > longest.max(Duration::from_secs(30)) {
            let names: Vec<String> = behind.iter().map(|proxy| proxy.name.clone()).collect();
            return Err(CliError::Failed(format!(
                "table {name} is placed (epoch {epoch}), but these proxies do not follow: {}; \
                 what they write to it meanwhile may be on the home shard",
                names.join(", ")
            )));
        }
    }
}

/// All proxies follow. What waits for the lock now may have been sent before they did.
async fn no_straggler(held: &mut Option<Client>, name: &TableName) -> Result<(), CliError> {
    let Some(home) = held else { return Ok(()) };
    cancel_waiting(home, name).await.map_err(|error| {
        CliError::Failed(format!(
            "table {name} is placed, but statements that wait for it could not be cancelled ({error}): \
             what they write may be on the home shard"
        ))
    })
}

/// Cancels what waits for our lock. If that fails, the transaction and its lock go on.
async fn cancel_waiting(home: &mut Client, name: &TableName) -> Result<(), ClientError> {
    let table = literal(&name.to_string());
    let cancel = format!(
        "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_locks \
         WHERE relation = pg_catalog.to_regclass({table}) AND NOT granted"
    );
    home.query("SAVEPOINT cancelling").await?;
    let cancelled = home.query(&cancel).await;
    if cancelled.is_err() {
        home.query("ROLLBACK TO SAVEPOINT cancelling").await?;
    }
    home.query("RELEASE SAVEPOINT cancelling").await?;
    cancelled.map(drop)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
