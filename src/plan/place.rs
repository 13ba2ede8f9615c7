//! Where the relations of a statement live.

use super::{Refusal, World, view};
use crate::map::{Distribution, Placement, ShardId};
use crate::sql::analysis::RelationRef;
use crate::sql::schema::{Column, Relation, RelationKind};

/// Where a relation's rows are.
#[derive(Clone, Debug)]
pub(super) enum Place<'w> {
    /// Spread by a key.
    Sharded(Sharded<'w>),
    /// The same on every shard.
    Reference,
    /// On one shard.
    Local(ShardId),
}

/// A sharded relation.
#[derive(Clone, Debug)]
pub(super) struct Sharded<'w> {
    pub distribution: &'w Distribution,
    /// The names of its key columns, in key order.
    pub key: &'w [String],
    pub relation: &'w Relation,
}

impl<'w> Sharded<'w> {
    /// The key columns by index, in key order.
    pub fn key_columns(&self) -> impl Iterator<Item = usize> + '_ {
        let index = |name: &String| self.relation.columns.iter().position(|column| column.name == *name);
        // `place` has checked that each is there.
        self.key.iter().filter_map(index)
    }

    /// The key columns as the schema has them.
    pub fn key_types(&self) -> impl Iterator<Item = &Column> + '_ {
        self.key_columns().map(|index| &self.relation.columns[index])
    }
}

/// Finds where a relation lives.
pub(super) fn place<'w>(reference: &RelationRef, world: &World<'w>) -> Result<Place<'w>, Refusal> {
    let (schema, name) = (reference.schema.as_str(), reference.name.as_str());
    if !world.facts.temporary.is_empty()
        && let Some(place) = temporary(name, world)?
    {
        return Ok(place);
    }
    let known = world.schema.relation(schema, name);
    match world.map.placement(schema, name) {
        Some(Placement::Distributed { distribution, key }) => {
            let distribution = world.map.distribution(*distribution);
            let ready = known.filter(|relation| {
                distribution.key_types.len() == key.len()
                    && distribution.ranges.is_typed()
                    && key.iter().all(|name| relation.columns.iter().any(|column| column.name == *name))
            });
            match ready {
                Some(relation) => Ok(Place::Sharded(Sharded { distribution, key, relation })),
                None => Err(unknown_table(schema, name)),
            }
        }
        Some(Placement::Reference) => Ok(Place::Reference),
        Some(Placement::Local(shard)) => Ok(Place::Local(*shard)),
        None => unplaced(schema, name, known, world),
    }
}

/// A relation that the map does not name is local on the home shard, unless it is a window on one that is not.
fn unplaced<'w>(schema: &str, name: &str, known: Option<&Relation>, world: &World<'w>) -> Result<Place<'w>, Refusal> {
    let home = Place::Local(world.map.home);
    let Some(relation) = known else {
        // A stale schema cache must not send a statement over a placed table to the home shard.
        if schema.is_empty() && world.map.tables.keys().any(|table| table.name == name) {
            return Err(unknown_table(schema, name));
        }
        return Ok(home);
    };
    match relation.kind {
        RelationKind::View | RelationKind::MaterializedView => match view::not_at_home(relation, world) {
            Some(table) => Err(Refusal::unsupported(
                format!("view \"{name}\" shows a table that does not live on the home shard"),
                format!("The view names \"{table}\", and a view sees only the rows of its own shard."),
                "Write the view's query out in the statement.",
            )),
            None => Ok(home),
        },
        RelationKind::Partition if partitions_are_placed(world) => Err(Refusal::unsupported(
            format!("table \"{name}\" is a partition that the map does not name"),
            "Some partitioned table of this database is sharded or a reference table, and this may be a part of it.",
            "Name the partitioned table, or place the partition with pgweave table add.",
        )),
        RelationKind::Table
        | RelationKind::Partitioned
        | RelationKind::Partition
        | RelationKind::Foreign
        | RelationKind::Sequence => Ok(home),
    }
}

fn partitions_are_placed(world: &World<'_>) -> bool {
    world.map.tables.iter().any(|(table, placement)| {
        let home = matches!(placement, Placement::Local(shard) if *shard == world.map.home);
        let relation = world.schema.relation(&table.schema, &table.name);
        !home && relation.is_some_and(|relation| relation.kind == RelationKind::Partitioned)
    })
}

/// A temporary table lives where the session is, which is the home shard.
fn temporary<'w>(name: &str, world: &World<'w>) -> Result<Option<Place<'w>>, Refusal> {
    if !world.facts.temporary.iter().any(|temporary| temporary == name) {
        return Ok(None);
    }
    let hidden = world.map.tables.iter().find(|(table, placement)| {
        table.name == name && !matches!(placement, Placement::Local(shard) if *shard == world.map.home)
    });
    match hidden {
        Some(_) => Err(Refusal::unsupported(
            format!("temporary table \"{name}\" hides a table of the map"),
            "The session made a temporary table of the same name, and the statement may mean either.",
            "Give the temporary table a name of its own.",
        )),
        None => Ok(Some(Place::Local(world.map.home))),
    }
}

fn unknown_table(schema: &str, name: &str) -> Refusal {
    let name = if schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") };
    Refusal::unsupported(
        format!("table \"{name}\" is in the map but its columns are not known"),
        "The table, or a column of its key, was not found on the home shard when the schema was last read.",
        "Create the table on every shard, then pgweave check.",
    )
}
