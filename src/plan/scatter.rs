//! When each shard can answer its part of a query alone, and the answers put one after the other are the answer.

use super::keys::{Keys, key_type, within};
use super::place::{Place, Sharded};
use super::select::Statement;
use super::{Access, Refusal};
use crate::sql::analysis::{ColumnRef, Model, Place as Stands};

/// Columns known to be equal to a column of the anchor's key, wherever they count: (class, place in the key).
type Marks = Vec<(usize, usize)>;

/// Refuses a query over several shards unless all eight rules hold.
pub(super) fn check(statement: &Statement<'_>, keys: &Keys<'_>) -> Result<(), Refusal> {
    let model = statement.lookup.model;
    rule_8(statement)?;
    if model.system_columns {
        return Err(refuse(6, "it names a system column", "Leave out ctid, xmin, tableoid and their like."));
    }
    if statement.access == Access::Write {
        return Err(refuse(
            7,
            "it locks rows, or calls what may write",
            "Fix the sharding key, so that one shard runs it.",
        ));
    }
    let branches = branches(model);
    let mut first: Option<&Sharded<'_>> = None;
    let mut positions: Option<Vec<Vec<usize>>> = None;
    for branch in &branches {
        let anchored = anchor(statement, keys, *branch)?;
        let sharded = anchored.sharded;
        if first.is_some_and(|first| !alike(first, sharded)) {
            return Err(refuse(
                1,
                "its branches are of different distributions",
                "Ask for each in a statement of its own.",
            ));
        }
        first = Some(sharded);
        let inside = |block: &usize| within(model, *block, *branch);
        for block in (0..model.blocks.len()).filter(inside) {
            check_block(statement, keys, &anchored, block)?;
        }
        let own = anchored.outputs(statement, keys, *branch);
        positions = Some(match positions {
            None => own,
            Some(known) => {
                known.into_iter().zip(own).map(|(a, b)| a.into_iter().filter(|at| b.contains(at)).collect()).collect()
            }
        });
    }
    let mixed = branches.iter().any(|branch| model.blocks[*branch].place == Stands::SetOperation);
    if mixed && positions.unwrap_or_default().iter().any(Vec::is_empty) {
        return Err(refuse(
            3,
            "a set operation compares rows of several shards",
            "Put the sharding key at the same place of every branch, or use UNION ALL.",
        ));
    }
    if branches != [0] {
        let top = &model.blocks[0];
        if top.limit || top.order_by {
            return Err(ordered());
        }
    }
    Ok(())
}

fn refuse(rule: usize, what: &str, hint: &str) -> Refusal {
    Refusal::unsupported(
        "the statement needs rows of several shards together",
        format!("Its shards cannot answer one by one: {what} (rule {rule} of scatter)."),
        hint,
    )
}

fn ordered() -> Refusal {
    refuse(4, "it has ORDER BY, LIMIT or OFFSET", "Fix the sharding key, or sort and cut where the rows arrive.")
}

/// The blocks that yield the statement's rows.
fn branches(model: &Model) -> Vec<usize> {
    let leaves =
        model.blocks.iter().enumerate().filter(|(_, block)| {
            block.parent == Some(0) && matches!(block.place, Stands::UnionAll | Stands::SetOperation)
        });
    let leaves: Vec<usize> = leaves.map(|(index, _)| index).collect();
    if leaves.is_empty() { vec![0] } else { leaves }
}

fn rule_8(statement: &Statement<'_>) -> Result<(), Refusal> {
    let model = statement.lookup.model;
    for (reference, place) in model.relations.iter().zip(statement.places) {
        if let Place::Local(_) = place {
            return Err(refuse(
                8,
                &format!("table \"{}\" lives on one shard only", reference.name),
                "Read it first, or make it a reference table.",
            ));
        }
    }
    if model.sampling || model.skip_locked {
        return Err(refuse(8, "it samples, or skips locked rows", "Fix the sharding key, so that one shard runs it."));
    }
    Ok(())
}

/// A reference whose rows spread the rows of a branch over the shards, and what is marked from it.
struct Anchored<'s> {
    sharded: &'s Sharded<'s>,
    marks: Marks,
}

/// Whether two relations are sharded alike, by columns of the same types.
fn alike(a: &Sharded<'_>, b: &Sharded<'_>) -> bool {
    a.distribution.id == b.distribution.id
        && a.key_types().map(|column| column.type_oid).eq(b.key_types().map(|column| column.type_oid))
}

/// Rules 1 and 2: finds the anchor of a branch from which every sharded relation of the branch is reached.
fn anchor<'s>(statement: &Statement<'s>, keys: &Keys<'_>, branch: usize) -> Result<Anchored<'s>, Refusal> {
    let model = statement.lookup.model;
    let inside: Vec<(usize, &'s Sharded<'s>)> =
        statement.sharded().filter(|(relation, _)| within(model, model.relations[*relation].block, branch)).collect();
    let candidates = inside.iter().filter(|(relation, _)| yields_rows(model, *relation, branch));
    let mut tried = false;
    for (relation, sharded) in candidates.take(16) {
        tried = true;
        let marks = mark(keys, *relation, sharded);
        let reached = |(other, of): &(usize, &Sharded<'_>)| {
            alike(sharded, of) && key_of(*other, of).enumerate().all(|(at, column)| is_marked(keys, &marks, column, at))
        };
        if inside.iter().all(reached) {
            return Ok(Anchored { sharded, marks });
        }
    }
    if inside.is_empty() {
        return Err(refuse(1, "a branch of it has no sharded table", "Ask for that branch in a statement of its own."));
    }
    if !tried {
        return Err(refuse(
            2,
            "every sharded table is on the side of an outer join that NULLs may fill",
            "Turn the join round, or fix the sharding key.",
        ));
    }
    Err(refuse(
        1,
        "its sharded tables are not joined by the whole sharding key",
        "Join them by equality of every column of the key, or fix the sharding key of each.",
    ))
}

