//! Reading a whole state.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sqlx::PgConnection;

use super::names::Named;
use super::{CatalogError, CatalogState, DatabaseEntry, NodeEntry, ShardEntry};
use crate::config;
use crate::map::{Epoch, NodeId, ShardId, TableName, quoted};

/// Reads everything, within the caller's transaction. The epoch is read first: under a lock of `map_head` or one snapshot
/// all else is of that epoch.
pub(super) async fn load(connection: &mut PgConnection) -> Result<CatalogState, CatalogError> {
    let epoch = epoch(connection).await?;
    let shards = shards(connection).await?;
    let names: BTreeMap<i32, String> = shards.iter().map(|shard| (i32::from(shard.id.0), shard.name.clone())).collect();
    let mut databases = databases(connection, &names).await?;
    distributions(connection, &mut databases).await?;
    ranges(connection, &mut databases, &names).await?;
    tables(connection, &mut databases, &names).await?;
    declarations(connection, &mut databases).await?;
    Ok(CatalogState { epoch, shards, databases })
}

/// The epoch of the whole catalog.
pub(super) async fn epoch(connection: &mut PgConnection) -> Result<Epoch, CatalogError> {
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM pgweave.map_head").fetch_one(connection).await?;
    Ok(Epoch(number("epoch", epoch)?))
}

fn number<T: TryFrom<i64>>(what: &'static str, value: i64) -> Result<T, CatalogError> {
    value.try_into().map_err(|_| CatalogError::Row { what, value: value.to_string() })
}

fn word<T: Named>(word: &str) -> Result<T, CatalogError> {
    T::of_word(word).ok_or_else(|| CatalogError::Row { what: T::WHAT, value: word.to_string() })
}

fn shard_name(names: &BTreeMap<i32, String>, id: i32) -> Result<String, CatalogError> {
    names.get(&id).cloned().ok_or_else(|| CatalogError::Row { what: "shard", value: id.to_string() })
}

type Databases = BTreeMap<String, DatabaseEntry>;

/// The database a row belongs to.
fn of<'a>(databases: &'a mut Databases, name: &str) -> Result<&'a mut config::Database, CatalogError> {
    let entry =
        databases.get_mut(name).ok_or_else(|| CatalogError::Row { what: "database", value: name.to_string() })?;
    Ok(&mut entry.database)
}

/// The distribution a row belongs to. Their numbers are their places.
fn distribution_of(database: &mut config::Database, id: i32) -> Result<&mut config::Distribution, CatalogError> {
    let place = usize::try_from(id).ok();
    place
        .and_then(|place| database.distributions.get_mut(place))
        .ok_or_else(|| CatalogError::Row { what: "distribution", value: id.to_string() })
}

type NodeRow = (i32, i32, String, i32, Option<String>, i64, Option<String>, String, Option<String>);

async fn shards(connection: &mut PgConnection) -> Result<Vec<ShardEntry>, CatalogError> {
    let rows: Vec<(i32, String)> =
        sqlx::query_as("SELECT id, name FROM pgweave.shards ORDER BY id").fetch_all(&mut *connection).await?;
    let mut shards = Vec::with_capacity(rows.len());
    for (id, name) in rows {
        shards.push(ShardEntry { id: ShardId(number("shard", id.into())?), name, nodes: Vec::new() });
    }
    let rows: Vec<NodeRow> = sqlx::query_as(
        "SELECT id, shard, host, port, zone, weight, role, sslmode, root_cert FROM pgweave.nodes ORDER BY id",
    )
    .fetch_all(connection)
    .await?;
    for (id, shard, host, port, zone, weight, role, sslmode, root_cert) in rows {
        let node = config::Node {
            host,
            port: number("port", port.into())?,
            zone,
            weight: number("weight", weight)?,
            role: role.as_deref().map(word).transpose()?,
            sslmode: word(&sslmode)?,
            root_cert: root_cert.map(PathBuf::from),
        };
        let of = shards.iter_mut().find(|entry| i32::from(entry.id.0) == shard);
        let of = of.ok_or_else(|| CatalogError::Row { what: "shard", value: shard.to_string() })?;
        of.nodes.push(NodeEntry { id: NodeId(number("node", id.into())?), node });
    }
    Ok(shards)
}

type DatabaseRow = (String, String, i32, i64, String, String, i64, String, String);

