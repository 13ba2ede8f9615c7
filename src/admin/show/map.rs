//! `SHOW MAP`: who owns what.

use super::Rows;
use crate::admin::sources::Sources;
use crate::admin::table::Type::{Int, Text};
use crate::admin::table::{Column, Value};
use crate::map::{Distribution, DistributionId, Method, Placement, Point, ShardId, ShardMap};

pub const MAP: &[Column] = &[
    ("database", Text),
    ("epoch", Int),
    ("kind", Text),
    ("name", Text),
    ("method", Text),
    ("range_from", Text),
    ("range_to", Text),
    ("shard", Text),
    ("tables", Text),
];

/// A row a range of each distribution, then one a reference table and one a local table. NULL as a bound is unbounded, as
/// a shard every shard (reference) or none (a range without an owner).
pub fn map(sources: &Sources) -> Rows {
    let mut rows = Rows::new();
    for (database, map) in sources.maps() {
        for distribution in &map.distributions {
            rows.extend(ranges(&database, &map, distribution));
        }
        rows.extend(single_tables(&database, &map));
    }
    rows
}

fn ranges(database: &str, map: &ShardMap, distribution: &Distribution) -> Rows {
    let method = match distribution.method {
        Method::Hash => "hash",
        Method::Range => "range",
    };
    let tables = tables_of(map, distribution.id).join(", ");
    let cuts = cuts(distribution);
    let owners = distribution.ranges.owners().iter().enumerate();
    let row = |(index, owner): (usize, &Option<ShardId>)| {
        let from = index.checked_sub(1).and_then(|before| cuts.get(before));
        vec![
            Value::text(database),
            Value::count(map.epoch.0),
            Value::text("distribution"),
            Value::text(&distribution.name),
            Value::text(method),
            Value::or_null(from, Value::text),
            Value::or_null(cuts.get(index), Value::text),
            Value::or_null(*owner, |owner| shard_name(map, owner)),
            Value::text(&tables),
        ]
    };
    owners.map(row).collect()
}

/// The cuts as an operator reads them: keys as written (range method), signed hashes (hash method).
fn cuts(distribution: &Distribution) -> Vec<String> {
    let texts = distribution.ranges.texts();
    if !texts.is_empty() {
        return texts.iter().map(|key| key.join(", ")).collect();
    }
    let text = |point: &Point| match (distribution.method, point.to_hash()) {
        (Method::Hash, Some(hash)) => hash.to_string(),
        _ => format!("{point:?}"),
    };
    distribution.ranges.ranges().filter_map(|(range, _)| range.to.as_ref().map(text)).collect()
}

fn tables_of(map: &ShardMap, id: DistributionId) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for (table, placement) in &map.tables {
        if let Placement::Distributed { distribution, key, .. } = placement
            && *distribution == id
        {
            tables.push(format!("{table} ({})", key.join(", ")));
        }
    }
    tables.sort();
    tables
}

fn single_tables(database: &str, map: &ShardMap) -> Rows {
    let mut tables: Vec<_> = map.tables.iter().collect();
    tables.sort_by_key(|(table, _)| *table);
    let row = |(table, placement): (&crate::map::TableName, &Placement)| {
        let (kind, shard) = match placement {
            Placement::Distributed { .. } => return None,
            Placement::Reference => ("reference", Value::Null),
            Placement::Local(shard) => ("local", shard_name(map, *shard)),
        };
        let table = Value::text(table);
        let (database, epoch) = (Value::text(database), Value::count(map.epoch.0));
        Some(vec![database, epoch, Value::text(kind), Value::Null, Value::Null, Value::Null, Value::Null, shard, table])
    };
    tables.into_iter().filter_map(row).collect()
}

fn shard_name(map: &ShardMap, id: ShardId) -> Value {
    match map.shard(id) {
        Some(shard) => Value::text(&shard.name),
        None => Value::text(id),
    }
}