fn key_of<'k>(relation: usize, sharded: &'k Sharded<'_>) -> impl Iterator<Item = ColumnRef> + 'k {
    sharded.key_columns().map(move |column| ColumnRef { relation, column })
}

/// Whether a relation is one of those that the rows of a branch are made of, never filled with NULLs.
fn yields_rows(model: &Model, relation: usize, branch: usize) -> bool {
    let reference = &model.relations[relation];
    let mut block = reference.block;
    while block != branch {
        match (model.blocks[block].place, model.blocks[block].parent) {
            (Stands::Derived | Stands::Cte, Some(parent)) => block = parent,
            _ => return false,
        }
    }
    !reference.nullable
}

/// Marks what equals the anchor's key: its own classes, and what flows from them.
fn mark(keys: &Keys<'_>, relation: usize, sharded: &Sharded<'_>) -> Marks {
    let own = key_of(relation, sharded).enumerate();
    let mut marks: Marks = own.filter_map(|(at, column)| Some((keys.class(column)?, at))).collect();
    let mut grown = true;
    while grown {
        grown = false;
        for (from, to) in keys.flows() {
            let (Some(from), Some(to)) = (keys.class(*from), keys.class(*to)) else { continue };
            let passing: Marks = marks.iter().filter(|(class, _)| *class == from).map(|(_, at)| (to, *at)).collect();
            for mark in passing {
                if !marks.contains(&mark) {
                    marks.push(mark);
                    grown = true;
                }
            }
        }
    }
    marks
}

fn is_marked(keys: &Keys<'_>, marks: &Marks, column: ColumnRef, at: usize) -> bool {
    keys.class(column).is_some_and(|class| marks.contains(&(class, at)))
}

impl Anchored<'_> {
    /// Whether a list holds every column of the key, or what equals it, and no NULL may stand for it.
    fn holds_key(&self, statement: &Statement<'_>, keys: &Keys<'_>, list: &[Option<ColumnRef>]) -> bool {
        (0..self.sharded.key.len())
            .all(|at| list.iter().flatten().any(|column| self.is_key(statement, keys, *column, at)))
    }

    fn is_key(&self, statement: &Statement<'_>, keys: &Keys<'_>, column: ColumnRef, at: usize) -> bool {
        let model = statement.lookup.model;
        is_marked(keys, &self.marks, column, at)
            && !model.relations[column.relation].nullable
            && statement.lookup.column(column).is_some_and(|column| key_type(column).is_some())
    }

    /// For each column of the key, the outputs of a branch that are it.
    fn outputs(&self, statement: &Statement<'_>, keys: &Keys<'_>, branch: usize) -> Vec<Vec<usize>> {
        let outputs = &statement.lookup.model.blocks[branch].outputs;
        let of = |at: usize| {
            let shown = outputs
                .iter()
                .enumerate()
                .filter(|(_, output)| output.is_some_and(|column| self.is_key(statement, keys, column, at)));
            shown.map(|(index, _)| index).collect()
        };
        (0..self.sharded.key.len()).map(of).collect()
    }

    /// Whether a block is evaluated for one row around it at a time, with the key of all its sharded relations fixed by
    /// that row: then it lies wholly on one shard, whatever it does.
    fn is_correlated(&self, statement: &Statement<'_>, keys: &Keys<'_>, block: usize) -> bool {
        let model = statement.lookup.model;
        if model.blocks[block].parent.is_none() {
            return false;
        }
        let inside = |relation: usize| within(model, model.relations[relation].block, block);
        let mut any = false;
        for (relation, sharded) in statement.sharded().filter(|(relation, _)| inside(*relation)) {
            any = true;
            let fixed = |(at, column): (usize, ColumnRef)| {
                keys.flows().iter().any(|(from, to)| {
                    !inside(from.relation)
                        && inside(to.relation)
                        && keys.class(*to) == keys.class(column)
                        && is_marked(keys, &self.marks, *from, at)
                })
            };
            if !key_of(relation, sharded).enumerate().all(fixed) {
                return false;
            }
        }
        any
    }
}

/// Rules 3, 4 and 5 for one block.
fn check_block(statement: &Statement<'_>, keys: &Keys<'_>, anchored: &Anchored<'_>, at: usize) -> Result<(), Refusal> {
    let block = &statement.lookup.model.blocks[at];
    let around = std::iter::successors(Some(at), |block| statement.lookup.model.blocks[*block].parent);
    for block in around {
        if anchored.is_correlated(statement, keys, block) {
            return Ok(());
        }
    }
    let holds_key = |list: &Vec<Option<ColumnRef>>| anchored.holds_key(statement, keys, list);
    if block.limit || block.order_by {
        return Err(ordered());
    }
    let set_operation = block.place == Stands::SetOperation && block.parent != Some(0);
    if block.group_by.as_ref().is_some_and(|list| !holds_key(list))
        || block.distinct.as_ref().is_some_and(|list| !holds_key(list))
        || set_operation
    {
        return Err(refuse(
            3,
            "it groups or compares rows without the sharding key",
            "Add the sharding key to GROUP BY, DISTINCT or the set operation.",
        ));
    }
    if block.group_by.is_none() && (block.aggregate || block.having) {
        return Err(refuse(5, "it aggregates rows of several shards", "Group by the sharding key, or fix it."));
    }
    if !block.windows.iter().all(holds_key) {
        return Err(refuse(
            5,
            "a window function sees rows of several shards",
            "Add the sharding key to PARTITION BY, or fix it.",
        ));
    }
    Ok(())
}
