//! Code in the database: functions run inside one shard and see that shard.

use super::builtin::{Class, class};
use super::{Refusal, World};
use crate::config::FunctionDeclaration;
use crate::map::ShardId;
use crate::sql::analysis::Model;
use crate::sql::schema::Volatility;

/// Where a statement is about to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// On one shard.
    One(ShardId),
    /// On several, each for itself.
    Many,
}

/// Refuses what calls code that is not known to be right where it is about to run.
pub(super) fn check(model: &Model, target: Target, world: &World<'_>) -> Result<(), Refusal> {
    for name in &model.calls {
        check_call(name, target, world)?;
    }
    for reference in &model.relations {
        let code = world.schema.relation(&reference.schema, &reference.name).map(|relation| relation.code.as_slice());
        for name in code.unwrap_or_default() {
            check_code(name, &reference.name, target, world)?;
        }
    }
    Ok(())
}

/// Refuses a call by name, as far as tokens tell.
pub(super) fn check_call(name: &str, target: Target, world: &World<'_>) -> Result<(), Refusal> {
    let home = target == Target::One(world.map.home);
    match world.functions.get(name) {
        Some(FunctionDeclaration::Any | FunctionDeclaration::ShardLocal) => return Ok(()),
        Some(FunctionDeclaration::Home) if home => return Ok(()),
        Some(FunctionDeclaration::Home) => return Err(lives_once(name)),
        None => {}
    }
    match class(name, world.schema) {
        Class::Anywhere | Class::Harmless | Class::Foreign { volatility: Volatility::Immutable, .. } => Ok(()),
        Class::Foreign { volatility: Volatility::Stable, in_c: true } => Ok(()),
        Class::Clock if target == Target::Many => Err(Refusal::unsupported(
            format!("function {name}() would be evaluated on each shard for itself"),
            "The statement runs on several shards, and each has a clock and a transaction of its own.",
            "Pass the time as a parameter.",
        )),
        Class::Clock => Ok(()),
        Class::PerServer | Class::Once if home => Ok(()),
        Class::PerServer | Class::Once => Err(lives_once(name)),
        Class::Foreign { .. } => Err(undeclared(name, None)),
        Class::Unknown => Err(Refusal::unsupported(
            format!("function {name}() is not known"),
            "The schema was read without it, so nothing is known of what it touches.",
            "Declare it under functions, or try again when the schema has been read.",
        )),
    }
}

/// Code that a table brings with it.
fn check_code(name: &str, table: &str, target: Target, world: &World<'_>) -> Result<(), Refusal> {
    let home = target == Target::One(world.map.home);
    match world.functions.get(name) {
        Some(FunctionDeclaration::Any | FunctionDeclaration::ShardLocal) => Ok(()),
        Some(FunctionDeclaration::Home) if home => Ok(()),
        Some(FunctionDeclaration::Home) => Err(lives_once(name)),
        None if world.safe_triggers.iter().any(|safe| safe == name) => Ok(()),
        None => Err(undeclared(name, Some(table))),
    }
}

fn lives_once(name: &str) -> Refusal {
    Refusal::unsupported(
        format!("function {name}() can only be called on the home shard"),
        "What it reads or changes exists once, and the statement runs on another shard.",
        "Call it in a statement of its own.",
    )
}

fn undeclared(name: &str, table: Option<&str>) -> Refusal {
    let message = match table {
        None => format!("function {name}() is not declared"),
        Some(table) => format!("function {name}() of table \"{table}\" is not declared"),
    };
    Refusal::unsupported(
        message,
        "It runs inside one shard and sees only that shard's rows, which may not be what it was written for.",
        format!("Declare it: [databases.NAME.functions] {name} = \"shard_local\", \"home\" or \"any\"."),
    )
}
