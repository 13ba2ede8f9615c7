//! Writing the difference between two states.
//!
//! Everything is written by name; the numbers of new shards and nodes are the catalog's to give. What was there and is gone
//! is removed only where no row depends on it: the callers refuse the rest before.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::names::Named;
use super::state::explicit_ranges;
use super::{CatalogError, CatalogState};
use crate::config;
use crate::map::{Distribution, Epoch, Method, Placement, ShardInfo, ShardMap, TableName};

/// Makes the catalog, which holds `old`, hold `new`, at `epoch`. Both must be valid. Notifies those who follow when the
/// caller's transaction commits.
pub(super) async fn save(
    connection: &mut PgConnection,
    old: &CatalogState,
    new: &CatalogState,
    epoch: Epoch,
) -> Result<(), CatalogError> {
    let epoch = i64::try_from(epoch.0).map_err(|_| CatalogError::Row { what: "epoch", value: epoch.to_string() })?;
    save_shards(connection, old, new).await?;
    save_nodes(connection, old, new).await?;
    let (old_maps, new_maps) = (old.shard_maps()?, new.shard_maps()?);
    for (name, map) in &new_maps {
        let database = &new.databases[name].database;
        let known = old.databases.get(name).map(|entry| &entry.database);
        let known = known.zip(old_maps.get(name));
        let settings = save_settings(connection, database, known.map(|(known, _)| known), epoch).await?;
        let shards = save_database_shards(connection, map, known.map(|(_, map)| map)).await?;
        let placed = save_map(connection, map, known.map(|(_, map)| map), epoch).await?;
        let declared = save_declarations(connection, database, known.map(|(known, _)| known)).await?;
        if settings || shards || placed || declared {
            let set = "UPDATE pgweave.databases SET epoch = $2 WHERE name = $1";
            sqlx::query(set).bind(name).bind(epoch).execute(&mut *connection).await?;
        }
    }
    sqlx::query("UPDATE pgweave.map_head SET epoch = $1").bind(epoch).execute(&mut *connection).await?;
    sqlx::query("SELECT pg_notify('pgweave', $1)").bind(epoch.to_string()).execute(connection).await?;
    Ok(())
}

