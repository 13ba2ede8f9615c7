//! Writes: what their target allows.

use super::Refusal;
use super::place::Place;
use super::select::Statement;
use crate::map::ShardId;
use crate::sql::analysis::Kind;

/// Refuses writes that cannot be right wherever they run.
pub(super) fn check_target(statement: &Statement<'_>, kind: &Kind, target: usize) -> Result<(), Refusal> {
    let model = statement.lookup.model;
    let name = &model.relations[target].name;
    match &statement.places[target] {
        Place::Local(_) => Ok(()),
        Place::Reference => Err(Refusal::unsupported(
            format!("reference table \"{name}\" cannot be written through pgweave yet"),
            "Its rows are the same on every shard, and a write would have to happen on all of them at once.",
            "Write it on every shard directly, in one order.",
        )),
        Place::Sharded(sharded) => {
            let key_column = sharded.key_columns().find(|column| model.assigned.contains(column));
            if let Some(column) = key_column {
                let column = &sharded.relation.columns[column].name;
                return Err(Refusal::unsupported(
                    format!("column \"{column}\" of the sharding key of \"{name}\" cannot be changed"),
                    "The row would belong to another shard.",
                    "Delete the row and insert it anew.",
                ));
            }
            if *kind == Kind::Insert { super::insert::check_conflict(model, sharded, name) } else { Ok(()) }
        }
    }
}

/// The refusal of a write whose rows are on several shards.
pub(super) fn several(statement: &Statement<'_>, shards: &[ShardId]) -> Refusal {
    let names: Vec<String> = shards.iter().map(|shard| format!("\"{}\"", statement.shard_name(*shard))).collect();
    let model = statement.lookup.model;
    let target = model.target.map_or("", |target| model.relations[target].name.as_str());
    let hint = match &model.insert {
        Some(_) => "Insert rows of one shard at a time: one row a statement always is.",
        None => "Add a condition that fixes the sharding key, and write one key at a time.",
    };
    Refusal::unsupported(
        "a statement cannot write on several shards yet",
        format!("What it touches of \"{target}\" and the tables with it lies on the shards {}.", names.join(", ")),
        hint,
    )
}
