//! INSERT: the keys of its rows, and the column list it should have had.

use std::sync::Arc;

use super::Refusal;
use super::keys::{Keys, Lookup, key_type};
use super::keyset::{ColumnSet, KeySet};
use super::place::Sharded;
use crate::map::{Conversion, KeyValue, Point};
use crate::sql::analysis::{ColumnRef, Insert, Model};
use crate::sql::{Edit, splice};
use crate::wire::SqlState;

/// ON CONFLICT sees one shard: what may conflict must be on the row's own.
pub(super) fn check_conflict(model: &Model, sharded: &Sharded<'_>, table: &str) -> Result<(), Refusal> {
    let Some((arbiter, _)) = model.insert.as_ref().and_then(|insert| insert.on_conflict.as_ref()) else {
        return Ok(());
    };
    let key = sharded.key.join(", ");
    match arbiter {
        Some(arbiter) if sharded.key_columns().all(|column| arbiter.contains(&column)) => Ok(()),
        Some(_) => Err(Refusal::unsupported(
            "ON CONFLICT must name the sharding key",
            format!(
                "A row of \"{table}\" on another shard could conflict without being seen: ({key}) is not among the columns."
            ),
            "Make the sharding key a part of the unique constraint and of ON CONFLICT.",
        )),
        None => Err(Refusal::unsupported(
            "ON CONFLICT must name its columns",
            format!(
                "Any unique constraint of \"{table}\" counts without them, those without its sharding key ({key}) too."
            ),
            "Write ON CONFLICT (columns) with the sharding key among them.",
        )),
    }
}

/// The text with the column list that the statement lacks, so that a schema cache that is behind makes PostgreSQL fail.
pub(super) fn with_columns(
    lookup: Lookup<'_>,
    insert: &Insert,
    sharded: &Sharded<'_>,
    relation: usize,
) -> Result<Option<Arc<str>>, Refusal> {
    if insert.columns.is_some() || insert.default_values {
        return Ok(None);
    }
    let Some(width) = width(lookup.model, insert) else {
        return Err(Refusal::unsupported(
            "INSERT needs a column list",
            "How many columns its query has is not known.",
            "Name the columns.",
        ));
    };
    let columns = &sharded.relation.columns;
    let Some(given) = columns.get(..width) else {
        return Err(Refusal {
            code: SqlState::SYNTAX_ERROR,
            message: "INSERT has more expressions than target columns".into(),
            detail: Some(format!(
                "Table \"{}\" has {} columns as far as pgweave knows.",
                lookup.model.relations[relation].name,
                columns.len()
            )),
            hint: None,
        });
    };
    let names: Vec<String> = given.iter().map(|column| format!("\"{}\"", column.name.replace('"', "\"\""))).collect();
    let edit = Edit { range: insert.columns_at..insert.columns_at, text: format!(" ({})", names.join(", ")) };
    // A text that was understood has no string whose end depends on standard_conforming_strings.
    match splice(lookup.values.text, &[edit], true) {
        Ok(text) => Ok(Some(text.into())),
        Err(error) => Err(Refusal::unsupported(
            "INSERT needs a column list",
            format!("It could not be written in: {error}."),
            "Name the columns.",
        )),
    }
}

/// How many columns each row has.
fn width(model: &Model, insert: &Insert) -> Option<usize> {
    if let Some(rows) = &insert.rows {
        return rows.first().map(Vec::len);
    }
    let block = &model.blocks[insert.source?];
    (!block.open_outputs).then_some(block.outputs.len())
}

/// The positions of all rows. Every one has an owner.
pub(super) fn key_set(
    lookup: Lookup<'_>,
    keys: &Keys<'_>,
    insert: &Insert,
    sharded: &Sharded<'_>,
    relation: usize,
) -> Result<KeySet, Refusal> {
    let table = lookup.model.relations[relation].name.as_str();
    let places: Vec<usize> = sharded
        .key_columns()
        .zip(sharded.key)
        .map(|(column, name)| {
            let place = match &insert.columns {
                Some(columns) => columns.iter().position(|given| *given == column),
                None => Some(column).filter(|column| width(lookup.model, insert).is_some_and(|width| *column < width)),
            };
            place.ok_or_else(|| defaulted(table, name))
        })
        .collect::<Result<_, _>>()?;
    match (&insert.rows, insert.source) {
        (Some(rows), _) => {
            let mut points = Vec::with_capacity(rows.len());
            for row in rows {
                let mut key = Vec::with_capacity(places.len());
                for ((place, column), name) in places.iter().zip(sharded.key_types()).zip(sharded.key) {
                    let operand = row.get(*place).and_then(Option::as_ref).ok_or_else(|| defaulted(table, name))?;
                    let key_type = key_type(column).ok_or_else(|| unclear(table, name))?;
                    key.extend(stored(lookup.convert(operand, key_type), table, name)?);
                }
                // A row with a value that its column cannot hold fails wherever it is tried, in PostgreSQL's words.
                if key.len() == places.len() {
                    points.push(owned(&key, sharded, table)?);
                }
            }
            points.sort_unstable();
            points.dedup();
            Ok(KeySet::Points(points))
        }
        (None, Some(source)) => from_query(lookup, keys, source, &places, sharded, table),
        (None, None) => Err(defaulted(table, &sharded.key[0])),
    }
}