async fn databases(connection: &mut PgConnection, names: &BTreeMap<i32, String>) -> Result<Databases, CatalogError> {
    let rows: Vec<DatabaseRow> = sqlx::query_as(
        "SELECT name, dbname, home, epoch, consistency, pool_mode, pool_size, balancing, read_from_primary \
         FROM pgweave.databases",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut databases = Databases::new();
    for (name, dbname, home, epoch, consistency, pool_mode, pool_size, balancing, read_from_primary) in rows {
        let database = config::Database {
            name: name.clone(),
            dbname,
            shards: Vec::new(),
            home: shard_name(names, home)?,
            consistency: word(&consistency)?,
            pool_mode: word(&pool_mode)?,
            pool_size: number("pool_size", pool_size)?,
            balancing: word(&balancing)?,
            read_from_primary: word(&read_from_primary)?,
            distributions: Vec::new(),
            reference: Vec::new(),
            local: BTreeMap::new(),
            functions: BTreeMap::new(),
            safe_triggers: Vec::new(),
        };
        databases.insert(name, DatabaseEntry { epoch: Epoch(number("epoch", epoch)?), database });
    }
    let rows: Vec<(String, i32)> =
        sqlx::query_as("SELECT database, shard FROM pgweave.database_shards ORDER BY database, shard")
            .fetch_all(connection)
            .await?;
    for (name, shard) in rows {
        of(&mut databases, &name)?.shards.push(shard_name(names, shard)?);
    }
    Ok(databases)
}

async fn distributions(connection: &mut PgConnection, databases: &mut Databases) -> Result<(), CatalogError> {
    let rows: Vec<(String, i32, String, String)> =
        sqlx::query_as("SELECT database, id, name, method FROM pgweave.distributions ORDER BY database, id")
            .fetch_all(connection)
            .await?;
    for (name, id, distribution, method) in rows {
        let database = of(databases, &name)?;
        if usize::try_from(id) != Ok(database.distributions.len()) {
            return Err(CatalogError::Row { what: "distribution", value: id.to_string() });
        }
        database.distributions.push(config::Distribution {
            name: distribution,
            method: word(&method)?,
            tables: BTreeMap::new(),
            ranges: Vec::new(),
        });
    }
    Ok(())
}

type RangeRow = (String, i32, Option<i64>, Option<i64>, Option<Vec<String>>, Option<Vec<String>>, i32);

async fn ranges(
    connection: &mut PgConnection,
    databases: &mut Databases,
    names: &BTreeMap<i32, String>,
) -> Result<(), CatalogError> {
    let rows: Vec<RangeRow> = sqlx::query_as(
        "SELECT database, distribution, lo, hi, lo_key, hi_key, shard FROM pgweave.ranges \
         WHERE valid_to IS NULL ORDER BY database, distribution, ordinal",
    )
    .fetch_all(connection)
    .await?;
    for (name, id, lo, hi, lo_key, hi_key, shard) in rows {
        let distribution = distribution_of(of(databases, &name)?, id)?;
        let hash = |edge: Option<i64>| edge.map(|edge| vec![edge.to_string()]);
        let (from, to) = match distribution.method {
            config::Method::Hash => (hash(lo), hash(hi)),
            config::Method::Range => (lo_key, hi_key),
        };
        // Only the first may be unbounded below; whether each begins where the one before ends, the map asks.
        if from.is_none() && !distribution.ranges.is_empty() {
            return Err(CatalogError::Row { what: "range of distribution", value: distribution.name.clone() });
        }
        distribution.ranges.push(config::Range { from, to, shard: shard_name(names, shard)? });
    }
    Ok(())
}

type TableRow = (String, String, String, String, Option<i32>, Option<Vec<String>>, Option<i32>);

async fn tables(
    connection: &mut PgConnection,
    databases: &mut Databases,
    names: &BTreeMap<i32, String>,
) -> Result<(), CatalogError> {
    let rows: Vec<TableRow> = sqlx::query_as(
        "SELECT database, schema, name, kind, distribution, key, shard FROM pgweave.tables \
         ORDER BY database, schema, name",
    )
    .fetch_all(connection)
    .await?;
    for (database, schema, name, kind, distribution, key, shard) in rows {
        let database = of(databases, &database)?;
        let table = TableName::new(schema, name).to_string();
        match (kind.as_str(), distribution, key, shard) {
            ("distributed", Some(id), Some(key), _) => {
                let key = key.iter().map(|column| quoted(column).into_owned()).collect();
                distribution_of(database, id)?.tables.insert(table, key);
            }
            ("reference", ..) => database.reference.push(table),
            ("local", _, _, Some(shard)) => drop(database.local.insert(table, shard_name(names, shard)?)),
            _ => return Err(CatalogError::Row { what: "table", value: table }),
        }
    }
    Ok(())
}

async fn declarations(connection: &mut PgConnection, databases: &mut Databases) -> Result<(), CatalogError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT database, name, declaration FROM pgweave.functions").fetch_all(&mut *connection).await?;
    for (database, name, declaration) in rows {
        of(databases, &database)?.functions.insert(name, word(&declaration)?);
    }
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT database, name FROM pgweave.safe_triggers ORDER BY database, name")
            .fetch_all(connection)
            .await?;
    for (database, name) in rows {
        of(databases, &database)?.safe_triggers.push(name);
    }
    Ok(())
}