async fn save_shards(
    connection: &mut PgConnection,
    old: &CatalogState,
    new: &CatalogState,
) -> Result<(), CatalogError> {
    for shard in new.shards.iter().filter(|shard| old.shard_named(&shard.name).is_none()) {
        let insert = "INSERT INTO pgweave.shards (name) VALUES ($1)";
        sqlx::query(insert).bind(&shard.name).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn save_nodes(connection: &mut PgConnection, old: &CatalogState, new: &CatalogState) -> Result<(), CatalogError> {
    type Nodes<'a> = BTreeMap<(&'a str, u16), (&'a str, &'a config::Node)>;
    fn nodes(state: &CatalogState) -> Nodes<'_> {
        state
            .nodes()
            .map(|(shard, entry)| ((entry.node.host.as_str(), entry.node.port), (shard.name.as_str(), &entry.node)))
            .collect()
    }
    let (old, new) = (nodes(old), nodes(new));
    for (host, port) in old.keys().filter(|key| !new.contains_key(key)) {
        let delete = "DELETE FROM pgweave.nodes WHERE host = $1 AND port = $2";
        sqlx::query(delete).bind(host).bind(i32::from(*port)).execute(&mut *connection).await?;
    }
    for (key, (shard, node)) in new.iter().filter(|(key, value)| old.get(key) != Some(value)) {
        sqlx::query(
            "INSERT INTO pgweave.nodes (shard, host, port, zone, weight, role, sslmode, root_cert) \
             VALUES ((SELECT id FROM pgweave.shards WHERE name = $1), $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (host, port) DO UPDATE SET shard = excluded.shard, zone = excluded.zone, \
             weight = excluded.weight, role = excluded.role, sslmode = excluded.sslmode, root_cert = excluded.root_cert",
        )
        .bind(shard)
        .bind(key.0)
        .bind(i32::from(key.1))
        .bind(&node.zone)
        .bind(i64::from(node.weight))
        .bind(node.role.map(Named::word))
        .bind(node.sslmode.word())
        .bind(node.root_cert.as_ref().map(|path| path.to_string_lossy().into_owned()))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The columns of `databases`, without its name and epoch.
fn settings(database: &config::Database) -> (&str, &str, [&'static str; 4], usize) {
    let words = [
        database.consistency.word(),
        database.pool_mode.word(),
        database.balancing.word(),
        database.read_from_primary.word(),
    ];
    (&database.dbname, &database.home, words, database.pool_size)
}

async fn save_settings(
    connection: &mut PgConnection,
    database: &config::Database,
    known: Option<&config::Database>,
    epoch: i64,
) -> Result<bool, CatalogError> {
    if known.map(settings) == Some(settings(database)) {
        return Ok(false);
    }
    let (dbname, home, [consistency, pool_mode, balancing, read_from_primary], pool_size) = settings(database);
    let pool_size =
        i64::try_from(pool_size).map_err(|_| CatalogError::Row { what: "pool_size", value: pool_size.to_string() })?;
    sqlx::query(
        "INSERT INTO pgweave.databases \
         (name, dbname, home, epoch, consistency, pool_mode, pool_size, balancing, read_from_primary) \
         VALUES ($1, $2, (SELECT id FROM pgweave.shards WHERE name = $3), $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (name) DO UPDATE SET dbname = excluded.dbname, home = excluded.home, \
         consistency = excluded.consistency, pool_mode = excluded.pool_mode, pool_size = excluded.pool_size, \
         balancing = excluded.balancing, read_from_primary = excluded.read_from_primary",
    )
    .bind(&database.name)
    .bind(dbname)
    .bind(home)
    .bind(epoch)
    .bind(consistency)
    .bind(pool_mode)
    .bind(pool_size)
    .bind(balancing)
    .bind(read_from_primary)
    .execute(connection)
    .await?;
    Ok(true)
}

async fn save_database_shards(
    connection: &mut PgConnection,
    map: &ShardMap,
    known: Option<&ShardMap>,
) -> Result<bool, CatalogError> {
    let names = |map: &ShardMap| map.shards.iter().map(|shard| shard.name.clone()).collect::<Vec<_>>();
    let new = names(map);
    if known.map(names).as_ref() == Some(&new) {
        return Ok(false);
    }
    let delete = "DELETE FROM pgweave.database_shards WHERE database = $1";
    sqlx::query(delete).bind(&map.database).execute(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO pgweave.database_shards (database, shard) \
         SELECT $1, id FROM pgweave.shards WHERE name = ANY ($2)",
    )
    .bind(&map.database)
    .bind(new)
    .execute(connection)
    .await?;
    Ok(true)
}

async fn save_map(
    connection: &mut PgConnection,
    map: &ShardMap,
    known: Option<&ShardMap>,
    epoch: i64,
) -> Result<bool, CatalogError> {
    let mut changed = false;
    for distribution in &map.distributions {
        let id = i32::from(distribution.id.0);
        let old = known.and_then(|known| known.distribution_named(&distribution.name));
        if old.is_none() {
            let method = match distribution.method {
                Method::Hash => config::Method::Hash,
                Method::Range => config::Method::Range,
            };
            sqlx::query("INSERT INTO pgweave.distributions (database, id, name, method) VALUES ($1, $2, $3, $4)")
                .bind(&map.database)
                .bind(id)
                .bind(&distribution.name)
                .bind(method.word())
                .execute(&mut *connection)
                .await?;
        }
        // Owners are compared by name: the numbers of new shards are provisional.
        let ranges = explicit_ranges(distribution, &map.shards);
        let shards: &[ShardInfo] = known.map_or(&[], |known| &known.shards);
        if old.is_none_or(|old| explicit_ranges(old, shards) != ranges) {
            save_ranges(connection, &map.database, distribution, &ranges, epoch).await?;
            changed = true;
        }
    }
    Ok(save_tables(connection, map, known).await? || changed)
}

async fn save_ranges(
    connection: &mut PgConnection,
    database: &str,
    distribution: &Distribution,
    ranges: &[config::Range],
    epoch: i64,
) -> Result<(), CatalogError> {
    let id = i32::from(distribution.id.0);
    sqlx::query(
        "UPDATE pgweave.ranges SET valid_to = $3 WHERE database = $1 AND distribution = $2 AND valid_to IS NULL",
    )
    .bind(database)
    .bind(id)
    .bind(epoch)
    .execute(&mut *connection)
    .await?;
    for (ordinal, range) in (0_i32..).zip(ranges) {
        let (lo, lo_key) = edge(distribution.method, &range.from);
        let (hi, hi_key) = edge(distribution.method, &range.to);
        sqlx::query(
            "INSERT INTO pgweave.ranges (database, distribution, valid_from, ordinal, lo, hi, lo_key, hi_key, shard) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (SELECT id FROM pgweave.shards WHERE name = $9))",
        )
        .bind(database)
        .bind(id)
        .bind(epoch)
        .bind(ordinal)
        .bind(lo)
        .bind(hi)
        .bind(lo_key)
        .bind(hi_key)
        .bind(&range.shard)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// An end of a range as the columns have it: a hash, or a key as text.
fn edge(method: Method, edge: &Option<Vec<String>>) -> (Option<i64>, Option<&Vec<String>>) {
    match method {
        // A map was built of it, so it is one number.
        Method::Hash => (edge.as_ref().and_then(|values| values.first()?.parse().ok()), None),
        Method::Range => (None, edge.as_ref()),
    }
}

/// A placement in the columns of `tables`; the distribution by number, the shard by name.
fn table_columns<'a>(map: &'a ShardMap, placement: &'a Placement) -> TableColumns<'a> {
    match placement {
        Placement::Distributed { distribution, key } => {
            ("distributed", Some(i32::from(distribution.0)), Some(key), None)
        }
        Placement::Reference => ("reference", None, None, None),
        Placement::Local(shard) => ("local", None, None, map.shard(*shard).map(|shard| shard.name.as_str())),
    }
}

type TableColumns<'a> = (&'static str, Option<i32>, Option<&'a Vec<String>>, Option<&'a str>);

async fn save_tables(
    connection: &mut PgConnection,
    map: &ShardMap,
    known: Option<&ShardMap>,
) -> Result<bool, CatalogError> {
    fn columns(map: &ShardMap) -> HashMap<&TableName, TableColumns<'_>> {
        map.tables.iter().map(|(name, placement)| (name, table_columns(map, placement))).collect()
    }
    let (old, new) = (known.map(columns).unwrap_or_default(), columns(map));
    let mut changed = false;
    for table in old.iter().filter(|(name, value)| new.get(*name) != Some(value)).map(|(name, _)| name) {
        sqlx::query("DELETE FROM pgweave.tables WHERE database = $1 AND schema = $2 AND name = $3")
            .bind(&map.database)
            .bind(&table.schema)
            .bind(&table.name)
            .execute(&mut *connection)
            .await?;
        changed = true;
    }
    for (table, (kind, distribution, key, shard)) in new.iter().filter(|(name, value)| old.get(*name) != Some(value)) {
        sqlx::query(
            "INSERT INTO pgweave.tables (database, schema, name, kind, distribution, key, shard) \
             VALUES ($1, $2, $3, $4, $5, $6, (SELECT id FROM pgweave.shards WHERE name = $7))",
        )
        .bind(&map.database)
        .bind(&table.schema)
        .bind(&table.name)
        .bind(kind)
        .bind(distribution)
        .bind(key)
        .bind(shard)
        .execute(&mut *connection)
        .await?;
        changed = true;
    }
    Ok(changed)
}

async fn save_declarations(
    connection: &mut PgConnection,
    database: &config::Database,
    known: Option<&config::Database>,
) -> Result<bool, CatalogError> {
    let triggers = |database: &config::Database| {
        let mut all = database.safe_triggers.clone();
        all.sort();
        all.dedup();
        all
    };
    let new = triggers(database);
    if known.is_some_and(|known| known.functions == database.functions && triggers(known) == new) {
        return Ok(false);
    }
    for delete in
        ["DELETE FROM pgweave.functions WHERE database = $1", "DELETE FROM pgweave.safe_triggers WHERE database = $1"]
    {
        sqlx::query(delete).bind(&database.name).execute(&mut *connection).await?;
    }
    for (name, declaration) in &database.functions {
        sqlx::query("INSERT INTO pgweave.functions (database, name, declaration) VALUES ($1, $2, $3)")
            .bind(&database.name)
            .bind(name)
            .bind(declaration.word())
            .execute(&mut *connection)
            .await?;
    }
    for name in new {
        sqlx::query("INSERT INTO pgweave.safe_triggers (database, name) VALUES ($1, $2)")
            .bind(&database.name)
            .bind(name)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}