/// INSERT … SELECT: each key column must be a value, or a column that the query's conditions fix.
fn from_query(
    lookup: Lookup<'_>,
    keys: &Keys<'_>,
    source: usize,
    places: &[usize],
    sharded: &Sharded<'_>,
    table: &str,
) -> Result<KeySet, Refusal> {
    let block = &lookup.model.blocks[source];
    let mut sets = Vec::with_capacity(places.len());
    for ((place, column), name) in places.iter().zip(sharded.key_types()).zip(sharded.key) {
        let target_type = key_type(column).ok_or_else(|| unclear(table, name))?;
        let set = match (block.output_values.get(*place), block.outputs.get(*place)) {
            (Some(Some(value)), _) => {
                ColumnSet::Values(stored(lookup.convert(value, target_type), table, name)?.into_iter().collect())
            }
            (_, Some(Some(output))) => passed(lookup, keys, *output, target_type),
            _ => ColumnSet::Everything,
        };
        if !matches!(set, ColumnSet::Values(_)) {
            return Err(Refusal::unsupported(
                "INSERT … SELECT must fix the sharding key",
                format!("Column \"{name}\" of \"{table}\" comes from a query that does not say which values it has."),
                "Select a constant for it, or the column of a table and a condition that fixes it; else read first, then insert.",
            ));
        }
        sets.push(set);
    }
    let set = KeySet::of_columns(&sets, None, sharded.distribution);
    let KeySet::Points(points) = &set else { return Ok(set) };
    for point in points {
        if sharded.distribution.ranges.owner(point).is_none() {
            return Err(nobody(&format!("{point:?}"), sharded, table));
        }
    }
    Ok(set)
}

/// What is known of a column of the query, if it goes into the key column bit for bit.
fn passed(lookup: Lookup<'_>, keys: &Keys<'_>, output: ColumnRef, target: crate::map::KeyType) -> ColumnSet {
    let from = lookup.column(output).and_then(key_type);
    // A varchar(n) that is narrower than its source could cut; PostgreSQL reports an error instead, but for blanks.
    let fits = from.is_some_and(|from| match (from, target) {
        (_, crate::map::KeyType::Text { max_chars: Some(_) }) => from == target,
        _ => from.widest(target).is_some(),
    });
    if fits { keys.set(output).clone() } else { ColumnSet::Everything }
}

fn owned(key: &[KeyValue], sharded: &Sharded<'_>, table: &str) -> Result<Point, Refusal> {
    let point = sharded.distribution.point(key);
    match sharded.distribution.ranges.owner(&point) {
        Some(_) => Ok(point),
        None => {
            let values: Vec<String> = key.iter().map(KeyValue::to_string).collect();
            Err(nobody(&values.join(", "), sharded, table))
        }
    }
}

fn nobody(key: &str, sharded: &Sharded<'_>, table: &str) -> Refusal {
    Refusal {
        code: SqlState::CHECK_VIOLATION,
        message: format!("no range of distribution \"{}\" holds the key ({key})", sharded.distribution.name),
        detail: Some(format!("The row of \"{table}\" belongs to no shard.")),
        hint: Some("Add a range that holds it.".into()),
    }
}

/// The value that PostgreSQL will store; `None` for one that the column cannot hold.
fn stored(conversion: Conversion, table: &str, name: &str) -> Result<Option<KeyValue>, Refusal> {
    match conversion {
        Conversion::Value(value) => Ok(Some(value)),
        Conversion::Never => Ok(None),
        Conversion::Null => Err(Refusal {
            code: SqlState::NOT_NULL_VIOLATION,
            message: format!("null value in column \"{name}\" of relation \"{table}\" violates not-null constraint"),
            detail: Some("The column is a part of the sharding key, and NULL has no shard.".into()),
            hint: None,
        }),
        Conversion::Opaque => Err(unclear(table, name)),
    }
}

fn unclear(table: &str, name: &str) -> Refusal {
    Refusal::unsupported(
        format!("the value for column \"{name}\" of the sharding key is not plain"),
        format!("What \"{table}\" will store for it cannot be told from the statement, so its shard cannot either."),
        "Give an integer, a string or a uuid as a literal or a parameter of the column's own type.",
    )
}

fn defaulted(table: &str, name: &str) -> Refusal {
    Refusal::unsupported(
        format!("column \"{name}\" of the sharding key needs a value"),
        format!("Left to its default, \"{table}\" would decide it on a shard that was chosen before."),
        "Name the column and give its value.",
    )
}
